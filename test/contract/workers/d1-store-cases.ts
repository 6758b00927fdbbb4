import { d1Store } from "../../../adapters/d1.ts";
import type { Quota, RateQuota, SpendResult, Store, UsesQuota } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/memory.ts";
import type { TestKit } from "../../../src/testing/board.ts";
import { countedD1, type RealD1 } from "./tools.ts";

const START = 1_750_000_000_000;
const SCHEDULES = 24;
const STEPS = 60;

/** What the contract does not ask of every store: the very decisions of the store in memory, and what D1 is charged for. */
export function testD1Store(real: RealD1, table: () => string, { it, expect }: TestKit): void {
  it("decides as the store in memory does, to every number, over random schedules", async () => {
    const found: string[] = [];
    for (let seed = 1; seed <= SCHEDULES && found.length === 0; seed++) found.push(...(await compare(real, table(), seed)));
    expect(found).toEqual([]);
  });

  it("a session, whose reads any replica answers, is refused: it may not have heard of a block", async () => {
    const made = (["first-primary", "first-unconstrained"] as const).map((constraint) => {
      try {
        return d1Store(real.withSession(constraint));
      } catch (error) {
        return error instanceof TypeError && /session/.test(error.message);
      }
    });
    expect(made).toEqual([true, true]);
  });

  it("to read first and decide in the Worker would admit too many; one statement does not", async () => {
    const quota = { key: "k", limit: 5, expiresAt: Date.now() + 60_000 };
    const naive = async (store: Store): Promise<boolean> => {
      const { states } = await store.spend([{ ...quota, cost: 0 }]);
      if (states[0]?.why !== undefined) return false;
      // The write of a value that was computed here: by then, others have read what it is made of.
      await store.spend([{ ...quota, limit: 1000 }]);
      return true;
    };
    const race = d1Store(real, { table: table() });
    const admitted = await Promise.all(Array.from({ length: 40 }, () => naive(race)));
    expect(admitted.filter(Boolean).length > 5).toEqual(true);
    const name = table();
    const spends = await Promise.all(Array.from({ length: 40 }, () => d1Store(real, { table: name }).spend([quota])));
    expect(spends.filter(({ ok }) => ok).length).toEqual(5);
  });

  it("a database that was exported and imported again without its triggers goes on, and forgets nothing", async () => {
    const name = table();
    const quota = { key: "k", limit: 2, expiresAt: Date.now() + 60_000 };
    const store = d1Store(real, { table: name });
    await store.spend([quota]);
    await real.batch([real.prepare(`DROP TRIGGER ${name}_charge`)]);
    const after = await Promise.all(Array.from({ length: 10 }, () => store.spend([quota])));
    expect(after.filter(({ ok }) => ok).length).toEqual(1);
    await real.batch([real.prepare(`DROP VIEW ${name}_spend`)]);
    expect((await store.spend([quota])).ok).toEqual(false);
  });

  it("what D1 reads and writes is bounded: nothing is written for a refusal or a read, and dead rows go", async () => {
    const { client, costs } = countedD1(real);
    const name = table();
    let time = START;
    const store = d1Store(client, { table: name, clock: () => time });
    await store.spend([{ key: "first", limit: 1, expiresAt: time + 1 }]);
    const fill = (ms: number): string => `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
      INSERT INTO ${name} (key, kind, slot, dies, n) SELECT 'f${ms}' || i, 0, 0, ${time + ms} + i, 1 FROM c`;
    await real.batch([real.prepare(fill(1)), real.prepare(fill(1e9))]);
    time += 10_000;
    const rows = async (): Promise<unknown> => (await real.batch([real.prepare(`SELECT count(*) AS n FROM ${name}`)]))[0]?.results[0];
    expect(await rows()).toEqual({ n: 6001 });

    const three: Quota[] = [
      { key: "burst", limit: 2, window: 60 },
      { key: "daily", limit: 50, window: 86_400 },
      { key: "token", limit: 2, expiresAt: time + 60_000 },
    ];
    costs.length = 0;
    for (let i = 0; i < 2; i++) expect((await store.spend(three)).ok).toEqual(true);
    expect(await rows()).toEqual({ n: 6001 + 3 - 2 * 3 * 2 });
    expect(costs.filter(({ rows_read, rows_written }) => rows_read > 120 || rows_written > 6 + 12)).toEqual([]);
    costs.length = 0;
    for (let i = 0; i < 5; i++) expect((await store.spend(three)).ok).toEqual(false);
    await store.spend(three.map((quota) => ({ ...quota, cost: 0 })));
    expect(costs.filter(({ rows_read, rows_written }) => rows_read > 60 || rows_written > 0)).toEqual([]);
    expect(costs.length).toEqual(6);
    expect([await store.sweep(100), await store.sweep(), await store.sweep(5000), await store.sweep()]).toEqual([100, 1000, 1889, 0]);
  });
}

/** One random schedule of batches, refunds and blocks over a few keys, on D1 and in memory; tells the first difference. */
async function compare(real: RealD1, name: string, seed: number): Promise<string[]> {
  let time = START + seed * 7_777_777;
  const clock = (): number => time;
  const stores = [d1Store(real, { table: name, clock }), memoryStore({ clock })];
  const int = generator(seed);
  const windows = [1, 7, 10, 60].map((window, i) => ({ key: `r${i}`, window }));
  const charged: { quotas: Quota[]; at: number }[] = [];
  for (let step = 0; step < STEPS; step++) {
    const rates = windows.filter(() => int(2) === 0).map(({ key, window }): RateQuota => withCost({ key, window, limit: 1 + int(8) }, int));
    const uses = ["u0", "u1"]
      .filter(() => int(3) === 0)
      .map((key): UsesQuota => withCost({ key, limit: 1 + int(6), expiresAt: time - 500 + int(12) * 1000 }, int));
    const quotas: Quota[] = int(2) ? [...rates, ...uses] : [...uses, ...rates];
    const [mine, theirs] = await Promise.all(stores.map((store) => store.spend(quotas)));
    const difference = differ(mine, theirs);
    if (difference) return [`seed ${seed}, step ${step}: ${difference} for ${JSON.stringify(quotas)}`];
    if (mine?.ok) charged.push({ quotas, at: mine.at });
    const action = int(6);
    const charge = charged[int(charged.length || 1)];
    if (action < 2 && charge) {
      // Also twice, and more than was charged: what is not held is not given back.
      if (int(3) > 0) charged.splice(charged.indexOf(charge), 1);
      const quotas = int(4)
        ? charge.quotas
        : charge.quotas.map((quota) => ({ ...quota, cost: Math.min(quota.limit, (quota.cost ?? 1) + 1) }));
      for (const store of stores) await store.refund(quotas, charge.at);
    }
    if (action === 2) {
      const [key, until] = [`${int(2) ? "r" : "u"}${int(2)}`, time - 300 + int(5) * 400];
      for (const store of stores) await store.block(key, until);
    }
    time += [0, int(120), int(2500), int(9000)][int(4)] ?? 0;
  }
  return [];
}

function withCost<T extends { limit: number }>(quota: T, int: (below: number) => number): T & { cost?: number } {
  return int(3) === 0 ? quota : { ...quota, cost: int(Math.min(4, quota.limit + 1)) };
}

function differ(a: SpendResult | undefined, b: SpendResult | undefined): string | undefined {
  const text = (result: SpendResult | undefined): string =>
    JSON.stringify([
      result?.ok,
      result?.at,
      result?.refused,
      result?.retryAfter,
      result?.states.map(({ remaining, resetAt, why }) => [remaining, resetAt, why]),
    ]);
  return text(a) === text(b) ? undefined : `${text(a)} instead of ${text(b)}`;
}

/** Integers below n from a seed: the same failure again with the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % below;
  };
}
