import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type RedisBoard, redisBoard } from "../../../adapters/redis.ts";
import type { ScoreEntry } from "../../../src/scores/board.ts";
import { usesKey } from "../../../src/store/keys.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisServer, startRedis } from "../../helpers/redis.ts";

const RULES = { periods: ["all"], order: "desc", operator: "best", group: "main" } as const;
const entry = (more: Partial<ScoreEntry> = {}): ScoreEntry => ({
  board: "main",
  player: "ada",
  score: 7,
  at: 1,
  submission: "s1",
  level: "claimed",
  flags: [],
  name: "Ada",
  ...more,
});
const BASE = "{gatepass-board}:";

describeWith("redis-server", hasRedis())("versions of the data in Redis", () => {
  let server: RedisServer;
  let client: Redis;
  let board: RedisBoard;
  beforeAll(async () => {
    server = await startRedis();
    client = new Redis(server.port);
    board = redisBoard(client);
  });
  afterEach(async () => {
    await client.flushall();
  });
  afterAll(async () => {
    client.disconnect();
    await server.dispose();
  });

  /** Every key with its value, so that a change of one is seen. */
  async function dump(): Promise<string[]> {
    const keys = (await client.keys("*")).sort();
    return Promise.all(keys.map(async (key) => `${key} ${await client.dump(key)}`));
  }

  it("version 1 is refused by every call that meets it, with both versions, and nothing is changed", async () => {
    await client.hset(`${BASE}${usesKey("b", "main")}`, "order", "desc", usesKey("l", "main", "all"), 1);
    await client.hset(`${BASE}${usesKey("p", "ada")}`, usesKey("l", "main", "all"), "row1", "ban", 1);
    await client.set(`${BASE}r:row1`, `7 1 0 0 ${usesKey("l", "main", "all")} ${usesKey("b", "main")} ${usesKey("p", "ada")} []`);
    const before = await dump();
    const calls: Record<string, () => Promise<unknown>> = {
      submit: () => board.submit(entry(), RULES),
      top: () => board.top({ board: "main", period: "all", limit: 3 }),
      near: () => board.near({ board: "main", period: "all", score: 3, n: 3 }),
      count: () => board.count({ board: "main", period: "all" }),
      find: () => board.find("row1"),
      around: () => board.around("row1", 2),
      hide: () => board.hide("row1", true),
      remove: () => board.remove("row1"),
      ban: () => board.ban("ada", true, "main"),
      purge: () => board.purge("ada", "main"),
      claim: () => board.claim("ada", "bob", "main"),
      clear: () => board.clear("main"),
    };
    for (const [name, call] of Object.entries(calls)) {
      const error = await call().catch((thrown: unknown) => thrown);
      expect([name, error]).toEqual([
        name,
        expect.objectContaining({
          code: "ERR_CONFIG_INVALID",
          message: expect.stringMatching(/GP173.*version 1.*version 2.*another `prefix`/),
        }),
      ]);
    }
    const checked = await board.check([{ board: "main", rules: RULES }]);
    expect(checked.filter(({ severity }) => severity === "error").map(({ code }) => code)).toEqual(["GP173"]);
    expect(await dump()).toEqual(before);
  });

  it("another prefix beside it works, and data of a newer release is refused", async () => {
    await client.hset(`${BASE}${usesKey("b", "main")}`, "order", "desc");
    const other = redisBoard(client, { prefix: "other" });
    expect((await other.submit(entry(), RULES)).status).toBe("stored");
    await client.set("{other}:v", "3");
    for (const call of [
      () => other.submit(entry({ submission: "s2" }), RULES),
      () => other.banned({ group: "main", limit: 1 }),
      () => other.sweep(),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: "ERR_CONFIG_INVALID",
        message: expect.stringMatching(/GP173.*version 3.*version 2.*newer/),
      });
    }
    expect((await other.check()).map(({ code }) => code)).toContain("GP173");
  });

  it("what version 1 does first fails on data of version 2, before it writes", async () => {
    await board.submit(entry(), RULES);
    const before = await dump();
    // As its script does: the order of the board, before everything else that writes; and a row that it reads.
    await expect(client.hget(`${BASE}${usesKey("b", "main")}`, "order")).rejects.toThrow(/WRONGTYPE/);
    const [id = ""] = await client.hvals(`${BASE}${usesKey("p", "ada")}`);
    expect(await client.get(`${BASE}r:${id}`)).not.toMatch(/^(\S+) (\S+) (\d) (\d) (\S+) (\S+) (\S+) (.*)$/);
    expect(await dump()).toEqual(before);
  });

  it("a year of daily boards leaves the keys of what is kept: forgotten lists are swept to the last key", { timeout: 60_000 }, async () => {
    const DAY = 86_400_000;
    let serial = 0;
    for (let day = 0; day < 60; day++) {
      for (let player = 0; player < 5; player++) {
        serial += 1;
        const periods = ["all", { key: `day ${day}`, forget: (day + 7) * DAY }];
        await board.submit(entry({ player: `p${player}`, score: serial, submission: `s${serial}`, at: day * DAY }), { ...RULES, periods });
      }
      await board.sweep(1000, day * DAY);
    }
    const kept = (await client.keys("*")).length;
    await board.sweep(100_000, 1000 * DAY);
    const all = await client.keys("*");
    expect(kept - all.length).toBeLessThanOrEqual(8 * (5 + 4));
    expect(all.length).toBeLessThan(30);
    expect((await board.top({ board: "main", period: "all", limit: 9 })).length).toBe(5);
  });
});
