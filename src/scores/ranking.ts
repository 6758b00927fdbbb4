import { LEVELS, type Level } from "../protocol.ts";
import { assertInteger, assertOneOf, assertString } from "../util/assertions.ts";
import { utf8 } from "../util/bytes.ts";
import type { BoardPeriod, BoardRules, BoardView, Operator, Order, ScoreEntry, ScoreRow } from "./board.ts";

/** Highest score of a board unless configured: three levels of the histogram. */
export const DEFAULT_MAX: number = 2 ** 24 - 1;

/** Levels of a histogram that covers every safe integer. */
export const MAX_DEPTH = 7;

/** What `nextScore` needs to know of the row that is there. */
interface Held {
  score: number;
  at: number;
  level: Level;
}

/** Scores that a row can have: the bounds, or for `sum` everything that can add up (saturating, where a double is still exact). */
export function scoreRange({ operator, min = 0, max = DEFAULT_MAX }: Omit<BoardRules, "periods">): { min: number; max: number } {
  if (operator !== "sum") return { min, max };
  const limit = min < 0 && max > 0 ? 2 ** 52 - 1 : Number.MAX_SAFE_INTEGER;
  return { min: min < 0 ? -limit : 0, max: max > 0 ? limit : 0 };
}

/** Whether one score is better than another. */
export function isBetter(a: number, b: number, order: Order): boolean {
  return order === "asc" ? a < b : a > b;
}

/**
 * Levels of a radix-256 histogram over scores: one for every 8 bits that the range needs, 1 to 7, so that the coarsest has at most 256 buckets.
 * Bucket b of level d counts the scores from b * 256^d up to, not including, (b + 1) * 256^d, whatever the range is: where a range grows, finer levels stay as
 * they are, and each coarser one is made of at most 257 buckets of the level below.
 */
export function levelsOf({ min, max }: { min: number; max: number }): number {
  let levels = 1;
  while (bucketOf(max, levels - 1) - bucketOf(min, levels - 1) > 255) levels += 1;
  return levels;
}

/** The bucket of a score at a level, 0 being the finest. */
export function bucketOf(score: number, depth: number): number {
  return Math.floor(score / 256 ** depth);
}

/** The score and level that a player's row gets by a further submission; null: it stays as it is. */
export function nextScore(held: Held | undefined, entry: ScoreEntry, rules: BoardRules): Pick<Held, "score" | "level"> | null {
  const { score, level } = entry;
  // What is too weak to be shown must not stand in the way of what could be.
  if (held === undefined || levelNumber(held.level) < levelNumber(rules.minLevel ?? "claimed")) return { score, level };
  if (rules.operator === "sum") {
    const { min, max } = scoreRange(rules);
    // A sum is worth as much as its weakest part.
    return {
      score: Math.min(max, Math.max(min, held.score + score)),
      level: levelNumber(level) < levelNumber(held.level) ? level : held.level,
    };
  }
  return (rules.operator === "last" ? entry.at >= held.at : isBetter(score, held.score, rules.order)) ? { score, level } : null;
}

/** What a row is made of when two of one player are merged: by the operator of their board; the name that is there stays. */
export function mergedRow<T extends Content>(held: T, other: Content, rules: Merging = {}): Content {
  const { order = "desc", operator = "best", minLevel = "claimed" } = rules;
  const isWeak = ({ level }: Content): boolean => levelNumber(level) < levelNumber(minLevel);
  const later = other.at > held.at;
  let content: Content;
  if (isWeak(held) !== isWeak(other)) content = isWeak(held) ? other : held;
  else if (operator === "best") {
    const wins = isBetter(other.score, held.score, order) || (other.score === held.score && other.at < held.at);
    content = wins ? other : held;
  } else content = later ? other : held;
  if (operator === "sum" && isWeak(held) === isWeak(other)) {
    const score = Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, held.score + other.score));
    content = { ...content, score, level: levelNumber(other.level) < levelNumber(held.level) ? other.level : held.level };
  }
  const { score, at, submission, level, flags, log, data } = content;
  return { score, at, submission, level, flags, name: held.name, ...(log !== undefined && { log }), ...(data !== undefined && { data }) };
}

/** What a submission gives a row. */
type Content = Pick<ScoreRow, "score" | "at" | "submission" | "level" | "flags" | "name" | "log" | "data">;
/** The rules that say which content stays. */
type Merging = Partial<Pick<BoardRules, "order" | "operator" | "minLevel">>;

/** What a board with these rules shows of its rows. */
export function viewOf(rules: Omit<BoardRules, "periods">): Required<Pick<BoardView, "order" | "min" | "max" | "minLevel">> {
  const { order, minLevel = "claimed" } = rules;
  return { ...scoreRange(rules), order, minLevel };
}

/** Strength of a level: 0 for `claimed`. */
export function levelNumber(level: Level): number {
  return LEVELS.indexOf(level);
}

/**
 * Ranks a run of neighbouring rows in their order. `rankOf` (1 and the number of better rows) is asked at most twice: once a score begins
 * inside the run, the ranks that follow are counted.
 */
export function withRanks(rows: readonly Omit<ScoreRow, "rank">[], rankOf: (index: number) => number): ScoreRow[] {
  const ranked: ScoreRow[] = [];
  let asked = 0;
  let group = 0;
  for (const [i, row] of rows.entries()) {
    const before = ranked[i - 1];
    let rank: number;
    if (before?.score === row.score) rank = before.rank;
    else {
      rank = before && asked > 1 ? before.rank + i - group : rankOf(i);
      asked += 1;
      group = i;
    }
    ranked.push({ ...row, rank });
  }
  return ranked;
}

const ORDERS: readonly Order[] = ["desc", "asc"];
const OPERATORS: readonly Operator[] = ["best", "last", "sum"];

/** @throws {TypeError} {RangeError} an order, operator or range that no board can have */
export function assertRules(name: string, rules: Omit<BoardRules, "periods">): void {
  const { order, operator, min = 0, max = DEFAULT_MAX, minLevel = "claimed", group = "" } = rules;
  assertOneOf(`${name}: order`, order, ORDERS);
  assertOneOf(`${name}: operator`, operator, OPERATORS);
  assertInteger(`${name}: min`, min, Number.MIN_SAFE_INTEGER);
  assertInteger(`${name}: max`, max, Number.MIN_SAFE_INTEGER);
  if (max < min || max - min > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`Invalid "${name}: max": expected at least "min", and at most 2^53 - 1 more, got ${max}`);
  }
  assertOneOf(`${name}: minLevel`, minLevel, LEVELS);
  assertString(`${name}: group`, group, 0, 64);
}

/**
 * What every board checks before it stores.
 *
 * @throws {TypeError} a field of another type, an unknown level
 * @throws {RangeError} a score outside the range, an unsafe integer, a text that is too long, 1 to 8 different periods
 */
export function assertEntry(entry: ScoreEntry, rules: BoardRules): void {
  assertRules("rules", rules);
  const { min = 0, max = DEFAULT_MAX } = rules;
  const periods = periodsIn(rules);
  assertInteger("periods", periods.length, 1, 8);
  for (const { key, forget = 0 } of periods) {
    assertString("period", key, 1, 64);
    assertInteger("forget", forget, 0);
  }
  if (new Set(periods.map(({ key }) => key)).size < periods.length) throw new RangeError('Invalid "periods": one is there twice');
  assertString("board", entry.board, 1, 64);
  assertString("player", entry.player, 1, 256);
  assertString("submission", entry.submission, 1, 128);
  assertString("name", entry.name, 0, 128);
  assertOneOf("level", entry.level, LEVELS);
  assertInteger("at", entry.at, 0);
  assertInteger("score", entry.score, min, max);
  if (Object.is(entry.score, -0)) throw new RangeError('Invalid "score": -0');
  const { data, tag, unique } = entry;
  if (data !== undefined) assertData(data);
  if (tag !== undefined) assertString("tag", tag, 1, 64);
  if (unique !== undefined) assertString("unique", unique, 1, 256);
}

/** @throws {TypeError} {RangeError} not JSON of at most 256 bytes */
function assertData(data: string): void {
  assertString("data", data, 1, 256);
  if (utf8(data).length > 256) throw new RangeError('Invalid "data": expected at most 256 bytes');
  try {
    JSON.parse(data);
  } catch {
    throw new TypeError('Invalid "data": expected JSON');
  }
}

/** @throws {TypeError} {RangeError} not 1 to 100 players */
export function assertPlayers(players: readonly string[]): void {
  assertInteger("players", players.length, 1, 100);
  for (const player of players) assertString("player", player, 1, 256);
}

/** @throws {TypeError} {RangeError} not 0 to 64 characters: a ban of no group would be nobody's */
export function assertGroup(group: unknown): void {
  assertString("group", group, 0, 64);
}

/** The periods of rules, as objects. */
export function periodsIn({ periods }: BoardRules): BoardPeriod[] {
  return periods.map((period) => (typeof period === "string" ? { key: period } : period));
}

/** @throws {TypeError} {RangeError} a view that no board can have */
export function assertView(view: Partial<BoardView>): void {
  const { order = "desc", min = 0, max = 0, minLevel = "claimed" } = view;
  assertOneOf("order", order, ORDERS);
  assertInteger("min", min, Number.MIN_SAFE_INTEGER);
  assertInteger("max", max, Number.MIN_SAFE_INTEGER);
  assertOneOf("minLevel", minLevel, LEVELS);
}

/** @throws {TypeError} {RangeError} not an integer from 1 to 1000 */
export function assertLimit(name: string, value: number, min = 1): void {
  assertInteger(name, value, min, 1000);
}
