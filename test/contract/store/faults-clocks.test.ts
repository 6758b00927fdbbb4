import pg from "pg";
import { createClient } from "redis";
import { afterAll, beforeAll, expect, describe as group, it } from "vitest";
import { migrate, postgresStore } from "../../../adapters/postgres.ts";
import { redisStore } from "../../../adapters/redis.ts";
import type { RateQuota, Store, UsesQuota } from "../../../src/store/contract.ts";
import { describeWith, hasRedis, postgresFolder } from "../../helpers/backends.ts";
import { startPostgres } from "../../helpers/postgres.ts";
import { startRedis } from "../../helpers/redis.ts";
import { gateAt, type RealGate } from "./faults/gate-at.ts";

const HOUR = 3_600_000;

/** A server, and stores over it that share their keys. */
interface Server {
  open(clock?: () => number): Store;
  close(): Promise<void>;
}

/** What holds on every server, whose time is one. */
function clocks(start: () => Promise<Server>): void {
  let server: Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.close());

  it("a clock that jumps back and forth by hours forgets no use, grants one window a jump at most, and is itself again after", async () => {
    const int = numbers(7);
    for (let run = 0; run < 12; run++) {
      const start = Date.now();
      let [time, forward] = [start, 0];
      const store = server.open(() => time);
      const once: UsesQuota = { key: `u${run}`, limit: 3, expiresAt: start + 24 * HOUR };
      const rate: RateQuota = { key: `r${run}`, limit: 5, window: 60 };
      const admitted = { uses: 0, rates: 0 };
      for (let step = 0; step < 50; step++) {
        if (int(4) === 0) {
          const jump = (int(2) === 0 ? 1 : -1) * int(2 * HOUR);
          if (jump > 60_000) forward += 1;
          // Never beyond what is spent: that is the one thing a jump can make a store forget.
          time = Math.min(start + 20 * HOUR, time + jump);
        }
        if ((await store.spend([once])).ok) admitted.uses += 1;
        if ((await store.spend([rate])).ok) admitted.rates += 1;
      }
      expect([run, admitted.uses]).toEqual([run, 3]);
      expect(admitted.rates).toBeLessThanOrEqual(rate.limit * (forward + 1));
      const { ok, retryAfter } = await store.spend([{ ...rate, cost: 5 }]);
      time += retryAfter * 1000;
      if (!ok) expect([run, (await store.spend([{ ...rate, cost: 5 }])).ok]).toEqual([run, true]);
    }
  });

  it("two gates an hour apart: the server's clock decides for both, and the one that is wrong says so", async () => {
    const [even, early, late] = [gateAt(0, server.open()), gateAt(HOUR, server.open()), gateAt(-HOUR, server.open())];
    const [one, two, three] = [await even.session(), await early.session(), await late.session()];
    // Each takes its own sessions, and neither the other's.
    expect([(await early.write(one)).status, (await even.write(two)).status]).toEqual([401, 401]);
    expect([(await even.write(one)).status, (await early.write(two)).status]).toEqual([201, 201]);
    // A gate that is late makes sessions which are over by the server's clock: nothing is admitted, rather than too much.
    const tried = await Promise.all(Array.from({ length: 5 }, () => late.write(three)));
    expect(tried.map(({ status }) => status)).toEqual(Array(5).fill(401));
    // One visitor, with a session at either: both together admit what one limit of 15 a minute has.
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? even.write(one) : early.write(two))));
    expect(answers.filter(({ status }) => status === 201).length).toBe(13);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 429]));
    expect([even, early, late].map(warnings)).toEqual([[], ["clock_skew"], ["clock_skew"]]);
  });

  it("rates that two processes an hour apart share are counted by the server's clock alone", async () => {
    // Whatever they think the time is, they say nothing about it: a quota holds a window, and no instant.
    const [a, b] = [server.open(), server.open()];
    const quota: RateQuota = { key: "ip|r", limit: 30, window: 3600 };
    const all = await Promise.all(Array.from({ length: 80 }, (_, i) => (i % 2 ? a : b).spend([quota])));
    expect(all.filter(({ ok }) => ok).length).toBe(30);
    const at = all.map((one) => one.at);
    expect(Math.max(...at) - Math.min(...at)).toBeLessThan(60_000);
    // What one of them thinks is still alive is over for the server, and charges nothing.
    const stale: UsesQuota = { key: "stale", limit: 1, expiresAt: (at[0] ?? 0) - HOUR + 60_000 };
    for (const store of [a, b]) expect((await store.spend([stale])).states).toMatchObject([{ why: "expired" }]);
  });
}

describeWith("redis-server", hasRedis())("clocks and Redis", () => {
  clocks(async () => {
    const server = await startRedis();
    const client = createClient({ url: server.url });
    client.on("error", () => undefined);
    await client.connect();
    return {
      open: (clock) => redisStore(client, { timeoutMs: 20_000, ...(clock && { clock }) }),
      async close() {
        client.destroy();
        await server.dispose();
      },
    };
  });

  it("the server's clock is set while a store runs: it is asked again, everything is charged once, nothing admitted twice", async () => {
    const server = await startRedis();
    const client = createClient({ url: server.url });
    client.on("error", () => undefined);
    await client.connect();
    try {
      let [jump, asked] = [0, 0];
      // What a server does whose clock was set by `jump`: calls seem to come later to it, and it tells another time. The rest is the real one.
      const store = redisStore(
        {
          async send(command, args) {
            asked += 1;
            const deadline = Number(args.at(-2));
            const sent = [...args.slice(0, -2), args.at(-2) === "" ? "" : String(deadline - jump), args.at(-1) ?? ""];
            const answer: unknown = await client.sendCommand([command, ...sent]);
            if (!Array.isArray(answer)) return answer;
            const [serial, time, ...rest] = answer.map(Number);
            const told = time ?? 0;
            return [serial, told === 1 ? 1 : told < 0 ? told - jump : told + jump, ...rest];
          },
        },
        { timeoutMs: 2000 },
      );
      const quota: UsesQuota = { key: "k", limit: 1000, expiresAt: Date.now() + 24 * HOUR };
      const used = async (): Promise<number> => 1000 - ((await store.spend([{ ...quota, cost: 0 }])).states[0]?.remaining ?? 0);
      let spent = 0;
      for (const next of [0, HOUR, 10 * HOUR, HOUR, -HOUR, 0, 5000, -5000]) {
        jump = next;
        for (let i = 0; i < 3; i++) {
          expect([next, (await store.spend([quota])).ok]).toEqual([next, true]);
          spent += 1;
        }
        await store.block("other", Date.now() + HOUR);
        expect([next, await used()]).toEqual([next, spent]);
      }
      // One further question for each jump forward.
      expect(asked).toBeLessThan(24 + 8 + 8 + 10);
    } finally {
      client.destroy();
      await server.dispose();
    }
  });
});

describeWith("PostgreSQL", postgresFolder() !== undefined)("clocks and PostgreSQL", () => {
  group("one server", () => {
    clocks(async () => {
      const server = await startPostgres();
      const pool = new pg.Pool({ connectionString: server.url });
      pool.on("error", () => undefined);
      await migrate(pool);
      return {
        open: (clock) => postgresStore(pool, { timeoutMs: 20_000, ...(clock && { clock }) }),
        async close() {
          await pool.end();
          await server.close();
        },
      };
    });
  });
});

function warnings({ events }: RealGate): unknown[] {
  return events.flatMap(({ type, reason }) => (type === "config_warning" && reason === "clock_skew" ? [reason] : []));
}

/** Integers below a bound, the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}
