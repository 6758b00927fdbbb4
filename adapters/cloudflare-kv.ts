/**
 * A store in Workers KV, which only counts approximately. Use it if no exact store is available, and if counting too
 * little is acceptable.
 *
 * @module
 */

import { isUsesQuota, type Quota, type RateStore, type Store } from "../src/store/contract.ts";
import { charge, decide, giveBack, type Records, USES } from "../src/store/ledger.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import { mergeRing, RING } from "../src/store/window.ts";
import { assertString } from "../src/util/assertions.ts";
import { assertOptions, integer, methods, type Rules } from "../src/util/options.ts";
import { createCall } from "./_call.ts";

/** The part of a KV binding (`KVNamespace`) that is used. */
export interface KvClient {
  /** Up to 100 keys in one read. */
  get(keys: string[]): Promise<Map<string, string | null>>;
  put(key: string, value: string, options: { expirationTtl: number }): Promise<void>;
  delete(key: string): Promise<void>;
}

/** Options of {@link kvStore}. */
export interface KvStoreOptions {
  /**
   * `true` makes it a `Store`, which also counts uses of tokens. A token can then be spent once in each of Cloudflare's
   * locations, for seconds up to a minute or more. Every admission has `accuracy: "approximate"`. Default false: it
   * only counts rates.
   */
  acceptDoubleSpends?: boolean;
  /** Beginning of all keys, 0..64 characters. Default `gatepass:`. */
  prefix?: string;
  /** Milliseconds that a call takes at most, 1..60000, default 2000. */
  timeoutMs?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
}

/** Bytes of the longest key, a limit of KV. */
const MAX_KEY_BYTES = 512;
/** Seconds: the shortest life of a value that KV accepts. A record that expires earlier has its own expiry in it. */
const MIN_TTL = 60;
/** Milliseconds after which KV accepts another write to the same key. */
const WRITE_PAUSE = 1000;
/** Milliseconds for which an isolate remembers its own writes, since KV may not return them yet. */
const REMEMBERED = 120_000;
/** The most keys that an isolate remembers. */
const MAX_REMEMBERED = 10_000;

/** Records by their name in KV, as this isolate last wrote them. */
type Memory = Map<string, { cells: Float64Array; until: number }>;

/**
 * A store in Workers KV. KV has no atomic operations: a spend reads all counters in one call, decides, and writes those
 * that it charges.
 *
 * What holds: inside one isolate, all guarantees of a store, since an isolate remembers its writes for two minutes.
 * Windows, waits, expiry and blocks are computed as in every other store. A spend that could not be written is never
 * `ok`.
 *
 * What does not hold: other isolates and locations see a write only when KV shows it to them, usually within seconds,
 * sometimes after 60 s or more. Until then each may admit up to the limit (guarantees 1, 3 and 7 between locations). Of
 * two writes at the same time one is lost. A spend of several quotas is refused as a whole, but if some of its writes
 * fail, the others stay charged (guarantee 2).
 *
 * KV accepts one write a second to a key. When it refuses (429), the write is repeated after a second, as long as
 * `timeoutMs` allows; then the spend rejects. So KV is not suitable for a key that many clients share, such as the
 * address of a large network. The free plan has 1000 writes a day in all.
 *
 * @throws {TypeError} an unknown option; `kv` is no KV binding @throws {RangeError} `prefix`, `timeoutMs`
 *
 * @example
 * ```ts
 * import { type KvClient, kvStore } from "gatepass/adapters/cloudflare-kv";
 * // A stand-in for env.KV.
 * const held = new Map<string, string>();
 * const kv: KvClient = {
 *   get: async (keys) => new Map(keys.map((key) => [key, held.get(key) ?? null])),
 *   put: async (key, value) => void held.set(key, value),
 *   delete: async (key) => void held.delete(key),
 * };
 * const store = kvStore(kv);
 * const burst = { key: "203.0.113.9", limit: 1, window: 60 };
 * console.assert((await store.spend([burst])).ok);
 * console.assert((await store.spend([burst])).retryAfter > 0);
 * ```
 */
export function kvStore(kv: KvClient, options: KvStoreOptions & { acceptDoubleSpends: true }): Store;
export function kvStore(kv: KvClient, options?: KvStoreOptions): RateStore;
export function kvStore(kv: KvClient, options: KvStoreOptions = {}): RateStore | Store {
  const rules: Rules<KvStoreOptions> = {
    acceptDoubleSpends: "boolean",
    prefix: "string",
    timeoutMs: integer(1, 60_000),
    clock: "function",
  };
  assertOptions("kvStore", options, rules);
  const { acceptDoubleSpends = false, prefix = "gatepass:", timeoutMs = 2000, clock = Date.now } = options;
  methods("get", "put", "delete")("kv", kv);
  assertString("prefix", prefix, 0, 64);
  const call = createCall("ERR_STORE_UNAVAILABLE", timeoutMs);
  const memory: Memory = new Map();
  const retries = Math.floor((timeoutMs - 1) / WRITE_PAUSE);

  const nameOf = (kind: "u" | "r" | "b", key: string): string => {
    const name = `${prefix}${kind}${key}`;
    if (new TextEncoder().encode(name).length > MAX_KEY_BYTES)
      throw new RangeError(`Invalid "key": KV takes ${MAX_KEY_BYTES} bytes at most`);
    return name;
  };
  const recordName = (quota: Quota): string => nameOf(isUsesQuota(quota) ? "u" : "r", quota.key);

  /**
   * The records of the quotas, from KV and from this isolate's own writes. The caller must decide before its next
   * `await`.
   */
  function view(quotas: readonly Quota[], stored: Map<string, string | null>, now: number): Records {
    const records: Records = { cells: [], base: new Int32Array(quotas.length), blocked: new Float64Array(quotas.length) };
    for (const [i, quota] of quotas.entries()) {
      const name = recordName(quota);
      const cells = known(name, isUsesQuota(quota) ? USES : RING, stored, now);
      records.cells.push(cells);
      records.base[i] = cells[0] === 0 ? -1 : 0;
      records.blocked[i] = known(nameOf("b", quota.key), 1, stored, now)[0] ?? 0;
    }
    return records;
  }

  /** One record; zeros if there is none or it has expired. */
  function known(name: string, width: number, stored: Map<string, string | null>, now: number): Float64Array {
    const held = memory.get(name);
    if (held !== undefined && (held.until <= now || (held.cells[0] ?? 0) <= now)) memory.delete(name);
    const cells = memory.get(name)?.cells ?? new Float64Array(width);
    const text = stored.get(name);
    if (text === undefined) throw new TypeError("Cannot read the answer: a key is missing");
    const other = text === null ? undefined : parse(text, width);
    if (other === undefined || (other[0] ?? 0) <= now) return cells;
    if (cells[0] === 0) cells.set(other);
    else if (width === RING) mergeRing(cells, other);
    else for (const [i, value] of other.entries()) cells[i] = Math.max(cells[i] ?? 0, value);
    return cells;
  }

  function remember(name: string, cells: Float64Array, now: number): void {
    memory.delete(name);
    const [oldest] = memory.keys();
    if (memory.size >= MAX_REMEMBERED && oldest !== undefined) memory.delete(oldest);
    memory.set(name, { cells, until: now + REMEMBERED });
  }

  /**
   * Writes a record, again after a pause if KV refuses. It always writes the current cells, so an old count never
   * overwrites a newer one.
   */
  async function write(name: string, cells: Float64Array | undefined): Promise<void> {
    for (let left = retries; ; left--) {
      try {
        if (cells === undefined) return await kv.delete(name);
        const ttl = Math.ceil(((cells[0] ?? 0) - clock()) / 1000);
        return await kv.put(name, cells.join(","), { expirationTtl: Math.max(MIN_TTL, ttl) });
      } catch (error) {
        if (left <= 0 || !/\b429\b|too many requests/i.test(String(error))) throw error;
        await new Promise((resolve) => setTimeout(resolve, WRITE_PAUSE + Math.random() * 50));
      }
    }
  }

  const read = (quotas: readonly Quota[]): Promise<Map<string, string | null>> => {
    const names = quotas.flatMap((quota) => [recordName(quota), nameOf("b", quota.key)]);
    return names.length === 0 ? Promise.resolve(new Map()) : kv.get(names);
  };

  const spend: Store["spend"] = async (quotas) => {
    assertQuotas(quotas);
    if (!acceptDoubleSpends && quotas.some(isUsesQuota)) {
      throw new TypeError('Cannot count uses on KV, where they can be spent twice: use another store, or "acceptDoubleSpends"');
    }
    for (const quota of quotas) recordName(quota);
    return call(async () => {
      const stored = await read(quotas);
      // No `await` from here to the last charge: otherwise two spends of one isolate could both take the last unit.
      const now = clock();
      const records = view(quotas, stored, now);
      const result = decide(quotas, records, now);
      if (!result.ok) return result;
      const writes = quotas.flatMap((quota, i) => {
        const [cells, state] = [records.cells[i], result.states[i]];
        if (cells === undefined || state === undefined || quota.cost === 0) return [];
        charge(quota, cells, 0, now, state);
        remember(recordName(quota), cells, now);
        return [{ name: recordName(quota), cells }];
      });
      // If a write fails, the spend rejects. Its other writes stay charged.
      await Promise.all(writes.map(({ name, cells }) => write(name, cells)));
      return result;
    });
  };

  if (!acceptDoubleSpends) return { consistency: "approximate", spend };
  return {
    consistency: "approximate",
    spend,
    async refund(quotas, at) {
      assertQuotas(quotas);
      assertInstant("at", at);
      await call(async () => {
        const stored = await read(quotas);
        const now = clock();
        const records = view(quotas, stored, now);
        const writes = quotas.flatMap((quota, i) => {
          const cells = records.cells[i];
          if (cells === undefined || records.base[i] !== 0) return [];
          const name = recordName(quota);
          const left = giveBack(quota, cells, 0, now, at);
          if (left === "some") remember(name, cells, now);
          if (left === "none") memory.delete(name);
          return left === "same" ? [] : [write(name, left === "some" ? cells : undefined)];
        });
        await Promise.all(writes);
      });
    },
    async block(key, expiresAt) {
      assertInstant("expiresAt", expiresAt);
      const name = nameOf("b", key);
      await call(async () => {
        if (expiresAt <= clock()) {
          memory.delete(name);
          return write(name, undefined);
        }
        const stored = await kv.get([name]);
        const now = clock();
        const cells = known(name, 1, stored, now);
        cells[0] = Math.max(cells[0] ?? 0, expiresAt);
        remember(name, cells, now);
        await write(name, cells);
      });
    },
  };
}

/** @throws {TypeError} the value is not a record. An unreadable value must not pass for "nothing charged" */
function parse(text: string, width: number): Float64Array {
  const numbers = text.split(",").map(Number);
  if (numbers.length !== width || !numbers.every(Number.isSafeInteger)) throw new TypeError("Cannot read the value: expected a record");
  return Float64Array.from(numbers);
}
