import type { UsesQuota } from "../store/contract.ts";
import { MAX_KEY, partitionOf, rateKey, usesKey } from "../store/keys.ts";
import type { TestKit } from "./board.ts";
import { HOSTILE_TEXTS, type StoreTest } from "./store-tools.ts";

/** The guarantees about keys and blocks. */
export function testKeys(test: StoreTest, { expect }: TestKit): void {
  test("guarantee 6: built keys are short, harmless and distinct, and the store tells them apart", async (store, { now }) => {
    const keys = HOSTILE_TEXTS.flatMap((text) => [
      usesKey("jti", text),
      usesKey("run", text, text),
      rateKey({ name: "rule", window: 60 }, [text, "x"]),
    ]);
    expect(keys.filter((key) => key.length > MAX_KEY || !/^[A-Za-z0-9._:|-]+$/.test(key) || partitionOf(key) === "")).toEqual([]);
    const distinct = [...new Set(keys)];
    expect(distinct.length).toEqual(keys.length);
    for (const key of distinct) expect([key, (await store.spend([{ key, limit: 1, expiresAt: now + 60_000 }])).ok]).toEqual([key, true]);
  });

  test("keys that a careless backend would fold together are apart", async (store) => {
    for (const key of [
      "k",
      "K",
      "k ",
      " k",
      "k\u0000",
      "\u212a",
      "é",
      "e\u0301",
      "%",
      "_",
      "k%",
      "1",
      "01",
      "1.0",
      "'",
      '"',
      "\\",
      "a".repeat(80),
      "a".repeat(79),
    ]) {
      expect([key, (await store.spend([{ key, limit: 1, window: 60 }])).ok]).toEqual([key, true]);
    }
  });

  test("guarantee 7: a block wins over every later spend, and no refund lifts it", async (store, { now, handles, pass }) => {
    const stores = await handles();
    const uses = { key: "u", limit: 5, expiresAt: now + 60_000 };
    const rate = { key: "r", limit: 5, window: 60 };
    const { at } = await store.spend([uses, rate]);
    await store.block("u", now + 60_000);
    await store.block("r", now + 30_000);
    await store.refund([uses, rate], at);
    for (const handle of stores) {
      const result = await handle.spend([rate, uses, { key: "free", limit: 1, window: 9 }]);
      expect([result.ok, result.refused, result.states.map(({ why }) => why)]).toEqual([false, 1, ["blocked", "blocked", undefined]]);
      expect([result.retryAfter > 0, result.retryAfter <= 30]).toEqual([true, true]);
      expect((await handle.spend([{ ...uses, cost: 0 }])).states[0]?.why).toEqual("blocked");
    }
    // The later of two wins; an instant that has passed lifts it.
    const { at: later } = await store.spend([]);
    await store.block("u", later + 400);
    await pass(401);
    expect((await store.spend([uses])).ok).toEqual(false);
    await store.block("u", now);
    await store.block("r", 0);
    const { ok, states } = await store.spend([uses, rate]);
    expect([ok, states.map(({ remaining }) => remaining)]).toEqual([true, [4, 4]]);
  });

  test("a block of a key that nobody charged holds, and lifting one that was never set does nothing", async (store, { now, keys }) => {
    await store.block("never", now - 1);
    expect(await keys()).toEqual([]);
    await store.block("unused", now + 60_000);
    expect((await store.spend([{ key: "unused", limit: 1, expiresAt: now + 90_000 }])).states[0]?.why).toEqual("blocked");
  });
}

/** What features build from the one verb. */
export function testRecipes(test: StoreTest, { expect }: TestKit): void {
  test("a refund gives a use back once, and only to the expiry it was charged with", async (store, { now }) => {
    const quota = { key: "k", limit: 2, cost: 2, expiresAt: now + 60_000 };
    const { at } = await store.spend([quota]);
    await store.refund([{ ...quota, expiresAt: now + 60_001 }], at);
    expect((await store.spend([quota])).ok).toEqual(false);
    await store.refund([quota], at);
    await store.refund([quota], at);
    const { ok, states } = await store.spend([quota]);
    expect([ok, states[0]?.remaining]).toEqual([true, 0]);
  });

  test("a lease has one holder, and its release is fenced", async (store, { now }) => {
    const lease = (ms: number): UsesQuota => ({ key: "lease", limit: 1, expiresAt: now + ms });
    const first = await store.spend([lease(60_000)]);
    expect([first.ok, (await store.spend([lease(61_000)])).ok]).toEqual([true, false]);
    await store.refund([lease(61_000)], first.at);
    expect((await store.spend([lease(62_000)])).ok).toEqual(false);
    await store.refund([lease(60_000)], first.at);
    expect((await store.spend([lease(62_000)])).ok).toEqual(true);
    await store.refund([lease(60_000)], first.at);
    expect((await store.spend([lease(63_000)])).ok).toEqual(false);
  });

  test("one of many: the first value wins, its retry is recognised, another is not", async (store, { now }) => {
    const quotas = (value: string): UsesQuota[] => [
      { key: usesKey("cp", "run.1"), limit: 1, expiresAt: now + 60_000 },
      { key: usesKey("cp", "run.1", value), limit: 1000, expiresAt: now + 60_000 },
    ];
    const values = Array.from({ length: 12 }, (_, i) => `value ${i}`);
    const all = await Promise.all(values.map((value) => store.spend(quotas(value))));
    const winner = all.findIndex(({ ok }) => ok);
    expect(all.filter(({ ok }) => ok).length).toEqual(1);
    const used = await Promise.all(
      values.map(async (value) => (await store.spend(quotas(value).map((q) => ({ ...q, cost: 0 })))).states[1]?.remaining),
    );
    expect(used).toEqual(values.map((_, i) => (i === winner ? 999 : 1000)));
  });

  test("failures are counted before they happen: 50 concurrent guesses do not slip through", async (store) => {
    const failures = { key: "failures", limit: 3, window: 600 };
    const all = await Promise.all(Array.from({ length: 50 }, () => store.spend([failures])));
    expect(all.filter(({ ok }) => ok).length).toEqual(3);
    const admitted = all.find(({ ok }) => ok);
    await store.refund([failures], admitted?.at ?? 0);
    expect((await store.spend([failures])).states[0]?.remaining).toEqual(0);
  });
}
