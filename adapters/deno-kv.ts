/**
 * The store in Deno KV: exact for all processes and regions that share the database, on a file, a self-hosted denokv or
 * Deno Deploy.
 *
 * @module
 */

import { isUsesQuota, type Quota, type Store } from "../src/store/contract.ts";
import { charge, createRecords, decide, giveBack } from "../src/store/ledger.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import { assertOptions, integer, methods, type Rules } from "../src/util/options.ts";
import { BLOCK, type DenoKvClient, type Entry, openDenoKv, RATE_BASE, USES_BASE } from "./_deno-kv.ts";

export type { DenoKvAtomic, DenoKvClient, DenoKvEntry, DenoKvKey } from "./_deno-kv.ts";

/** Options of {@link denoKvStore}. */
export interface DenoKvStoreOptions {
  /**
   * First part of every key, 1 to 64 characters of `[A-Za-z0-9._:-]`, default `gatepass`. Stores that must not share
   * counters take different ones.
   */
  prefix?: string;
  /**
   * Milliseconds until a call rejects that has no answer, or whose commits all failed because of other writers,
   * 1..60000, default 2000.
   */
  timeoutMs?: number;
  /**
   * Milliseconds since the epoch. The clocks of all processes that share the database must be right to two hours.
   * Default `Date.now`.
   */
  clock?: () => number;
}

/**
 * Characters of the longest key. Each has at most three bytes, and Deno KV accepts 2 KiB with the prefix. Keys of
 * gatepass have at most 80.
 */
const MAX_KEY = 512;

/**
 * A store in a `Deno.Kv`. You open and close the database yourself.
 *
 * A spend reads its keys, decides, and commits only if none of the keys has changed meanwhile. That takes two round
 * trips, or one when it is refused. Calls of this process that share a key take turns; waiting calls are committed
 * together. If another process changed a key, the call tries again after a random pause, until `timeoutMs`.
 *
 * A record counts until the millisecond in which it expires. Deno deletes it later by itself (in a file: within a
 * minute, or when the file is next opened), so there is nothing to sweep. Each process uses its own clock. Uses and
 * blocks are therefore kept for four hours after they expire: clocks that are up to two hours wrong give no token more
 * uses than it has.
 *
 * A self-hosted denokv accepts at most 10 checks in a commit: there a spend may have 10 quotas, not 16.
 *
 * @throws {TypeError} an unknown option @throws {RangeError} an invalid `prefix` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { denoKvStore } from "gatepass/adapters/deno-kv";
 * // Deno has it when it is started with --unstable-kv, or `"unstable": ["kv"]` stands in deno.json.
 * if ("openKv" in Deno) {
 *   using kv = await Deno.openKv(":memory:");
 *   const store = denoKvStore(kv);
 *   const once = { key: "token-1", limit: 1, expiresAt: Date.now() + 60_000 };
 *   console.assert((await store.spend([once])).ok);
 *   console.assert(!(await store.spend([once])).ok);
 * }
 * ```
 */
export function denoKvStore(kv: DenoKvClient, options: DenoKvStoreOptions = {}): Store {
  methods("getMany", "atomic")("kv", kv);
  const rules: Rules<DenoKvStoreOptions> = { prefix: "string", timeoutMs: integer(1, 60_000), clock: "function" };
  assertOptions("denoKvStore", options, rules);
  const { prefix = "gatepass", timeoutMs = 2000, clock = Date.now } = options;
  if (!/^[A-Za-z0-9._:-]{1,64}$/.test(prefix)) throw new RangeError('Invalid "prefix": expected 1 to 64 of A-Z a-z 0-9 . _ : -');
  const records = createRecords(false);
  const database = openDenoKv(kv, { prefix, timeoutMs, clock });

  /**
   * Points the shared `records` to the entries. They must be used before the next `await`, since other calls use the
   * same arrays.
   */
  function place(quotas: readonly Quota[], entries: readonly Entry[], now: number): void {
    quotas.forEach((quota, i) => {
      const { cells } = entries[i] ?? { cells: new Float64Array(0) };
      const base = baseOf(quota);
      records.cells[i] = cells;
      records.base[i] = (cells[base] ?? 0) > now ? base : -1;
      records.blocked[i] = cells[BLOCK] ?? 0;
    });
  }

  return {
    consistency: "exact",
    async spend(quotas) {
      assertQuotas(quotas);
      const keys = keysOf(quotas);
      const reads = quotas.every(({ cost }) => cost === 0);
      return database[reads ? "read" : "write"](keys, (entries, now) => {
        place(quotas, entries, now);
        const result = decide(quotas, records, now);
        if (!result.ok || reads) return result;
        quotas.forEach((quota, i) => {
          const [entry, state] = [entries[i], result.states[i]];
          if (entry === undefined || state === undefined || quota.cost === 0) return;
          if (records.base[i] === -1) clear(entry.cells, baseOf(quota));
          charge(quota, entry.cells, baseOf(quota), now, state);
          entry.changed = true;
        });
        return result;
      });
    },
    async refund(quotas, at) {
      assertQuotas(quotas);
      assertInstant("at", at);
      await database.write(keysOf(quotas), (entries, now) => {
        quotas.forEach((quota, i) => {
          const entry = entries[i];
          const base = baseOf(quota);
          if (!entry || (entry.cells[base] ?? 0) <= now) return;
          const left = giveBack(quota, entry.cells, base, now, at);
          if (left === "none") clear(entry.cells, base);
          if (left !== "same") entry.changed = true;
        });
      });
    },
    async block(key, expiresAt) {
      assertInstant("expiresAt", expiresAt);
      assertLength(key);
      await database.write([key], ([entry], now) => {
        if (entry === undefined) return;
        const until = entry.cells[BLOCK] ?? 0;
        const next = expiresAt <= now ? 0 : Math.max(until, expiresAt);
        if (next === until) return;
        entry.cells[BLOCK] = next;
        entry.changed = true;
      });
    },
  };
}

function keysOf(quotas: readonly Quota[]): string[] {
  return quotas.map(({ key }) => {
    assertLength(key);
    return key;
  });
}

function assertLength(key: string): void {
  if (key.length > MAX_KEY) throw new RangeError(`Invalid "key": expected at most ${MAX_KEY} characters, got ${key.length}`);
}

/** Removes the record that starts at `base`. */
function clear(cells: Float64Array, base: number): void {
  cells.fill(0, base, base === USES_BASE ? RATE_BASE : undefined);
}

function baseOf(quota: Quota): number {
  return isUsesQuota(quota) ? USES_BASE : RATE_BASE;
}
