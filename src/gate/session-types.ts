import type { PublicCode } from "../protocol.ts";
import type { VerifiedClaims } from "../tokens/types.ts";

/** The outcome of an exchange of a Turnstile token for a session. `headers`: rate headers for the answer, where a limit was charged. */
export type SessionResult = { headers?: Headers | undefined } & (
  | { ok: true; sessionToken: string; expiresIn: number; uses: number; playerToken: string; claims: SessionClaims }
  | {
      ok: false;
      code: PublicCode;
      /** Cloudflare is down: the same token may be exchanged again. */
      retryable?: boolean | undefined;
      /** Seconds. */
      retryAfter?: number | undefined;
    }
);

/** Claims of a session token. */
export interface SessionClaims extends VerifiedClaims {
  sub: string;
  /** `sub` is an account of the application's, which alone can name it. */
  acc?: boolean | undefined;
  /** Seconds since the epoch: when the challenge was solved. */
  auth_time: number;
  scope: string[];
  uses: number;
  /** HMAC of what the session is bound to. */
  bnd?: string | undefined;
  /** HMAC of the ephemeral id. */
  eid?: string | undefined;
  /** Issued while the provider was down. */
  deg?: boolean | undefined;
}

/** Where an exchange comes from. */
export interface ExchangeContext {
  request?: Request | undefined;
  /** The client's address, as text. */
  remoteip?: string | undefined;
  playerToken?: string | undefined;
  /** Method and pattern, for events. */
  route?: string | undefined;
}

/** Sessions of a gate. */
export interface Sessions {
  /**
   * Verifies a fresh Turnstile token and signs a session. Charges the limit `session`, which refuses with `RATE_LIMITED`: by `remoteip`, or by the address
   * that the request tells; requests whose address is unknown share one counter. Without both, nothing is limited: limit the caller yourself, or
   * strangers have Cloudflare asked without end.
   *
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`, `ERR_STORE_FULL`
   */
  exchange(turnstileToken: string, context?: ExchangeContext): Promise<SessionResult>;
  /** @throws {GatepassError} as `Tokens.verify` */
  verify(token: string): Promise<SessionClaims>;
  /** Makes every session of this solve useless, at once. */
  revoke(jti: string): Promise<void>;
}
