import { GatepassError } from "../errors.ts";
import { assertInteger } from "../util/assertions.ts";
import { assertOptions, integer, type Rules } from "../util/options.ts";
import { pooledBytes } from "../util/random.ts";
import { isUsesQuota, type Quota, type SpendResult, type Store } from "./contract.ts";
import { createForgotten, NOTHING } from "./forgotten.ts";
import { charge, createRecords, decide, giveBack, type Records, USES } from "./ledger.ts";
import { Table } from "./table.ts";
import { assertInstant, assertQuotas, MAX_QUOTAS } from "./validate.ts";
import { RING, unitsAt } from "./window.ts";

/**
 * Records of each of the three kinds that a call to a full store looks at, besides at most 32 of each: at most 255 in
 * all.
 */
const FULL_LOOK = 53;

/** Numbers in the record of a rate quota: its ring, and its window in seconds. */
const RATE = RING + 1;

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions {
  /**
   * The most keys that it holds, 1..16000000, default 200000: about 50 MB when full. While a full store removes rate
   * quotas, it needs some 15 MB more for each length of window.
   */
  maxKeys?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
  /** Random bytes. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** A store in memory, with a view of its keys. */
export interface MemoryStore extends Store {
  readonly consistency: "local";
  /** The number of keys held, including expired ones that were not removed yet. */
  readonly size: number;
  /** The keys held. */
  keys(): string[];
}

/**
 * Counts exactly, in the memory of one process. Use it for a single process: each of several processes would admit
 * every token once more.
 *
 * It is bounded:
 * - A quarter of its keys is reserved for rate quotas. When uses quotas and blocks fill the rest, it refuses new ones
 *   (`ERR_STORE_FULL`); rates still count. It never removes a uses quota before it expires.
 * - A full store removes the rate quotas that were charged longest ago. For each it remembers an upper bound of its
 *   units. Under a flood it may refuse too much, but never admits too much.
 *
 * A token that was issued before the store was created is refused (`why: "forgotten"`), since an earlier process may
 * have spent it. No timer runs: each call looks at a few records, fewer than 256, and removes the expired ones.
 *
 * @throws {TypeError} an unknown option @throws {RangeError} `maxKeys` outside its range
 *
 * @example
 * ```ts
 * import { memoryStore } from "gatepass";
 * const store = memoryStore();
 * const once = { key: "token-1", limit: 1, expiresAt: Date.now() + 60_000 };
 * console.assert((await store.spend([once])).ok);
 * console.assert(!(await store.spend([once])).ok);
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const rules: Rules<MemoryStoreOptions> = { maxKeys: integer(1, 16_000_000), clock: "function", random: "function" };
  assertOptions("memoryStore", options, rules);
  const { maxKeys = 200_000, clock = Date.now, random = pooledBytes } = options;
  /** The most uses quotas and blocks. They cannot be removed early, so they must leave room for rates. */
  const maxLasting = maxKeys - Math.floor(maxKeys / 4);
  const uses = new Table(USES);
  const rates = new Table(RATE, true);
  const blocks = new Table(1);
  const tables = [uses, rates, blocks];
  const forgotten = createForgotten(maxKeys, random);
  const [lost, lostUntil] = [new Float64Array(MAX_QUOTAS), new Float64Array(MAX_QUOTAS)];
  const records: Records = { ...createRecords(false), lost, lostUntil };
  const found = new Int32Array(MAX_QUOTAS);
  // On Workers the clock is 0 while a module is evaluated. There the store counts from its first call on.
  let since = clock();

  const size = (): number => uses.size + rates.size + blocks.size;

  /** The time, after a look at `look` records of each kind. */
  function begin(look: number): number {
    const now = clock();
    if (since === 0) since = now;
    for (const table of tables) table.sweep(now, look);
    return now;
  }

  function place(i: number, table: Table, index: number): void {
    found[i] = index;
    records.base[i] = index < 0 ? -1 : table.base(index);
    if (index >= 0) records.cells[i] = table.cells(index);
  }

  /**
   * Makes room for new records: `lasting` uses quotas and blocks, and `rate` rate quotas. The `kept` youngest rate
   * quotas stay: the same call charges them.
   *
   * @throws {GatepassError} `ERR_STORE_FULL`
   */
  function makeRoom(lasting: number, rate: number, kept: number, now: number): void {
    const excess = (): number => size() + lasting + rate - maxKeys;
    const crowded = (): boolean => lasting > 0 && uses.size + blocks.size + lasting > maxLasting;
    if (excess() <= 0 && !crowded()) return;
    for (const table of tables) table.sweep(now, FULL_LOOK);
    if (crowded() || excess() > rates.size - kept) throw new GatepassError("ERR_STORE_FULL", "Cannot spend: the store in memory is full");
    for (let left = excess(); left > 0; left--) forget(rates.oldest(), now);
  }

  function forget(index: number, now: number): void {
    const [cells, base] = [rates.cells(index), rates.base(index)];
    const seconds = cells[base + RING] ?? 0;
    const units = unitsAt(cells, base, seconds, now);
    if (units > 0) forgotten.add(rates.name(index), seconds, units, now);
    rates.remove(index);
  }

  function chargeAll(quotas: readonly Quota[], { at: now, states }: SpendResult): void {
    let [lasting, rate, kept] = [0, 0, 0];
    for (let i = 0; i < quotas.length; i++) {
      const quota = quotas[i];
      if (quota === undefined || quota.cost === 0) continue;
      const isNew = (records.base[i] ?? -1) < 0;
      if (isUsesQuota(quota)) lasting += Number(isNew);
      else if (isNew) rate += 1;
      else {
        rates.touch(found[i] ?? -1);
        kept += 1;
      }
    }
    if (lasting + rate > 0) makeRoom(lasting, rate, kept, now);
    for (let i = 0; i < quotas.length; i++) {
      const quota = quotas[i];
      const state = states[i];
      if (quota === undefined || state === undefined || quota.cost === 0) continue;
      if ((records.base[i] ?? -1) < 0) {
        const table = isUsesQuota(quota) ? uses : rates;
        const index = table.add(quota.key);
        place(i, table, index);
        if (!isUsesQuota(quota)) rates.cells(index)[rates.base(index) + RING] = quota.window;
      }
      const cells = records.cells[i];
      if (cells !== undefined) charge(quota, cells, records.base[i] ?? 0, now, state);
    }
  }

  function blockedUntil(key: string, now: number): number {
    const index = blocks.size === 0 ? -1 : blocks.find(key, now);
    return index < 0 ? 0 : (blocks.cells(index)[blocks.base(index)] ?? 0);
  }

  return {
    consistency: "local",
    get size() {
      return size();
    },
    keys: () => tables.flatMap((table) => [...table.keys()]),
    async spend(quotas) {
      assertQuotas(quotas);
      const now = begin(2 * quotas.length);
      for (let i = 0; i < quotas.length; i++) {
        const quota = quotas[i];
        if (quota === undefined) continue;
        const table = isUsesQuota(quota) ? uses : rates;
        place(i, table, table.find(quota.key, now));
        records.blocked[i] = blockedUntil(quota.key, now);
        const { units, until } = isUsesQuota(quota) ? NOTHING : forgotten.find(quota.key, quota.window, now);
        lost[i] = units;
        lostUntil[i] = until;
      }
      const result = decide(quotas, records, now, since);
      if (result.ok) chargeAll(quotas, result);
      return result;
    },
    async refund(quotas, at) {
      assertQuotas(quotas);
      assertInstant("at", at);
      const now = begin(1);
      for (const quota of quotas) {
        const table = isUsesQuota(quota) ? uses : rates;
        const index = table.find(quota.key, now);
        if (index >= 0 && giveBack(quota, table.cells(index), table.base(index), now, at) === "none") table.remove(index);
      }
    },
    async block(key, expiresAt) {
      assertInstant("expiresAt", expiresAt);
      const now = begin(1);
      let index = blocks.find(key, now);
      if (expiresAt <= now) {
        if (index >= 0) blocks.remove(index);
        return;
      }
      if (index < 0) {
        makeRoom(1, 0, 0, now);
        index = blocks.add(key);
      }
      const [cells, base] = [blocks.cells(index), blocks.base(index)];
      cells[base] = Math.max(cells[base] ?? 0, expiresAt);
    },
    async sweep(max = 1000) {
      assertInteger("max", max, 1);
      const now = clock();
      let removed = 0;
      for (const table of tables) removed += table.sweep(now, maxKeys, max - removed);
      return removed;
    },
  };
}
