/** Every wire name that server and browser share, once. */

/** Header `typ` of each kind of token. */
export const TYP = {
  session: "gp-session+jwt",
  player: "gp-player+jwt",
  commitment: "gp-score+jwt",
  challenge: "gp-challenge+jwt",
  clearance: "gp-clearance+jwt",
} as const;

// Those that the browser sends, one by one: a bundle drops what it does not use of a module, but not of an object.
/** Carries the session where `Authorization` is the application's. */
export const SESSION_HEADER = "x-gatepass-session";
/** Carries the player token along with a fresh Turnstile token. */
export const PLAYER_HEADER = "x-gatepass-player";
/** Carries a fresh Turnstile token for one write. */
export const TURNSTILE_HEADER = "x-turnstile-token";

/** Names a call of the client, so that a request that is sent twice counts once: a structured-field string, e.g. `"kQ3vY8bN0aZt5cRw7eXuLg"`. */
export const IDEMPOTENCY_HEADER = "idempotency-key";

/** Carries a clearance on the retry, beside the application's own `Authorization`. */
export const CLEARANCE_HEADER = "x-app-clearance";
/** Names a request: made by the client (or else by the server), the same on the retry. */
export const REQUEST_ID_HEADER = "x-request-id";
/** Names a device: a stranger's text, only ever counted beside an address. */
export const DEVICE_ID_HEADER = "x-device-id";
/** What a challenge's id begins with on the wire. */
export const CHALLENGE_PREFIX = "chal_";
/** Path below `basePath` at which a solved challenge becomes a clearance. */
export const VERIFY_PATH = "/security/turnstile/verify";
/** Path of the page that native apps show in a WebView, outside `basePath`. */
export const MOBILE_PATH = "/mobile-turnstile";

/** Request and answer headers, lower case. */
export const HEADER: Readonly<Record<"session" | "player" | "turnstile" | "requestId" | "deviceId" | "appVersion", string>> = {
  session: SESSION_HEADER,
  player: PLAYER_HEADER,
  turnstile: TURNSTILE_HEADER,
  requestId: REQUEST_ID_HEADER,
  deviceId: DEVICE_ID_HEADER,
  appVersion: "x-app-version",
};

/** Paths below `basePath`: a Turnstile token for a session. */
export const SESSION_PATH = "/session";
/** The board. */
export const SCORES_PATH = "/scores";
/** Signed scores. */
export const COMMITMENTS_PATH = "/commitments";
/** All paths below `basePath`. */
export const PATH: Readonly<Record<"session" | "scores" | "commitments", string>> = {
  session: SESSION_PATH,
  scores: SCORES_PATH,
  commitments: COMMITMENTS_PATH,
};

/** Path under which the API lives unless configured. */
export const BASE_PATH = "/api";
/** The action of a score submission unless configured. */
export const SCORE_ACTION = "score_submit";
/** Seconds before a session's expiry at which the client refreshes it. */
export const REFRESH_BEFORE = 45;
/** Characters that a Turnstile token may have at most. */
export const MAX_TURNSTILE_TOKEN = 2048;

/** HTTP status of every public code. */
export const STATUS = {
  BODY_INVALID: 400,
  TURNSTILE_TOKEN_MISSING: 400,
  PATH_AMBIGUOUS: 400,
  SESSION_MISSING: 401,
  SESSION_INVALID: 401,
  SESSION_EXPIRED: 401,
  SESSION_EXHAUSTED: 401,
  SESSION_REVOKED: 401,
  UNAUTHORIZED: 401,
  VERIFICATION_FAILED: 403,
  SCOPE_DENIED: 403,
  STEP_UP_REQUIRED: 403,
  ORIGIN_NOT_ALLOWED: 403,
  PLAYER_BANNED: 403,
  LEVEL_TOO_LOW: 403,
  WRONG_PLAYER: 403,
  TURNSTILE_REQUIRED: 403,
  CLEARANCE_EXPIRED: 403,
  REQUEST_DENIED: 403,
  SECURITY_VERIFICATION_FAILED: 403,
  NOT_FOUND: 404,
  GAME_UNKNOWN: 404,
  JOB_UNKNOWN: 404,
  METHOD_NOT_ALLOWED: 405,
  COMMITMENT_USED: 409,
  RUN_USED: 409,
  CHECKPOINT_CONFLICT: 409,
  REQUEST_REPLAYED: 409,
  JOB_HELD: 409,
  NAME_TAKEN: 409,
  COMMITMENT_EXPIRED: 410,
  TICKET_EXPIRED: 410,
  VERSION_RETIRED: 410,
  BODY_TOO_LARGE: 413,
  LOG_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  SCORE_INVALID: 422,
  NAME_INVALID: 422,
  DATA_INVALID: 422,
  FORM_INVALID: 422,
  COMMITMENT_INVALID: 422,
  TICKET_INVALID: 422,
  LOG_INVALID: 422,
  TOO_FAST: 422,
  TOO_SLOW: 422,
  CHAIN_INVALID: 422,
  REPLAY_MISMATCH: 422,
  NOT_FINISHED: 422,
  RATE_LIMITED: 429,
  SECURITY_VERIFICATION_LIMITED: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
} as const;

/** What a refusal says in public: `{ "error": CODE }`. */
export type PublicCode = keyof typeof STATUS;

/** The codes on which a client refreshes its session once and retries once. */
export const SESSION_CODES: readonly PublicCode[] = [
  "SESSION_MISSING",
  "SESSION_INVALID",
  "SESSION_EXPIRED",
  "SESSION_EXHAUSTED",
  "SESSION_REVOKED",
];

/** How much the server knows of a score. */
export type Level = "claimed" | "bounded" | "replayed" | "witnessed";
/** The levels, weakest first. */
export const LEVELS: readonly Level[] = ["claimed", "bounded", "replayed", "witnessed"];

/** Answer of `POST /session`. Under `monitor` and `off` without a checked token: `{ dryRun: true }`. */
export interface SessionAnswer {
  sessionToken: string;
  /** Seconds. */
  expiresIn: number;
  uses: number;
  playerToken: string;
}

/** One row of the public board. */
export interface PublicScore {
  id: string;
  rank: number;
  name: string;
  score: number;
  /** Milliseconds since the epoch. */
  at: number;
  level: Level;
  /** Whether the run can be watched. */
  replay: boolean;
  /** What came with the score, where the board takes data. */
  data?: unknown;
}

/** Answer of `GET /scores`. `me` (and no caching) only with a session. */
export interface ScoresAnswer {
  scores: PublicScore[];
  /** Only where the board rises: a lower score is better. */
  order?: "asc";
  /** Brings the next page as `after`; absent on the last one. */
  next?: string;
  /** How many rows the list has; only when asked for by `total=1`. */
  total?: number;
  /** The rank that the `score` of the query would have. */
  rank?: number;
  /** How many of a hundred rows that rank is at least as good as; only with `total` and `score`. */
  percentile?: number;
  /** With `total`, `percentile` tells how many of a hundred rows this one is at least as good as. */
  me?: (PublicScore & { percentile?: number }) | null;
}

/** Answer of `POST /scores`. */
export interface ScoreReceipt {
  id: string;
  rank: number;
  best: boolean;
}

/** Answer of `POST /commitments`. */
export interface CommitmentAnswer {
  commitment: string;
  /** Seconds. */
  expiresIn: number;
}

/** Body of a 403 TURNSTILE_REQUIRED or CLEARANCE_EXPIRED. */
export interface ChallengeAnswer {
  error: "TURNSTILE_REQUIRED" | "CLEARANCE_EXPIRED";
  /** For the verification; good for `expires_in` seconds and one solve. */
  challenge_id: string;
  original_request_id: string;
  /** Action and customer data that the widget has to be rendered with. */
  action: string;
  cdata: string;
  sitekey: string | undefined;
  /** Path patterns that the clearance will open. */
  scope: string[];
  max_uses: number;
  /** Seconds. */
  expires_in: number;
  retry_allowed: true;
  max_retries: 1;
}

/** Body of a verification. */
export interface VerifyRequest {
  challenge_id: string;
  turnstile_token: string;
  original_request_id: string;
  device_id?: string;
  app_version?: string;
}

/** Answer to a verification. */
export interface ClearanceAnswer {
  app_clearance_token: string;
  /** Seconds. */
  expires_in: number;
  /** Path patterns. */
  scope: string[];
  max_uses: number;
}
