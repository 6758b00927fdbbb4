import { Redis } from "ioredis";
import { createClient, createClientPool } from "redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RedisClient, redisStore } from "../../../adapters/redis.ts";
import type { Quota, SpendResult, Store } from "../../../src/store/contract.ts";
import { isUsesQuota } from "../../../src/store/contract.ts";
import { charge, decide, giveBack } from "../../../src/store/ledger.ts";
import { RING } from "../../../src/store/window.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { keysUnder, type RedisServer, startRedis } from "../../helpers/redis.ts";

const describe = describeWith("redis-server", hasRedis());
const MAX = 2 ** 52;
const open = (url: string) => createClient({ url });
type Client = ReturnType<typeof open>;

describe("redisStore, its scripts and settings", () => {
  let server: RedisServer;
  let client: Client;
  const clients: { destroy(): void }[] = [];
  beforeAll(async () => {
    server = await startRedis();
    client = await connect(server);
  });
  afterAll(async () => {
    for (const one of clients) one.destroy();
    await server?.dispose();
  });

  async function connect(to: RedisServer): Promise<Client> {
    const one = open(to.url);
    one.on("error", () => undefined);
    await one.connect();
    clients.push(one);
    return one;
  }

  it("decides to the unit and the millisecond as the ledger does, with wide counts, both kinds under one key, blocks and refunds", async () => {
    const clock = { time: 1_760_000_000_000 };
    const redis = redisStore(client, { prefix: "model:", clock: () => clock.time });
    const model = ledgerStore(() => clock.time);
    const int = numbers(7);
    const past: { quotas: Quota[]; at: number }[] = [];
    for (let step = 0; step < 6000; step++) {
      const quotas = unique(Array.from({ length: 1 + int(4) }, () => quotaOf(int, clock.time)));
      const kind = int(20);
      if (kind < 14) {
        const result = await redis.spend(quotas);
        expect([step, quotas, result]).toEqual([step, quotas, await model.spend(quotas)]);
        if (result.ok) past.push({ quotas, at: result.at });
      } else if (kind < 16) {
        const { quotas: charged, at } = past[int(past.length)] ?? { quotas, at: clock.time };
        const when = int(3) > 0 ? at : at + int(3000) - 1500;
        await redis.refund(charged, when);
        await model.refund(charged, when);
      } else if (kind < 17) {
        const [key, until] = [quotas[0]?.key ?? "", clock.time + int(3000) - 500];
        await redis.block(key, until);
        await model.block(key, until);
      } else clock.time += [1, 50, 300, 1000, 5000, 70_000, 100, 30][int(8)] ?? 0;
    }
    expect(past.length).toBeGreaterThan(1000);
  });

  it("is one round trip a spend, whatever it holds", async () => {
    const store = redisStore(client, { prefix: "trips:" });
    const quotas = (i: number): Quota[] => [
      { key: `ip${i % 5}|burst`, limit: 30, window: 60 },
      { key: `ip${i % 5}|daily`, limit: 1000, window: 86_400 },
      { key: `token${i}`, limit: 1, expiresAt: Date.now() + 60_000 },
    ];
    await store.spend(quotas(0));
    await client.configResetStat();
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => store.spend(quotas(i + 1))));
    expect(all.filter(({ ok }) => ok).length).toBe(149);
    const stats = await server.info("commandstats");
    const calls = (command: string): number => Number(/calls=(\d+)/.exec(stats[`cmdstat_${command}`] ?? "")?.[1] ?? 0);
    expect([calls("evalsha"), calls("eval"), calls("script|load"), calls("mget"), calls("set") + calls("setrange")]).toEqual([
      200,
      0,
      0,
      200,
      149 * 3,
    ]);
  });

  it("scripts that are forgotten in the middle of many calls are sent again, and charge once", async () => {
    const store = redisStore(client, { prefix: "flush:" });
    const quota = { key: "k", limit: 150, expiresAt: Date.now() + 60_000 };
    const spends = Array.from({ length: 400 }, async (_, i) => {
      if (i % 40 === 0) await client.sendCommand(["SCRIPT", "FLUSH"]);
      return store.spend([quota]);
    });
    const all = await Promise.all(spends);
    expect(all.filter(({ ok }) => ok).length).toBe(150);
    const { at } = all.find(({ ok }) => ok) ?? { at: 0 };
    await client.sendCommand(["SCRIPT", "FLUSH"]);
    await store.refund([quota], at);
    await client.sendCommand(["SCRIPT", "FLUSH"]);
    await store.block("other", Date.now() + 60_000);
    expect((await store.spend([quota])).ok).toBe(true);
  });

  it("stores of different prefixes share nothing", async () => {
    const stores = ["", "a:", "b:"].map((prefix) => redisStore(client, { prefix }));
    const quota = { key: "only", limit: 1, window: 60 };
    for (const store of stores) expect([(await store.spend([quota])).ok, (await store.spend([quota])).ok]).toEqual([true, false]);
    expect(await keysUnder(server, "a:")).toEqual(["only"]);
    await stores[1]?.block("x", Date.now() + 60_000);
    expect((await stores[2]?.spend([{ key: "x", limit: 1, window: 60 }]))?.ok).toBe(true);
  });

  it("a one-use key takes at most 1.3 of what a bare key of its length takes", async () => {
    const store = redisStore(client, { prefix: "mem:" });
    const id = (i: number): string => `ujti:s${String(i).padStart(22, "k")}`;
    const bytes = async (key: string): Promise<number> => Number(await client.sendCommand(["MEMORY", "USAGE", key]));
    let [ours, bare] = [0, 0];
    for (let i = 0; i < 200; i++) {
      await store.spend([{ key: id(i), limit: 1, expiresAt: Date.now() + 600_000 }]);
      await client.set(`bare:${id(i)}+`, "1", { PX: 600_000 });
      expect(`bare:${id(i)}+`.length).toBe(`mem:{${id(i)}}`.length);
      ours += await bytes(`mem:{${id(i)}}`);
      bare += await bytes(`bare:${id(i)}+`);
    }
    expect(ours / bare).toBeGreaterThanOrEqual(1);
    expect(ours / bare).toBeLessThanOrEqual(1.3);
  });

  it("a block that is lifted, or over, leaves the rest and its time to live", async () => {
    const store = redisStore(client, { prefix: "lift:" });
    const rate = { key: "k", limit: 5, window: 10 };
    await store.spend([rate]);
    await store.block("k", Date.now() + 3_600_000);
    expect(await client.pTTL("lift:{k}")).toBeGreaterThan(3_500_000);
    await store.block("k", 0);
    const left = await client.pTTL("lift:{k}");
    expect([left > 0, left <= 11_000]).toEqual([true, true]);
    expect((await store.spend([rate])).states).toMatchObject([{ remaining: 3 }]);
    await store.block("none", Date.now() + 3_600_000);
    await store.block("none", 0);
    expect(await keysUnder(server, "lift:")).toEqual(["k"]);
  });

  it("what is none of ours under our key is an error, and nothing is admitted or written", async () => {
    const store = redisStore(client, { prefix: "alien:" });
    for (const value of ["hello", "r", "b1;2", "r12345", `b1;1;1;x`]) {
      await client.set("alien:{k}", value);
      const quotas = [
        { key: "other", limit: 1, window: 60 },
        { key: "k", limit: 1, window: 60 },
      ];
      const outcome = await store.spend(quotas).then(
        ({ ok }) => ok,
        (error: { code?: string }) => error.code,
      );
      expect([value, outcome]).toEqual([value, value === "b1;1;1;x" ? true : "ERR_STORE_UNAVAILABLE"]);
      if (outcome !== true) expect(await keysUnder(server, "alien:")).toEqual(["k"]);
    }
  });

  it("without memory left a spend is ERR_STORE_FULL, whole, and works again when there is some", async () => {
    const small = await startRedis({ maxmemory: "3mb" });
    try {
      const other = await connect(small);
      const store = redisStore(other);
      await store.spend([{ key: "warm", limit: 1, window: 60 }]);
      await other.set("ballast", "x".repeat(300_000));
      await other.configSet("maxmemory", "1mb");
      const quotas = ["a", "b", "c"].map((key) => ({ key, limit: 1, expiresAt: Date.now() + 60_000 }));
      await expect(store.spend(quotas)).rejects.toMatchObject({ name: "GatepassError", code: "ERR_STORE_FULL" });
      await expect(store.block("a", Date.now() + 60_000)).rejects.toMatchObject({ code: "ERR_STORE_FULL" });
      expect(await keysUnder(small, "gatepass:")).toEqual(["warm"]);
      expect((await store.spend([{ key: "warm", limit: 1, cost: 0, window: 60 }])).states[0]?.why).toBe("full");
      await other.configSet("maxmemory", "0");
      expect((await store.spend(quotas)).ok).toBe(true);
    } finally {
      await small.dispose();
    }
  });

  it("check tells of eviction, of nothing on disk, and of replicas that are not there", async () => {
    const codes = async (to: RedisServer, waitReplicas = 0): Promise<string[]> => {
      const problems = await redisStore(await connect(to), { waitReplicas }).check();
      return problems.map(({ code, severity }) => `${code} ${severity}`);
    };
    expect(await codes(server)).toEqual(["GP142 warning"]);
    expect(await codes(server, 1)).toEqual(["GP142 warning", "GP143 error"]);
    const evicting = await startRedis({ maxmemory: "8mb", config: { "maxmemory-policy": "allkeys-lru", appendonly: "yes" } });
    try {
      expect(await codes(evicting)).toEqual(["GP141 error"]);
      await evicting.command("CONFIG", "SET", "maxmemory", "0");
      expect(await codes(evicting)).toEqual(["GP141 warning"]);
      await evicting.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
      expect(await codes(evicting)).toEqual([]);
    } finally {
      await evicting.dispose();
    }
    const old = redisStore({ send: async (command) => (command === "info" ? "redis_version:6.0.16\r\naof_enabled:1\r\n" : null) });
    expect((await old.check()).map(({ code }) => code)).toEqual(["GP140"]);
  });

  it("a server that asks for a password, one that is gone, and one that comes back", async () => {
    const locked = await startRedis({ password: "secret of the server" });
    try {
      const store = redisStore(await connect(locked), { timeoutMs: 500 });
      const quota = { key: "k", limit: 9, window: 60 };
      expect((await store.spend([quota])).ok).toBe(true);
      const stranger = new Redis(locked.port, "127.0.0.1", { maxRetriesPerRequest: 0, enableReadyCheck: false });
      stranger.on("error", () => undefined);
      const refused = await redisStore(stranger, { timeoutMs: 500 })
        .spend([quota])
        .catch((error: unknown) => error);
      stranger.disconnect();
      expect(refused).toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      expect(Object.keys(refused instanceof Error && refused.cause instanceof Error ? refused.cause : { none: true })).toEqual([]);
      await locked.kill();
      await expect(store.spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      await locked.start();
      await expect
        .poll(
          () =>
            store.spend([quota]).then(
              ({ ok }) => ok,
              () => false,
            ),
          { timeout: 10_000 },
        )
        .toBe(true);
    } finally {
      await locked.dispose();
    }
  });

  it("takes a pool, and text for numbers; refuses what cannot be told from another, and bad options", async () => {
    const pool = createClientPool({ url: server.url });
    pool.on("error", () => undefined);
    await pool.connect();
    const quota = { key: "k", limit: 40, expiresAt: Date.now() + 60_000 };
    const pooled = redisStore(pool, { prefix: "pool:" });
    const all = await Promise.all(Array.from({ length: 100 }, () => pooled.spend([quota])));
    expect(all.filter(({ ok }) => ok).length).toBe(40);
    pool.destroy();
    const texts = new Redis(server.port, "127.0.0.1", { stringNumbers: true, keyPrefix: "mine:" });
    expect((await redisStore(texts, { prefix: "t:" }).spend([quota])).states).toEqual([{ remaining: 39, resetAt: quota.expiresAt }]);
    expect(await keysUnder(server, "mine:t:")).toEqual(["k"]);
    texts.disconnect();

    const sentinel = { isOpen: true, sendCommand: async () => [1], connect() {}, on() {}, destroy() {}, getMasterNode() {} };
    const strangers: unknown[] = [
      null,
      "redis://",
      {},
      sentinel,
      { sendCommand: async () => [1] },
      { send: async () => [1], call: async () => [1] },
    ];
    for (const stranger of strangers) expect(() => redisStore(stranger as RedisClient)).toThrow(TypeError);
    const fake = { send: async () => [1] };
    for (const options of [{ prefix: "{" }, { prefix: "x".repeat(49) }, { timeoutMs: 0 }, { waitReplicas: -1 }, { waitTimeoutMs: 3000 }]) {
      expect(() => redisStore(fake, options)).toThrow(RangeError);
    }
    expect(() => redisStore(fake, { waitReplicas: 1 })).toThrow(TypeError);
    expect(() => redisStore(fake, { prefx: "" } as object)).toThrow(TypeError);
  });

  it("garbage is no answer", async () => {
    const quota = { key: "k", limit: 1, window: 60 };
    const at = Date.now();
    for (const answer of [
      null,
      "OK",
      {},
      [],
      [at],
      [at, 1],
      [at, 0, "x"],
      [at, -1, at],
      [at, 0, 0, 1, at, 9],
      [at, 1, 0, 1, at, 0],
      [at, 0, 0, 1, at, 1],
    ]) {
      // Of this very call, as its number says.
      const send = async (_: string, args: string[]): Promise<unknown> =>
        Array.isArray(answer) ? [Number(args.at(-1)), ...answer] : answer;
      await expect(redisStore({ send }, { timeoutMs: 50 }).spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    }
  });

  it("an answer to another call is none: where a driver's order slips, nobody is told what the next one is", async () => {
    const answers: unknown[] = [];
    // What node-redis does after bytes that are no answer: the call that was under way keeps waiting, and gets the answer of the next.
    const slipped = redisStore(
      {
        async send(command, args) {
          const real = await client.sendCommand([command, ...args]);
          answers.push(real);
          if (answers.length > 1) return answers.at(-2);
          throw new Error("lost");
        },
      },
      { prefix: "slip:", timeoutMs: 200 },
    );
    await redisStore(client, { prefix: "slip:" }).spend([{ key: "warm", limit: 1, window: 60 }]);
    const token = { key: "spent", limit: 1, expiresAt: Date.now() + 60_000 };
    const codes: unknown[] = [];
    for (const quota of [{ ...token, key: "lost" }, { ...token, key: "fresh" }, token, token, { ...token, key: "other" }]) {
      codes.push(
        await slipped.spend([quota]).then(
          ({ ok }) => ok,
          (error: { code?: string }) => error.code,
        ),
      );
    }
    expect(codes).toEqual(Array(5).fill("ERR_STORE_UNAVAILABLE"));
    await expect(slipped.block("k", Date.now() + 60_000)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  });

  it("a client that keeps what it is given does not fill the memory", async () => {
    let kept = 0;
    const dead = redisStore({ send: () => new Promise(() => void kept++) }, { timeoutMs: 50 });
    const all = await Promise.allSettled(Array.from({ length: 12_000 }, () => dead.spend([])));
    expect([all.every(({ status }) => status === "rejected"), kept]).toEqual([true, 10_000]);
  });
});

/** The ledger over maps that forget nothing. */
function ledgerStore(clock: () => number): Pick<Store, "spend" | "refund" | "block"> {
  const cells = new Map<string, Float64Array>();
  const blocks = new Map<string, number>();
  const name = (quota: Quota): string => `${isUsesQuota(quota) ? "u" : "r"}${quota.key}`;
  const alive = (quota: Quota): Float64Array | undefined => {
    const found = cells.get(name(quota));
    return found !== undefined && (found[0] ?? 0) > clock() ? found : undefined;
  };
  return {
    async spend(quotas): Promise<SpendResult> {
      const found = quotas.map(alive);
      const records = {
        cells: found.map((one) => one ?? new Float64Array(RING)),
        base: Int32Array.from(found, (one) => (one ? 0 : -1)),
        blocked: Float64Array.from(quotas, ({ key }) => blocks.get(key) ?? 0),
      };
      const result = decide(quotas, records, clock());
      if (!result.ok) return result;
      quotas.forEach((quota, i) => {
        const [record, state] = [records.cells[i], result.states[i]];
        if (quota.cost === 0 || record === undefined || state === undefined) return;
        charge(quota, record, 0, clock(), state);
        cells.set(name(quota), record);
      });
      return result;
    },
    async refund(quotas, at) {
      for (const quota of quotas) {
        const found = alive(quota);
        if (found && giveBack(quota, found, 0, clock(), at) === "none") cells.delete(name(quota));
      }
    },
    async block(key, expiresAt) {
      const held = blocks.get(key) ?? 0;
      if (expiresAt <= clock()) blocks.delete(key);
      else blocks.set(key, Math.max(expiresAt, held > clock() ? held : 0));
    },
  };
}

function quotaOf(int: (below: number) => number, now: number): Quota {
  const [id, mixed] = [int(6), int(8) === 0];
  const limit = id === 5 ? ([300, 70_000, 2 ** 40, MAX][int(4)] ?? 1) : 1 + int(6);
  const cost = int(7) === 0 ? 0 : 1 + int(id === 5 ? (int(2) ? 200 : Math.floor(limit / 4)) : limit);
  const shared = { limit, ...(int(2) ? { cost } : {}) };
  if (int(2)) return { key: mixed ? "m" : `u${id}`, ...shared, expiresAt: now + ([-1, 0, 1, 500, 2000, 60_000][int(6)] ?? 0) };
  return { key: mixed ? "m" : `r${id}|x`, ...shared, window: mixed ? 10 : ([1, 2, 10, 60, 1, 60][id] ?? 1) };
}

function unique(quotas: Quota[]): Quota[] {
  return quotas.filter((quota, i) => quotas.findIndex(({ key }) => key === quota.key) === i);
}

/** Integers below a bound, the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}
