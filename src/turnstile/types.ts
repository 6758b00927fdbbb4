/** Options of `createTurnstile`. */
export interface TurnstileOptions {
  /** One secret, or several while a rotation lasts (both are valid for 2 hours). */
  secret: string | readonly string[];
  /** The public sitekey; served to clients, never needed to verify. */
  sitekey?: string | undefined;
  /** Hostnames a token may come from, exact and lower case. Required unless `allowTestKeys`. */
  allowedHostnames: readonly string[];
  /** Seconds since the challenge was solved, 1..86400, default 300 plus a tolerance of 5. */
  maxAge?: number;
  /** Seconds that the time of the solve may be ahead of our clock, 0..60, default 5: beyond them the token is `too_early`. */
  clockTolerance?: number;
  /** Milliseconds an attempt, the body included: 1..60000, default 3000. */
  timeoutMs?: number;
  /** Further attempts with the same idempotency key after a timeout, a lost connection, a 5xx, an answer that is not JSON, or `internal-error`: 0..5, default 1. */
  retries?: number;
  /** Default Cloudflare's; any other needs `allowTestKeys`. */
  siteverifyUrl?: string;
  fetch?: typeof fetch;
  /** Accept Cloudflare's test keys and the emulator. Default false; never in production. */
  allowTestKeys?: boolean;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
  /** Random bytes for idempotency keys. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** What the answer must say, beyond success. */
export interface TurnstileExpectation {
  /** One action or several; compared without regard to case. */
  action?: string | readonly string[] | undefined;
  /** The exact cdata; "" requires that it is empty or absent. */
  cdata?: string | undefined;
  remoteip?: string | undefined;
  /** A UUID. Default: random per call, the same for its own retries. */
  idempotencyKey?: string | undefined;
}

/** Why a token was not accepted. */
export type TurnstileReason =
  | "missing"
  | "malformed"
  | "invalid"
  | "expired_or_spent"
  | "action_mismatch"
  | "hostname_mismatch"
  | "cdata_mismatch"
  | "too_old"
  | "too_early"
  | "test_key"
  | "misconfigured"
  | "timeout"
  | "unavailable";

/** The outcome of a verification: never thrown, always one of a closed set. */
export type TurnstileResult =
  | {
      ok: true;
      /** Of the page, lower case. */
      hostname: string;
      /** In the spelling that was expected; "" when the widget set none. */
      action: string;
      /** "" when the widget set none. */
      cdata: string;
      /** Milliseconds since the epoch: when the challenge was solved. */
      challengeAt: number;
      ephemeralId?: string;
      interactive?: boolean;
      /** A test key answered: hostname, action and cdata mean nothing, the token is a constant. */
      testKey: boolean;
      latencyMs: number;
    }
  | {
      ok: false;
      reason: TurnstileReason;
      /** Codes of the provider, as they are. */
      errorCodes: string[];
      /** The provider's fault: the same token may be verified again, with the same idempotency key. False: a new challenge, or our configuration. */
      retryable: boolean;
      /** `misconfigured`, as it was before: whoever reports it has done so. Only behind `withBreaker`. */
      repeated?: true;
      latencyMs: number;
    };

/** Checks Turnstile tokens with siteverify. */
export interface Turnstile {
  /** Never throws at a token. @throws {TypeError} an unknown member of `expected`, or one of the wrong type */
  verify(token: string, expected: TurnstileExpectation): Promise<TurnstileResult>;
}
