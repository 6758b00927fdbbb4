import { isUsesQuota, type Quota, type SpendResult } from "../src/store/contract.ts";
import { charge, createRecords, decide, giveBack } from "../src/store/ledger.ts";
import { RING } from "../src/store/window.ts";
import { numberIn, type SqlRow, textIn } from "./_sql.ts";
import type { SqliteSession } from "./_sqlite.ts";

/** Runs statements inside a transaction that is open already. */
export type LedgerSession = Pick<SqliteSession, "run" | "all">;

/** A store's records in one table of SQLite. All methods are synchronous, and each needs a transaction around it. */
export interface SqliteLedger {
  /**
   * The statement that creates the table. `dies` is the instant (milliseconds) at which a row expires. Expired rows
   * stay until they are swept.
   */
  schema: string;
  spend(session: LedgerSession, quotas: readonly Quota[], now: number): SpendResult;
  refund(session: LedgerSession, quotas: readonly Quota[], at: number, now: number): void;
  block(session: LedgerSession, key: string, expiresAt: number, now: number): void;
}

const KIND = { uses: 0, rate: 1, block: 2 } as const;
const KINDS: ReadonlySet<number> = new Set(Object.values(KIND));

/** The ledger in `table`, an identifier. */
export function sqliteLedger(table: string): SqliteLedger {
  const records = createRecords(true);
  const SELECT = `SELECT kind, dies, n, counts FROM ${table} WHERE key = ? AND dies > ?`;
  const UPSERT = `INSERT INTO ${table} (key, kind, dies, n, counts) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, kind) DO UPDATE SET dies = excluded.dies, n = excluded.n, counts = excluded.counts`;
  const BLOCK = `INSERT INTO ${table} (key, kind, dies, n, counts) VALUES (?, ?, ?, 0, '') ON CONFLICT (key, kind) DO UPDATE SET dies = max(dies, excluded.dies)`;
  const DELETE = `DELETE FROM ${table} WHERE key = ? AND kind = ?`;

  /** Reads a quota's record (zeros when there is none) and its block. */
  function load(session: LedgerSession, quota: Quota, i: number, now: number): void {
    const cells = records.cells[i]?.fill(0);
    records.base[i] = -1;
    records.blocked[i] = 0;
    const rows = session.all(SELECT, quota.key, now);
    const kinds = rows.map((row) => numberIn(row, "kind"));
    if (new Set(kinds).size !== kinds.length || !kinds.every((kind) => KINDS.has(kind))) {
      throw new TypeError("Cannot read the answer: expected one row for each kind");
    }
    for (const [n, row] of rows.entries()) {
      const kind = kinds[n];
      if (kind === KIND.block) records.blocked[i] = numberIn(row, "dies");
      if (kind !== kindOf(quota)) continue;
      records.base[i] = 0;
      cells?.set([numberIn(row, "dies"), numberIn(row, "n"), ...(kind === KIND.rate ? countsIn(row) : [])]);
    }
  }

  function save(session: LedgerSession, quota: Quota, cells: Float64Array): void {
    const counts = isUsesQuota(quota) ? "" : cells.subarray(2).join(",");
    session.run(UPSERT, quota.key, kindOf(quota), cells[0] ?? 0, cells[1] ?? 0, counts);
  }

  return {
    schema: `CREATE TABLE IF NOT EXISTS ${table} (key TEXT NOT NULL, kind INTEGER NOT NULL, dies INTEGER NOT NULL, n INTEGER NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (key, kind)) WITHOUT ROWID`,
    spend(session, quotas, now) {
      quotas.forEach((quota, i) => {
        load(session, quota, i, now);
      });
      const result = decide(quotas, records, now);
      if (!result.ok) return result;
      quotas.forEach((quota, i) => {
        const [cells, state] = [records.cells[i], result.states[i]];
        if (cells === undefined || state === undefined || quota.cost === 0) return;
        charge(quota, cells, 0, now, state);
        save(session, quota, cells);
      });
      return result;
    },
    refund(session, quotas, at, now) {
      quotas.forEach((quota, i) => {
        load(session, quota, i, now);
        const cells = records.cells[i];
        if (cells === undefined || records.base[i] !== 0) return;
        const left = giveBack(quota, cells, 0, now, at);
        if (left === "some") save(session, quota, cells);
        if (left === "none") session.run(DELETE, quota.key, kindOf(quota));
      });
    },
    block(session, key, expiresAt, now) {
      if (expiresAt <= now) session.run(DELETE, key, KIND.block);
      else session.run(BLOCK, key, KIND.block, expiresAt);
    },
  };
}

/**
 * The units of a rate record's sub-windows.
 *
 * @throws {TypeError} another format: NaN makes every comparison false, and would be admitted
 */
function countsIn(row: SqlRow): number[] {
  const counts = textIn(row, "counts").split(",").map(Number);
  if (counts.length !== RING - 2 || !counts.every(Number.isSafeInteger)) throw new TypeError('Cannot read the column "counts"');
  return counts;
}

function kindOf(quota: Quota): number {
  return isUsesQuota(quota) ? KIND.uses : KIND.rate;
}
