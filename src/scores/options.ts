import type { LimitRule } from "../limits/types.ts";
import { LEVELS, type Level, SCORE_ACTION } from "../protocol.ts";
import { assertString } from "../util/assertions.ts";
import { any, assertOptions, bag, listOf, methods, oneOf, type Rules, record } from "../util/options.ts";
import type { BoardRules, Operator, Order, ScoreBoard } from "./board.ts";
import { createNamer, type NameRule, type Namer } from "./names.ts";
import { assertRules, DEFAULT_MAX } from "./ranking.ts";

/** Options of {@link scores}. */
export interface ScoresOptions {
  /** Where rows are kept: `memoryBoard()`, `sqliteBoard(client)`, or your own. */
  board: ScoreBoard;
  /** The boards by name (1 to 48 of `A-Z a-z 0-9 . _ -`). Default: one, `main`. */
  boards?: { readonly [name: string]: BoardOptions };
  /** The board that a request means which names none. Default: the first of `boards`. */
  default?: string;
  /** Bearers that may moderate, at least 32 characters each. Default: no moderation routes. */
  moderation?: { tokens: readonly string[] };
  /** Let caches keep the public board for 5 seconds. Default false: `no-store`. */
  cache?: boolean;
  /** The session action that writes need. Default `score_submit`. */
  action?: string;
}

/** What one board accepts and how it ranks. */
export interface BoardOptions {
  /** The weakest level that is accepted and shown. Default `claimed`. */
  minLevel?: Level;
  /** `commitment`: only scores that the server signed. Default `session`. */
  require?: "session" | "commitment";
  /** Lowest score, a safe integer. Default 0. */
  min?: number;
  /** Highest score, a safe integer. Default 2^24 - 1. */
  max?: number;
  /** Default `desc`: the highest first. */
  order?: Order;
  /** Which score of a player counts. Default `best`. */
  operator?: Operator;
  /** Default `generated`: two words for each player. `typed`: what the player wrote, checked by `cleanName`. */
  names?: NameRule;
}

/** A board's options with their defaults. */
export interface Board {
  name: string;
  minLevel: Level;
  require: "session" | "commitment";
  rules: Required<Omit<BoardRules, "periods">>;
  namer: Namer;
}

/** The feature's options with their defaults. */
export interface Settled {
  store: ScoreBoard;
  boards: ReadonlyMap<string, Board>;
  /** Of requests that name none. */
  first: Board;
  moderators: readonly string[] | undefined;
  cache: boolean;
  action: string;
}

/** The limits of the routes, by name. */
export const SCORE_LIMITS: Record<string, readonly LimitRule[]> = {
  "scores.read": [{ name: "scores.read", limit: 120, window: 60, by: "ip" }],
  "scores.write": perMinuteAndDay("scores.write"),
  "scores.commit": perMinuteAndDay("scores.commit"),
  moderation: [{ name: "moderation", limit: 5, window: 900, by: "ip" }],
};

/** Every method of a board: one that is missing would be missed at the first request that needs it. */
const BOARD_METHODS = ["submit", "top", "around", "find", "ofPlayer", "remove", "hide", "ban", "purge"] as const;

const RULES: Rules<ScoresOptions> = {
  board: methods(...BOARD_METHODS),
  boards: record(any),
  default: "string",
  moderation: bag({ tokens: listOf("string", 1) }, "tokens"),
  cache: "boolean",
  action: "string",
};
const BOARD_RULES: Rules<BoardOptions> = {
  minLevel: oneOf(...LEVELS),
  require: oneOf("session", "commitment"),
  min: any,
  max: any,
  order: any,
  operator: any,
  names: any,
};

/** @throws {TypeError} {RangeError} a bad or unknown option */
export function settle(options: ScoresOptions, signs: boolean): Settled {
  assertOptions("scores", options, RULES, "", "board");
  const { board: store, boards = { main: {} }, moderation, cache = false, action = SCORE_ACTION } = options;
  const all = new Map(Object.entries(boards).map(([name, given]) => [name, boardOf(name, given, signs)]));
  const first = all.get(options.default ?? firstOf(boards));
  if (first === undefined) throw new TypeError(`Invalid "default": expected one of ${[...all.keys()].join(", ")}, got ${options.default}`);
  if (moderation) {
    // Short enough to be guessed is too short; the limit on failures only slows one address down.
    for (const token of moderation.tokens) {
      assertString("moderation.tokens", token, 32, 1024);
      if (!/^[!-~]([ -~]*[!-~])$/.test(token)) throw new TypeError('Invalid "moderation.tokens": one of them cannot be sent in a header');
    }
  }
  return { store, boards: all, first, moderators: moderation?.tokens, cache, action };
}

/** The first board's name. @throws {TypeError} there is none, or JavaScript has moved another one there */
function firstOf(boards: object): string {
  const names = Object.keys(boards);
  const [first] = names;
  if (first === undefined) throw new TypeError('Invalid "boards": expected at least one');
  // Names that look like an array's indices come first, whatever the text says: `{ main: {}, 2026: {} }` begins with 2026.
  if (names.length > 1 && /^(0|[1-9]\d*)$/.test(first)) {
    throw new TypeError(`Cannot tell the default board: JavaScript puts "${first}" first, so name one in "default"`);
  }
  return first;
}

function boardOf(name: string, given: BoardOptions, signs: boolean): Board {
  if (!/^[A-Za-z0-9._-]{1,48}$/.test(name)) throw new TypeError(`Invalid board name "${name}": expected 1 to 48 of A-Z a-z 0-9 . _ -`);
  assertOptions(`boards.${name}`, given, BOARD_RULES, `boards.${name}.`);
  const { minLevel = "claimed", require = "session", min = 0, max = DEFAULT_MAX, order = "desc", operator = "best", names } = given;
  const rules = { min, max, order, operator, minLevel };
  assertRules(`boards.${name}`, rules);
  if (!signs && (require === "commitment" || minLevel !== "claimed")) {
    throw new TypeError(`Cannot create the board "${name}": it needs commitments, and the gate has no signing secret`);
  }
  return { name, minLevel, require, rules, namer: createNamer(names) };
}

function perMinuteAndDay(name: string): LimitRule[] {
  return [
    { name: `${name}.minute`, limit: 15, window: 60, by: "ip" },
    { name: `${name}.day`, limit: 200, window: 86_400, by: "ip" },
  ];
}
