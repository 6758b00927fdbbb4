import { LEVELS } from "../src/protocol.ts";
import type { ScoreRow } from "../src/scores/board.ts";
import { assertString } from "../src/util/assertions.ts";
import { isJsonObject } from "../src/util/json.ts";

/** A row of any SQL database; read it with {@link numberIn} and {@link textIn}. */
export type SqlRow = Record<string, unknown>;

/**
 * Checks the option `table`, which becomes part of the SQL text.
 *
 * @throws {RangeError} not an identifier of at most 48 characters
 */
export function assertTable(name: string, table: unknown): void {
  assertString(name, table);
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,47}$/.test(table)) throw new RangeError(`Invalid "${name}": expected an identifier of 1 to 48 characters`);
}

/**
 * The rows of an answer. A driver may be set to give rows as arrays, and a proxy may answer anything. An unreadable row
 * must not pass for "nothing is stored": that would admit a token that is used up.
 *
 * @throws {TypeError} not a list of objects
 */
export function rowsIn(answer: unknown): SqlRow[] {
  if (!Array.isArray(answer) || !answer.every(isJsonObject)) {
    throw new TypeError("Cannot read the answer: expected rows as objects (is the client set to give arrays?)");
  }
  return answer;
}

/** One row. Undefined where the driver gives undefined or null for "no row". @throws {TypeError} anything else */
export function rowIn(answer: unknown): SqlRow | undefined {
  return answer === undefined || answer === null ? undefined : rowsIn([answer])[0];
}

/** A whole number of a row, also where a driver reads integers as bigint. @throws {TypeError} another value */
export function numberIn(row: SqlRow, column: string): number {
  const value = row[column];
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number)) return number;
  throw new TypeError(`Cannot read the column "${column}": expected a whole number`);
}

/** A column of 0 or 1, as a boolean. @throws {TypeError} another value */
export function flagIn(row: SqlRow, column: string): boolean {
  const number = numberIn(row, column);
  if (number !== 0 && number !== 1) throw new TypeError(`Cannot read the column "${column}": expected 0 or 1`);
  return number === 1;
}

/** A text of a row. @throws {TypeError} another value */
export function textIn(row: SqlRow, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new TypeError(`Cannot read the column "${column}": expected a text`);
  return value;
}

/**
 * A board's row out of its columns: `level` is a number, `flags` JSON, `shown` the level of a visible row, else -1,
 * `replay` is 1 if there is a log, `tag` is empty in the list of all, and `data` is null if there is none.
 */
export function scoreRow(row: SqlRow): Omit<ScoreRow, "rank"> {
  const flags: unknown = JSON.parse(textIn(row, "flags"));
  const level = LEVELS[numberIn(row, "level")];
  if (level === undefined) throw new TypeError('Cannot read the column "level": expected a level');
  if (!isTexts(flags)) throw new TypeError('Cannot read the column "flags": expected a list of texts');
  const tag = textIn(row, "tag");
  return {
    id: textIn(row, "id"),
    board: textIn(row, "board"),
    period: textIn(row, "period"),
    ...(tag !== "" && { tag }),
    player: textIn(row, "player"),
    score: numberIn(row, "score"),
    at: numberIn(row, "at"),
    submission: textIn(row, "submission"),
    level,
    flags,
    name: textIn(row, "name"),
    hidden: numberIn(row, "shown") < 0,
    replay: flagIn(row, "replay"),
    ...(row["data"] !== null && { data: textIn(row, "data") }),
  };
}

/**
 * The rows of a list.
 *
 * @throws {TypeError} more than `most`, or one twice
 */
export function scoreRows(rows: readonly SqlRow[], most: number): Omit<ScoreRow, "rank">[] {
  const read = rows.map(scoreRow);
  if (read.length > most || new Set(read.map(({ id }) => id)).size !== read.length) {
    throw new TypeError("Cannot read the answer: more rows than were asked for");
  }
  return read;
}

/** The log of a row, if it has one. @throws {TypeError} the columns `replay` and `log` contradict each other */
export function logIn(row: SqlRow): { log?: string } {
  if (flagIn(row, "replay")) return { log: textIn(row, "log") };
  if (row["log"] !== null) throw new TypeError('Cannot read the column "log": expected none');
  return {};
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
