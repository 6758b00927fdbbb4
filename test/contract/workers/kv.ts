// A Worker that runs the contract suite, and what KV is apart from it, on its own KV binding.
import { type KvClient, kvStore } from "../../../adapters/cloudflare-kv.ts";
import { isGatepassError } from "../../../src/errors.ts";
import type { UsesQuota } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/memory.ts";
import type { TestKit } from "../../../src/testing/board.ts";
import { testStore } from "../../../src/testing/store.ts";
import { bearer, ORIGIN, testGate } from "../../helpers/gate.ts";
import { serveSuite } from "./suites.ts";
import { line } from "./tools.ts";

interface RealKv extends KvClient {
  list(options: { prefix: string }): Promise<{ keys: { name: string; expiration?: number }[] }>;
}

const TIMEOUT = 2500;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;
const accept = { acceptDoubleSpends: true, timeoutMs: PATIENT } as const;
let serial = 0;

export default {
  async fetch(request: Request, { KV }: { KV: RealKv }): Promise<Response> {
    return serveSuite(request, (kit) => {
      testStore(() => {
        let time = 1_750_000_000_000;
        const { reach, hang } = line();
        const client: KvClient = {
          get: (keys) => reach(() => KV.get(keys)),
          put: (key, value, options) => reach(() => KV.put(key, value, options)),
          delete: (key) => reach(() => KV.delete(key)),
        };
        const options = { ...accept, prefix: prefix(), clock: () => time };
        return {
          store: kvStore(client, options),
          impatient: () => kvStore(client, { ...options, timeoutMs: TIMEOUT }),
          timeoutMs: TIMEOUT,
          schedules: 5,
          advance(ms) {
            time += ms;
          },
          hang,
        };
      }, kit);
      kit.describe("kv", () => testKv(KV, kit));
    });
  },
};

const prefix = (): string => `t${serial++}:`;
const once = (key = "once"): UsesQuota => ({ key, limit: 1, expiresAt: Date.now() + 600_000 });
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "resolved",
    (error: unknown) => (isGatepassError(error) ? error.code : error instanceof Error && error.name),
  );

function testKv(real: RealKv, { it, expect }: TestKit): void {
  it("everything that is written expires by itself, in 60 s at the earliest", async () => {
    const name = prefix();
    const store = kvStore(real, { ...accept, prefix: name });
    const now = Date.now();
    await store.spend([
      { key: "short", limit: 1, window: 1 },
      { key: "long", limit: 1, window: 3600 },
      { key: "token", limit: 2, expiresAt: now + 300_000 },
    ]);
    await store.block("blocked", now + 90_000);
    const { keys } = await real.list({ prefix: name });
    const after = keys.map((key) => [key.name.slice(name.length), (key.expiration ?? 1e12) - Math.floor(now / 1000)] as const);
    const within = (key: string, from: number, to: number): boolean =>
      after.some(([one, ttl]) => one === key && ttl >= from && ttl <= to + 3);
    expect(after.length).toEqual(4);
    expect([within("rshort", 60, 60), within("rlong", 3600, 3960), within("utoken", 299, 301), within("bblocked", 89, 91)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });

  it("a refused batch, a read and a refund of the last unit leave no key", async () => {
    const name = prefix();
    const store = kvStore(real, { ...accept, prefix: name });
    await store.spend([once("full")]);
    expect((await store.spend([{ key: "r", limit: 1, window: 60 }, once("full")])).ok).toEqual(false);
    await store.spend([{ key: "r", limit: 1, window: 60, cost: 0 }]);
    const other = { ...once("other"), limit: 2 };
    const { at } = await store.spend([other]);
    await store.refund([other], at);
    expect((await real.list({ prefix: name })).keys.map((key) => key.name)).toEqual([`${name}ufull`]);
  });

  it("another isolate sees what KV shows it; before that, it may spend the same once more", async () => {
    const name = prefix();
    const [first, second] = [kvStore(real, { ...accept, prefix: name }), kvStore(real, { ...accept, prefix: name })];
    expect([(await first.spend([once()])).ok, (await second.spend([once()])).ok]).toEqual([true, false]);
    // A view that is old: reads of a minute ago.
    const stale = new Map<string, string | null>();
    const behind: KvClient = {
      get: async (keys) => new Map(keys.map((key) => [key, stale.get(key) ?? null])),
      put: (key, value, options) => real.put(key, value, options),
      delete: (key) => real.delete(key),
    };
    const far = kvStore(behind, { ...accept, prefix: name });
    expect([(await far.spend([once()])).ok, (await far.spend([once()])).ok]).toEqual([true, false]);
    // Of everything that an isolate wrote itself it needs no telling.
    const own = kvStore(behind, { ...accept, prefix: name });
    const rate = { key: "rate", limit: 3, window: 60 };
    const all = await Promise.all(Array.from({ length: 20 }, () => own.spend([rate])));
    expect(all.filter(({ ok }) => ok).length).toEqual(3);
    await own.block("rate2", Date.now() + 60_000);
    expect((await own.spend([{ ...rate, key: "rate2" }])).states[0]?.why).toEqual("blocked");
  });

  it("a write that KV refuses (429) is tried again, and is never ok without being charged", async () => {
    const name = prefix();
    let refusals = 1;
    const busy: KvClient = {
      get: (keys) => real.get(keys),
      async put(key, value, options) {
        if (refusals-- > 0) throw new Error("KV PUT failed: 429 Too Many Requests");
        await real.put(key, value, options);
      },
      delete: (key) => real.delete(key),
    };
    const store = kvStore(busy, { ...accept, prefix: name });
    const quota = { ...once(), limit: 3 };
    const start = performance.now();
    expect((await store.spend([quota])).ok).toEqual(true);
    expect(performance.now() - start >= 1000).toEqual(true);
    refusals = 1000;
    expect(await codeOf(store.spend([quota]))).toEqual("ERR_STORE_UNAVAILABLE");
    refusals = 0;
    // The one that rejected stays charged: it costs a use and grants none.
    const { ok, states } = await store.spend([quota]);
    expect([ok, states[0]?.remaining]).toEqual([true, 0]);
    const { states: seen } = await kvStore(real, { ...accept, prefix: name }).spend([{ ...quota, cost: 0 }]);
    expect(seen[0]?.why).toEqual("full");
  });

  it("fails closed: reads that fail, values that are no record, keys that KV does not take", async () => {
    const name = prefix();
    const broken: KvClient = { ...bound(real), get: () => Promise.reject(new Error("KV GET failed: 500")) };
    expect(await codeOf(kvStore(broken, accept).spend([once()]))).toEqual("ERR_STORE_UNAVAILABLE");
    // What a backend sends is never what its types say.
    const nonsense = { ...bound(real), get: async () => "nonsense" } as unknown as KvClient;
    expect(await codeOf(kvStore(nonsense, accept).spend([once()]))).toEqual("ERR_STORE_UNAVAILABLE");
    const empty: KvClient = { ...bound(real), get: async () => new Map() };
    expect(await codeOf(kvStore(empty, accept).spend([once()]))).toEqual("ERR_STORE_UNAVAILABLE");
    const store = kvStore(real, { ...accept, prefix: name });
    for (const value of ["", "null", "1,2,3", "NaN,1", '{"used":0}']) {
      await real.put(`${name}uonce`, value, { expirationTtl: 60 });
      expect([value, await codeOf(store.spend([once()]))]).toEqual([value, "ERR_STORE_UNAVAILABLE"]);
    }
    for (const key of ["x".repeat(600), "é".repeat(300)]) expect(await codeOf(store.spend([once(key)]))).toEqual("RangeError");
    expect((await store.spend([once("x".repeat(500))])).ok).toEqual(true);
  });

  it("as a RateStore it counts rates and no uses", async () => {
    const store = kvStore(real, { prefix: prefix() });
    expect([Object.keys(store).sort(), store.consistency]).toEqual([["consistency", "spend"], "approximate"]);
    const rate = { key: "r", limit: 2, window: 60 };
    const all = [await store.spend([rate]), await store.spend([rate]), await store.spend([rate])];
    expect(all.map(({ ok }) => ok)).toEqual([true, true, false]);
    // What untyped code might do.
    expect(await codeOf(store.spend([once() as unknown as typeof rate]))).toEqual("TypeError");
  });

  it("every admission through it says approximate, as the only store and as rateStore", async () => {
    const clock = (): number => Date.UTC(2026, 10, 20, 12);
    const stores = [
      { store: kvStore(real, { ...accept, prefix: prefix(), clock }) },
      { store: memoryStore({ clock }), rateStore: kvStore(real, { prefix: prefix(), clock }) },
    ];
    for (const options of stores) {
      const { gate, session } = testGate(options);
      const token = await session();
      const request = new Request(`${ORIGIN}/write`, { method: "POST", headers: bearer(token) });
      const admission = await gate.protect(request, { action: "score_submit", limits: ["scores.read"] });
      expect([admission.ok, admission.ok && admission.accuracy]).toEqual([true, "approximate"]);
    }
  });
}

const bound = (real: RealKv): KvClient => ({
  get: (keys) => real.get(keys),
  put: (key, value, options) => real.put(key, value, options),
  delete: (key) => real.delete(key),
});
