import { Cluster } from "ioredis";
import { createCluster } from "redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RedisClient, redisStore } from "../../../adapters/redis.ts";
import type { Quota } from "../../../src/store/contract.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { keysUnder, type RedisCluster, type RedisServer, startCluster, until } from "../../helpers/redis.ts";

const describe = describeWith("redis-server", hasRedis());

describe("redisStore on a Cluster, across slots and with replicas", () => {
  let cluster: RedisCluster;
  const clients: Record<string, RedisClient> = {};
  const ends: (() => void)[] = [];
  beforeAll(async () => {
    cluster = await startCluster();
    const node = createCluster({ rootNodes: cluster.addresses.map((socket) => ({ socket })) });
    node.on("error", () => undefined);
    await node.connect();
    const io = new Cluster([...cluster.addresses]);
    io.on("error", () => undefined);
    clients["node-redis"] = node;
    clients["ioredis"] = io;
    ends.push(
      () => node.destroy(),
      () => io.disconnect(),
    );
  });
  afterAll(async () => {
    for (const end of ends) end();
    await cluster?.dispose();
  });

  const clientOf = (name: string): RedisClient => clients[name] ?? { send: () => Promise.reject(new Error("No client")) };
  const uses = (key: string, limit = 1): Quota => ({ key, limit, expiresAt: Date.now() + 600_000 });
  async function evaluations(): Promise<number> {
    const stats = await Promise.all((await cluster.masters()).map((master) => master.info("commandstats")));
    return stats.reduce((sum, one) => sum + Number(/calls=(\d+)/.exec(one["cmdstat_evalsha"] ?? "")?.[1] ?? 0), 0);
  }

  for (const name of ["node-redis", "ioredis"]) {
    it(`all or nothing over slots: what one refuses, the others have back (${name})`, async () => {
      const prefix = `slots-${name}:`;
      const store = redisStore(clientOf(name), { prefix });
      const rates = ["ip1|burst", "ip2|burst", "ip3|burst"].map((key) => ({ key, limit: 3, window: 600 }));
      expect((await store.spend([...rates, uses("a"), uses("b")])).states.map(({ remaining }) => remaining)).toEqual([2, 2, 2, 0, 0]);
      const refused = await store.spend([...rates, uses("c"), uses("b"), uses("d")]);
      expect([refused.ok, refused.refused, refused.states.map(({ remaining }) => remaining)]).toEqual([false, 4, [2, 2, 2, 1, 0, 1]]);
      const reads = [...rates, uses("c"), uses("d")].map((quota) => ({ ...quota, cost: 0 }));
      expect((await store.spend(reads)).states.map(({ remaining }) => remaining)).toEqual([2, 2, 2, 1, 1]);
      expect(await keysUnder(cluster, prefix)).toEqual(["a", "b", "ip1|burst", "ip2|burst", "ip3|burst"]);
    });

    it(`one script for the keys of one partition, one more for each further slot (${name})`, async () => {
      const store = redisStore(clientOf(name), { prefix: `count-${name}:` });
      const together = (i: number): Quota[] => [uses(`run${i}|x`), { key: `run${i}|r`, limit: 5, window: 60 }, uses(`run${i}`)];
      for (let i = 0; i < 20; i++) await store.spend(together(i));
      const before = await evaluations();
      expect((await store.spend(together(100))).ok).toBe(true);
      expect((await evaluations()) - before).toBe(1);
      expect((await store.spend([uses("e"), { key: "ip4|r", limit: 5, window: 60 }, { key: "ip5|r", limit: 5, window: 60 }])).ok).toBe(
        true,
      );
      expect((await evaluations()) - before).toBe(4);
    });

    it(`scripts forgotten on every node, in the middle of many calls (${name})`, async () => {
      const store = redisStore(clientOf(name), { prefix: `flush-${name}:`, timeoutMs: 10_000 });
      const all = await Promise.all(
        Array.from({ length: 200 }, async (_, i) => {
          if (i % 50 === 0) for (const master of await cluster.masters()) await master.command("SCRIPT", "FLUSH");
          return store.spend([uses("k", 70), { key: `ip${i % 3}|r`, limit: 1000, window: 60 }]);
        }),
      );
      expect(all.filter(({ ok }) => ok).length).toBe(70);
    });

    it(`waitReplicas: what is admitted is on a replica, and without replicas nothing is (${name})`, async () => {
      const store = redisStore(clientOf(name), { prefix: `wait-${name}:`, waitReplicas: 1, waitTimeoutMs: 400, timeoutMs: 1500 });
      const replicas = await followers(cluster);
      try {
        const all = await Promise.all(Array.from({ length: 150 }, (_, i) => store.spend([uses(`k${i % 3}`, 20)])));
        expect(all.filter(({ ok }) => ok).length).toBe(60);
        await store.block("blocked", Date.now() + 60_000);
        expect(await store.check()).toMatchObject([{ code: "GP142" }]);
        // Longer than a write takes, shorter than it takes to be missed.
        for (const replica of replicas) replica.pause();
        const start = performance.now();
        const outcomes = await Promise.allSettled([
          store.spend([uses("later")]),
          store.spend([uses("k0", 30)]),
          store.block("b", Date.now() + 9000),
        ]);
        expect(outcomes.map((one) => (one.status === "rejected" ? one.reason.code : one.value))).toEqual(
          Array(3).fill("ERR_STORE_UNAVAILABLE"),
        );
        expect(performance.now() - start).toBeLessThan(2000);
      } finally {
        for (const replica of replicas) replica.resume();
      }
      await until("replicas acknowledge again", () =>
        store.spend([uses(`again${performance.now()}`)]).then(
          ({ ok }) => ok,
          () => false,
        ),
      );
      // Charged, unconfirmed, and told as failed: it costs a use.
      expect((await store.spend([uses("later")])).ok).toBe(false);
      await store.close();
      await expect(store.spend([uses("closed")])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    });

    it(`waitReplicas goes where a slot has moved (${name})`, async () => {
      const store = redisStore(clientOf(name), { prefix: `move-${name}:`, waitReplicas: 1 });
      const quota = uses("k", 500);
      expect((await store.spend([quota])).ok).toBe(true);
      const slot = String(await cluster.nodes[0]?.command("CLUSTER", "KEYSLOT", `move-${name}:{k}`));
      await promote(cluster, slot);
      const start = performance.now();
      await expect
        .poll(
          () =>
            store.spend([quota]).then(
              ({ ok }) => ok,
              () => false,
            ),
          { timeout: 15_000 },
        )
        .toBe(true);
      expect(performance.now() - start).toBeLessThan(10_000);
      await store.close();
    });
  }
});

async function followers(cluster: RedisCluster): Promise<RedisServer[]> {
  const masters = await cluster.masters();
  return cluster.nodes.filter((node) => !masters.includes(node));
}

/** A planned failover of the shard that has the slot. */
async function promote(cluster: RedisCluster, slot: string): Promise<void> {
  for (const replica of await followers(cluster)) {
    const shards = String(await replica.command("CLUSTER", "NODES"));
    const master = /myself,slave \S* ?(\w{40})/.exec(shards)?.[1] ?? /myself,slave (\w{40})/.exec(shards)?.[1] ?? "";
    const line = shards.split("\n").find((one) => one.startsWith(master)) ?? "";
    const owns = line.split(" ").some((range) => {
      const [from, to] = range.split("-").map(Number);
      return /^\d+-\d+$/.test(range) && Number(slot) >= (from ?? 0) && Number(slot) <= (to ?? -1);
    });
    if (!owns) continue;
    await replica.command("CLUSTER", "FAILOVER");
    await until("the replica is the master", async () => (await cluster.masters()).includes(replica));
    await cluster.settled();
    return;
  }
  throw new Error("No replica of the slot's master");
}
