import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { redisBoard } from "../../../adapters/redis.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisServer, startRedis } from "../../helpers/redis.ts";
import { root } from "../../helpers/sources.ts";

const BASE = "{gatepass-board}:";

/** Where what is held contradicts itself; nothing where all is right. */
async function contradictions(client: Redis, keys: readonly string[]): Promise<string[]> {
  const wrong: string[] = [];
  const names = keys.map((key) => key.slice(BASE.length));
  const kind = (begin: string): string[] => names.filter((name) => name.startsWith(begin)).map((name) => name.slice(begin.length));
  const lists = new Map<string, string>();
  for (const list of kind("z0")) lists.set((await client.hget(`${BASE}z0${list}`, "n")) ?? "", list);
  const cleared = new Set(await client.smembers(`${BASE}x`));
  const shown = new Map<string, string[]>();
  for (const id of kind("e:")) {
    const [head = "", , player = ""] = ((await client.get(`${BASE}e:${id}`)) ?? "").split("\n");
    const [score = "", at = "", level = "", hidden, n = "", list, board = "", key = ""] = head.split(" ");
    const group = ((await client.get(BASE + board)) ?? "").split(" ")[3] ?? "";
    const bare = player.slice(1, -1);
    if ((await client.zscore(BASE + key, id)) !== n) wrong.push(`${id}: not its player's`);
    if ((await client.sismember(`${BASE}m:${n}`, id)) !== 1) wrong.push(`${id}: not in m:${n}`);
    const isKnown = lists.get(n) === list;
    if (!isKnown && !cleared.has(n)) wrong.push(`${id}: its list is neither there nor cleared`);
    const isHidden = (await client.zscore(`${BASE}h:${board}`, id)) !== null;
    if (isKnown && isHidden !== (hidden === "1")) wrong.push(`${id}: hidden ${hidden}, and in h: ${isHidden}`);
    if (isHidden && (await client.sismember(`${BASE}H:${group}`, board)) !== 1) wrong.push(`${board}: not in H:${group}`);
    if (!isKnown || hidden === "1" || (await client.zscore(`${BASE}b:${group}`, bare)) !== null) continue;
    for (let from = 0; from <= Number(level); from++) {
      const set = `y${from}:${n}`;
      shown.set(set, [...(shown.get(set) ?? []), `${at.padStart(16, "0")}${id} ${score}`]);
    }
  }
  for (const set of new Set([...names.filter((name) => /^y\d:/.test(name)), ...shown.keys()])) {
    const held = await client.zrange(`${BASE}${set}`, "0", "-1", "WITHSCORES");
    const pairs = held.flatMap((one, i) => (i % 2 === 0 ? [`${one} ${held[i + 1]}`] : []));
    if (pairs.sort().join() !== (shown.get(set) ?? []).sort().join())
      wrong.push(`${set}: ${pairs.length} instead of ${shown.get(set)?.length}`);
  }
  for (const key of names.filter((name) => name.startsWith("up:"))) {
    const held = await client.zrange(BASE + key, "0", "-1", "WITHSCORES");
    const [ids, ns] = [held.filter((_, i) => i % 2 === 0), held.filter((_, i) => i % 2 === 1)];
    if (new Set(ns).size < ns.length) wrong.push(`${key}: two rows in one list`);
    for (const id of ids) if ((await client.exists(`${BASE}e:${id}`)) !== 1) wrong.push(`${key}: no row ${id}`);
  }
  for (const board of kind("h:")) {
    for (const id of await client.zrange(`${BASE}h:${board}`, "0", "-1")) {
      if ((await client.exists(`${BASE}e:${id}`)) !== 1) wrong.push(`h:${board}: no row ${id}`);
    }
  }
  for (const group of kind("w:")) {
    const [byPlayer, byName] = [await client.hgetall(`${BASE}w:${group}`), await client.hgetall(`${BASE}u:${group}`)];
    const turned = Object.fromEntries(Object.entries(byPlayer).map(([player, name]) => [name, player]));
    if (JSON.stringify(Object.entries(turned).sort()) !== JSON.stringify(Object.entries(byName).sort())) wrong.push(`${group}: names`);
  }
  for (const group of kind("b:")) {
    const [bans, keyed] = [await client.zrange(`${BASE}b:${group}`, "0", "-1"), await client.hkeys(`${BASE}k:${group}`)];
    if (bans.sort().join() !== keyed.sort().join()) wrong.push(`${group}: bans`);
  }
  return wrong;
}

describeWith("redis-server", hasRedis())("redisBoard, four processes that do everything at once", () => {
  let server: RedisServer;
  let client: Redis;
  beforeAll(async () => {
    server = await startRedis();
    client = new Redis(server.port);
  });
  afterAll(async () => {
    client.disconnect();
    await server.dispose();
  });

  it("what is held never contradicts itself, and a board that is emptied leaves no row", { timeout: 300_000 }, async () => {
    const script = `${root}test/contract/board/disturber.ts`;
    for (const owns of [
      ["1", "2", "3", "4"],
      ["5", "6", "7", "8"],
      ["9", "10", "11", "12"],
    ]) {
      await Promise.all(owns.map((own) => promisify(execFile)(process.execPath, ["--no-warnings", script, server.url, own])));
      const keys = await server.keys();
      expect(keys.filter((key) => key.startsWith(`${BASE}e:`)).length).toBeGreaterThan(10);
      expect(await contradictions(client, keys)).toEqual([]);
    }
    const board = redisBoard(client);
    for (const name of ["a", "b", "c"]) {
      for (const period of ["all", "week"]) {
        const rows = await board.top({ board: name, period, limit: 100 });
        for (const row of rows) expect((await board.find(row.id))?.rank).toBe(row.rank);
      }
    }
    for (const name of ["a", "b", "c"]) await board.clear(name);
    while ((await board.sweep(500)) > 0);
    for (const group of ["one", "two"]) expect(await board.hidden({ group, limit: 10 })).toEqual([]);
    expect((await server.keys()).filter((key) => /:(e|g|m|s|y\d|h|L):|:(up:|z0|x$|f$)/.test(key))).toEqual([]);
  });
});
