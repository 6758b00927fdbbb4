import { describe, expect, it } from "vitest";
import { isUsesQuota, memoryStore, type Quota, type Store } from "../../../src/store/index.ts";
import { testStore } from "../../../src/testing/store.ts";

/** A wrong store over a right one. */
type Mutant = (store: Store, clock: () => number) => Store;

/** Names of the contract's tests that fail for a mutant, each with what it found. */
async function failing(mutate: Mutant): Promise<string[]> {
  const tests: [name: string, test: () => Promise<void>][] = [];
  testStore(
    () => {
      let time = 1_750_000_000_000;
      const clock = (): number => time;
      const store = memoryStore({ clock });
      return {
        store: mutate(store, clock),
        advance(ms) {
          time += ms;
        },
        dump: () => store.keys(),
      };
    },
    { describe: (_, suite) => suite(), it: (name, test) => tests.push([name, test]), expect },
  );
  const names: string[] = [];
  for (const [name, test] of tests) {
    await test().catch((error: unknown) =>
      names.push(`${name}: ${JSON.stringify(error instanceof Error && "actual" in error ? error.actual : null)}`),
    );
  }
  return names;
}

/** Remembers the admitted charges of each rate key, and refunds into the sub-window of the one that `pick` picks among those that count. */
function wrongRefund(pick: (times: number[]) => number): Mutant {
  return (store, clock) => {
    const charges = new Map<string, number[]>();
    return {
      ...store,
      async spend(quotas: readonly Quota[]) {
        const result = await store.spend(quotas);
        if (result.ok) for (const { key } of quotas) charges.set(key, [...(charges.get(key) ?? []), result.at]);
        return result;
      },
      async refund(quotas, at) {
        for (const quota of quotas) {
          const counting = isUsesQuota(quota) ? [] : (charges.get(quota.key) ?? []).filter((time) => time > clock() - quota.window * 1000);
          await store.refund([quota], counting.length > 0 ? pick(counting) : at);
        }
      },
    };
  };
}

const one = (store: Store, quota: Quota): ReturnType<Store["spend"]> => store.spend([quota]);

/** What the random schedules say of too much, and of too little. */
const OVER = /over random schedules: .* units in a window/;
const UNDER = /over random schedules: .*refused although/;

/** Each wrong store, and a test that must catch it. */
const MUTANTS: Record<string, [mutate: Mutant, caughtBy: RegExp]> = {
  "a refund out of the newest sub-window": [wrongRefund((times) => Math.max(...times)), OVER],
  "a refund out of the oldest sub-window": [wrongRefund((times) => Math.min(...times)), OVER],
  "no refund": [(store) => ({ ...store, refund: async () => undefined }), UNDER],
  "get, then set": [
    (store) => ({
      ...store,
      async spend(quotas: readonly Quota[]) {
        const result = await store.spend(quotas.map((quota) => ({ ...quota, cost: 0 })));
        await Promise.resolve();
        if (result.states.some(({ why }, i) => why && quotas[i]?.cost !== 0)) return { ...result, ok: false, refused: 0 };
        for (const quota of quotas) await one(store, quota);
        return { ...result, states: result.states.map((state) => ({ ...state })) };
      },
    }),
    /guarantee 1/,
  ],
  "one quota after the other": [
    (store) => ({
      ...store,
      async spend(quotas: readonly Quota[]) {
        const all = await store.spend(quotas.map((quota) => ({ ...quota, cost: 0 })));
        for (const [i, quota] of quotas.entries()) {
          const result = await one(store, quota);
          if (!result.ok) return { ...result, refused: i, states: all.states };
        }
        return all;
      },
    }),
    /guarantee 2/,
  ],
  "a window that is shorter": [(store) => rescaled(store, 0.5), OVER],
  "a window that is longer": [(store) => rescaled(store, 2), UNDER],
  "a block that a refund lifts": [
    (store) => ({
      ...store,
      async refund(quotas: readonly Quota[], at: number) {
        await store.refund(quotas, at);
        for (const { key } of quotas) await store.block(key, 0);
      },
    }),
    /guarantee 7/,
  ],
  "no sweep": [(store) => ({ ...store, sweep: async () => 0 }), /guarantee 5/],
  "keys without case": [
    (store) => ({ ...store, spend: (quotas: readonly Quota[]) => store.spend(quotas.map((q) => ({ ...q, key: q.key.toLowerCase() }))) }),
    /careless/,
  ],
  "a later expiry that does not count": [
    (store) => {
      const first = new Map<string, number>();
      return {
        ...store,
        spend: (quotas: readonly Quota[]) =>
          store.spend(
            quotas.map((quota) => {
              if (!isUsesQuota(quota)) return quota;
              const expiresAt = first.get(quota.key) ?? quota.expiresAt;
              first.set(quota.key, expiresAt);
              return { ...quota, expiresAt };
            }),
          ),
      };
    },
    /guarantee 1[01]/,
  ],
  "an expiry in the past that deletes": [
    (store, clock) => ({
      ...store,
      async spend(quotas: readonly Quota[]) {
        const now = clock();
        return store.spend(quotas.map((q) => (isUsesQuota(q) && q.expiresAt <= now ? { ...q, key: `${q.key}~`, expiresAt: now + 1 } : q)));
      },
    }),
    /guarantee 10/,
  ],
};

function rescaled(store: Store, factor: number): Store {
  const change = (quotas: readonly Quota[]): Quota[] =>
    quotas.map((quota) => (isUsesQuota(quota) ? quota : { ...quota, window: Math.max(1, Math.round(quota.window * factor)) }));
  return {
    ...store,
    spend: (quotas: readonly Quota[]) => store.spend(change(quotas)),
    refund: (quotas, at) => store.refund(change(quotas), at),
  };
}

describe("the contract suite catches", () => {
  it("nothing in a right store", async () => {
    expect(await failing((store) => store)).toEqual([]);
  });

  for (const [name, [mutate, caughtBy]] of Object.entries(MUTANTS)) {
    it(name, async () => {
      const names = await failing(mutate);
      expect(
        names.some((failed) => caughtBy.test(failed)),
        names.join("\n"),
      ).toBe(true);
    });
  }
});
