/** Options of `createTurnstile`. */
export interface TurnstileOptions {
  /** One secret, or several while a rotation lasts (both are valid for 2 hours). */
  secret: string | readonly string[];
  /** The public sitekey; served to clients, never needed to verify. */
  sitekey?: string | undefined;
  /** Hostnames of the pages that tokens may come from, exact and in lower case. Required unless `allowTestKeys`. */
  allowedHostnames: readonly string[];
  /** Seconds since the challenge was solved, 1..86400, default 300 plus a tolerance of 5. */
  maxAge?: number;
  /**
   * Seconds by which the time of the solve may be ahead of our clock, 0..60, default 5. Beyond that the token is
   * `too_early`.
   */
  clockTolerance?: number;
  /** Milliseconds for one attempt, the body included, 1..60000, default 3000. */
  timeoutMs?: number;
  /**
   * Further attempts, 0..5, default 1: after a timeout, a lost connection, a 5xx, an answer that is not JSON, or
   * `internal-error`. All attempts have the same idempotency key.
   */
  retries?: number;
  /** URL of siteverify. Default Cloudflare's; any other needs `allowTestKeys`. */
  siteverifyUrl?: string;
  /** Default the global `fetch`. */
  fetch?: typeof fetch;
  /** Accept Cloudflare's test keys and the emulator. Default false; never in production. */
  allowTestKeys?: boolean;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
  /** Random bytes for idempotency keys. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** What the answer must say besides success. */
export interface TurnstileExpectation {
  /** The widget's action, or several that are allowed. Case does not count. Default: any. */
  action?: string | readonly string[] | undefined;
  /** The widget's exact cdata; "" requires that it is empty or absent. Default: any. */
  cdata?: string | undefined;
  /** The visitor's address, sent to Cloudflare. Default: not sent. */
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

/** The outcome of a verification. */
export type TurnstileResult =
  | {
      ok: true;
      /** The page's hostname, in lower case. */
      hostname: string;
      /** The action, in the expected spelling; "" when the widget set none. */
      action: string;
      /** "" when the widget set none. */
      cdata: string;
      /** Milliseconds since the epoch: when the challenge was solved. */
      challengeAt: number;
      /** Cloudflare's id of the device, for a few days (Enterprise only). */
      ephemeralId?: string;
      /** Whether the visitor had to interact. */
      interactive?: boolean;
      /** A test key answered: hostname, action and cdata say nothing, and every token is the same text. */
      testKey: boolean;
      /** Milliseconds of all attempts. */
      latencyMs: number;
    }
  | {
      ok: false;
      reason: TurnstileReason;
      /** Siteverify's error codes. */
      errorCodes: string[];
      /**
       * The provider failed: the same token may be verified again, with the same idempotency key. False: a new
       * challenge or another configuration is needed.
       */
      retryable: boolean;
      /**
       * `misconfigured` again, without a good answer in between: it need not be reported again. Only from
       * `withBreaker`.
       */
      repeated?: true;
      /** Milliseconds of all attempts. */
      latencyMs: number;
    };

/** Checks Turnstile tokens with siteverify. */
export interface Turnstile {
  /** Never throws because of a token. @throws {TypeError} an unknown member of `expected` */
  verify(token: string, expected: TurnstileExpectation): Promise<TurnstileResult>;
}
