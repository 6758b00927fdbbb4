import type { ConfigProblem } from "../errors.ts";
import type { Level } from "../protocol.ts";

/** Which score is better. */
export type Order = "desc" | "asc";
/** What a further score of a player does: keep the best, the last, or add up. */
export type Operator = "best" | "last" | "sum";

/** One period that a submission counts in. */
export interface BoardPeriod {
  /** 1 to 64 characters, e.g. `2026-W47`. */
  key: string;
  /** When the board forgets this period's list, in milliseconds since the epoch; of several, the latest. Default: never. */
  forget?: number;
}

/** How a board ranks; the same at every submission to one board. */
export interface BoardRules {
  /** 1 to 8 periods, e.g. `["all", "2026-W47", "2026-11-20"]`. */
  periods: readonly (string | BoardPeriod)[];
  order: Order;
  operator: Operator;
  /** Lowest score, default 0. */
  min?: number;
  /** Highest score, default 2^24 - 1. */
  max?: number;
  /** The weakest level that is shown, default `claimed`: a row that is weaker is replaced by the next submission, better or not. */
  minLevel?: Level;
  /** The group of boards that share bans, names and players, 0 to 64 characters. Default "": of boards that name no group. */
  group?: string;
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
  /** Data of the score as JSON, at most 256 bytes, opaque to the board. */
  data?: string;
  /** 1 to 64 characters: the score counts in a second list of each period, of this tag alone. */
  tag?: string;
  /** The name in the form that must be unique within the board's group, 1 to 256 characters. Default: the name need not be unique. */
  unique?: string;
}

/** One row: of one player in one list. `id` is public, `player` never is. */
export interface ScoreRow {
  id: string;
  board: string;
  period: string;
  /** Of a list of one tag; absent in the list of all. */
  tag?: string;
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
  /** From `find` and `rowsOf` alone: lists do not carry it. */
  log?: string;
  /** JSON. */
  data?: string;
}

/** One list, and which of its rows count: the others are neither shown nor counted in ranks. */
export interface BoardView {
  board: string;
  period: string;
  /** The list of one tag. Default: the list of all. */
  tag?: string;
  /** Default: the order of the board's last submission. */
  order?: Order;
  /** Rows below are left out. Default: none. */
  min?: number;
  /** Rows above are left out. Default: none. */
  max?: number;
  /** Rows that are weaker are left out. Default `claimed`: none. */
  minLevel?: Level;
}

/** Where a row stands in its list: what a reader of pages remembers of the last row. */
export type BoardPlace = Pick<ScoreRow, "score" | "at" | "id">;

/** The answer to a submission, of the first period's list of all. */
export interface SubmitResult {
  /**
   * `stored`: the row changed; `kept`: an earlier one is better; `repeated`: this submission was here before;
   * `banned`, `taken` (the name is another player's): nothing was written.
   */
  status: "stored" | "kept" | "repeated" | "banned" | "taken";
  /** The player's row as it stands now; "" (and rank 0) when there is none: banned, or removed since. */
  id: string;
  rank: number;
  /** Whether the row as it stands is of this submission. */
  best: boolean;
}

/** A leaderboard's storage. */
export interface ScoreBoard {
  /**
   * One call: all periods, unique by (submission, list), all or nothing.
   * `best` keeps the better score (the earlier of equals), `last` the one with the latest `at`, `sum` adds up.
   *
   * @throws {TypeError} {RangeError} the entry or the rules are not what they should be: `assertEntry` tells
   * @throws {GatepassError} `ERR_BOARD_UNAVAILABLE`, as every method
   */
  submit(entry: ScoreEntry, rules: BoardRules): Promise<SubmitResult>;
  /** The best `limit` rows that are shown; with `after`, those that follow this place, whether a row still stands there or not. */
  top(query: BoardView & { limit: number; after?: BoardPlace }): Promise<ScoreRow[]>;
  /** The row `id` with up to `n` rows above and below, within the view (its board, period and tag are the row's own); empty when it is not shown. */
  around(id: string, n: number, view?: Omit<BoardView, "board" | "period" | "tag">): Promise<ScoreRow[]>;
  /** The rank that a score would have, and up to `n` rows above and below the place of one that came now (behind its equals). */
  near(query: BoardView & { score: number; n: number }): Promise<{ rank: number; rows: ScoreRow[] }>;
  /** How many rows are shown. */
  count(query: BoardView): Promise<number>;
  /** The row `id`, shown or not, ranked among all shown rows of its list. */
  find(id: string): Promise<ScoreRow | null>;
  /** The row of a player, shown or not. */
  ofPlayer(query: BoardView & { player: string }): Promise<ScoreRow | null>;
  /** The shown rows of up to 100 players, the best first, ranked within the whole list. */
  ofPlayers(query: BoardView & { players: readonly string[] }): Promise<ScoreRow[]>;

  /**
   * Removes the row `id` and the player's other rows of the same submission on this board, in all periods and tags (of a board that adds up: every row that
   * the submission was added to). The submission stays known, so that it cannot be sent again. False when unknown.
   */
  remove(id: string): Promise<boolean>;
  /** Hides or shows the rows that `remove` would remove; a better score of the player does not bring them back. False when unknown. */
  hide(id: string, hidden: boolean): Promise<boolean>;
  /**
   * Later submissions of a banned player to boards of the group are refused and its rows there are not shown. `group` is the `group` of the rules that boards
   * are submitted to with: of the feature `scores` its option, by default the name of its default board.
   */
  ban(player: string, banned: boolean, group: string): Promise<void>;
  /** Removes every row of a player on the group's boards and its unique name, and tells how many rows. A ban stays. */
  purge(player: string, group: string): Promise<number>;
  /** The hidden rows of a group, by id, behind `after`; those of banned players that are not hidden themselves are not among them. */
  hidden(query: { group: string; limit: number; after?: string }): Promise<ScoreRow[]>;
  /** The banned players of a group, in order, behind `after`. */
  banned(query: { group: string; limit: number; after?: string }): Promise<string[]>;
  /** Every row of a player on the group's boards, with logs, ordered by board, period and tag. */
  rowsOf(player: string, group: string): Promise<ScoreRow[]>;
  /** Changes the name on every row of the player; false, and nothing changed, when the `unique` form is another player's. */
  rename(player: string, name: string, options: { group: string; unique?: string }): Promise<boolean>;
  /**
   * Gives the rows of one player to another, and tells how many: of two in one list, the board's operator decides which score stays. A ban goes along,
   * a hidden row hides what it is merged with, a unique name goes along where the other has none. Once done, again is nothing to do.
   */
  claim(from: string, to: string, group: string): Promise<number>;
  /** Empties a board, or its lists of one period: shown no more at once, deleted by `sweep`. Bans and names stay. Tells how many lists. */
  clear(board: string, period?: string): Promise<number>;
  /**
   * Deletes up to about `max` rows and submissions (default 1000) of lists that were cleared or are to be forgotten by `now` (milliseconds since the epoch,
   * default the current time), and tells how many. More may be left when it is `max` or above.
   */
  sweep(max?: number, now?: number): Promise<number>;
  /** What is wrong with the storage. With boards also: rows outside their bounds (GP171), and rules that differ from those of the last submission (GP172). */
  check?(boards?: readonly BoardCheck[]): Promise<ConfigProblem[]>;
  close?(): Promise<void>;
}

/** A board as the gate has it, for `check`. */
export interface BoardCheck {
  board: string;
  rules: Omit<BoardRules, "periods">;
}
