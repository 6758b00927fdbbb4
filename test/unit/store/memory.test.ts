import { describe, expect, it } from "vitest";
import { isGatepassError } from "../../../src/errors.ts";
import { memoryStore, type Quota, type RateQuota, type UsesQuota } from "../../../src/store/index.ts";
import { Table } from "../../../src/store/table.ts";

const T = 1_750_000_000_000;
const uses = (key: string, more: Partial<UsesQuota> = {}): UsesQuota => ({ key, limit: 1, expiresAt: T + 60_000, ...more });
const rate = (key: string, more: Partial<RateQuota> = {}): RateQuota => ({ key, limit: 1, window: 60, ...more });

describe("memoryStore", () => {
  it("refuses unknown options and sizes out of range", () => {
    // @ts-expect-error: a misspelt option
    expect(() => memoryStore({ maxkeys: 5 })).toThrow(TypeError);
    // @ts-expect-error: not a function
    expect(() => memoryStore({ clock: 5 })).toThrow(TypeError);
    // @ts-expect-error: not a function
    expect(() => memoryStore({ random: "seed" })).toThrow(TypeError);
    for (const maxKeys of [0, -1, 1.5, Number.NaN, 20_000_000]) expect(() => memoryStore({ maxKeys })).toThrow(RangeError);
  });

  it("begins when it is made, and where the clock stands still until the first request, with its first call", async () => {
    let time = T;
    const store = memoryStore({ clock: () => time });
    time += 5000;
    expect((await store.spend([uses("before", { issuedAt: T - 1 })])).states[0]?.why).toBe("forgotten");
    expect((await store.spend([uses("after", { issuedAt: T })])).ok).toBe(true);

    let workers = 0;
    const onWorkers = memoryStore({ clock: () => workers });
    workers = T;
    // A replay into a fresh isolate: with a beginning of 0 it would be admitted.
    expect((await onWorkers.spend([uses("replayed", { issuedAt: T - 1000 })])).states[0]?.why).toBe("forgotten");
  });

  it("a replay after a restart is refused, whatever else the batch holds", async () => {
    let time = T;
    const clock = (): number => time;
    const token = uses("token", { issuedAt: T });
    expect((await memoryStore({ clock }).spend([token])).ok).toBe(true);
    time += 1;
    const restarted = memoryStore({ clock });
    const result = await restarted.spend([rate("r"), token]);
    expect([result.ok, result.refused]).toEqual([false, 1]);
    expect(restarted.size).toBe(0);
  });

  it("sweeps as it goes: silence after a flood leaves nothing, without a timer", async () => {
    let time = T;
    const store = memoryStore({ clock: () => time });
    for (let i = 0; i < 3000; i++) await store.spend([uses(`u${i}`), rate(`r${i}`)]);
    await store.block("b", T + 1000);
    expect(store.size).toBe(6001);
    time += 66_001;
    for (let i = 0; i < 1600; i++) await store.spend([rate("one"), uses("late", { cost: 0 })]);
    expect(store.size).toBe(1);
    expect(store.keys()).toEqual(["one"]);
  });

  it("one call to a full store looks at no more than 256 records", async () => {
    let time = T;
    const store = memoryStore({ clock: () => time, maxKeys: 2000 });
    for (let i = 0; i < 1500; i++) await store.spend([uses(`u${i}`)]);
    for (let i = 0; i < 500; i++) await store.spend([rate(`r${i}`)]);
    time += 66_001;
    const later = time + 60_000;
    const quotas: Quota[] = Array.from({ length: 16 }, (_, i) => uses(`n${i}`, { expiresAt: later }));
    await store.spend(quotas);
    // 16 were added, at most 256 dead ones taken.
    expect(store.size).toBeGreaterThanOrEqual(2000 + 16 - 256);
    expect(store.size).toBeLessThan(2000);
  });

  it("is bounded under a flood of strangers, and the keys in use outlive it", async () => {
    let time = T;
    const store = memoryStore({ clock: () => time, maxKeys: 500 });
    await store.spend([uses("session", { limit: 5 })]);
    for (let i = 0; i < 5000; i++) {
      time += 1;
      await store.spend([rate(`stranger ${i}`, { limit: 9 }), rate("prefix", { limit: 10_000 })]);
    }
    expect(store.size).toBe(500);
    const { states } = await store.spend([uses("session", { limit: 5, cost: 0 }), rate("prefix", { limit: 10_000, cost: 0 })]);
    expect(states.map(({ remaining }) => remaining)).toEqual([4, 5000]);
  });

  it("what a flood made it remove counts on, and is over when its window is", async () => {
    let time = T;
    const store = memoryStore({ clock: () => time, maxKeys: 100 });
    const guesses = rate("guesses", { limit: 5, window: 900 });
    for (let i = 0; i < 5; i++) expect((await store.spend([guesses])).ok).toBe(true);
    for (let i = 0; i < 1000; i++) await store.spend([rate(`stranger ${i}`, { limit: 9, window: 900 })]);
    expect(store.keys()).not.toContain("guesses");
    const refused = await store.spend([guesses]);
    expect([refused.ok, refused.states[0]?.why, refused.states[0]?.remaining]).toEqual([false, "full", 0]);
    // The wait that it tells is enough, and at most two of the generations in which it counts.
    expect(refused.retryAfter).toBeLessThanOrEqual(2 * 1024);
    time += 890_000;
    expect((await store.spend([guesses])).ok).toBe(false);
    time += refused.retryAfter * 1000 - 890_000;
    expect((await store.spend([{ ...guesses, cost: 5 }])).ok).toBe(true);
  });

  it("a batch larger than the store is ERR_STORE_FULL, and a full store still reads, refunds, lifts and sweeps", async () => {
    let time = T;
    const store = memoryStore({ clock: () => time, maxKeys: 2 });
    const full = (error: unknown): boolean => isGatepassError(error, "ERR_STORE_FULL");
    await expect(store.spend([rate("a"), rate("b"), rate("c")])).rejects.toSatisfy(full);
    expect(store.size).toBe(0);
    const { at } = await store.spend([uses("a", { limit: 2 })]);
    await store.block("a", T + 50_000);
    await expect(store.spend([uses("c")])).rejects.toSatisfy(full);
    await expect(store.block("d", T + 1)).rejects.toSatisfy(full);
    expect((await store.spend([uses("a", { cost: 0, limit: 2 })])).states[0]?.why).toBe("blocked");
    await store.block("a", T + 55_000);
    await store.block("a", 0);
    await store.refund([uses("a", { limit: 2 })], at);
    expect(store.size).toBe(0);
    await store.spend([uses("a"), uses("b")]);
    time += 60_000;
    expect(await store.sweep?.(1)).toBe(1);
    expect(await store.sweep?.()).toBe(1);
    await expect(store.sweep?.(0)).rejects.toThrow(RangeError);
  });

  it("uses the slots of removed keys again: a year of visitors needs the memory of those of one window", async () => {
    const table = new Table(2, true);
    const indexes = new Set<number>();
    for (let round = 0; round < 500; round++) {
      const made = Array.from({ length: 20 }, (_, i) => table.add(`${round}/${i}`));
      for (const index of made) {
        indexes.add(index);
        table.cells(index)[table.base(index)] = 1;
      }
      for (const index of made.slice(0, 10)) table.remove(index);
      table.sweep(2, 1000);
    }
    expect([table.size, indexes.size]).toEqual([0, 20]);

    let time = T;
    const store = memoryStore({ clock: () => time });
    const round = async (): Promise<void> => {
      const expiresAt = time + 1000;
      for (let i = 0; i < 5000; i++) await store.spend([uses(`${time}.${i}`, { expiresAt }), rate(`${time}/${i}`, { window: 1 })]);
      time += 1101;
      await store.sweep?.(20_000);
      expect(store.size).toBe(0);
    };
    await round();
    const held = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 20; i++) await round();
    // Records of 5000 more uses and rates would be 0.6 MB a round.
    expect(process.memoryUsage().arrayBuffers - held).toBeLessThan(3_000_000);
  });

  it("a block whose end is now is lifted, and the end is an instant", async () => {
    const store = memoryStore({ clock: () => T });
    const why = async (): Promise<unknown> => (await store.spend([uses("k", { cost: 0 })])).states[0]?.why;
    await store.block("k", T + 1);
    expect(await why()).toBe("blocked");
    await store.block("k", T);
    expect([await why(), store.size]).toEqual([undefined, 0]);
    await store.block("k", T);
    expect(store.size).toBe(0);
    await expect(store.block("k", 0.5)).rejects.toThrow('Invalid "expiresAt": expected an integer');
    await expect(store.refund([uses("k")], 0.5)).rejects.toThrow('Invalid "at": expected an integer');
    await expect(store.sweep?.(0)).rejects.toThrow('Invalid "max": expected an integer');
  });

  it("a full store looks further for dead records than other calls do, before it refuses", async () => {
    let time = T;
    const store = memoryStore({ clock: () => time, maxKeys: 48 });
    for (let i = 0; i < 30; i++) await store.spend([uses(`lives${i}`, { expiresAt: T + 1e6 })]);
    for (let i = 0; i < 6; i++) await store.spend([uses(`dies${i}`)]);
    time = T + 60_000;
    expect((await store.spend([uses("new", { expiresAt: T + 1e6 })])).ok).toBe(true);
  });

  it("uses, rate and block of one key are apart", async () => {
    const store = memoryStore({ clock: () => T });
    expect((await store.spend([uses("k")])).ok).toBe(true);
    expect((await store.spend([rate("k")])).ok).toBe(true);
    expect((await store.spend([uses("k")])).ok).toBe(false);
    await store.block("k", T + 1000);
    expect(store.keys().sort()).toEqual(["k", "k", "k"]);
  });

  it("records that are used again begin at zero", async () => {
    let time = T;
    const store = memoryStore({ clock: () => time });
    for (let round = 0; round < 5; round++) {
      const expiresAt = time + 1000;
      for (let i = 0; i < 50; i++) {
        expect(
          (await store.spend([uses(`${round}.${i}`, { limit: 3, cost: 3, expiresAt }), rate(`${round}/${i}`, { window: 1 })])).ok,
        ).toBe(true);
      }
      time += 1101;
    }
    expect(store.size).toBeLessThan(300);
  });
});
