/**
 * The store and the board in PostgreSQL: exact for all processes that share one database. For pg, postgres, `Bun.SQL`
 * and PGlite.
 *
 * @module
 */

import { isUsesQuota, type Quota, type Store } from "../src/store/contract.ts";
import { charge, createRecords, decide, USES } from "../src/store/ledger.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import { RING, shiftOf } from "../src/store/window.ts";
import { assertInteger } from "../src/util/assertions.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { encodeText, openPostgres, type PostgresClient, type PostgresPlace, unreadable, wholeNumber } from "./_postgres.ts";
import { checkPostgres } from "./_postgres-migrate.ts";

export type { PostgresClient, PostgresPlace, PostgresQueryClient, PostgresUnsafeClient } from "./_postgres.ts";
export { type PostgresBoard, type PostgresBoardOptions, postgresBoard } from "./_postgres-board.ts";
export { type MigrateOptions, migrate } from "./_postgres-migrate.ts";

/** Options of {@link postgresStore}. */
export interface PostgresStoreOptions extends PostgresPlace {
  /** Milliseconds until a call rejects, 1..60000, default 2000. */
  timeoutMs?: number;
  /**
   * Milliseconds since the epoch, instead of the server's clock, for tests. The clocks of all processes must agree.
   * Default: the server's clock.
   */
  clock?: () => number;
}

/** A store in PostgreSQL. */
export type PostgresStore = Store & Required<Pick<Store, "sweep" | "check" | "close">>;

/**
 * A store in PostgreSQL, 12 or newer. Every spend is one function call and one round trip. {@link migrate} creates the
 * functions.
 *
 * You open and close the client yourself. Use a pool (a single connection of pg does not reconnect), with
 * `pool.on("error", ...)` as pg requires. A pooler in transaction mode may be in between.
 *
 * Each call carries its deadline: a call that timed out is not charged later, when a server that hung goes on. The
 * exceptions are the very first call, whose deadline is not known yet, and a call that was already about to commit.
 *
 * @throws {TypeError} an unknown option, no client @throws {RangeError} an invalid `schema`, `prefix` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { postgresStore } from "gatepass/adapters/postgres";
 * // As `new pg.Pool({ connectionString })`: whatever has query(text, values).
 * const answer = JSON.stringify({ ok: true, at: 1, clock: 1, held: [[null, null, null, null]] });
 * const store = postgresStore({ query: async () => ({ rows: [{ answer }] }) }, { schema: "app" });
 * console.assert((await store.spend([{ key: "token-1", limit: 1, expiresAt: 60_000 }])).ok);
 * ```
 */
export function postgresStore(client: PostgresClient, options: PostgresStoreOptions = {}): PostgresStore {
  const rules: Rules<PostgresStoreOptions> = { schema: "string", prefix: "string", timeoutMs: integer(1, 60_000), clock: "function" };
  assertOptions("postgresStore", options, rules);
  const { clock, timeoutMs } = options;
  const database = openPostgres(client, { place: options, code: "ERR_STORE_UNAVAILABLE", timeoutMs });
  const records = createRecords(true);
  const now = (): { now?: number } => (clock === undefined ? {} : { now: clock() });

  /**
   * Loads the record that the function found for a quota. An unreadable one must not pass for "nothing is stored",
   * which would be admitted.
   */
  function load(quota: Quota, i: number, found: unknown): void {
    if (!Array.isArray(found) || found.length !== 4) throw unreadable();
    const [dies, n, blocked, counts]: unknown[] = found;
    const record = [dies, n, ...(isUsesQuota(quota) || dies === null ? [] : Array.isArray(counts) ? counts : [undefined])];
    records.blocked[i] = blocked === null ? 0 : wholeNumber(blocked);
    records.base[i] = dies === null && n === null ? -1 : 0;
    records.cells[i]?.fill(0);
    if (records.base[i] === 0) records.cells[i]?.set(record.map(wholeNumber));
    if (records.base[i] === 0 && record.length !== (isUsesQuota(quota) ? USES : RING)) throw unreadable();
  }

  return {
    consistency: "exact",
    async spend(quotas) {
      assertQuotas(quotas);
      return database.ask("spend", { quotas: quotas.map(wire), ...now() }, ({ ok, at, held }) => {
        if (!Array.isArray(held) || held.length !== quotas.length) throw unreadable();
        quotas.forEach((quota, i) => {
          load(quota, i, held[i]);
        });
        const time = wholeNumber(at);
        const result = decide(quotas, records, time);
        // The function decided and charged; this code decided again. If they differ, the answer is not used.
        if (result.ok !== ok) throw new TypeError("Cannot read the answer: it contradicts itself");
        quotas.forEach((quota, i) => {
          const [cells, state] = [records.cells[i], result.states[i]];
          if (result.ok && cells !== undefined && state !== undefined && quota.cost !== 0) charge(quota, cells, 0, time, state);
        });
        return result;
      });
    },
    async refund(quotas, at) {
      assertQuotas(quotas);
      assertInstant("at", at);
      await database.ask("refund", { quotas: quotas.map(wire), at, ...now() }, expectDone);
    },
    async block(key, expiresAt) {
      assertInstant("expiresAt", expiresAt);
      await database.ask("block", { key: encodeText(key), until: expiresAt, ...now() }, expectDone);
    },
    async sweep(max = 1000) {
      assertInteger("max", max, 1);
      return database.ask("sweep", { max, ...now() }, ({ swept }) => wholeNumber(swept));
    },
    check: () => checkPostgres(database, options, ["store"], ["begin", "spend", "refund", "block", "sweep"]),
    async close() {
      database.close();
    },
  };
}

/** Checks the answer of a function without a result: it only has the server's time. */
function expectDone({ clock }: Record<string, unknown>): void {
  wholeNumber(clock);
}

/** A quota in the function's form: key, kind, limit, cost, window or expiry, and the shift of the key's sub-windows. */
function wire(quota: Quota): Record<string, string | number> {
  const { key, limit, cost = 1 } = quota;
  const common = { k: encodeText(key), l: limit, c: cost };
  return isUsesQuota(quota) ? { ...common, t: 0, w: quota.expiresAt } : { ...common, t: 1, w: quota.window, s: shiftOf(key, quota.window) };
}
