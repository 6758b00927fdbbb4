import { Cluster } from "ioredis";
import { createCluster } from "redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RedisClient, redisStore } from "../../../adapters/redis.ts";
import { type StoreUnderTest, testStore } from "../../../src/testing/store.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { keysUnder, type RedisCluster, startCluster } from "../../helpers/redis.ts";

const TIMEOUT = 700;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;
const describe = describeWith("redis-server", hasRedis());

describe("redisStore on a real Cluster", () => {
  let cluster: RedisCluster;
  let tests = 0;
  const ends: (() => void)[] = [];
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(async () => {
    for (const end of ends) end();
    await cluster?.dispose();
  });

  async function nodeRedis(): Promise<RedisClient> {
    const client = createCluster({ rootNodes: cluster.addresses.map((socket) => ({ socket })) });
    client.on("error", () => undefined);
    await client.connect();
    ends.push(() => client.destroy());
    return client;
  }

  async function ioRedis(): Promise<RedisClient> {
    const client = new Cluster([...cluster.addresses]);
    ends.push(() => client.disconnect());
    return client;
  }

  /** A prefix for each test keeps them apart. */
  function maker(connect: () => Promise<RedisClient>, virtual: boolean): () => Promise<StoreUnderTest> {
    let first: RedisClient | undefined;
    let second: RedisClient | undefined;
    return async () => {
      first ??= await connect();
      second ??= await connect();
      const other = second;
      const prefix = `test${++tests}:`;
      let time = 1_750_000_000_000;
      const advance = (ms: number): void => {
        time += ms;
      };
      const options = { prefix, timeoutMs: PATIENT, ...(virtual ? { clock: (): number => time } : {}) };
      const client = first;
      return {
        store: redisStore(client, options),
        impatient: () => redisStore(client, { ...options, timeoutMs: TIMEOUT }),
        another: () => redisStore(other, options),
        timeoutMs: TIMEOUT,
        hang() {
          for (const node of cluster.nodes) node.pause();
          return () => {
            for (const node of cluster.nodes) node.resume();
          };
        },
        // In time of its own a test is over long before Redis forgets anything; in real time Redis must.
        ...(virtual ? { advance } : { dump: () => keysUnder(cluster, prefix) }),
      };
    };
  }

  describe("over node-redis, on a clock of its own", () => {
    testStore(maker(nodeRedis, true), { describe, it, expect });
  });
  describe("over ioredis, on the servers' time", () => {
    testStore(maker(ioRedis, false), { describe, it, expect });
  });
});
