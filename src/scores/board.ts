import type { ConfigProblem } from "../errors.ts";
import type { Level } from "../protocol.ts";

/** Which score is better. */
export type Order = "desc" | "asc";
/** What a further score of a player does: keep the best, the last, or add up. */
export type Operator = "best" | "last" | "sum";

/** How a board ranks; the same at every submission to one board. */
export interface BoardRules {
  /** Period keys, e.g. `["all", "2026-W47", "2026-11-20"]` (UTC). */
  periods: readonly string[];
  order: Order;
  operator: Operator;
  /** Lowest score, default 0: the range decides how deep the rank histogram is. */
  min?: number;
  /** Highest score, default 2^24 - 1. */
  max?: number;
  /** The weakest level that is shown, default `claimed`: a row that is weaker is replaced by the next submission, better or not. */
  minLevel?: Level;
}

/** What is submitted. */
export interface ScoreEntry {
  board: string;
  player: string;
  /** Safe integer within the board's range. */
  score: number;
  /** Milliseconds since the epoch; ties: earlier first. */
  at: number;
  /** Unique: the same submission counts once per period. */
  submission: string;
  level: Level;
  flags: readonly string[];
  name: string;
  /** A replay's data, opaque to the board. */
  log?: string;
}

/** One row: of one player in one period. `id` is public, `player` never is. */
export interface ScoreRow {
  id: string;
  board: string;
  period: string;
  player: string;
  /** 1 and the number of better scores on the board; equal scores share a rank. */
  rank: number;
  name: string;
  score: number;
  /** Milliseconds since the epoch. */
  at: number;
  submission: string;
  level: Level;
  flags: readonly string[];
  /** Not shown: hidden itself, or its player is banned. */
  hidden: boolean;
  /** Whether there is a `log`. */
  replay: boolean;
  /** From `find` alone: lists do not carry it. */
  log?: string;
}

/** The answer to a submission, of the first period. */
export interface SubmitResult {
  /** `stored`: the row changed; `kept`: an earlier one is better; `repeated`: this submission was here before; `banned`. */
  status: "stored" | "kept" | "repeated" | "banned";
  /** The player's row as it stands now; "" (and rank 0) when there is none: banned, or removed since. */
  id: string;
  rank: number;
  /** Whether the row as it stands is of this submission. */
  best: boolean;
}

/** A leaderboard's storage. */
export interface ScoreBoard {
  /**
   * One call: all periods, unique by (submission, period), all or nothing.
   * `best` keeps the better score (the earlier of equals), `last` the one with the latest `at`, `sum` adds up.
   *
   * @throws {TypeError} {RangeError} the entry or the rules are not what they should be: `assertEntry` tells
   * @throws {GatepassError} `ERR_BOARD_UNAVAILABLE`, as every method
   */
  submit(entry: ScoreEntry, rules: BoardRules): Promise<SubmitResult>;
  /** The best `limit` rows, hidden and banned left out; with `minLevel` only rows of that level or above, ranked among themselves. */
  top(query: { board: string; period: string; limit: number; minLevel?: Level }): Promise<ScoreRow[]>;
  /** The row `id` with up to `n` rows above and below, hidden and banned left out; empty when it is unknown or not shown. */
  around(id: string, n: number): Promise<ScoreRow[]>;
  /** The row `id`, shown or not. */
  find(id: string): Promise<ScoreRow | null>;
  /** The row of a player, shown or not. */
  ofPlayer(query: { board: string; period: string; player: string }): Promise<ScoreRow | null>;
  /** Removes one row (of one period). Its submission stays known, so that it cannot be sent again. */
  remove(id: string): Promise<boolean>;
  /** Hides or shows one row; a better score of the player does not bring it back. False when unknown. */
  hide(id: string, hidden: boolean): Promise<boolean>;
  /** Later submissions of a banned player are refused and its rows are not shown. */
  ban(player: string, banned: boolean): Promise<void>;
  /** Removes every row of a player, and tells how many. */
  purge(player: string): Promise<number>;
  check?(): Promise<ConfigProblem[]>;
  close?(): Promise<void>;
}
