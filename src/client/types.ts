import type { PublicCode, ScoreReceipt, ScoresAnswer } from "../protocol.ts";

/**
 * What the client is doing: `loading` the script or a challenge, `ready` after a success, `interactive` while a person is asked,
 * `blocked` when script or frame did not come up, `failed` when the challenge or the gate refused. The next call tries again.
 */
export type ClientState = "idle" | "loading" | "ready" | "interactive" | "blocked" | "failed" | "closed";

/** Options of `createClient`. */
export interface ClientOptions {
  sitekey: string;
  /** Where the gate lives, absolute or relative to the page. Default `/api`. */
  baseUrl?: string;
  /** Further origins that may get the session. Default: `baseUrl`'s alone. */
  origins?: readonly string[];
  /** Default `score_submit`. */
  action?: string;
  /**
   * Where the widget goes; the page sees to it that a person can reach it. Default: a modal dialog (`dialog.gatepass`) of the client's own, above
   * everything, shown only when a person is asked.
   */
  container?: HTMLElement | string;
  /** What the layer is called, to the eye and to a screen reader. Default `Security check`. */
  label?: string;
  /** CSP nonce for the script tag. */
  nonce?: string;
  /** Default Cloudflare's api.js; another only for the emulator. */
  scriptUrl?: string;
  /** Seconds before expiry at which a session is renewed, default 45 (never before half of its life). */
  refreshBefore?: number;
  /** Milliseconds until the first sign of life of script or challenge, default 12000 (120000 once a person is asked). */
  watchdogMs?: number;
  /**
   * The header that carries the session, as `Bearer` token or alone. Default `authorization`. `x-gatepass-session` where the browser or a CDN
   * needs `Authorization` for itself: a page behind HTTP Basic, an edge that strips it.
   */
  sessionHeader?: "authorization" | "x-gatepass-session";
  theme?: "auto" | "light" | "dark";
  language?: string;
  /**
   * Keeps the player token between visits; without it every visit is a new player. What `load` gives at once counts, where it is a player token;
   * anything else (a promise, a number, a text of another kind) counts as none, and `save` gets the new one.
   */
  player?: { load(): string | null; save(token: string): void };
  fetch?: typeof fetch;
  /** Told of each state, in a microtask of its own: what it throws reaches nobody's challenge. */
  onState?(state: ClientState): void;
}

/** What `submitScore` takes. */
export interface ScoreSubmission {
  score: number;
  name?: string | undefined;
  board?: string | undefined;
  /** What the board takes along with a score. */
  data?: unknown;
  /** What `commit` gave: submitted in the score's place. Default: commit when the board asks for it. */
  commitment?: string | undefined;
}

/** What of a board is asked for: of `around`, `after` and `score` one at most. */
export interface ScoresQuery {
  /** Default: the gate's first board. */
  board?: string | undefined;
  /** `all` (default), `day`, `week`, `month`, `year`, `season`, or the key of a period that is over, e.g. `2026-11-20`. */
  period?: string | undefined;
  /** The list of one value of the board's data key alone. */
  tag?: string | undefined;
  /** Rows, 1..100, default 10. */
  limit?: number | undefined;
  /** With 1 the answer tells how many rows there are, and percentiles. */
  total?: 1 | undefined;
  /** A row's id, or `me`: the rows around it. */
  around?: string | undefined;
  /** `next` of the page before: the rows that follow. */
  after?: string | undefined;
  /** A score that need not be submitted: its rank, and the rows around its place. */
  score?: number | undefined;
}

/** The `cause` of an `ERR_CLIENT_REFUSED`: what the gate answered. */
export interface Refusal {
  /** HTTP status. */
  status: number;
  /** A public code (a later gate may know more of them); empty when the answer was not the gate's but a proxy's, say. */
  code: PublicCode | (string & {});
  /** Seconds until it may be tried again. */
  retryAfter: number | undefined;
  /** With 422: which of our own fields. */
  details: unknown;
}

/** The browser's side of a gate. Every promise rejects with a GatepassError `ERR_CLIENT_*`, that of `fetch` too. */
export interface Client {
  readonly state: ClientState;
  /** Mints the session early, so that the first write is instant. */
  start(): Promise<void>;
  /** One fresh Turnstile token, never handed out twice. At most 8 wait in line, the next is `ERR_CLIENT_BUSY`. */
  token(options?: { action?: string; cdata?: string; signal?: AbortSignal }): Promise<string>;
  /**
   * A session token with at least `minLife` seconds (5) to live; memory only; single flight.
   * An empty string where the gate gives none: while it runs dry (`monitor`, `off`), and without a signing secret, when each write of
   * `fetch` takes a fresh Turnstile token.
   */
  session(options?: { minLife?: number }): Promise<string>;
  /** No challenge and no refresh starts while held: who needs one waits for the release. Call the result to release. */
  hold(): () => void;
  /** As `fetch`, with the session on our own origins, one refresh and one retry. Reads take a session along only if there is one. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Has the gate sign a score, to be submitted within 15 minutes (once a name is typed). */
  commit(entry: { score: number; board?: string; data?: unknown }): Promise<string>;
  /** Submits a score. Each call has a name (`Idempotency-Key`): a request that the browser sends again, since its answer was lost, counts once. */
  submitScore(entry: ScoreSubmission): Promise<ScoreReceipt>;
  /** Whether a score would enter the first 10 of a board, by that board's order: a courtesy before a name is asked for, not security. */
  qualifies(score: number, board?: string): Promise<boolean>;
  /** A page of a board: the best, those around a row (`around`, an id or `me`) or around a score that is not submitted, or those that follow (`after`). */
  scores(query?: ScoresQuery): Promise<ScoresAnswer>;
  /** Ends everything: pending promises reject with `ERR_CLIENT_CLOSED`; no timer, listener or node stays. */
  close(): void;
}
