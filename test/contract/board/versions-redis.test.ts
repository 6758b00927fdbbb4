import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { createCluster } from "redis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { migrate, type RedisBoard, redisBoard } from "../../../adapters/redis.ts";
import { LEVELS } from "../../../src/protocol.ts";
import type { ScoreBoard, ScoreEntry } from "../../../src/scores/board.ts";
import { usesKey } from "../../../src/store/keys.ts";
import { HOSTILE_TEXTS } from "../../../src/testing/store-tools.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { wrongAfterMigration } from "../../helpers/board-v1.ts";
import { boardV1InRedis, writeRedisV1 } from "../../helpers/board-v1-redis.ts";
import { type RedisServer, startCluster, startRedis } from "../../helpers/redis.ts";
import { root } from "../../helpers/sources.ts";

const PREFIX = "gatepass-board";
const RULES = { periods: ["all"], order: "desc", operator: "best", group: "main" } as const;
const entry = (more: Partial<ScoreEntry> = {}): ScoreEntry => ({
  board: "main",
  player: "new",
  score: 7,
  at: 10_000,
  submission: "new",
  level: "claimed",
  flags: [],
  name: "New",
  ...more,
});
const isRight = async (board: ScoreBoard, count: number): Promise<void> => {
  expect(await wrongAfterMigration(board, count)).toEqual([]);
  // What was known is known: the submission, the ban (whatever the group is called), the hidden row.
  expect((await board.submit(entry({ player: "p1", submission: "s1", score: 500 }), RULES)).status).toBe("repeated");
  for (const group of ["", "main", "speed", "another"]) expect(await board.banned({ group, limit: 5 })).toEqual(["cheat"]);
  for (const group of ["main", "a name that no board has"]) {
    expect((await board.submit(entry({ player: "cheat" }), { ...RULES, group })).status).toBe("banned");
  }
  expect((await board.hidden({ group: "main", limit: 5 })).map(({ id }) => id)).toEqual(["hidden-1"]);
  expect((await board.submit(entry({ score: 999 }), RULES)).rank).toBeLessThan(10);
};
/** Calls that meet boards, players or rows. */
const callsOf = (board: ScoreBoard, own = "m0-all"): Record<string, () => Promise<unknown>> => ({
  submit: () => board.submit(entry(), RULES),
  "submit to a new board": () => board.submit(entry({ board: "another", player: "p1" }), RULES),
  top: () => board.top({ board: "main", period: "all", limit: 1 }),
  count: () => board.count({ board: "main", period: "all" }),
  near: () => board.near({ board: "main", period: "all", score: 1, n: 1 }),
  ofPlayer: () => board.ofPlayer({ board: "main", period: "all", player: "p1" }),
  find: () => board.find(own),
  around: () => board.around(own, 1),
  remove: () => board.remove(own),
  hide: () => board.hide(own, true),
  ban: () => board.ban("p1", true, "main"),
  unban: () => board.ban("cheat", false, "main"),
  purge: () => board.purge("p1", "main"),
  rename: () => board.rename("p1", "x", { group: "main" }),
  rowsOf: () => board.rowsOf("p1", "main"),
  "claim from": () => board.claim("p1", "fresh", "main"),
  "claim to": () => board.claim("fresh", "p1", "main"),
  clear: () => board.clear("main"),
});

describeWith("redis-server", hasRedis())("data of version 1 in Redis", () => {
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

  /** Every key and what it holds. */
  async function dump(): Promise<string[]> {
    const keys = await server.keys();
    return Promise.all(keys.map(async (key) => `${key} ${(await client.dumpBuffer(key))?.toString("base64")}`));
  }

  it("is refused by every call that meets it, with both versions and the command, and nothing is changed", async () => {
    await boardV1InRedis(client, PREFIX, 5);
    const before = await dump();
    for (const [name, call] of Object.entries(callsOf(board))) {
      await expect(call(), name).rejects.toMatchObject({
        code: "ERR_CONFIG_INVALID",
        message: expect.stringMatching(/GP173.*version 1.*version 2.*migrate\(client/),
      });
    }
    expect(await dump()).toEqual(before);
    const problems = await board.check([{ board: "main", rules: RULES }]);
    expect(problems.map(({ code }) => code)).toEqual(["GP142", "GP173"]);
  });

  it("a player whom version 1 has banned is not admitted on a board that is new", async () => {
    await boardV1InRedis(client, PREFIX, 1);
    await expect(board.submit(entry({ board: "brand-new", player: "cheat" }), RULES)).rejects.toMatchObject({ message: /GP173/ });
  });

  it("becomes version 2, once", async () => {
    await boardV1InRedis(client, PREFIX, 700);
    await writeRedisV1(client, "other", [
      { id: "x", board: "main", period: "all", player: "p", score: 1, at: 1, submission: "s", level: 0 },
    ]);
    expect(await migrate(client)).toEqual([
      "brought 2 boards, 3 lists and 1404 rows to this version",
      "banned 1 players in every group, as before on every board",
    ]);
    expect([await migrate(client), (await board.check()).map(({ code }) => code)]).toEqual([[], ["GP142"]]);
    await isRight(board, 700);
    // Nothing of version 1 is left, and a board of another prefix is as it was.
    const keys = await server.keys();
    expect(keys.filter((key) => /^\{gatepass-board\}:(r:|1|z[1-3]|su)/.test(key))).toEqual([]);
    expect(keys.filter((key) => key.startsWith("{other}")).length).toBe(5);
  });

  it("texts, logs, levels, lists without rows and bans without rows come through", async () => {
    const texts = HOSTILE_TEXTS.filter((text) => text.length >= 1 && text.length <= 64);
    const rows = texts.map((text, i) => ({
      ...{ id: `id${i}`, board: text, period: text, player: text, score: -i, at: i, submission: text, level: i % 4, name: text },
      ...(i % 2 === 0 && { log: text }),
    }));
    const long = "u".repeat(60);
    const gone = { id: "gone", board: "main", period: "2026-W01", player: "left", score: 3, at: 3, submission: "once", level: 0 };
    await writeRedisV1(client, PREFIX, [...rows, gone], { banned: ["plain", long, "auth0|7"] });
    const base = `{${PREFIX}}:`;
    // As version 1 removes a row.
    const list = usesKey("l", "main", "2026-W01");
    await client.del(`${base}r:gone`, `${base}z0${list}`, base + usesKey("p", "left"));
    expect((await migrate(client)).join("; ")).toMatch(/banned 3 players.*2 of these have no rows/);
    for (const [i, text] of texts.entries()) {
      expect(await board.ofPlayer({ board: text, period: text, player: text })).toMatchObject({
        id: `id${i}`,
        rank: 1,
        score: 0 - i,
        name: text,
      });
      expect(await board.find(`id${i}`)).toMatchObject({
        board: text,
        period: text,
        submission: text,
        flags: ["flag"],
        replay: i % 2 === 0,
      });
      expect((await board.find(`id${i}`))?.log).toBe(i % 2 === 0 ? text : undefined);
      const levels = LEVELS.map((minLevel) => board.count({ board: text, period: text, minLevel }));
      expect((await Promise.all(levels)).reduce((sum, one) => sum + one)).toBe(1 + (i % 4));
      expect(await board.rowsOf(text, text)).toHaveLength(1);
    }
    expect((await board.submit(entry({ submission: "once" }), { ...RULES, periods: ["2026-W01"] })).status).toBe("repeated");
    expect(await board.clear("main", "2026-W01")).toBe(1);
    // Whose id was not to be read is banned as soon as it comes, in all groups; a ban that is lifted in one stays lifted.
    expect(await board.banned({ group: "main", limit: 9 })).toEqual(["plain"]);
    for (const player of ["plain", long, "auth0|7"]) expect((await board.submit(entry({ player }), RULES)).status).toBe("banned");
    expect(await board.banned({ group: "elsewhere", limit: 9 })).toEqual(["auth0|7", "plain", long].sort());
    await board.ban("auth0|7", false, "main");
    expect((await board.submit(entry({ player: "auth0|7", submission: "n2" }), RULES)).status).toBe("stored");
    expect(await board.banned({ group: "main", limit: 9 })).toEqual(["plain", long]);
  });

  it("four processes that migrate at once do it once; a submission meanwhile is refused or counted", { timeout: 120_000 }, async () => {
    await boardV1InRedis(client, PREFIX, 3000);
    const script = `import { Redis } from "ioredis"; import { migrate } from "${root}adapters/redis.ts";
      const client = new Redis(${JSON.stringify(server.url)}); console.log(JSON.stringify(await migrate(client, { timeoutMs: 20000 }))); client.disconnect();`;
    const args = ["--no-warnings", "--input-type=module-typescript", "-e", script];
    const runs = Promise.all(Array.from({ length: 4 }, () => promisify(execFile)(process.execPath, args, { cwd: root })));
    let [ended, stored, refused] = [false, 0, 0];
    const writing = (async () => {
      for (let i = 0; !ended; i++) {
        const added = board.submit(entry({ player: `late${i}`, submission: `late${i}`, score: 1 }), RULES);
        const told = await added.then(
          ({ status }) => status,
          (error: unknown) => String(error),
        );
        expect(told).toMatch(/^stored$|GP173/);
        if (told === "stored") stored += 1;
        else refused += 1;
      }
    })();
    const done = (await runs).flatMap(({ stdout }): string[] => JSON.parse(stdout));
    ended = true;
    await writing;
    const rows = done.flatMap((one) => /and (\d+) rows/.exec(one)?.[1] ?? []).reduce((sum, n) => sum + Number(n), 0);
    expect([rows, refused > 0, stored > 0]).toEqual([6004, true, true]);
    await board.sweep();
    for (const row of await board.hidden({ group: "main", limit: 9 })) expect(row.id).toBe("hidden-1");
    expect((await board.top({ board: "main", period: "all", limit: 5 })).map(({ rank }) => rank)).toEqual([1, 1, 1, 4, 4]);
    expect(await migrate(client)).toEqual([]);
  });

  it("one that was stopped anywhere is refused as being migrated, and the next one goes on", { timeout: 120_000 }, async () => {
    for (const stop of [1, 2, 3, 5, 8]) {
      await client.flushall();
      await boardV1InRedis(client, PREFIX, 400);
      let left = stop;
      const stopping = {
        async send(command: string, args: readonly string[]) {
          // Not those that try what the user may do.
          if (args.includes("step") && left-- === 0) throw new Error("stopped");
          return client.call(command, ...args);
        },
      };
      await expect(migrate(stopping)).rejects.toMatchObject({ code: "ERR_BOARD_UNAVAILABLE" });
      for (const call of Object.values(callsOf(board))) {
        await expect(call()).rejects.toMatchObject({
          code: "ERR_CONFIG_INVALID",
          message: expect.stringMatching(/GP173.*is being migrated/),
        });
      }
      expect((await board.check()).map(({ code }) => code)).toContain("GP173");
      await migrate(client);
      await isRight(board, 400);
    }
  });

  it("a player of many lists, and lists of many rows, go in steps of some 300 changes", { timeout: 120_000 }, async () => {
    const rows = Array.from({ length: 3000 }, (_, i) => ({
      ...{ id: `d${i}`, board: "main", player: "a", score: 1, at: i, submission: `a${i}`, level: 3 },
      period: `p${i}`,
    }));
    await writeRedisV1(client, PREFIX, [...rows, ...rows.map((row, i) => ({ ...row, id: `e${i}`, period: "all", player: `p${i}` }))]);
    let steps = 0;
    const counting = {
      async send(command: string, args: readonly string[]) {
        if (args.includes("step")) steps += 1;
        return client.call(command, ...args);
      },
    };
    expect(await migrate(counting)).toEqual(["brought 1 boards, 3001 lists and 6000 rows to this version"]);
    expect(steps).toBeGreaterThan((2 * 6000) / 300);
    expect(await board.rowsOf("a", "main")).toHaveLength(3000);
    expect(await board.count({ board: "main", period: "all", minLevel: "witnessed" })).toBe(3000);
  });

  it("rows that cannot be read are left, and told", async () => {
    await boardV1InRedis(client, PREFIX, 3);
    await client.set(`{${PREFIX}}:r:m1-all`, "no row of ours");
    expect(await migrate(client)).toContain("left 1 rows that cannot be read where they were");
    expect([await client.get(`{${PREFIX}}:r:m1-all`), await board.count({ board: "main", period: "all" })]).toEqual(["no row of ours", 2]);
  });

  it("what version 1 writes beside our data is refused where we meet it, and the next migration takes it", async () => {
    await board.submit(entry(), RULES);
    await writeRedisV1(client, PREFIX, [], { banned: ["stranger"] });
    await expect(board.submit(entry({ player: "stranger" }), RULES)).rejects.toMatchObject({ message: expect.stringMatching(/GP173/) });
    expect((await board.submit(entry({ player: "b", submission: "b" }), RULES)).status).toBe("stored");
    expect(await migrate(client)).toEqual(["banned 1 players in every group, as before on every board"]);
    expect((await board.submit(entry({ player: "stranger" }), RULES)).status).toBe("banned");
  });

  it("the first commands of version 1 fail at our boards, lists and players, and find none of our rows", async () => {
    const { id } = await board.submit(entry(), RULES);
    const before = await dump();
    const [list, boardKey, playerKey] = [usesKey("l", "main", "all"), usesKey("b", "main"), usesKey("p", "new")].map(
      (key) => `{${PREFIX}}:${key}`,
    );
    const commands = [
      // submit, by a known player and by another one; ofPlayer; ban, unban, purge
      ...[
        ["HEXISTS", playerKey, "ban"],
        ["HGET", boardKey, "order"],
        ["HSET", boardKey, "order", "desc"],
        ["HGET", playerKey, "x"],
      ],
      ...[
        ["HSETNX", playerKey, "ban", "1"],
        ["HDEL", playerKey, "ban"],
        ["HGETALL", playerKey],
      ],
      // top
      ["ZRANGE", list?.replace("}:", "}:z0"), "0", "9"],
    ];
    for (const [command = "", ...args] of commands)
      await expect(client.call(command, ...args.map(String)), command).rejects.toThrow(/WRONGTYPE/);
    // find, around, remove, hide
    expect(await client.get(`{${PREFIX}}:r:${id}`)).toBe(null);
    expect(await dump()).toEqual(before);
  });

  it("data of a newer version is neither read nor written", async () => {
    const { id } = await board.submit(entry(), RULES);
    await client.set(`{${PREFIX}}:v`, "3");
    const before = await dump();
    for (const call of [
      ...Object.values(callsOf(board, id)),
      () => board.sweep(),
      () => board.hidden({ group: "", limit: 1 }),
      () => migrate(client),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: "ERR_CONFIG_INVALID",
        message: expect.stringMatching(/GP173.*version 3.*version 2/),
      });
    }
    expect([await dump(), (await board.check()).map(({ code }) => code)]).toEqual([before, ["GP142", "GP173"]]);
  });

  it.each(["scan", "rename", "hrandfield", "zadd"])("a user that may not run %s is told so, and nothing is changed", async (command) => {
    await boardV1InRedis(client, PREFIX, 2);
    await client.call("ACL", "SETUSER", "plain", "on", ">secret", "~*", "+@all", `-${command}`);
    const user = new Redis(server.port, { username: "plain", password: "secret" });
    const before = await dump();
    await expect(migrate(user)).rejects.toMatchObject({
      code: "ERR_CONFIG_INVALID",
      message: expect.stringMatching(new RegExp(`GP146.*${command}`, "i")),
    });
    expect(await dump()).toEqual(before);
    user.disconnect();
    await client.call("ACL", "DELUSER", "plain");
  });
});

describeWith("redis-server", hasRedis())("data of version 1 on a Cluster", () => {
  it("becomes version 2 on the master that has it", async () => {
    const cluster = await startCluster();
    const client = createCluster({ rootNodes: cluster.addresses.map((socket) => ({ socket })) });
    try {
      await client.connect();
      const node = await Promise.all(
        (await cluster.masters()).map(async ({ port }) => {
          const one = new Redis(port, { lazyConnect: true });
          return {
            one,
            error: await boardV1InRedis(one, PREFIX, 50).then(
              () => false,
              () => true,
            ),
          };
        }),
      );
      expect(node.filter(({ error }) => !error)).toHaveLength(1);
      for (const { one } of node) one.disconnect();
      expect(await migrate(client)).toHaveLength(2);
      await isRight(redisBoard(client), 50);
    } finally {
      await client.close();
      await cluster.dispose();
    }
  });
});
