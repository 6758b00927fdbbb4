import type { ScoreBoard } from "../src/scores/board.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import type { LiteDatabase, LiteQuery } from "./_lite.ts";
import { liteBoard, migrateLiteBoard } from "./_lite-board.ts";
import { assertTable, type SqlRow } from "./_sql.ts";
import { openSqlite, type Sqlite, type SqliteClient, type SqliteSession } from "./_sqlite.ts";

/** Options of {@link sqliteBoard}. */
export interface SqliteBoardOptions {
  /** Beginning of the tables' names, an identifier of at most 48 characters. Default `gatepass_board`. */
  table?: string;
  /** Milliseconds that a call waits for the database's lock, 1..60000. Default 2000. */
  timeoutMs?: number;
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** A board in SQLite. */
export type SqliteBoard = ScoreBoard & Required<Pick<ScoreBoard, "check" | "close">>;

const TABLE = "gatepass_board";
const MIGRATE = '`migrate(client, { table })` of "gatepass/adapters/sqlite"';

/**
 * A board in an SQLite file, shared by all processes that open it: `DatabaseSync` of node:sqlite, `Database` of bun:sqlite, better-sqlite3.
 * Every call is one transaction; triggers keep the histogram of ranks, so that a rank reads at most 256 rows for every 8 bits of the board's range,
 * whatever its size. Tables are made with the first call. The client stays yours to close. SQLite 3.38 or newer.
 *
 * @throws {TypeError} an unknown option; `client` is no SQLite client
 * @throws {RangeError} `table` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { sqliteBoard } from "gatepass/adapters/sqlite";
 * import { DatabaseSync } from "node:sqlite";
 * const board = sqliteBoard(new DatabaseSync(":memory:"));
 * console.assert((await board.top({ board: "main", period: "all", limit: 10 })).length === 0);
 * ```
 */
export function sqliteBoard(client: SqliteClient, options: SqliteBoardOptions = {}): SqliteBoard {
  const rules: Rules<SqliteBoardOptions> = { table: assertTable, timeoutMs: integer(1, 60_000), random: "function" };
  assertOptions("sqliteBoard", options, rules);
  const { table = TABLE, timeoutMs, random } = options;
  const database = open(client, timeoutMs);
  const board = liteBoard(liteOf(database), { table, migrate: MIGRATE, random });
  return {
    ...board,
    async purge(player, group) {
      const count = await board.purge(player, group);
      // Name and player are to be gone from the files, too.
      database.checkpoint();
      return count;
    },
    async close() {
      database.close();
    },
  };
}

/** Options of {@link migrate}. */
export type MigrateOptions = Pick<SqliteBoardOptions, "table" | "timeoutMs">;

/**
 * Brings the tables of a board in SQLite to the version of this release, in steps of 500 rows that leave time for others; counts a histogram of ranks again
 * that disagrees with its rows. A board of up to 1000 rows does it by itself with its first call. Any number of processes may run it at once, and one that
 * was stopped in its middle goes on where it was. Until it has ended, all calls to the board reject.
 *
 * @returns what was done, one sentence each; empty: nothing was to do
 * @throws {TypeError} an unknown option; `client` is no SQLite client @throws {RangeError} `table` or `timeoutMs`
 * @throws {GatepassError} `ERR_BOARD_UNAVAILABLE`; `ERR_CONFIG_INVALID`: a newer release has made the tables (GP173)
 *
 * @example
 * ```ts
 * import { migrate } from "gatepass/adapters/sqlite";
 * import { DatabaseSync } from "node:sqlite";
 * for (const done of await migrate(new DatabaseSync(":memory:"))) console.log(done);
 * ```
 */
export async function migrate(client: SqliteClient, options: MigrateOptions = {}): Promise<string[]> {
  assertOptions("migrate", options, { table: assertTable, timeoutMs: integer(1, 60_000) } satisfies Rules<MigrateOptions>);
  const { table = TABLE, timeoutMs } = options;
  return migrateLiteBoard(liteOf(open(client, timeoutMs)), { table, migrate: MIGRATE });
}

/** The board's own guard makes the tables: it looks at what is there before. */
function open(client: SqliteClient, timeoutMs: number | undefined): Sqlite {
  return openSqlite(client, { schema: [], code: "ERR_BOARD_UNAVAILABLE", timeoutMs, erases: true });
}

function liteOf(database: Sqlite): LiteDatabase {
  const run = (db: SqliteSession, [sql, input]: LiteQuery): SqlRow[] => {
    const values = input ? [JSON.stringify(input)] : [];
    // Some drivers refuse to ask for rows where there cannot be any.
    if (/^(SELECT|WITH)\b|\bRETURNING \w+$/.test(sql)) return db.all(sql, ...values);
    db.run(sql, ...values);
    return [];
  };
  const runs =
    (kind: "read" | "write"): LiteDatabase["read"] =>
    (queries, tell) =>
      database[kind]((db) => tell(queries.map((query) => run(db, query))));
  return { read: runs("read"), write: runs("write") };
}
