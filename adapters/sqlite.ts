/**
 * The store and the board in SQLite: exact for all processes that share one file. For node:sqlite, bun:sqlite,
 * better-sqlite3 and libsql.
 *
 * @module
 */

import type { ConfigProblem } from "../src/errors.ts";
import { GRACE } from "../src/store/clocks.ts";
import type { Store } from "../src/store/contract.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import { assertInteger } from "../src/util/assertions.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { assertTable, numberIn } from "./_sql.ts";
import { isReadOnly, openSqlite, type SqliteClient } from "./_sqlite.ts";
import { sqliteLedger } from "./_sqlite-ledger.ts";

export type { SqliteClient, SqliteStatement, SqliteValue } from "./_sqlite.ts";
export { type MigrateOptions, migrate, type SqliteBoard, type SqliteBoardOptions, sqliteBoard } from "./_sqlite-board.ts";

/** Options of {@link sqliteStore}. */
export interface SqliteStoreOptions {
  /**
   * Name of the table, an identifier of at most 48 characters, default `gatepass_store`. Stores that must not share
   * counters take different ones.
   */
  table?: string;
  /** Milliseconds that a call waits for the database's lock before it rejects, 1..60000, default 2000. */
  timeoutMs?: number;
  /**
   * Milliseconds since the epoch. The clocks of all processes that share the file must be right to two hours. Default
   * `Date.now`.
   */
  clock?: () => number;
}

/** Expired rows that an admitted spend removes, so that the table does not grow even if `sweep` is never called. */
const LAZY_SWEEP = 8;

/**
 * A store in a SQLite database. You open and close the client yourself. The first call sets WAL mode and a busy timeout
 * of 25 ms, and creates the table. `synchronous` stays as you set it: with `NORMAL` a power cut may lose the last
 * spends, but a crash of the process does not.
 *
 * Each process uses its own clock. Rows are kept for four hours after they expire. So clocks that are up to two hours
 * wrong give no token more uses than it has. Afterwards spends and `sweep` remove the rows. `sweep(max, 0)` removes
 * them at once; only use it with a single process.
 *
 * @throws {TypeError} an unknown option @throws {RangeError} an invalid `table` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { DatabaseSync } from "node:sqlite";
 * import { sqliteStore } from "gatepass/adapters/sqlite";
 * const store = sqliteStore(new DatabaseSync(":memory:"));
 * const once = { key: "token-1", limit: 1, expiresAt: Date.now() + 60_000 };
 * console.assert((await store.spend([once])).ok);
 * console.assert(!(await store.spend([once])).ok);
 * ```
 */
export function sqliteStore(
  client: SqliteClient,
  options: SqliteStoreOptions = {},
): Store & { sweep(max?: number, deadFor?: number): Promise<number>; check(): Promise<ConfigProblem[]>; close(): Promise<void> } {
  const rules: Rules<SqliteStoreOptions> = { table: assertTable, timeoutMs: integer(1, 60_000), clock: "function" };
  assertOptions("sqliteStore", options, rules);
  const { table = "gatepass_store", clock = Date.now, timeoutMs } = options;
  const ledger = sqliteLedger(table);
  const database = openSqlite(client, {
    code: "ERR_STORE_UNAVAILABLE",
    timeoutMs,
    schema: [ledger.schema, `CREATE INDEX IF NOT EXISTS ${table}_dies ON ${table} (dies)`],
  });
  const SWEEP = `DELETE FROM ${table} WHERE (key, kind) IN (SELECT key, kind FROM ${table} WHERE dies <= ? LIMIT ?)`;

  return {
    consistency: "exact",
    async spend(quotas) {
      assertQuotas(quotas);
      const reads = quotas.every(({ cost }) => cost === 0);
      return database[reads ? "read" : "write"]((session) => {
        // Read the clock only now, after the wait for the lock.
        const now = clock();
        const result = ledger.spend(session, quotas, now);
        if (result.ok && !reads) session.run(SWEEP, now - GRACE, LAZY_SWEEP);
        return result;
      });
    },
    async refund(quotas, at) {
      assertQuotas(quotas);
      assertInstant("at", at);
      await database.write((session) => ledger.refund(session, quotas, at, clock()));
    },
    async block(key, expiresAt) {
      assertInstant("expiresAt", expiresAt);
      await database.write((session) => ledger.block(session, key, expiresAt, clock()));
    },
    async sweep(max = 1000, deadFor = GRACE) {
      assertInteger("max", max, 1);
      assertInteger("deadFor", deadFor, 0);
      return database.write((session) => {
        session.run(SWEEP, clock() - deadFor, max);
        return numberIn(session.get("SELECT changes() AS swept") ?? {}, "swept");
      });
    },
    async check() {
      try {
        await database.write((session) => session.run(SWEEP, 0, 1));
        return [];
      } catch (error) {
        if (!isReadOnly(error instanceof Error ? error.cause : undefined)) throw error;
        return [READ_ONLY];
      }
    },
    async close() {
      database.close();
    },
  };
}

const READ_ONLY: ConfigProblem = {
  code: "GP160",
  severity: "error",
  message: "The SQLite database is read-only: every spend fails",
  fix: "Open it for writing, and let the process write its folder too",
};
