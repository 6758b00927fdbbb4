import { isUsesQuota, type Quota, type QuotaState, type RefusalWhy, type SpendResult, type Store } from "../src/store/contract.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import { shiftOf, stepOf } from "../src/store/window.ts";
import { assertInteger } from "../src/util/assertions.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { type D1Client, openD1 } from "./_d1.ts";
import { d1StoreSql, KIND } from "./_d1-store-sql.ts";
import { assertTable, flagIn, numberIn, type SqlRow } from "./_sql.ts";

/** Options of {@link d1Store}. */
export interface D1StoreOptions {
  /**
   * Name of the table, an identifier of at most 48 characters, default `gatepass_store`. Stores that must not share
   * counters take different ones.
   */
  table?: string;
  /** Milliseconds that a call takes at most, 1..60000, default 2000. */
  timeoutMs?: number;
  /** Milliseconds since the epoch, for tests. Default: the clock of D1, which is the same for all Workers. */
  clock?: () => number;
}

/** Sub-windows that count: a charge at sub-window b counts for this many of them. */
const SUBS = 11;
const WHYS: readonly RefusalWhy[] = ["full", "blocked", "expired"];

/**
 * A store in a D1 database, exact for all Workers that share it. A spend is one statement in one round trip, which
 * charges all quotas or none. Tables and triggers are created when a call finds them missing. An admitted spend removes
 * a few expired rows; `sweep` removes up to `max` of them.
 *
 * D1 runs one query at a time, some hundreds of such spends a second. If that is too little, use Durable Objects with
 * several shards.
 *
 * With read replication pass the binding itself, never a session (`withSession`): a replica that is behind may answer a
 * session's reads.
 *
 * @throws {TypeError} an unknown option; `db` is no D1 binding, or a session of one
 * @throws {RangeError} an invalid `table` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { type D1Client, d1Store } from "gatepass/adapters/d1";
 * import type { Store } from "gatepass/store";
 * // In a Worker: createGate((env) => ({ store: d1Store(env.DB), ... })).
 * const storeOf = (env: { DB: D1Client }): Store => d1Store(env.DB);
 * console.assert(typeof storeOf === "function");
 * ```
 */
export function d1Store(db: D1Client, options: D1StoreOptions = {}): Store & { sweep(max?: number): Promise<number> } {
  const rules: Rules<D1StoreOptions> = { table: assertTable, timeoutMs: integer(1, 60_000), clock: "function" };
  assertOptions("d1Store", options, rules);
  const { table = "gatepass_store", timeoutMs, clock } = options;
  // In a session any replica may answer queries that only read. It may not know a block, or what other Workers spent.
  // Without a session the primary answers everything.
  if (typeof db === "object" && db !== null && "getBookmark" in db) {
    throw new TypeError('Invalid "db": a session may read from a replica that lags behind; pass the binding itself');
  }
  const sql = d1StoreSql(table, clock !== undefined);
  const { call } = openD1(db, sql.schema, "ERR_STORE_UNAVAILABLE", timeoutMs);
  const input = (more: Record<string, unknown>): Record<string, unknown> => (clock ? { ...more, now: clock() } : more);

  return {
    consistency: "exact",
    async spend(quotas) {
      assertQuotas(quotas);
      if (quotas.length === 0) {
        return call(async (run) => {
          const [[row = {}] = []] = await run([sql.now, input({})]);
          return { ok: true, at: numberIn(row, "at"), refused: null, retryAfter: 0, states: [] };
        });
      }
      const statement = quotas.every(({ cost }) => cost === 0) ? sql.read : sql.spend;
      return call(async (run) => {
        const [rows = []] = await run([statement, input({ quotas: quotas.map(asked) })]);
        return resultOf(quotas, rows);
      });
    },

    async refund(quotas, at) {
      assertQuotas(quotas);
      assertInstant("at", at);
      const charged = quotas.filter(({ cost }) => cost !== 0).map((quota) => ({ ...asked(quota), ...recordAt(quota, at) }));
      if (charged.length > 0) await call((run) => run([sql.refund, input({ quotas: charged })], [sql.drop, input({ quotas: charged })]));
    },

    async block(key, expiresAt) {
      assertInstant("expiresAt", expiresAt);
      await call((run) => run([sql.lift, input({ key, expiresAt })], [sql.block, input({ key, expiresAt })]));
    },

    async sweep(max = 1000) {
      assertInteger("max", max, 1);
      return call(async (run) => (await run([sql.sweep, input({ max })]))[0]?.length ?? 0);
    },
  };
}

/** A quota in the form that the statements read. */
function asked(quota: Quota): Record<string, unknown> {
  const { key, limit, cost = 1 } = quota;
  if (isUsesQuota(quota)) return { kind: KIND.uses, key, limit, cost, dies: quota.expiresAt };
  return { kind: KIND.rate, key, limit, cost, step: stepOf(quota.window), shift: shiftOf(key, quota.window) };
}

/** Slot and expiry of the record that a charge at `at` went into. A refund only takes from this one. */
function recordAt(quota: Quota, at: number): { slot: number; dies: number } {
  if (isUsesQuota(quota)) return { slot: 0, dies: quota.expiresAt };
  const [step, shift] = [stepOf(quota.window), shiftOf(quota.key, quota.window)];
  const dies = (Math.floor((at - shift) / step) + SUBS) * step + shift;
  return { slot: dies, dies };
}

/** The database's decision as a `SpendResult`. @throws {TypeError} the answer is unreadable or contradicts itself */
function resultOf(quotas: readonly Quota[], rows: readonly SqlRow[]): SpendResult {
  if (rows.length !== quotas.length) throw new TypeError(`Cannot read the answer: expected ${quotas.length} rows`);
  const byIndex = new Map(rows.map((row) => [numberIn(row, "i"), row]));
  const first = rows[0] ?? {};
  const result: SpendResult = {
    ok: flagIn(first, "admitted"),
    at: numberIn(first, "at"),
    refused: null,
    retryAfter: 0,
    states: [],
  };
  let longest = 0;
  let usesRefused = false;
  for (const [i, quota] of quotas.entries()) {
    const row = byIndex.get(i) ?? {};
    const state = stateOf(quota, row, result);
    result.states.push(state);
    if (state.why === undefined || quota.cost === 0) continue;
    if (result.ok) throw new TypeError("Cannot read the answer: admitted and refused");
    if (isUsesQuota(quota)) {
      if (!usesRefused) result.refused = i;
      usesRefused = true;
    } else {
      const wait = Math.max(numberIn(row, "blocked"), numberIn(row, "ready")) - result.at;
      if (wait > longest) {
        longest = wait;
        if (!usesRefused) result.refused = i;
      }
    }
  }
  if (!result.ok && result.refused === null) throw new TypeError("Cannot read the answer: refused for no reason");
  result.retryAfter = Math.ceil(longest / 1000);
  return result;
}

/** The state after an admitted spend, or before a refused one. */
function stateOf(quota: Quota, row: SqlRow, { ok, at }: SpendResult): QuotaState {
  const why = WHYS.find((one) => one === row["why"]);
  // Each row has its own `why`, and whether the whole spend was admitted. An unknown or contradictory row must not pass
  // for "no reason".
  if ((why === undefined && row["why"] !== null) || flagIn(row, "admitted") !== ok || numberIn(row, "at") !== at) {
    throw new TypeError("Cannot read the answer: it contradicts itself");
  }
  const charged = ok && quota.cost !== 0;
  const [used, newest] = [numberIn(row, "used"), numberIn(row, "newest")];
  const left = Math.max(0, quota.limit - used) - (charged ? (quota.cost ?? 1) : 0);
  const remaining = why === "blocked" || why === "expired" ? 0 : left;
  const empty = isUsesQuota(quota) ? quota.expiresAt : at;
  const held = isUsesQuota(quota) || used > 0 ? Math.max(newest, empty) : at;
  const resetAt = charged ? Math.max(newest, numberIn(row, "dies")) : held;
  return { remaining, resetAt, ...(why !== undefined && { why }) };
}
