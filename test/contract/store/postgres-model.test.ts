import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { migrate, postgresStore } from "../../../adapters/postgres.ts";
import { memoryStore, type Quota, type Store } from "../../../src/store/index.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type Clients, startClients } from "./postgres-under-test.ts";

const START = 1_750_000_000_000;

type Step =
  | { do: "spend" | "refund"; picks: { of: number; cost: number; limit: number; life: number }[]; pause: number }
  | { do: "block"; of: number; life: number; pause: number };

const pick = fc.record({
  of: fc.nat(5),
  cost: fc.nat(3),
  limit: fc.integer({ min: 3, max: 6 }),
  life: fc.integer({ min: -50, max: 5000 }),
});
const pause = fc.oneof(fc.constant(0), fc.nat(300), fc.nat(3000));
const picks = fc.uniqueArray(pick, { selector: ({ of }) => of, minLength: 1, maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("spend" as const), picks, pause }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("refund" as const), picks, pause }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("block" as const), of: fc.nat(5), life: fc.integer({ min: -100, max: 4000 }), pause }),
  },
);

describeWith("PostgreSQL", postgresFolder() !== undefined)("the functions in PostgreSQL", () => {
  let clients: Clients;
  let pool: pg.Pool;
  beforeAll(async () => {
    clients = await startClients();
    pool = clients.pool();
    await migrate(pool);
  });
  afterAll(() => clients.close());

  it("decide as the store in memory does, to the last field, over random schedules", { timeout: 240_000 }, async () => {
    let run = 0;
    // Also at the beginning of time, where a division that rounds to zero is another one.
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), fc.constantFrom<number>(START, 1), async (steps, start) => {
        run += 1;
        let time = start;
        const clock = (): number => time;
        const stores: Store[] = [memoryStore({ clock }), postgresStore(pool, { clock, timeoutMs: 20_000 })];
        const quota = (of: number, more: { cost: number; limit: number; life: number }): Quota => {
          const key = `${run}:${of}`;
          const { cost, limit } = more;
          // Of each kind three keys; a window is part of a key, a limit is not.
          return of % 2 ? { key, cost, limit, expiresAt: time + more.life } : { key, cost, limit, window: [1, 2, 7][of / 2] ?? 1 };
        };
        let last = { quotas: [] as Quota[], at: time };
        for (const one of steps) {
          time += one.pause;
          if (one.do === "block") {
            for (const store of stores) await store.block(`${run}:${one.of}`, time + one.life);
          } else if (one.do === "refund") {
            for (const store of stores) await store.refund(last.quotas, last.at);
          } else {
            const quotas = one.picks.map((each) => quota(each.of, each));
            const [expected, actual] = [await stores[0]?.spend(quotas), await stores[1]?.spend(quotas)];
            expect(actual).toEqual(expected);
            if (expected?.ok) last = { quotas, at: expected.at };
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("decide as the store in memory does while the clock goes back and forth", async () => {
    let time = START;
    const clock = (): number => time;
    const stores: Store[] = [memoryStore({ clock }), postgresStore(pool, { clock })];
    // Nothing dies here: what a sweep took with it cannot come back with the time.
    const jumps = [0, 1500, -900, 5000, -5000, 30_000, -29_000, 59_000, -70_000, 80_000, -12_000, 100, 40_000];
    for (const [i, jump] of [...jumps, ...jumps].entries()) {
      time += jump;
      const quotas: Quota[] = [
        { key: "back", cost: 1 + (i % 2), limit: 9, window: 60 },
        { key: "forth", limit: 500, cost: i, window: 100 },
      ];
      const [expected, actual] = await Promise.all(stores.map((store) => store.spend(quotas)));
      expect(actual).toEqual(expected);
      if (i % 3 === 0) for (const store of stores) await store.refund(quotas, START + (i % 5) * 1000);
    }
  });

  it("admit no more where one statement that locks, checks and writes does", async () => {
    await pool.query("CREATE TABLE naive (key text PRIMARY KEY, used int NOT NULL)");
    const naive = `WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(1, hashtext('k'))),
      held AS (SELECT coalesce((SELECT used FROM naive WHERE key = 'k'), 0) AS used FROM locked)
      INSERT INTO naive SELECT 'k', used + 1 FROM held WHERE used < 1 ON CONFLICT (key) DO UPDATE SET used = naive.used + 1 RETURNING used`;
    // Its snapshot is of when it began, before it had the lock: the first one's charge is not in it.
    expect(await race(async (client) => (await client.query(naive)).rowCount === 1)).toEqual([true, true]);
    const quota = { key: "raced", limit: 1, expiresAt: Date.now() + 60_000 };
    expect(await race(async (client) => (await postgresStore(client).spend([quota])).ok)).toEqual([true, false]);
  });

  /** Two spends, the second of which waits for the first one's lock; whether each was admitted. */
  async function race(spend: (client: pg.Client) => Promise<boolean>): Promise<boolean[]> {
    const [first, second] = [0, 1].map(() => new pg.Client({ connectionString: clients.server.url }));
    if (first === undefined || second === undefined) throw new Error("No client");
    await Promise.all([first.connect(), second.connect()]);
    try {
      await first.query("BEGIN");
      const one = await spend(first);
      const other = spend(second);
      for (;;) {
        const waiting = await pool.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
        if (waiting.rowCount === 1) break;
      }
      await first.query("COMMIT");
      return [one, await other];
    } finally {
      await Promise.all([first.end(), second.end()]);
    }
  }

  it("are not confused by keys whose locks have one number", async () => {
    const { rows } = await pool.query<{ keys: string[] }>(
      "SELECT array_agg('c' || i) AS keys FROM generate_series(1, 400000) AS i GROUP BY hashtext('c' || i) HAVING count(*) > 1 LIMIT 3",
    );
    const stores = [0, 1, 2].map(() => postgresStore(clients.pool({ max: 8 }), { timeoutMs: 20_000 }));
    expect(rows.length).toBeGreaterThan(0);
    for (const { keys } of rows) {
      const quotas = keys.map((key) => ({ key, limit: 9, expiresAt: Date.now() + 60_000 }));
      const all = await Promise.all(
        Array.from({ length: 60 }, (_, i) => stores[i % 3]?.spend(i % 4 === 3 ? quotas.slice(1) : i % 2 ? quotas : quotas.toReversed())),
      );
      const admitted = all.map((result, i) => (result?.ok ? (i % 4 === 3 ? quotas.slice(1) : quotas) : []));
      const used = quotas.map((quota) => admitted.filter((charged) => charged.includes(quota)).length);
      expect(used.slice(1)).toEqual(quotas.slice(1).map(() => 9));
      const { states } = (await stores[0]?.spend(quotas.map((quota) => ({ ...quota, cost: 0 })))) ?? { states: [] };
      expect(states.map(({ remaining }) => 9 - remaining)).toEqual(used);
    }
  });

  it("do not block each other for ever, in whatever order keys come, with sweeps between", async () => {
    const stores = [0, 1, 2].map(() => postgresStore(clients.pool({ max: 8 }), { timeoutMs: 20_000 }));
    const before = await deadlocks();
    let admitted = 0;
    await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const store = stores[i % 3];
        // Half of them are dead the next moment, or even before: rows come and go under everybody's hands.
        const quotas = [0, 1, 2, 3].map((n) => ({
          key: `d${(i * 7 + n * (1 + (i % 3))) % 9}`,
          limit: 1_000_000,
          expiresAt: Date.now() + (i % 2 ? 20 : 60_000),
        }));
        const unique = quotas.filter(({ key }, n) => quotas.findIndex((other) => other.key === key) === n);
        if (i % 10 === 0) await store?.sweep(50);
        if ((await store?.spend(unique))?.ok) admitted += 1;
        if (i % 7 === 0) await store?.refund(unique, Date.now());
      }),
    );
    expect(admitted).toBeGreaterThanOrEqual(250);
    expect((await deadlocks()) - before).toBe(0);
  });

  async function deadlocks(): Promise<number> {
    const { rows } = await pool.query<{ n: string }>("SELECT sum(deadlocks) AS n FROM pg_stat_database");
    return Number(rows[0]?.n);
  }

  it("take no lock and write nothing for what is only read", async () => {
    const client = new pg.Client({ connectionString: clients.server.url });
    await client.connect();
    try {
      // PostgreSQL itself refuses whoever writes in here.
      await client.query("BEGIN TRANSACTION READ ONLY");
      const store = postgresStore(client);
      const quota = { key: "read", limit: 1, cost: 0, window: 60 };
      expect((await store.spend([quota, { key: "uses", limit: 2, cost: 0, expiresAt: Date.now() + 1000 }])).ok).toBe(true);
      const { rows } = await client.query("SELECT * FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()");
      expect(rows).toEqual([]);
      await expect(store.spend([{ ...quota, cost: 1 }])).rejects.toThrow("Cannot use the backend");
    } finally {
      await client.end();
    }
  });

  it("sweep by themselves: what is dead does not pile up", async () => {
    await pool.query("TRUNCATE gatepass_store");
    let time = START;
    const store = postgresStore(pool, { clock: () => time });
    for (let i = 0; i < 400; i++) {
      time += 1000;
      await store.spend([{ key: `old${i}`, limit: 1, expiresAt: time + 1 }]);
    }
    const { rows } = await pool.query<{ n: number }>("SELECT count(*)::int AS n FROM gatepass_store");
    // By chance: a run of forty spends without a sweep comes once in 100,000.
    expect(rows[0]?.n).toBeLessThan(60);
  });
});
