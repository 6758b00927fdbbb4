/**
 * The store and the board in SQLite: exact for all processes that share one file. For node:sqlite, bun:sqlite, better-sqlite3 and libsql.
 *
 * @module
 */

import { isUsesQuota, type Quota, type Store } from "../src/store/contract.ts";
import { charge, createRecords, decide, giveBack } from "../src/store/ledger.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import { assertFunction, assertInteger, assertKeys } from "../src/util/assertions.ts";
import { assertTable, numberIn, textIn } from "./_sql.ts";
import { openSqlite, type SqliteClient, type SqliteSession } from "./_sqlite.ts";

export type { SqliteClient, SqliteStatement, SqliteValue } from "./_sqlite.ts";
export { type SqliteBoardOptions, sqliteBoard } from "./_sqlite-board.ts";

/** Options of {@link sqliteStore}. */
export interface SqliteStoreOptions {
  /** Name of the table, an identifier of at most 48 characters, default `gatepass_store`. Stores that must not share counters take different ones. */
  table?: string;
  /** Milliseconds until a call that cannot have the lock rejects, 1..60000, default 2000. */
  timeoutMs?: number;
  /** Milliseconds since the epoch; all processes that share the file must agree. Default `Date.now`. */
  clock?: () => number;
}

const KIND = { uses: 0, rate: 1, block: 2 } as const;
/** Dead rows that an admitted spend takes away, so that the table does not grow even where nobody calls `sweep`. */
const LAZY_SWEEP = 8;

/**
 * A store in a SQLite database. The client stays yours: open it before, close it after. The first call sets WAL mode and a busy timeout of
 * 25 ms on it and makes the table; `synchronous` is left as you set it (with `NORMAL` a power cut may forget the last spends, no crash of a process does).
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
): Store & { sweep(max?: number): Promise<number>; close(): Promise<void> } {
  assertKeys("sqliteStore", options, ["table", "timeoutMs", "clock"]);
  const { table = "gatepass_store", clock = Date.now, timeoutMs } = options;
  assertTable(table);
  assertFunction("clock", clock);
  const records = createRecords(true);
  const database = openSqlite(client, {
    code: "ERR_STORE_UNAVAILABLE",
    timeoutMs,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${table} (key TEXT NOT NULL, kind INTEGER NOT NULL, dies INTEGER NOT NULL, n INTEGER NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (key, kind)) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS ${table}_dies ON ${table} (dies)`,
    ],
  });
  const SELECT = `SELECT kind, dies, n, counts FROM ${table} WHERE key = ? AND dies > ?`;
  const UPSERT = `INSERT INTO ${table} (key, kind, dies, n, counts) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, kind) DO UPDATE SET dies = excluded.dies, n = excluded.n, counts = excluded.counts`;
  const DELETE = `DELETE FROM ${table} WHERE key = ? AND kind = ?`;
  const SWEEP = `DELETE FROM ${table} WHERE (key, kind) IN (SELECT key, kind FROM ${table} WHERE dies <= ? LIMIT ?)`;

  /** Reads a quota's record (zeros when there is none) and its block. */
  function load(session: SqliteSession, quota: Quota, i: number, now: number): void {
    const cells = records.cells[i]?.fill(0);
    records.base[i] = -1;
    records.blocked[i] = 0;
    for (const row of session.all(SELECT, quota.key, now)) {
      const kind = numberIn(row, "kind");
      if (kind === KIND.block) records.blocked[i] = numberIn(row, "dies");
      if (kind !== kindOf(quota)) continue;
      records.base[i] = 0;
      cells?.set([numberIn(row, "dies"), numberIn(row, "n"), ...(kind === KIND.rate ? textIn(row, "counts").split(",").map(Number) : [])]);
    }
  }

  function save(session: SqliteSession, quota: Quota, cells: Float64Array): void {
    const counts = isUsesQuota(quota) ? "" : cells.subarray(2).join(",");
    session.run(UPSERT, quota.key, kindOf(quota), cells[0] ?? 0, cells[1] ?? 0, counts);
  }

  return {
    consistency: "exact",
    async spend(quotas) {
      assertQuotas(quotas);
      const reads = quotas.every(({ cost }) => cost === 0);
      return database[reads ? "read" : "write"]((session) => {
        // Only now: the wait for the lock is over, and nobody else decides at the same time.
        const now = clock();
        quotas.forEach((quota, i) => {
          load(session, quota, i, now);
        });
        const result = decide(quotas, records, now);
        if (!result.ok || reads) return result;
        quotas.forEach((quota, i) => {
          const [cells, state] = [records.cells[i], result.states[i]];
          if (cells === undefined || state === undefined || quota.cost === 0) return;
          charge(quota, cells, 0, now, state);
          save(session, quota, cells);
        });
        session.run(SWEEP, now, LAZY_SWEEP);
        return result;
      });
    },
    async refund(quotas, at) {
      assertQuotas(quotas);
      await database.write((session) => {
        const now = clock();
        quotas.forEach((quota, i) => {
          load(session, quota, i, now);
          const cells = records.cells[i];
          if (cells === undefined || records.base[i] !== 0) return;
          const left = giveBack(quota, cells, 0, now, at);
          if (left === "some") save(session, quota, cells);
          if (left === "none") session.run(DELETE, quota.key, kindOf(quota));
        });
      });
    },
    async block(key, expiresAt) {
      assertInstant("expiresAt", expiresAt);
      await database.write((session) => {
        if (expiresAt <= clock()) session.run(DELETE, key, KIND.block);
        else {
          session.run(
            `INSERT INTO ${table} (key, kind, dies, n, counts) VALUES (?, ?, ?, 0, '') ON CONFLICT (key, kind) DO UPDATE SET dies = max(dies, excluded.dies)`,
            key,
            KIND.block,
            expiresAt,
          );
        }
      });
    },
    async sweep(max = 1000) {
      assertInteger("max", max, 1);
      return database.write((session) => {
        session.run(SWEEP, clock(), max);
        return numberIn(session.get("SELECT changes() AS swept") ?? {}, "swept");
      });
    },
    async close() {
      database.close();
    },
  };
}

function kindOf(quota: Quota): number {
  return isUsesQuota(quota) ? KIND.uses : KIND.rate;
}
