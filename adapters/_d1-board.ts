import type { ScoreBoard } from "../src/scores/board.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { type D1Client, openD1 } from "./_d1.ts";
import type { LiteDatabase } from "./_lite.ts";
import { liteBoard, migrateLiteBoard } from "./_lite-board.ts";
import { assertTable } from "./_sql.ts";

/** Options of {@link d1Board}. */
export interface D1BoardOptions {
  /** Beginning of the tables' names, an identifier of at most 48 characters. Default `gatepass_board`. */
  table?: string;
  /** Milliseconds that a transaction takes at most, 1..60000. Default 2000. A call is one, `sweep` and `check` are a few. */
  timeoutMs?: number;
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** A board in D1. */
export type D1Board = ScoreBoard & Required<Pick<ScoreBoard, "check">>;

const TABLE = "gatepass_board";
const MIGRATE = '`migrate(env.DB, { table })` of "gatepass/adapters/d1"';

/**
 * A board in a D1 database. Every call is one `batch`, which D1 runs as a transaction; triggers keep the histogram of ranks, so that a rank reads
 * at most 256 rows for every 8 bits of the board's range, exactly. A submission writes nine rows for each list that it is in,
 * index entries included. Tables, indexes and triggers are made when the first call misses them.
 *
 * @throws {TypeError} an unknown option; `db` is no D1 binding
 * @throws {RangeError} `table` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { type D1Client, d1Board } from "gatepass/adapters/d1";
 * import type { ScoreBoard } from "gatepass/scores";
 * // In a Worker: d1Board(env.DB).
 * const boardOf = (env: { DB: D1Client }): ScoreBoard => d1Board(env.DB);
 * console.assert(typeof boardOf === "function");
 * ```
 */
export function d1Board(db: D1Client, options: D1BoardOptions = {}): D1Board {
  const rules: Rules<D1BoardOptions> = { table: assertTable, timeoutMs: integer(1, 60_000), random: "function" };
  assertOptions("d1Board", options, rules);
  const { table = TABLE, timeoutMs, random } = options;
  return liteBoard(liteOf(db, timeoutMs), { table, migrate: MIGRATE, random });
}

/** Options of {@link migrate}. */
export type MigrateOptions = Pick<D1BoardOptions, "table" | "timeoutMs">;

/**
 * Brings the tables of a board in D1 to the version of this release, in steps of 500 rows; counts a histogram of ranks again that disagrees with its rows.
 * A board of up to 1000 rows does it by itself with its first call. Any number of Workers may run it at once, and one that was stopped in its middle goes on
 * where it was. Until it has ended, all calls to the board reject.
 *
 * @returns what was done, one sentence each; empty: nothing was to do
 * @throws {TypeError} an unknown option; `db` is no D1 binding @throws {RangeError} `table` or `timeoutMs`
 * @throws {GatepassError} `ERR_BOARD_UNAVAILABLE`; `ERR_CONFIG_INVALID`: a newer release has made the tables (GP173)
 *
 * @example
 * ```ts
 * import { type D1Client, migrate } from "gatepass/adapters/d1";
 * // In a Worker that an operator calls, or in its `scheduled`.
 * const migrateIn = (env: { DB: D1Client }): Promise<string[]> => migrate(env.DB);
 * console.assert(typeof migrateIn === "function");
 * ```
 */
export async function migrate(db: D1Client, options: MigrateOptions = {}): Promise<string[]> {
  assertOptions("migrate", options, { table: assertTable, timeoutMs: integer(1, 60_000) } satisfies Rules<MigrateOptions>);
  const { table = TABLE, timeoutMs = 30_000 } = options;
  return migrateLiteBoard(liteOf(db, timeoutMs), { table, migrate: MIGRATE });
}

/** Every batch of D1 is a transaction, and its primary answers all of them. */
function liteOf(db: D1Client, timeoutMs: number | undefined): LiteDatabase {
  const { call } = openD1(db, [], "ERR_BOARD_UNAVAILABLE", timeoutMs);
  const run: LiteDatabase["read"] = (queries, tell) => call(async (batch) => tell(await batch(...queries)));
  return { read: run, write: run };
}
