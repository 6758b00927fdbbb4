import type { LimitRule } from "../limits/types.ts";
import { LEVELS, type Level, SCORE_ACTION } from "../protocol.ts";
import { assertString } from "../util/assertions.ts";
import { any, assertOptions, bag, integer, listOf, methods, oneOf, type Rules, record } from "../util/options.ts";
import type { BoardRules, BoardView, Operator, Order, ScoreBoard, ScoreRow } from "./board.ts";
import { Calendar, KINDS, type PeriodKind, type Season } from "./calendar.ts";
import { createReader, type DataOptions, type DataReader } from "./data.ts";
import { createNamer, type NameRule, type Namer } from "./names.ts";
import { assertRules, DEFAULT_MAX, viewOf } from "./ranking.ts";

/** Options of {@link scores}. */
export interface ScoresOptions {
  /** Where rows are kept: `memoryBoard()`, `sqliteBoard(client)`, or your own. */
  board: ScoreBoard;
  /**
   * The boards by name (1 to 48 of `A-Z a-z 0-9 . _ -`), or a function that is asked at each request and knows no board where it gives undefined.
   * Default: one, `main`.
   */
  boards?: { readonly [name: string]: BoardOptions } | ((name: string) => BoardOptions | undefined);
  /** The board that a request means which names none. Default: the first of `boards`; for a function `main`. */
  default?: string;
  /** Which boards share bans, unique names and players, 0 to 64 characters: those of all gates with the same group on one storage. Default: the default board's name. */
  group?: string;
  /**
   * Called by the job `periods` for each period that is over, 20 minutes after its end, when no submission of it can come any more: once, from whichever
   * process runs the job first. Where it throws, or its process ends in the middle, it is called again with the same `idempotencyKey`. Only of boards that
   * `boards` names, and of periods that ended within the last 7 days.
   */
  onPeriodEnd?(ended: PeriodEnd): Promise<void> | void;
  /** Bearers that may moderate, at least 32 characters each. Default: no moderation routes. */
  moderation?: { tokens: readonly string[] };
  /** Let caches keep the public board for 5 seconds. Default false: `no-store`. */
  cache?: boolean;
  /** The session action that writes need. Default `score_submit`. */
  action?: string;
}

/** A period that is over. */
export interface PeriodEnd {
  board: string;
  /** The key, e.g. `2026-11-20`, or a season's name. */
  period: string;
  /** The best rows that are shown, at most 100. */
  top: readonly ScoreRow[];
  /** The same for each call about this period: what was done once under it must not be done again. */
  idempotencyKey: string;
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
  /** Which lists there are besides the seasons; a receipt tells the rank in the first one. Default `["all", "week", "day"]`. */
  periods?: readonly PeriodKind[];
  /** Lists with a start and an end of their own, by name. Default: none. */
  seasons?: Readonly<Record<string, Season>>;
  /** The time zone in which days, weeks, months and years begin: an IANA name. Default `UTC`. */
  timeZone?: string;
  /** Days for which a list stays readable after its period, 1..36500. Then it is forgotten, by the job `boards` or by Redis itself. Default 400. */
  keep?: number;
  /** What may be sent along with a score. Default: nothing. */
  data?: DataOptions;
}

/** A board's options with their defaults. */
export interface Board {
  name: string;
  minLevel: Level;
  require: "session" | "commitment";
  rules: Required<Omit<BoardRules, "periods">>;
  /** What is shown of its lists. */
  view: Required<Pick<BoardView, "order" | "min" | "max" | "minLevel">>;
  calendar: Calendar;
  namer: Namer;
  data: DataReader | undefined;
}

/** The feature's options with their defaults. */
export interface Settled {
  store: ScoreBoard;
  /** Those that are known beforehand. */
  boards: readonly Board[];
  /** The board of this name, or the default one. */
  find(name?: string): Board | undefined;
  group: string;
  onPeriodEnd: ScoresOptions["onPeriodEnd"];
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
const BOARD_METHODS = [
  ...["submit", "top", "around", "near", "count", "find", "ofPlayer", "ofPlayers"],
  ...["remove", "hide", "ban", "purge", "hidden", "banned", "rowsOf", "rename", "claim", "clear", "sweep"],
] as const;

const RULES: Rules<ScoresOptions> = {
  board: methods(...BOARD_METHODS),
  boards: any,
  default: "string",
  group: "string",
  onPeriodEnd: "function",
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
  periods: listOf(oneOf(...KINDS), 1),
  seasons: record(any),
  timeZone: "string",
  keep: integer(1, 36_500),
  data: any,
};

/** @throws {TypeError} {RangeError} a bad or unknown option */
export function settle(options: ScoresOptions, signs: boolean): Settled {
  assertOptions("scores", options, RULES, "", "board");
  const { board: store, boards = { main: {} }, moderation, cache = false, action = SCORE_ACTION, onPeriodEnd } = options;
  const first = options.default ?? (typeof boards === "function" ? "main" : firstOf(boards));
  assertName(first);
  const { group = first } = options;
  assertString("group", group, 0, 64);
  const make = (name: string, given: BoardOptions): Board => boardOf(name, given, group, signs);
  if (moderation) {
    // Short enough to be guessed is too short; the limit on failures only slows one address down.
    for (const token of moderation.tokens) {
      assertString("moderation.tokens", token, 32, 1024);
      if (!/^[!-~]([ -~]*[!-~])$/.test(token)) throw new TypeError('Invalid "moderation.tokens": one of them cannot be sent in a header');
    }
  }
  const settled = { store, group, onPeriodEnd, moderators: moderation?.tokens, cache, action };
  if (typeof boards === "function") return { ...settled, boards: [], find: lookup(boards, first, make) };
  const all = new Map(Object.entries(boards).map(([name, given]) => [name, make(name, given)]));
  if (!all.has(first)) throw new TypeError(`Invalid "default": expected one of ${[...all.keys()].join(", ")}, got ${first}`);
  return { ...settled, boards: [...all.values()], find: (name = first) => all.get(name) };
}

/** The first board's name. @throws {TypeError} there is none, or JavaScript puts another one first */
function firstOf(boards: object): string {
  const names = Object.keys(boards);
  const [first] = names;
  if (first === undefined) throw new TypeError('Invalid "boards": expected at least one');
  // Names that are array indices come first, whatever the order in the text is: `{ main: {}, 2026: {} }` begins with 2026.
  if (names.length > 1 && /^(0|[1-9]\d*)$/.test(first))
    throw new TypeError(`Invalid "boards": name the "default" where a board is called ${first}`);
  return first;
}

/** Boards that a function knows, at most 1,000 in hand: one is made anew when its options are another object. */
function lookup(
  ask: (name: string) => BoardOptions | undefined,
  first: string,
  make: (name: string, given: BoardOptions) => Board,
): Settled["find"] {
  const held = new Map<string, { given: BoardOptions; board: Board }>();
  return (name = first) => {
    if (!NAME.test(name)) return undefined;
    const given = ask(name);
    if (given === undefined) return undefined;
    const known = held.get(name);
    if (known?.given === given) return known.board;
    const board = make(name, given);
    if (held.size >= 1000) held.clear();
    held.set(name, { given, board });
    return board;
  };
}

const NAME = /^[A-Za-z0-9._-]{1,48}$/;

function assertName(name: string): void {
  if (!NAME.test(name)) throw new TypeError(`Invalid board name "${name}": expected 1 to 48 of A-Z a-z 0-9 . _ -`);
}

function boardOf(name: string, given: BoardOptions, group: string, signs: boolean): Board {
  assertName(name);
  assertOptions(`boards.${name}`, given, BOARD_RULES, `boards.${name}.`);
  const { minLevel = "claimed", require = "session", min = 0, max = DEFAULT_MAX, order = "desc", operator = "best", names, data } = given;
  const { periods = ["all", "week", "day"], seasons = {}, timeZone = "UTC", keep = 400 } = given;
  const rules = { min, max, order, operator, minLevel, group };
  assertRules(`boards.${name}`, rules);
  if (new Set(periods).size < periods.length) throw new TypeError(`Invalid "boards.${name}.periods": one is there twice`);
  if (periods.length + Object.keys(seasons).length > 8)
    throw new RangeError(`Invalid "boards.${name}.seasons": expected at most 8 periods in all`);
  if (!signs && (require === "commitment" || minLevel !== "claimed")) {
    throw new TypeError(`Cannot create the board "${name}": it needs commitments, and the gate has no signing secret`);
  }
  const calendar = new Calendar({ periods, seasons, timeZone, keep });
  return {
    name,
    minLevel,
    require,
    rules,
    view: viewOf(rules),
    calendar,
    namer: createNamer(names, name),
    data: data && createReader(name, data),
  };
}

function perMinuteAndDay(name: string): LimitRule[] {
  return [
    { name: `${name}.minute`, limit: 15, window: 60, by: "ip" },
    { name: `${name}.day`, limit: 200, window: 86_400, by: "ip" },
  ];
}
