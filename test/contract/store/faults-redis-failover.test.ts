import { Cluster } from "ioredis";
import { createCluster } from "redis";
import { afterEach, expect, it } from "vitest";
import { redisStore } from "../../../adapters/redis.ts";
import type { Store } from "../../../src/store/contract.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisCluster, type RedisServer, startCluster, until } from "../../helpers/redis.ts";
import { type LoadResult, resultOf, startLoad } from "../../storm/load.ts";

const timeoutMs = 1000;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A cluster, a store over each of the two drivers that waits for so many replicas, and one that waits for none, to look at what is held. */
async function start(waitReplicas: number): Promise<{ cluster: RedisCluster; stores: Store[]; look: Store }> {
  const cluster = await startCluster();
  ends.push(() => cluster.dispose());
  const node = createCluster({ rootNodes: cluster.addresses.map((socket) => ({ socket })) });
  node.on("error", () => undefined);
  await node.connect();
  const io = new Cluster([...cluster.addresses]);
  io.on("error", () => undefined);
  ends.push(
    () => node.destroy(),
    () => io.disconnect(),
  );
  const options = { timeoutMs, waitReplicas };
  const stores = [redisStore(node, options), redisStore(io, options)];
  ends.push(...stores.map((store) => () => store.close?.()));
  return { cluster, stores, look: redisStore(node, { timeoutMs: 20_000 }) };
}

/** The replica of one of the three first masters. */
function replicaOf(cluster: RedisCluster, master: number): RedisServer {
  const replica = cluster.nodes[master + 3];
  if (replica === undefined) throw new Error("No replica");
  return replica;
}

function nodeOf(cluster: RedisCluster, number: number): RedisServer {
  const node = cluster.nodes[number];
  if (node === undefined) throw new Error("No node");
  return node;
}

/** A planned failover. One that a busy machine did not get done within the server's own five seconds is begun again. */
async function promote(replica: RedisServer): Promise<void> {
  let asked = Number.NEGATIVE_INFINITY;
  await until("it is the master", async () => {
    if (await isMaster(replica)) return true;
    if (performance.now() - asked > 6000) {
      asked = performance.now();
      await replica.command("CLUSTER", "FAILOVER").catch(() => undefined);
    }
    return false;
  });
}

async function isMaster(node: RedisServer): Promise<boolean> {
  return (await node.info("replication"))["role"] === "master";
}

/** What can be looked at only when all slots are served again, and the driver knows by whom. */
async function resultWhenSettled(cluster: RedisCluster, load: ReturnType<typeof startLoad>, look: Store): Promise<LoadResult> {
  await cluster.settled();
  let result: LoadResult | undefined;
  await until("all can be looked at", async () => {
    result = await resultOf(load, look).catch(() => undefined);
    return result !== undefined;
  });
  return result ?? resultOf(load, look);
}

describeWith("redis-server", hasRedis())("a Cluster that loses a master under load", () => {
  for (const waitReplicas of [1, 0]) {
    it(`planned (CLUSTER FAILOVER), waitReplicas ${waitReplicas}: no token is spent twice, none is forgotten`, {
      timeout: 90_000,
    }, async () => {
      const { cluster, stores, look } = await start(waitReplicas);
      const load = startLoad(stores, { name: "planned", timeoutMs, pauseMs: 10 });
      await load.admits(300);
      // There and back again, for two of the three.
      for (const master of [0, 1]) {
        const [first, second] = [nodeOf(cluster, master), replicaOf(cluster, master)];
        for (const next of [second, first]) {
          await promote(next);
          await load.admits(100);
          await cluster.settled();
        }
      }
      await load.admits(300);
      await load.stop();
      const result = await resultWhenSettled(cluster, load, look);
      console.log(`planned failover, waitReplicas ${waitReplicas}: ${JSON.stringify(result)}`);
      expect(result).toMatchObject({ twice: 0, forgotten: 0, late: 0 });
      expect(result.said.filter((code) => code !== "ERR_STORE_UNAVAILABLE")).toEqual([]);
    });
  }

  it("killed (kill -9), waitReplicas 1: nothing that was acknowledged is lost, and the same stores go on", {
    timeout: 90_000,
  }, async () => {
    const { cluster, stores, look } = await start(1);
    const load = startLoad(stores, { name: "killed", timeoutMs, pauseMs: 10 });
    await load.admits(300);
    const [master, replica] = [nodeOf(cluster, 0), replicaOf(cluster, 0)];
    await master.kill();
    await until("the replica is the master", () => isMaster(replica));
    // Without its old master the new one has no replica, and with waitReplicas nothing is admitted there until it is back.
    await master.start();
    await cluster.settled();
    await load.admits(600);
    await load.stop();
    const result = await resultWhenSettled(cluster, load, look);
    console.log(`a Cluster's master killed, waitReplicas 1: ${JSON.stringify(result)}`);
    expect(result).toMatchObject({ twice: 0, forgotten: 0, late: 0, said: ["ERR_STORE_UNAVAILABLE"] });
  });

  it("a master that stood still until its replica took over (SIGSTOP), waitReplicas 1: what it says afterwards counts for nothing", {
    timeout: 90_000,
  }, async () => {
    const { cluster, stores, look } = await start(1);
    const load = startLoad(stores, { name: "still", timeoutMs, pauseMs: 10 });
    await load.admits(300);
    const [master, replica] = [nodeOf(cluster, 0), replicaOf(cluster, 0)];
    master.pause();
    await until("the replica is the master", () => isMaster(replica));
    master.resume();
    await cluster.settled();
    await load.admits(600);
    await load.stop();
    const result = await resultWhenSettled(cluster, load, look);
    console.log(`master that stood still, waitReplicas 1: ${JSON.stringify(result)}`);
    expect(result).toMatchObject({ twice: 0, forgotten: 0, late: 0, said: ["ERR_STORE_UNAVAILABLE"] });
  });
});
