import type { RateQuota, UsesQuota } from "../store/contract.ts";
import type { TestKit } from "./board.ts";
import { errorOf, type StoreTest, type StoreTools } from "./store-tools.ts";

const SCHEDULES = 120;
const STEPS = 40;

/** The guarantees about time: windows, waits, expiry, refunds, a backend that hangs. */
export function testStoreTime(test: StoreTest, { expect }: TestKit): void {
  test("guarantee 3: of 100 concurrent spends a rate quota admits exactly `limit`", async (store, { handles }) => {
    const stores = await handles();
    const quota = { key: "r", limit: 9, window: 600 };
    const all = await Promise.all(Array.from({ length: 100 }, (_, i) => (stores[i % stores.length] ?? store).spend([quota])));
    expect(all.filter(({ ok }) => ok).length).toEqual(9);
    expect(all.filter(({ ok, retryAfter }) => ok === retryAfter > 0)).toEqual([]);
  });

  test("guarantees 3 and 4: whoever waits retryAfter is admitted, at most 1.1 windows later", async (store, { pass }) => {
    const quota = { key: "r", limit: 2, window: 1 };
    await store.spend([{ ...quota, cost: 2 }]);
    const refused = await store.spend([quota]);
    expect([refused.ok, refused.refused, refused.states[0]?.why]).toEqual([false, 0, "full"]);
    expect([refused.retryAfter >= 1, refused.retryAfter <= 2]).toEqual([true, true]);
    const ready = refused.states[0]?.resetAt ?? 0;
    expect([ready - refused.at > 900, ready - refused.at <= 1100]).toEqual([true, true]);
    await pass(refused.retryAfter * 1000);
    expect((await store.spend([quota])).ok).toEqual(true);
  });

  test("guarantees 3 and 4, and refunds, over random schedules", async (store, tools) => {
    if (!tools.under.advance) return;
    const found: string[] = [];
    for (let i = 0; i < (tools.under.schedules ?? SCHEDULES); i++) found.push(...(await schedule(store, tools, `s${i}`)));
    expect(found).toEqual([]);
  });

  test("guarantee 3: a clock that goes back forgets nothing", async (store, { pass, under }) => {
    if (!under.advance) return;
    for (const back of [100, 5_000, 60_000, 900_000]) {
      const rate = { key: `r${back}`, limit: 2, cost: 2, window: 60 };
      const { at } = await store.spend([rate]);
      await pass(-back);
      expect([back, (await store.spend([{ ...rate, cost: 1 }])).ok]).toEqual([back, false]);
      // What is charged meanwhile is not forgotten either, and a refund of it takes nothing that another one charged.
      const other = { key: `o${back}`, limit: 4, window: 60 };
      await pass(back);
      await store.spend([{ ...other, cost: 2 }]);
      await pass(-back);
      const late = await store.spend([{ ...other, cost: 2 }]);
      expect(late.ok).toEqual(true);
      await store.refund([{ ...other, cost: 2 }], late.at - 120_000);
      expect((await store.spend([other])).ok).toEqual(false);
      await pass(back);
      expect([at > 0, (await store.spend([{ ...other, cost: 3 }])).ok]).toEqual([true, false]);
    }
  });

  test("guarantee 5: everything expires, and a full sweep leaves no trace", async (store, { now, pass, keys }) => {
    const uses: UsesQuota[] = ["u1", "u2", "u3"].map((key) => ({ key, limit: 2, expiresAt: now + 1000 }));
    const rates: RateQuota[] = ["r1", "r2"].map((key) => ({ key, limit: 2, window: 1 }));
    const { at } = await store.spend([...uses, ...rates]);
    await store.spend([...uses.slice(1), ...rates, { key: "late", limit: 1, expiresAt: now - 1 }]);
    await store.block("blocked", now + 1000);
    await store.refund([...uses.slice(0, 1), ...rates.slice(0, 1)], at);
    await store.spend([...uses, ...rates].map((quota) => ({ ...quota, cost: 0 })));
    await pass(1101);
    expect((await store.spend([{ key: "blocked", limit: 1, cost: 0, window: 1 }])).states[0]?.why).toEqual(undefined);
    if (store.sweep) while ((await store.sweep(2, 0)) > 0);
    expect(await keys()).toEqual([]);
    expect((await store.spend([...rates])).states.map(({ remaining }) => remaining)).toEqual([1, 1]);
  });

  test("guarantee 5: a sweep takes what is dead and nothing else", async (store, { now, pass, keys }) => {
    if (!store.sweep) return;
    await store.spend([{ key: "short", limit: 1, expiresAt: now + 500 }]);
    await store.spend([
      { key: "long", limit: 1, expiresAt: now + 60_000 },
      { key: "rate", limit: 1, window: 60 },
    ]);
    await store.block("block", now + 60_000);
    await pass(501);
    while ((await store.sweep(1000, 0)) > 0);
    const left = await keys();
    if (left.length > 0) expect(left).toEqual(["block", "long", "rate"]);
    const { states } = await store.spend([
      { key: "long", limit: 1, cost: 0, expiresAt: now + 60_000 },
      { key: "rate", limit: 1, cost: 0, window: 60 },
      { key: "block", limit: 1, cost: 0, window: 60 },
    ]);
    expect(states.map(({ why }) => why)).toEqual(["full", "full", "blocked"]);
  });

  test("a key that died begins anew, whether swept or not", async (store, { now, pass }) => {
    const rate = { key: "r", limit: 2, cost: 2, window: 1 };
    await store.spend([{ key: "u", limit: 2, cost: 2, expiresAt: now + 1000 }, rate]);
    await pass(1101);
    const again = await store.spend([
      { key: "u", limit: 2, expiresAt: now + 60_000 },
      { ...rate, cost: 1 },
    ]);
    expect([again.ok, again.states.map(({ remaining }) => remaining)]).toEqual([true, [1, 1]]);
  });

  test("guarantee 8: time is one clock, and it moves on", async (store, { now, pass, under }) => {
    await pass(250);
    const { at } = await store.spend([{ key: "k", limit: 1, window: 1 }]);
    expect([at - now >= 250, under.advance ? at - now : 250]).toEqual([true, 250]);
  });

  test("guarantee 9: a backend that hangs is ERR_STORE_UNAVAILABLE in time, and works again after", async (patient, { now, under }) => {
    if (!under.hang) return;
    const quota = { key: "k", limit: 1, expiresAt: now + 600_000 };
    const store = (await under.impatient?.()) ?? patient;
    // Until it is connected: the first call of a busy machine may take longer than an impatient store waits.
    for (let left = 100; left > 0 && (await errorOf(store.spend([{ ...quota, key: "warm", cost: 0 }]))) !== undefined; left--);
    const release = await under.hang();
    const start = performance.now();
    const calls = [store.spend([quota]), store.spend([quota]), store.refund([quota], now), store.block("b", now + 60_000)];
    const errors = await Promise.all(calls.map(errorOf));
    const took = performance.now() - start;
    await release();
    expect(errors.map((error) => error?.code)).toEqual(calls.map(() => "ERR_STORE_UNAVAILABLE"));
    // Timers are late on a busy machine, for a moment; what hangs is late for good.
    expect([took, took <= (under.timeoutMs ?? 2000) + 500]).toEqual([took, true]);
    expect((await patient.spend([quota])).ok).toEqual(true);
  });

  test("guarantee 11: of two expiries for one key the later is kept", async (store, { now, pass }) => {
    const quota = (ms: number): UsesQuota => ({ key: "k", limit: 3, expiresAt: now + ms });
    expect((await store.spend([quota(3000)])).states[0]?.resetAt).toEqual(now + 3000);
    expect((await store.spend([quota(2000)])).states[0]?.resetAt).toEqual(now + 3000);
    await pass(1000);
    expect((await store.spend([quota(2500)])).states).toEqual([{ remaining: 0, resetAt: now + 3000 }]);
    expect((await store.spend([quota(3500)])).ok).toEqual(false);
    await pass(2001);
    expect((await store.spend([quota(9000)])).ok).toEqual(true);
  });

  test("guarantee 12: a full store never forgets a uses quota, and keeps a quarter for rates", async (_, { now, under }) => {
    const store = under.bounded?.(8);
    if (!store) return;
    const uses = (key: string): UsesQuota => ({ key, limit: 1, expiresAt: now + 600_000 });
    const rate = (key: string, cost = 1): RateQuota => ({ key, limit: 3, cost, window: 600 });
    const code = async (call: Promise<unknown>): Promise<unknown> => (await errorOf(call))?.code;
    const all = ["u1", "u2", "u3", "u4", "u5"].map(uses);
    await store.spend([...all, rate("r1")]);
    await store.block("b", now + 600_000);
    // What cannot be removed fills three quarters. A call that does not fit charges nothing.
    expect(await code(store.spend([rate("r1"), uses("u6")]))).toEqual("ERR_STORE_FULL");
    expect(await code(store.block("b2", now + 600_000))).toEqual("ERR_STORE_FULL");
    expect((await store.spend([rate("r1", 0)])).states[0]?.remaining).toEqual(2);
    for (const key of ["r2", "r3", "r4", "r5"]) expect([key, (await store.spend([rate(key)])).ok]).toEqual([key, true]);
    const { states } = await store.spend(all.map((quota) => ({ ...quota, cost: 0 })));
    expect(states.map(({ why }) => why)).toEqual(["full", "full", "full", "full", "full"]);
  });

  test("guarantee 3: nothing is admitted because a full store removed a counter", async (_, { pass, under, random }) => {
    const store = under.bounded?.(10);
    if (!store || !under.advance) return;
    const admitted = new Map<string, number[]>();
    for (let i = 0; i < 4000; i++) {
      const seconds = random() < 0.5 ? 2 : 60;
      const key = `${seconds}/${Math.floor(random() * 40)}`;
      const { ok, at } = await store.spend([{ key, limit: 2, window: seconds }]);
      const after = at - seconds * 1000;
      const counted = (admitted.get(key) ?? []).filter((instant) => instant >= after);
      if (ok) admitted.set(key, [...counted, at]);
      expect([key, counted.length + Number(ok) <= 2]).toEqual([key, true]);
      await pass(Math.floor(random() * 200));
    }
    // Whoever is refused too much is admitted again as soon as the flood is over.
    await pass(2 * 64_000);
    for (const key of admitted.keys()) {
      const quota = { key, limit: 2, cost: 2, window: Number(key.split("/")[0]) };
      expect([key, (await store.spend([quota])).ok]).toEqual([key, true]);
    }
  });
}

/** One random schedule of spends, refunds and waits on one key against what the two guarantees allow; tells what broke. */
async function schedule(store: StoreTools["under"]["store"], { pass, random }: StoreTools, key: string): Promise<string[]> {
  const int = (below: number): number => Math.floor(random() * below);
  const seconds = [1, 2, 10, 60][int(4)] ?? 1;
  const limit = 1 + int(6);
  const span = seconds * 1000;
  let charges: { at: number; cost: number }[] = [];
  const units = (after: number): number => charges.reduce((sum, { at, cost }) => (at > after ? sum + cost : sum), 0);
  for (let step = 0; step < STEPS; step++) {
    const cost = 1 + int(limit);
    const quota = { key, limit, cost, window: seconds };
    const { ok, at, retryAfter } = await store.spend([quota]);
    if (ok) {
      charges.push({ at, cost });
      // The closed interval [at - window, at].
      if (units(at - span - 1) > limit) return [`${key}: ${units(at - span - 1)} of ${limit} units in a window of ${seconds} s`];
    } else {
      if (units(at - 1.1 * span) + cost <= limit) return [`${key}: refused although nothing counts any more`];
      if (retryAfter < 1 || retryAfter > Math.ceil(1.1 * seconds))
        return [`${key}: a wait of ${retryAfter} s for a window of ${seconds} s`];
      if (int(4) === 0) {
        await pass(retryAfter * 1000);
        const again = await store.spend([quota]);
        if (!again.ok) return [`${key}: refused after the wait`];
        charges.push({ at: again.at, cost });
      }
    }
    if (int(3) === 0) {
      const charge = charges[int(charges.length)];
      if (charge) {
        await store.refund([{ ...quota, cost: charge.cost }], charge.at);
        charges = charges.filter((one) => one !== charge);
      }
    }
    const pause = int(4);
    await pass(pause === 0 ? 0 : pause === 1 ? int(span / 10) : pause === 2 ? int(span / 2) : span - 1 + int(span / 5));
  }
  return [];
}
