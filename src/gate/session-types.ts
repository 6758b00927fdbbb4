import type { PublicCode } from "../protocol.ts";
import type { VerifiedClaims } from "../tokens/types.ts";

/**
 * The outcome of an exchange of a Turnstile token for a session. `headers`: rate headers for the answer, where a limit
 * was charged. `expiresIn`: seconds.
 */
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
  /** The player. */
  sub: string;
  /** `sub` is an account, from `session.subject`. */
  acc?: boolean | undefined;
  /** Seconds since the epoch: when the challenge was solved. */
  auth_time: number;
  /** Actions that the session is for. */
  scope: string[];
  /** Writes that the solve pays for in all. */
  uses: number;
  /** HMAC of what the session is bound to. */
  bnd?: string | undefined;
  /** HMAC of Cloudflare's ephemeral id. */
  eid?: string | undefined;
  /** Issued while Cloudflare was down, so that the solve could not be checked. */
  deg?: boolean | undefined;
}

/** The context of an exchange. */
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
   * Verifies a fresh Turnstile token and signs a session. Charges the limit `session`, which refuses with
   * `RATE_LIMITED`.
   *
   * It counts by `remoteip`, else by the request's address; requests with an unknown address share one counter. Without
   * a `remoteip` and a request nothing is counted. Then limit the caller yourself: otherwise attackers make you ask
   * Cloudflare without end.
   *
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`, `ERR_STORE_FULL`
   */
  exchange(turnstileToken: string, context?: ExchangeContext): Promise<SessionResult>;
  /** @throws {GatepassError} as `Tokens.verify` */
  verify(token: string): Promise<SessionClaims>;
  /**
   * Revokes every session of the solve `jti`, at once.
   *
   * @throws {TypeError} {RangeError} not a text of 1 to 128 characters
   */
  revoke(jti: string): Promise<void>;
}
