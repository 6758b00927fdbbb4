import type { SpendResult, Store, UsesQuota } from "../store/contract.ts";
import { assertOptions } from "../util/options.ts";
import type { TestKit } from "./board.ts";
import { assertKit } from "./board-tools.ts";
import { testKeys, testRecipes } from "./store-keys.ts";
import { testStoreTime } from "./store-time.ts";
import { errorOf, type StoreTest, type StoreUnderTest, toolsOf, UNDER } from "./store-tools.ts";

export type { StoreUnderTest } from "./store-tools.ts";

/**
 * The contract of a `Store` as a test suite: its twelve guarantees, what features build on them, and bad input. `make` is called for every test
 * and gives an empty store; what else it gives decides how deep the suite looks (see {@link StoreUnderTest}).
 *
 * @throws {TypeError} no `make`, a kit that is none
 *
 * @example
 * ```ts
 * import { memoryStore } from "gatepass/store";
 * import { testStore } from "gatepass/testing";
 * const names: string[] = [];
 * testStore(() => ({ store: memoryStore() }), {
 *   describe: (_, suite) => suite(),
 *   it: (name) => names.push(name),
 *   expect: () => ({ toEqual: () => undefined }),
 * });
 * console.assert(names.length > 20);
 * ```
 */
export function testStore(make: () => StoreUnderTest | Promise<StoreUnderTest>, kit: TestKit): void {
  assertKit(make, kit);
  const test: StoreTest = (name, body) => {
    kit.it(name, async () => {
      const under = await make();
      assertOptions("make", under, UNDER, "", "store");
      try {
        await body(under.store, await toolsOf(under, kit));
      } finally {
        await under.dispose?.();
      }
    });
  };
  kit.describe("uses", () => testUses(test, kit));
  kit.describe("batches", () => testBatches(test, kit));
  kit.describe("keys and blocks", () => testKeys(test, kit));
  kit.describe("what features build", () => testRecipes(test, kit));
  kit.describe("time", () => testStoreTime(test, kit));
}

function testUses(test: StoreTest, { expect }: TestKit): void {
  test("guarantee 1: of 100 concurrent spends exactly `limit` are admitted, through every handle", async (store, { now, handles }) => {
    const stores = await handles();
    const once = { key: "once", limit: 1, expiresAt: now + 60_000 };
    const seven = { key: "seven", limit: 7, expiresAt: now + 60_000 };
    const dear = { key: "dear", limit: 10, cost: 3, expiresAt: now + 60_000 };
    for (const [quota, admitted] of [
      [once, 1],
      [seven, 7],
      [dear, 3],
    ] as const) {
      const all = await Promise.all(Array.from({ length: 100 }, (_, i) => (stores[i % stores.length] ?? store).spend([quota])));
      expect(all.filter(({ ok }) => ok).length).toEqual(admitted);
    }
    expect((await store.spend([{ ...dear, cost: 0 }])).states[0]?.remaining).toEqual(1);
  });

  test("states tell what is left and until when", async (store, { now }) => {
    const quota = { key: "k", limit: 3, expiresAt: now + 60_000 };
    expect(plain(await store.spend([quota]))).toEqual({
      ok: true,
      refused: null,
      retryAfter: 0,
      states: [{ remaining: 2, resetAt: quota.expiresAt }],
    });
    expect((await store.spend([{ ...quota, cost: 2 }])).states).toEqual([{ remaining: 0, resetAt: quota.expiresAt }]);
    const refused = { ok: false, refused: 0, retryAfter: 0, states: [{ remaining: 0, resetAt: quota.expiresAt, why: "full" }] };
    expect(plain(await store.spend([quota]))).toEqual(refused);
    expect(plain(await store.spend([{ ...quota, cost: 0 }]))).toEqual({ ...refused, ok: true, refused: null });
  });

  test("a cost that does not fit is refused whole, a smaller one still admitted", async (store, { now }) => {
    const quota = { key: "k", limit: 5, expiresAt: now + 60_000 };
    await store.spend([{ ...quota, cost: 4 }]);
    expect((await store.spend([{ ...quota, cost: 2 }])).states).toEqual([{ remaining: 1, resetAt: quota.expiresAt, why: "full" }]);
    expect((await store.spend([quota])).ok).toEqual(true);
  });

  test("guarantee 10: an expiry in the past is refused and leaves nothing", async (store, { now, keys }) => {
    for (const expiresAt of [now, now - 1, 0, -1]) {
      const result = await store.spend([{ key: "late", limit: 1, expiresAt }]);
      expect([result.ok, result.refused, result.states[0]?.why, result.states[0]?.remaining]).toEqual([false, 0, "expired", 0]);
    }
    expect(await keys()).toEqual([]);
    const quota = { key: "late", limit: 1, expiresAt: now + 60_000 };
    await store.spend([quota]);
    // A script that set this expiry would delete the counter, and admit the next one.
    expect((await store.spend([{ ...quota, expiresAt: now - 1000 }])).ok).toEqual(false);
    expect((await store.spend([quota])).ok).toEqual(false);
  });

  test("guarantee 12: a local store refuses what was issued before it began, others count it", async (store, { now }) => {
    const quota = { key: "old", limit: 1, expiresAt: now + 60_000 };
    const result = await store.spend([{ ...quota, issuedAt: now - 60_000 }]);
    const local = store.consistency === "local";
    expect([result.ok, result.states[0]?.why]).toEqual(local ? [false, "forgotten"] : [true, undefined]);
    expect((await store.spend([{ ...quota, key: "new", issuedAt: now + 1 }])).ok).toEqual(true);
  });

  test("bad quotas are a RangeError and charge nothing", async (store, { now, keys }) => {
    const uses: UsesQuota = { key: "bad", limit: 2, expiresAt: now + 60_000 };
    const rate = { key: "rate", limit: 2, window: 10 };
    const bad: Parameters<Store["spend"]>[0][] = [
      Array.from({ length: 17 }, (_, i) => ({ ...uses, key: `k${i}` })),
      [rate, { ...uses, key: "rate" }],
      ...[-1, 3, 0.5, Number.NaN].map((cost) => [rate, { ...uses, cost }]),
      ...[0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY].flatMap((n) => [[{ ...uses, limit: n }], [{ ...rate, window: n }]]),
      ...[Number.NaN, Number.POSITIVE_INFINITY, 1.5].flatMap((n) => [[rate, { ...uses, expiresAt: n }], [{ ...uses, issuedAt: n }]]),
      [{ ...uses, key: "" }],
    ];
    for (const quotas of bad) expect((await errorOf(store.spend(quotas)))?.name).toEqual("RangeError");
    for (const quotas of bad) expect((await errorOf(store.refund(quotas, now)))?.name).toEqual("RangeError");
    for (const at of [Number.NaN, Number.POSITIVE_INFINITY, 1.5]) {
      expect((await errorOf(store.refund([rate], at)))?.name).toEqual("RangeError");
      expect((await errorOf(store.block("k", at)))?.name).toEqual("RangeError");
    }
    expect(await keys()).toEqual([]);
    expect((await store.spend(Array.from({ length: 16 }, (_, i) => ({ ...uses, key: `k${i}` })))).ok).toEqual(true);
    expect(plain(await store.spend([]))).toEqual({ ok: true, refused: null, retryAfter: 0, states: [] });
  });
}

function testBatches(test: StoreTest, { expect }: TestKit): void {
  test("guarantee 2: a refused batch leaves every counter as it was, whichever quota refuses", async (store, { now, keys }) => {
    const others = [
      { key: "a", limit: 5, expiresAt: now + 60_000 },
      { key: "b", limit: 5, window: 60 },
      { key: "c", limit: 5, cost: 5, window: 86_400 },
    ];
    const full = [
      { key: "uses", limit: 1, expiresAt: now + 60_000 },
      { key: "rate", limit: 1, window: 600 },
    ];
    for (const quota of full) await store.spend([quota]);
    const before = await keys();
    for (const quota of [...full, { key: "late", limit: 1, expiresAt: now - 1 }]) {
      for (let at = 0; at <= others.length; at++) {
        const result = await store.spend([...others.slice(0, at), quota, ...others.slice(at)]);
        expect([result.ok, result.refused]).toEqual([false, at]);
        expect(result.states.map(({ remaining }) => remaining)).toEqual([5, 5, 5].toSpliced(at, 0, 0));
      }
    }
    expect(await keys()).toEqual(before);
    expect((await store.spend(others)).states.map(({ remaining }) => remaining)).toEqual([4, 4, 0]);
  });

  test("guarantee 2: concurrent batches over crossing keys take all or nothing", async (store, { now, handles }) => {
    const stores = await handles();
    const quota = (key: string, limit: number): UsesQuota => ({ key, limit, expiresAt: now + 60_000 });
    const pairs = Array.from({ length: 60 }, (_, i) => (i % 2 ? [quota("x", 20), quota("y", 15)] : [quota("y", 15), quota("x", 20)]));
    const all = await Promise.all(pairs.map((pair, i) => (stores[i % stores.length] ?? store).spend(pair)));
    expect(all.filter(({ ok }) => ok).length).toEqual(15);
    const { states } = await store.spend([
      { ...quota("x", 20), cost: 0 },
      { ...quota("y", 15), cost: 0 },
    ]);
    expect(states.map(({ remaining }) => remaining)).toEqual([5, 0]);
  });

  test("the first refusing uses quota is named, else the rate quota with the longest wait", async (store, { now }) => {
    const short = { key: "short", limit: 1, window: 10 };
    const long = { key: "long", limit: 1, window: 1000 };
    const uses = { key: "uses", limit: 1, expiresAt: now + 60_000 };
    await store.spend([short, long, uses]);
    const rates = await store.spend([short, long]);
    expect([rates.ok, rates.refused, rates.retryAfter > 1000 && rates.retryAfter <= 1100]).toEqual([false, 1, true]);
    await store.spend([{ ...uses, key: "more" }]);
    const both = await store.spend([
      { key: "free", limit: 1, window: 5 },
      long,
      { ...uses, key: "other" },
      uses,
      short,
      { ...uses, key: "more" },
    ]);
    expect([both.refused, both.retryAfter > 1000]).toEqual([3, true]);
    expect(both.states.map(({ why }) => why)).toEqual([undefined, "full", undefined, "full", "full", "full"]);
    expect((await store.spend([uses])).retryAfter).toEqual(0);
  });

  test("a read never refuses and never writes", async (store, { now, keys }) => {
    const quotas = [
      { key: "u", limit: 1, cost: 0, expiresAt: now + 60_000 },
      { key: "r", limit: 1, cost: 0, window: 60 },
      { key: "late", limit: 1, cost: 0, expiresAt: now - 1 },
    ];
    expect((await store.spend(quotas)).states.map(({ remaining, why }) => [remaining, why])).toEqual([
      [1, undefined],
      [1, undefined],
      [0, "expired"],
    ]);
    expect(await keys()).toEqual([]);
    await store.spend(quotas.slice(0, 2).map((quota) => ({ ...quota, cost: 1 })));
    const result = await store.spend([...quotas, { key: "fresh", limit: 1, window: 60 }]);
    expect([result.ok, result.refused, result.states.map(({ why }) => why)]).toEqual([true, null, ["full", "full", "expired", undefined]]);
  });
}

function plain({ at: _, ...rest }: SpendResult): Omit<SpendResult, "at"> {
  return rest;
}
