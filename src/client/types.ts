import type { PublicScore, ScoreReceipt } from "../protocol.ts";

/** What the client is doing. */
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
  /** Where the widget goes. Default: a layer of the client's own, shown only when a person is asked. */
  container?: HTMLElement | string;
  /** CSP nonce for the script tag. */
  nonce?: string;
  /** Default Cloudflare's api.js; another only for the emulator. */
  scriptUrl?: string;
  /** Seconds before expiry at which a session is renewed, default 45. */
  refreshBefore?: number;
  /** Milliseconds until the first sign of life of a challenge, default 12000 (120000 once a person is asked). */
  watchdogMs?: number;
  theme?: "auto" | "light" | "dark";
  language?: string;
  /** Keeps the player token between visits; without it every visit is a new player. */
  player?: { load(): string | null; save(token: string): void };
  fetch?: typeof fetch;
  onState?(state: ClientState): void;
}

/** What `submitScore` takes. */
export interface ScoreSubmission {
  score: number;
  name?: string;
  board?: string;
  /** Commit first, then submit (asked by boards with `require: "commitment"`). Default: commit when the server asks. */
  commitment?: string;
}

/** The browser's side of a gate. */
export interface Client {
  readonly state: ClientState;
  /** Mints the session early, so that the first write is instant. */
  start(): Promise<void>;
  /** One fresh Turnstile token, never handed out twice. */
  token(options?: { action?: string; cdata?: string; signal?: AbortSignal }): Promise<string>;
  /** A session token with at least `minLife` seconds to live; memory only; single flight. */
  session(options?: { minLife?: number }): Promise<string>;
  /** No challenge and no refresh starts while held; call the result to release. */
  hold(): () => void;
  /** As `fetch`, with the session on our own origins, one refresh and one retry. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  commit(entry: { score: number; board?: string }): Promise<string>;
  submitScore(entry: ScoreSubmission): Promise<ScoreReceipt>;
  /** Whether a score would enter the top `limit` (10): a courtesy before a name is asked for, not security. */
  qualifies(score: number, board?: string): Promise<boolean>;
  scores(query?: {
    board?: string;
    period?: string;
    limit?: number;
    around?: string;
  }): Promise<{ scores: PublicScore[]; me?: PublicScore | null }>;
  close(): void;
}
