import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isUsesQuota, type Quota, type RateQuota, type SpendResult, type UsesQuota } from "../../../src/store/contract.ts";
import { type MemoryStore, memoryStore } from "../../../src/store/memory.ts";
import { type Place, partitioned } from "../../../src/store/partitioned.ts";

const START = 1_750_000_000_000;
const TIMEOUT = 600_000;

/** Places named by the first letter of a key, each a store of its own whose clock may be wrong. */
function places(skews: Record<string, number> = {}) {
  const state = { time: START };
  const stores = new Map<string, MemoryStore>();
  const log: string[] = [];
  /** What a place does instead, by `place verb`. */
  const faults = new Map<string, () => Promise<void>>();
  const storeAt = (place: string): MemoryStore => {
    const store = stores.get(place) ?? memoryStore({ clock: () => state.time + (skews[place] ?? 0) });
    stores.set(place, store);
    return store;
  };
  async function run<T>(place: string, verb: keyof Place, work: () => Promise<T>): Promise<T> {
    log.push(`${place} ${verb}`);
    await faults.get(`${place} ${verb}`)?.();
    return work();
  }
  const store = partitioned({
    placeOf: (partition) => partition.slice(0, 1),
    at: (place) => ({
      spend: (quotas) => run(place, "spend", () => storeAt(place).spend(quotas)),
      refund: (quotas, at) => run(place, "refund", () => storeAt(place).refund(quotas, at)),
      block: (key, expiresAt) => run(place, "block", () => storeAt(place).block(key, expiresAt)),
    }),
    timeoutMs: TIMEOUT,
  });
  return { store, state, storeAt, log, faults };
}

const uses = (key: string, limit = 1, cost = 1): UsesQuota => ({ key, limit, cost, expiresAt: START + 60_000 });
const rate = (key: string, limit = 1, cost = 1, window = 60): RateQuota => ({ key, limit, cost, window });

describe("partitioned", () => {
  it("is one step in one place, whatever it holds", async () => {
    const { store, log } = places();
    expect((await store.spend([rate("a|1"), uses("a|2"), uses("a")])).ok).toBe(true);
    expect((await store.spend([])).ok).toBe(true);
    await store.block("a", START + 1000);
    expect(log).toEqual(["a spend", " spend", "a block"]);
  });

  it("spends rates first and side by side, then uses, one after the other in one order", async () => {
    const { store, log, faults } = places();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    faults.set("a spend", () => held);
    const result = store.spend([uses("z"), rate("a"), uses("y"), rate("b"), uses("x", 1, 0)]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(log).toEqual(["a spend", "b spend", "x spend"]);
    release();
    expect((await result).ok).toBe(true);
    expect(log.slice(3)).toEqual(["y spend", "z spend"]);
  });

  it("gives back what it charged when one refuses, each by its own clock, and asks the rest without charging", async () => {
    const { store, storeAt, log } = places({ a: 5000, b: -5000, c: 90_000 });
    await storeAt("b").spend([uses("b")]);
    const wanted = [uses("c", 3, 2), rate("a", 4, 3), uses("b"), uses("d", 1)];
    const result = await store.spend(wanted);
    expect(result).toEqual({
      ok: false,
      at: START - 5000,
      refused: 0,
      retryAfter: 0,
      states: [
        { remaining: 0, resetAt: START + 60_000, why: "expired" },
        { remaining: 4, resetAt: START + 5000 },
        { remaining: 0, resetAt: START + 60_000, why: "full" },
        { remaining: 1, resetAt: START + 60_000 },
      ],
    });
    expect(log).toEqual(["a spend", "b spend", "c spend", "d spend", "a refund"]);
    expect(storeAt("d").keys()).toEqual([]);
    expect((await storeAt("a").spend([rate("a", 4, 4)])).ok).toBe(true);
  });

  it("a place that holds uses is asked after those of rates alone, whatever else it holds", async () => {
    const { store, log, faults } = places();
    let release = (): void => undefined;
    faults.set("a spend", () => new Promise((resolve) => (release = resolve)));
    const result = store.spend([rate("y|rate"), uses("y"), rate("a"), uses("x|free", 1, 0), rate("x|rate")]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(log).toEqual(["a spend", "x spend"]);
    release();
    expect((await result).ok).toBe(true);
    expect(log.slice(2)).toEqual(["y spend"]);
  });

  it("asks a place by a key that no quota of it has", async () => {
    const { store, storeAt } = places();
    await storeAt("b").spend([uses("b")]);
    const { refused, states } = await store.spend([uses("b"), rate("d|"), { ...rate("d|~"), limit: 3 }, uses("d")]);
    expect([refused, states.map(({ remaining }) => remaining)]).toEqual([0, [0, 1, 3, 1]]);
    expect(storeAt("d").keys()).toEqual([]);
  });

  it("refuses the word of a place that answers for fewer quotas, or admits what has expired", async () => {
    const broken = (answer: Partial<SpendResult>): Place =>
      partitioned({
        placeOf: (partition) => partition.slice(0, 1),
        at: () => ({
          spend: async (quotas) => ({
            ok: true,
            at: START,
            refused: null,
            retryAfter: 0,
            states: quotas.map(() => ({ remaining: 1, resetAt: 1 })),
            ...answer,
          }),
          refund: async () => undefined,
          block: async () => undefined,
        }),
        timeoutMs: TIMEOUT,
      });
    await expect(broken({ states: [] }).spend([rate("a"), rate("b")])).rejects.toThrow(new Error("A place answered for other quotas"));
    const { store, storeAt } = places();
    await storeAt("a").spend([rate("a")]);
    const mixed = partitioned({
      placeOf: (partition) => partition.slice(0, 1),
      at: (place) =>
        place === "a" ? storeAt("a") : { ...store, spend: async () => ({ ok: true, at: START, refused: null, retryAfter: 0, states: [] }) },
      timeoutMs: TIMEOUT,
    });
    await expect(mixed.spend([rate("a"), uses("b")])).rejects.toThrow(new Error("A quota that has expired was admitted"));
  });

  it("names the slowest rate over all places, and the first uses quota before any rate, also one that was not asked first", async () => {
    const { store, storeAt } = places();
    await storeAt("a").spend([rate("a|short", 1, 1, 10)]);
    await storeAt("b").spend([rate("b|long", 1, 1, 1000)]);
    await storeAt("c").spend([uses("c|x"), rate("c|longest", 2, 1, 5000)]);
    const rates = await store.spend([uses("d"), rate("a|short", 1, 1, 10), rate("b|long", 1, 1, 1000)]);
    expect([rates.refused, rates.retryAfter > 1000, rates.retryAfter <= 1100]).toEqual([2, true, true]);
    // The third place is asked with its real costs: two more do not fit.
    const unasked = await store.spend([rate("a|short", 1, 1, 10), rate("c|longest", 2, 2, 5000), uses("c|free")]);
    expect([unasked.refused, unasked.retryAfter > 5000, unasked.states[1]?.why]).toEqual([1, true, "full"]);
    // Of two that refuse there, the one that lasts longer, wherever it stands.
    await storeAt("e").spend([rate("e|brief", 1, 1, 20), rate("e|slow", 1, 1, 3000), rate("e|brisk", 1, 1, 30)]);
    const slow = [rate("e|brief", 1, 1, 20), rate("e|slow", 1, 1, 3000), rate("e|brisk", 1, 1, 30)];
    const several = await store.spend([rate("a|short", 1, 1, 10), ...slow, uses("e|free")]);
    expect([several.refused, several.retryAfter > 3000]).toEqual([2, true]);
    const both = await store.spend([rate("b|long", 1, 1, 1000), uses("d"), uses("c|x")]);
    // A shorter wait that is heard of later changes nothing.
    await storeAt("z").spend([rate("z|short", 1, 1, 10)]);
    const later = await store.spend([rate("b|long", 1, 1, 1000), rate("z|short", 1, 1, 10)]);
    expect([later.refused, later.retryAfter > 1000]).toEqual([0, true]);
    expect([both.refused, both.retryAfter > 1000, both.states.map(({ why }) => why)]).toEqual([2, true, ["full", undefined, "full"]]);
  });

  it("rejects when a place does, having given back the others, and charges nothing after", async () => {
    const { store, storeAt, log, faults } = places();
    faults.set("b spend", () => Promise.reject(new Error("b is down")));
    await expect(store.spend([rate("a"), rate("b"), uses("c")])).rejects.toThrow("b is down");
    await expect(store.spend([rate("a"), uses("b"), uses("c")])).rejects.toThrow("b is down");
    expect(log).toEqual(["a spend", "b spend", "a refund", "a spend", "b spend", "a refund"]);
    expect((await storeAt("a").spend([rate("a")])).ok).toBe(true);
  });

  it("a refund that fails costs a use and hides nothing", async () => {
    const { store, faults } = places();
    faults.set("a refund", () => Promise.reject(new Error("a is down")));
    await store.spend([uses("b")]);
    expect((await store.spend([rate("a"), uses("b")])).refused).toBe(1);
    expect((await store.spend([rate("a")])).ok).toBe(false);
    // Its caller is told, and the other place is given back nevertheless.
    const { at } = await store.spend([uses("c"), rate("d")]);
    await expect(store.refund([rate("a"), uses("c")], at)).rejects.toThrow("a is down");
    expect((await store.spend([uses("c")])).ok).toBe(true);
  });

  it("begins no step when the time is over", async () => {
    const { storeAt, log } = places();
    const late = partitioned({ placeOf: (partition) => partition.slice(0, 1), at: storeAt, timeoutMs: 5 });
    const slow = partitioned({
      placeOf: (partition) => partition.slice(0, 1),
      at: (place) => ({
        ...storeAt(place),
        async spend(quotas) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          return storeAt(place).spend(quotas);
        },
      }),
      timeoutMs: 5,
    });
    await expect(slow.spend([rate("a"), uses("b")])).rejects.toThrow("No answer within 5 ms");
    expect([log, storeAt("b").keys()]).toEqual([[], []]);
    expect((await late.spend([rate("a")])).ok).toBe(true);
  });

  it("50 concurrent batches over crossing keys: exactly as many as fit, and the rest as it was", async () => {
    const { store } = places();
    const pairs = Array.from({ length: 50 }, (_, i) => (i % 2 ? [uses("x", 20), uses("y", 15)] : [uses("y", 15), uses("x", 20)]));
    const all = await Promise.all(pairs.map((pair) => store.spend(pair)));
    expect(all.filter(({ ok }) => ok).length).toBe(15);
    expect((await store.spend([uses("x", 20, 0), uses("y", 15, 0)])).states.map(({ remaining }) => remaining)).toEqual([5, 0]);
  });

  it("answers as one store does, where clocks agree and nobody else is there", async () => {
    const quota = fc.record({
      key: fc.constantFrom("a|1", "a|2", "b|1", "b|2", "c", "d"),
      limit: fc.integer({ min: 1, max: 4 }),
      cost: fc.integer({ min: 0, max: 3 }),
      span: fc.constantFrom(1, 10, 100),
      isUses: fc.boolean(),
    });
    const step = fc.record({
      quotas: fc.uniqueArray(quota, { selector: ({ key }) => key, maxLength: 5 }),
      pass: fc.integer({ min: 0, max: 3000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { store, state } = places();
        const whole = memoryStore({ clock: () => state.time });
        for (const { quotas, pass } of steps) {
          state.time += pass;
          const wanted = quotas.map(({ key, limit, cost, span, isUses }): Quota => {
            const shared = { key: `${key}${isUses ? "u" : "r"}${span}`, limit, cost: Math.min(cost, limit) };
            return isUses ? { ...shared, expiresAt: START + span * 500 } : { ...shared, window: span };
          });
          const [one, other] = [plain(await store.spend(wanted), wanted), plain(await whole.spend(wanted), wanted)];
          expect(one).toEqual(other);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("guarantee 3 holds in every place when batches are given back, however far the clocks are apart", async () => {
    const skew = fc.oneof(fc.integer({ min: -400, max: 400 }), fc.integer({ min: -7000, max: 7000 }));
    const action = fc.record({
      kind: fc.constantFrom("both", "alone", "alone", "alone", "refund"),
      pick: fc.nat(),
      cost: fc.integer({ min: 1, max: 2 }),
      pass: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 3000 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.record({ a: skew, b: skew }), fc.array(action, { minLength: 20, maxLength: 80 }), async (skews, actions) => {
        const { store, state, storeAt } = places(skews);
        const LIMIT = 3;
        const WINDOW = 10;
        let charges: { quotas: RateQuota[]; at: number; time: number }[] = [];
        for (const { kind, pick, cost, pass } of actions) {
          state.time += pass;
          if (kind === "refund") {
            const both = charges.filter(({ quotas }) => quotas.length > 1);
            const charge = both[pick % Math.max(1, both.length)];
            if (charge === undefined) continue;
            await store.refund(charge.quotas, charge.at);
            charges = charges.filter((one) => one !== charge);
            continue;
          }
          const quotas = (kind === "both" ? ["a", "b"] : [pick % 2 ? "a" : "b"]).map((key) => rate(key, LIMIT, cost, WINDOW));
          const { ok, at } = await store.spend(quotas);
          if (!ok) continue;
          charges.push({ quotas, at, time: state.time });
          // Each place's clock runs as ours does, so a window there is one here.
          for (const key of ["a", "b"]) {
            const inWindow = charges.filter(
              ({ quotas: held, time }) => time >= state.time - WINDOW * 1000 && held.some((quota) => quota.key === key),
            );
            const units = inWindow.reduce((sum, { quotas: held }) => sum + (held.find((quota) => quota.key === key)?.cost ?? 0), 0);
            expect(units).toBeLessThanOrEqual(LIMIT);
          }
        }
        expect(storeAt("a").size + storeAt("b").size).toBeLessThanOrEqual(2);
      }),
      { numRuns: 600 },
    );
  });
});

/** When a rate is empty again may be later than in one store, once a batch was given back; of several rates that refuse, the slowest is known by the second. */
function plain({ refused, ...result }: SpendResult, quotas: readonly Quota[]): unknown {
  const isUses = (i: number): boolean => isUsesQuota(quotas[i] ?? rate("none"));
  const states = result.states.map(({ resetAt, ...state }, i) => (isUses(i) ? { ...state, resetAt } : state));
  return { ...result, states, refused: refused === null || isUses(refused) ? refused : "a rate" };
}
