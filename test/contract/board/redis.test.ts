import { Cluster, Redis } from "ioredis";
import { createClient, createCluster, RESP_TYPES } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisClient, redisBoard, redisStore } from "../../../adapters/redis.ts";
import { testBoard } from "../../../src/testing/board.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisCluster, type RedisServer, startCluster, startRedis } from "../../helpers/redis.ts";
import { expectOrderOf } from "./crowd.ts";

interface Opened {
  client: RedisClient;
  end(): unknown;
}

/** Suites over a client of each kind, opened once; every test has keys of its own. */
function suites(kinds: Record<string, () => Promise<Opened>>): void {
  let serial = 0;
  describe.each(Object.entries(kinds))("%s", (name, open) => {
    let opened: Opened;
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened.end());
    testBoard(
      () => {
        const options = { prefix: `${name.replaceAll(/\W/g, "-")}-${++serial}` };
        return { board: redisBoard(opened.client, options), reopen: () => redisBoard(opened.client, options) };
      },
      { describe, it, expect },
    );
  });
}

describeWith("redis-server", hasRedis())("redisBoard on one Redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.dispose());

  suites({
    async "a client of redis"() {
      const client = await createClient({ url: server.url }).connect();
      return { client, end: () => client.close() };
    },
    async ioredis() {
      const client = new Redis(server.url, { stringNumbers: true });
      return { client, end: () => client.disconnect() };
    },
  });

  it("four processes: the best is kept, each submission counts once, the ranks add up", { timeout: 120_000 }, async () => {
    const client = await createClient({ url: server.url }).connect();
    try {
      await expectOrderOf(server.url, redisBoard(client));
    } finally {
      client.destroy();
    }
  });
});

describeWith("redis-server", hasRedis())("a client of redis with a type mapping to Buffers", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.dispose());
  const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer };

  it.each([2, 3] as const)("the board says why it cannot work, its check too, and the fix that it names works (RESP %i)", async (RESP) => {
    const client = await createClient({ url: server.url, RESP, commandOptions: { typeMapping } }).connect();
    try {
      const board = redisBoard(client, { prefix: `mapped-${RESP}` });
      for (const call of [board.top({ board: "main", period: "all", limit: 3 }), board.find("row"), board.ban("player", true, "")]) {
        await expect(call).rejects.toMatchObject({
          code: "ERR_BOARD_UNAVAILABLE",
          message: expect.stringMatching(/Buffers.*withTypeMapping/),
        });
      }
      const codes = async (of: { check(): Promise<{ code: string }[]> }): Promise<string[]> => (await of.check()).map(({ code }) => code);
      expect(await codes(board)).toEqual(["GP142", "GP144"]);
      const fixed = redisBoard(client.withTypeMapping({}), { prefix: `mapped-${RESP}` });
      expect(await codes(fixed)).toEqual(["GP142"]);
      expect(await fixed.top({ board: "main", period: "all", limit: 3 })).toEqual([]);
    } finally {
      client.destroy();
    }
  });

  it("the store works all the same: its answers are numbers", async () => {
    const client = await createClient({ url: server.url, commandOptions: { typeMapping } }).connect();
    try {
      const store = redisStore(client, { prefix: "mapped:" });
      const spend = (): Promise<{ ok: boolean }> => store.spend([{ key: "a|b", limit: 2, window: 60 }]);
      expect([await spend(), await spend(), await spend()].map(({ ok }) => ok)).toEqual([true, true, false]);
      expect((await store.check?.())?.map(({ code }) => code)).toEqual(["GP142"]);
    } finally {
      client.destroy();
    }
  });
});

describeWith("redis-server", hasRedis())("redisBoard on a Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.dispose());

  suites({
    async "a cluster of redis"() {
      const client = createCluster({ rootNodes: cluster.addresses.map((socket) => ({ socket })) });
      await client.connect();
      return { client, end: () => client.close() };
    },
    async "Cluster of ioredis"() {
      const client = new Cluster([...cluster.addresses]);
      return { client, end: () => client.disconnect() };
    },
  });

  it("a board is in one slot, and boards of other prefixes in others", async () => {
    const slots = new Map<string, Set<number>>();
    const client = await createClient({ url: cluster.nodes[0]?.url ?? "" }).connect();
    await Promise.all(
      (await cluster.keys()).map(async (key) => {
        const slot = await client.clusterKeySlot(key);
        const [, prefix = ""] = /^\{(.*?)\}:/.exec(key) ?? [];
        slots.set(prefix, (slots.get(prefix) ?? new Set()).add(slot));
      }),
    );
    client.destroy();
    expect(slots.size).toBeGreaterThan(20);
    for (const [prefix, of] of slots) expect([prefix, of.size]).toEqual([prefix, 1]);
    expect(new Set([...slots.values()].flatMap((of) => [...of])).size).toBeGreaterThan(20);
  });
});
