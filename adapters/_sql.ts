import { LEVELS } from "../src/protocol.ts";
import type { ScoreRow } from "../src/scores/board.ts";

/** A row of any SQL database; read it with {@link numberIn} and {@link textIn}. */
export type SqlRow = Record<string, unknown>;

/** The option `table`: it becomes part of the SQL text. @throws {RangeError} not an identifier of at most 48 characters */
export function assertTable(table: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,47}$/.test(table)) throw new RangeError('Invalid "table": expected an identifier of 1 to 48 characters');
}

/** A number of a row, also where a driver reads integers as bigint. @throws {TypeError} it is none */
export function numberIn(row: SqlRow, column: string): number {
  const value = row[column];
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  throw new TypeError(`Cannot read the column "${column}": expected a number`);
}

/** A text of a row. @throws {TypeError} it is none */
export function textIn(row: SqlRow, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new TypeError(`Cannot read the column "${column}": expected a text`);
  return value;
}

/** Best first; of equals the earlier; then by id, which is random but stays: by the columns `k`, `at`, `id`. */
export function betterRow(a: SqlRow, b: SqlRow): number {
  const id = textIn(a, "id") < textIn(b, "id") ? -1 : 1;
  return numberIn(a, "k") - numberIn(b, "k") || numberIn(a, "at") - numberIn(b, "at") || id;
}

/**
 * A board's row as its columns have it: `level` as its number, `flags` as JSON, `shown` the level of a row that is shown, else -1,
 * `replay` 1 where there is a log.
 */
export function scoreRow(row: SqlRow): Omit<ScoreRow, "rank"> {
  const flags: unknown = JSON.parse(textIn(row, "flags"));
  return {
    id: textIn(row, "id"),
    board: textIn(row, "board"),
    period: textIn(row, "period"),
    player: textIn(row, "player"),
    score: numberIn(row, "score"),
    at: numberIn(row, "at"),
    submission: textIn(row, "submission"),
    level: LEVELS[numberIn(row, "level")] ?? "claimed",
    flags: Array.isArray(flags) ? flags.filter((flag) => typeof flag === "string") : [],
    name: textIn(row, "name"),
    hidden: numberIn(row, "shown") < 0,
    replay: numberIn(row, "replay") === 1,
  };
}
