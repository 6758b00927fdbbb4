import { LEVELS, type Level } from "../protocol.ts";
import { assertInteger, assertOneOf, assertString } from "../util/assertions.ts";
import type { BoardRules, Operator, Order, ScoreEntry, ScoreRow } from "./board.ts";

/** Highest score of a board unless configured: three levels of the histogram. */
export const DEFAULT_MAX: number = 2 ** 24 - 1;

/** Keys of rows, both ends included: what the histogram covers. */
export interface KeyRange {
  low: number;
  high: number;
}

/** What `nextScore` needs to know of the row that is there. */
interface Held {
  score: number;
  at: number;
  /** Of a board that shows all levels it need not be known. */
  level?: Level;
}

/** The value that rows are sorted by, the best first: lower is better, whatever the order of the board. */
export function keyOf(score: number, order: Order): number {
  return order === "asc" ? score : 0 - score;
}

/** Scores that a row can have: the bounds, or for `sum` everything that can add up (saturating, where a double is still exact). */
export function scoreRange({ operator, min = 0, max = DEFAULT_MAX }: BoardRules): { min: number; max: number } {
  if (operator !== "sum") return { min, max };
  const limit = min < 0 && max > 0 ? 2 ** 52 - 1 : Number.MAX_SAFE_INTEGER;
  return { min: min < 0 ? -limit : 0, max: max > 0 ? limit : 0 };
}

/** The keys of every row that a board with these rules can have. */
export function keyRange(rules: BoardRules): KeyRange {
  const { min, max } = scoreRange(rules);
  return rules.order === "asc" ? { low: min, high: max } : { low: 0 - max, high: 0 - min };
}

/** Levels of a radix-256 histogram over a range: one for every 8 bits, 1 to 7. */
export function levelsOf({ low, high }: KeyRange): number {
  let levels = 1;
  for (let size = high - low; size >= 256; size = Math.floor(size / 256)) levels += 1;
  return levels;
}

/**
 * The bucket of a key at each level, the coarsest first; bucket b of one level is split into 256b .. 256b + 255 of the next.
 * How many rows are better than a key is then the sum of the buckets before its own under the same parent, over all levels:
 * at most 255 buckets a level, however the scores are distributed (a flat histogram has to count inside a bucket, which is all rows when all are equal).
 */
export function bucketsOf(key: number, range: KeyRange): number[] {
  const buckets: number[] = [];
  let rest = key - range.low;
  for (let level = levelsOf(range); level > 0; level--) {
    buckets.unshift(rest);
    rest = Math.floor(rest / 256);
  }
  return buckets;
}

/** The score that a player's row gets by a further submission; null: it stays as it is. */
export function nextScore(held: Held | undefined, entry: ScoreEntry, rules: BoardRules): number | null {
  // What is too weak to be shown must not stand in the way of what can be.
  const { minLevel = "claimed" } = rules;
  if (held === undefined || levelNumber(held.level ?? minLevel) < levelNumber(minLevel)) return entry.score;
  if (rules.operator === "sum") {
    const { min, max } = scoreRange(rules);
    return Math.min(max, Math.max(min, held.score + entry.score));
  }
  const replaces = rules.operator === "last" ? entry.at >= held.at : keyOf(entry.score, rules.order) < keyOf(held.score, rules.order);
  return replaces ? entry.score : null;
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
export function assertRules(
  name: string,
  { order, operator, min = 0, max = DEFAULT_MAX, minLevel = "claimed" }: Omit<BoardRules, "periods">,
): void {
  assertOneOf(`${name}: order`, order, ORDERS);
  assertOneOf(`${name}: operator`, operator, OPERATORS);
  assertOneOf(`${name}: minLevel`, minLevel, LEVELS);
  assertInteger(`${name}: min`, min, Number.MIN_SAFE_INTEGER);
  assertInteger(`${name}: max`, max, Number.MIN_SAFE_INTEGER);
  if (max < min || max - min > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`Invalid "${name}: max": expected at least "min", and at most 2^53 - 1 more, got ${max}`);
  }
}

/**
 * What every board checks before it stores.
 *
 * @throws {TypeError} a field of another type, an unknown level
 * @throws {RangeError} a score outside the range, an unsafe integer, a text that is too long, 1 to 8 different periods
 */
export function assertEntry(entry: ScoreEntry, rules: BoardRules): void {
  assertRules("rules", rules);
  const { periods, min = 0, max = DEFAULT_MAX } = rules;
  assertInteger("periods", periods.length, 1, 8);
  for (const period of periods) assertString("period", period, 1, 64);
  if (new Set(periods).size < periods.length) throw new RangeError('Invalid "periods": one is there twice');
  assertString("board", entry.board, 1, 64);
  assertString("player", entry.player, 1, 256);
  assertString("submission", entry.submission, 1, 128);
  assertString("name", entry.name, 0, 128);
  assertOneOf("level", entry.level, LEVELS);
  assertInteger("at", entry.at, 0);
  assertInteger("score", entry.score, min, max);
  if (Object.is(entry.score, -0)) throw new RangeError('Invalid "score": -0');
}

/** @throws {TypeError} {RangeError} not an integer from 1 to 1000 */
export function assertLimit(name: string, value: number, min = 1): void {
  assertInteger(name, value, min, 1000);
}
