import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { migrate, redisBoard } from "../../../adapters/redis.ts";
import { isGatepassError } from "../../../src/errors.ts";
import type { BoardRules, ScoreBoard, ScoreEntry, SubmitResult } from "../../../src/scores/board.ts";
import { HOSTILE_TEXTS } from "../../../src/testing/store-tools.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisServer, startRedis } from "../../helpers/redis.ts";

const MOST = Number.MAX_SAFE_INTEGER;
const RULES: BoardRules = { periods: ["all"], order: "desc", operator: "best" };

describeWith("redis-server", hasRedis())("redisBoard, what Redis could get wrong", () => {
  let server: RedisServer;
  let client: Redis;
  let board: ScoreBoard;
  let serial = 0;

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

  function put(player: string, score: number, more: Partial<ScoreEntry> = {}, rules: Partial<BoardRules> = {}): Promise<SubmitResult> {
    serial += 1;
    const entry = {
      board: "main",
      player,
      score,
      at: serial,
      submission: `s${serial}`,
      level: "claimed",
      flags: [],
      name: player,
    } as const;
    return board.submit({ ...entry, ...more }, { ...RULES, ...rules });
  }
  const players = async (more: { board?: string; period?: string } = {}): Promise<string[]> =>
    (await board.top({ board: "main", period: "all", limit: 100, ...more })).map(({ player, rank }) => `${player}#${rank}`);
  const unavailable = (promise: Promise<unknown>): Promise<void> =>
    expect(promise).rejects.toSatisfy((error) => isGatepassError(error, "ERR_BOARD_UNAVAILABLE"));

  it("tells all 53 bits of a score apart, and all of a time among equal scores", async () => {
    const wide = { min: 0, max: MOST };
    for (const [player, score, at] of [
      ["d", MOST - 1, 0],
      ["c", MOST, MOST],
      ["b", MOST, MOST - 1],
      ["a", MOST, 5],
    ] as const)
      await put(player, score, { at }, wide);
    expect(await players()).toEqual(["a#1", "b#1", "c#1", "d#4"]);
    const cold = { min: -MOST, max: 0 };
    for (const [player, score, at] of [
      ["a", -MOST, 9],
      ["b", -MOST, 10],
      ["c", 1 - MOST, 100],
      ["d", 0, 0],
      ["e", 0, 1],
    ] as const)
      await put(player, score, { at, board: "cold" }, cold);
    expect(await players({ board: "cold" })).toEqual(["d#1", "e#1", "c#3", "a#4", "b#4"]);
    expect((await board.ofPlayer({ board: "cold", period: "all", player: "b" }))?.score).toBe(-MOST);
    // The other way round: the same rows, and still the earlier first.
    await put("d", 0, { board: "cold" }, { ...cold, order: "asc" });
    expect(await players({ board: "cold" })).toEqual(["a#1", "b#1", "c#3", "d#4", "e#4"]);
    await put("d", 0, { board: "cold" }, cold);
    expect(await players({ board: "cold" })).toEqual(["d#1", "e#1", "c#3", "a#4", "b#4"]);
  });

  it("sums saturate where a double stops being exact, on both sides", async () => {
    const both = { operator: "sum", min: -(2 ** 52 - 1), max: 2 ** 52 - 1 } as const;
    for (let i = 0; i < 3; i++) {
      await put("up", 2 ** 52 - 1, {}, both);
      await put("down", -(2 ** 52 - 1), {}, both);
    }
    await put("zero", 7, {}, both);
    await put("zero", -7, {}, both);
    const rows = await board.top({ board: "main", period: "all", limit: 9 });
    expect(rows.map(({ player, score }) => [player, score])).toEqual([
      ["up", 2 ** 52 - 1],
      ["zero", 0],
      ["down", 1 - 2 ** 52],
    ]);
  });

  it("no text gets into a key, none is taken for another, all come back as they were", async () => {
    const texts = HOSTILE_TEXTS.filter((text) => text.length >= 1 && text.length <= 64);
    for (const text of texts) {
      const more = { board: text, submission: text, name: text, log: text, flags: [text] };
      await put(text, 1, more, { periods: [text, `${text}2`].map((period) => period.slice(0, 64)).slice(0, text.length < 64 ? 2 : 1) });
    }
    for (const text of texts) {
      const own = await board.ofPlayer({ board: text, period: text, player: text });
      expect(await board.find(own?.id ?? "")).toMatchObject({
        board: text,
        period: text,
        player: text,
        submission: text,
        name: text,
        flags: [text],
        log: text,
        rank: 1,
      });
      expect((await board.top({ board: text, period: text, limit: 9 })).length).toBe(1);
      expect((await put(text, 2, { board: text, submission: text }, { periods: [text] })).status).toBe("repeated");
    }
    for (const key of await server.keys()) expect(key).toMatch(/^\{gatepass-board\}:[\w.:|-]{1,85}$/);
    for (const id of ["", "*", "}x{", "../x", "x".repeat(10_000), "\ud800"]) {
      expect([await board.find(id), await board.around(id, 1), await board.hide(id, true), await board.remove(id)]).toEqual([
        null,
        [],
        false,
        false,
      ]);
    }
    for (const text of texts) await board.ban(text, true, "");
    for (const text of texts) expect((await put(text, 3, { board: text })).status).toBe("banned");
    for (const text of texts) await board.ban(text, false, "");
    for (const text of texts) expect(await board.purge(text, "")).toBe(text.length < 64 ? 2 : 1);
    // What remains of a purged player is what it must not send again, in lists that are still there.
    expect((await server.keys()).filter((key) => !/:(s:\d+|ub:.*|z0ul:.*|L:.*|[Gvn])$/.test(key))).toEqual([]);
  });

  it("no text of a group is taken for another, or keeps a submission out", async () => {
    const groups = HOSTILE_TEXTS.filter((text) => text.length <= 64);
    for (const [i, group] of groups.entries()) {
      expect((await put("a", 1, { board: `b${i}` }, { group })).status).toBe("stored");
      await board.ban(`p${i}`, true, group);
      await board.hide((await put("shy", 1, { board: `b${i}` }, { group })).id, true);
    }
    for (const [i, group] of groups.entries()) {
      expect(await board.banned({ group, limit: 10 })).toEqual([`p${i}`]);
      expect((await board.hidden({ group, limit: 10 })).map((row) => row.board)).toEqual([`b${i}`]);
      expect((await put(`p${i}`, 1, { board: `b${i}` }, { group })).status).toBe("banned");
    }
  });

  it("banned players are listed in the order of their bytes, in pages", async () => {
    const all = ["a", "a b", "a!", 'a"b', "ab", "b", "\ud800", "é", "z\\"];
    for (const player of all) await board.ban(player, true, "");
    const listed: string[] = [];
    for (let after: string | undefined = ""; after !== undefined; after = listed.length < all.length ? listed.at(-1) : undefined) {
      listed.push(...(await board.banned({ group: "", limit: 2, after })));
    }
    expect([...listed].sort()).toEqual([...all].sort());
    const plain = (one: string): boolean => /^[ !a-z]+$/.test(one);
    expect(listed.filter(plain)).toEqual(all.filter(plain));
    for (const player of all) await board.ban(player, false, "");
    expect(await board.banned({ group: "", limit: 10 })).toEqual([]);
  });

  it("hidden rows of a period that was cleared, and of players that were purged since, leave the others on their pages", async () => {
    const periods = ["all", "old"];
    for (let i = 0; i < 130; i++) await put(`p${i}`, i, {}, { periods });
    const rows = [
      ...(await board.top({ board: "main", period: "all", limit: 130 })),
      ...(await board.top({ board: "main", period: "old", limit: 130 })),
    ];
    for (const { id } of rows.slice(0, 130)) await board.hide(id, true);
    expect(await board.clear("main", "old")).toBe(1);
    for (let i = 0; i < 30; i++) expect(await board.purge(`p${i}`, "")).toBe(1);
    for (const limit of [1, 7, 100, 1000]) {
      const seen: string[] = [];
      for (let more = true; more; ) {
        const page = await board.hidden({ group: "", limit, after: seen.at(-1) ?? "" });
        seen.push(...page.map(({ id }) => id));
        more = page.length === limit;
      }
      expect([limit, seen.length, new Set(seen).size]).toEqual([limit, 100, 100]);
    }
    await board.sweep(10_000);
    for (let i = 30; i < 130; i++) await board.purge(`p${i}`, "");
    expect((await server.keys()).filter((key) => /:[ehgmy]\d?:|:up:/.test(key))).toEqual([]);
  });

  it("a board of thousands of lists is cleared and checked in steps, and what is submitted meanwhile stays", async () => {
    const count = 1500;
    await Promise.all(Array.from({ length: count }, (_, i) => put(`p${i}`, i, { tag: `t${i}` })));
    const bounds = { board: "main", rules: { order: "desc", operator: "best", max: 499 } } as const;
    const outside = (await board.check?.([bounds]))?.find(({ code }) => code === "GP171")?.message;
    expect(outside).toMatch(/2000 rows/);
    const monitor = await client.monitor();
    const calls: string[] = [];
    monitor.on("monitor", (_time: string, [command = "", , , , action = ""]: string[]) => {
      if (/^evalsha$/i.test(command) && action === "clear") calls.push(action);
    });
    // The script is loaded: the first step is sent before what follows.
    await board.clear("none");
    calls.length = 0;
    const cleared = board.clear("main");
    const late = Array.from({ length: 50 }, (_, i) => put(`late${i}`, i, { tag: `late${i}` }));
    await Promise.all(late);
    expect(await cleared).toBeGreaterThanOrEqual(count + 1);
    monitor.disconnect();
    expect(calls.length).toBeGreaterThan(5);
    expect(await board.count({ board: "main", period: "all", tag: "late49" })).toBe(1);
    expect(await board.count({ board: "main", period: "all", tag: "t7" })).toBe(0);
    while ((await board.sweep(500)) >= 500);
    expect((await players()).every((one) => one.startsWith("late"))).toBe(true);
  });

  it("a log goes with the score that it is of", async () => {
    const { id } = await put("a", 1, { log: "moves" });
    expect(await board.find(id)).toMatchObject({ replay: true, log: "moves" });
    expect(Object.keys((await board.ofPlayer({ board: "main", period: "all", player: "a" })) ?? {})).not.toContain("log");
    await put("a", 2);
    expect(await board.find(id)).toMatchObject({ score: 2, replay: false });
    expect(Object.keys((await board.find(id)) ?? {})).not.toContain("log");
    await put("a", 3, { log: "" });
    expect(await board.find(id)).toMatchObject({ replay: true, log: "" });
    await board.remove(id);
    expect((await server.keys()).filter((key) => /:[egmyh]\d?:/.test(key))).toEqual([]);
  });

  it("two prefixes share nothing", async () => {
    const other = redisBoard(client, { prefix: "other" });
    await put("a", 1);
    await other.ban("a", true, "");
    expect([await players(), await other.top({ board: "main", period: "all", limit: 1 })]).toEqual([["a#1"], []]);
    for (const prefix of ["", "{a}", "a}", "a b", "é", "x".repeat(49)]) expect(() => redisBoard(client, { prefix })).toThrow(RangeError);
    for (const wrong of [{ timeoutMs: 0 }, { timeoutMs: 60_001 }]) expect(() => redisBoard(client, wrong)).toThrow(RangeError);
    // @ts-expect-error an option that does not exist
    expect(() => redisBoard(client, { table: "x" })).toThrow(TypeError);
    // @ts-expect-error no client
    expect(() => redisBoard({})).toThrow(TypeError);
  });

  it("goes on after SCRIPT FLUSH, in the middle of many calls", async () => {
    const puts = Array.from({ length: 50 }, (_, i) => put(`p${i}`, i));
    await client.script("FLUSH");
    puts.push(...Array.from({ length: 50 }, (_, i) => put(`p${i}`, i + 1)));
    await Promise.all(puts);
    expect((await players()).slice(0, 3)).toEqual(["p49#1", "p48#2", "p47#3"]);
  });

  it("a Redis that does not answer rejects in time; what was sent to it counts once", async () => {
    const quick = redisBoard(client, { timeoutMs: 200 });
    const entry = { board: "main", player: "a", score: 5, at: 1, submission: "same", level: "claimed", flags: [], name: "A" } as const;
    await put("b", 1);
    server.pause();
    try {
      const start = performance.now();
      await Promise.all([unavailable(quick.submit(entry, { ...RULES, operator: "sum" })), unavailable(quick.find("x"))]);
      expect(performance.now() - start).toBeLessThan(700);
    } finally {
      server.resume();
    }
    await board.submit(entry, { ...RULES, operator: "sum" });
    expect((await board.ofPlayer({ board: "main", period: "all", player: "a" }))?.score).toBe(5);
  });

  it("out of memory: a submission rejects whole and says why; reading, hiding, banning, removing and purging go on", async () => {
    const { id } = await put("a", 1);
    const cheat = await put("cheat", 9);
    await put("other", 5);
    await put("purged", 4);
    const isFull = (promise: Promise<unknown>): Promise<void> =>
      expect(promise).rejects.toSatisfy((error) => isGatepassError(error, "ERR_BOARD_FULL"));
    await client.config("SET", "maxmemory", "1mb");
    try {
      await isFull(put("b", 2));
      await isFull(put("a", 2));
      expect(await players()).toEqual(["cheat#1", "other#2", "purged#3", "a#4"]);
      expect(await board.hide(cheat.id, true)).toBe(true);
      await board.ban("other", true, "");
      expect([await board.purge("purged", ""), await players()]).toEqual([1, ["a#1"]]);
      expect(await board.hide(cheat.id, false)).toBe(true);
      await board.ban("other", false, "");
      expect(await players()).toEqual(["cheat#1", "other#2", "a#3"]);
      expect([await board.remove(id), await board.remove(cheat.id)]).toEqual([true, true]);
    } finally {
      await client.config("SET", "maxmemory", "0");
    }
    expect([await players(), (await put("b", 2)).rank]).toEqual([["other#1"], 2]);
  });

  it("a Redis that knows no flags of scripts moderates with the plain one", async () => {
    const scripts: string[] = [];
    // As Redis 6 answers: its Lua takes the first line for code.
    const old = redisBoard({
      async send(command, args) {
        if (String(args[0]).startsWith("#!lua") || (/evalsha/i.test(command) && scripts.length === 0)) {
          scripts.push(command);
          if (/evalsha/i.test(command)) throw new Error("NOSCRIPT No matching script. Please use EVAL.");
          throw new Error("ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'");
        }
        return client.call(command, ...args.map(String));
      },
    });
    const { id } = await put("a", 1);
    expect([await old.hide(id, true), await players(), await old.remove(id)]).toEqual([true, [], true]);
    expect(scripts.length).toBe(2);
  });

  it("rows that Redis has evicted are left out, and come back with the next score", async () => {
    const { id } = await put("a", 3);
    const { id: next } = await put("b", 2);
    await client.del(`{gatepass-board}:e:${id}`);
    // Its place still counts: the rank of the others is the same, whoever asks.
    expect([await players(), await board.find(id), await board.ofPlayer({ board: "main", period: "all", player: "a" })]).toEqual([
      ["b#2"],
      null,
      null,
    ]);
    expect((await board.find(next))?.rank).toBe(2);
    expect((await board.around(next, 2)).map(({ player }) => player)).toEqual(["b"]);
    expect((await put("a", 1)).status).toBe("stored");
    expect(await board.ofPlayer({ board: "main", period: "all", player: "a" })).toMatchObject({ score: 1 });
  });

  it("check tells what would lose scores", async () => {
    const codes = async (): Promise<string[]> => (await board.check?.())?.map(({ code, message }) => `${code} ${message}`) ?? [];
    expect(await codes()).toEqual([expect.stringMatching(/^GP142 .*the board is empty$/)]);
    await client.config("SET", "maxmemory-policy", "allkeys-lru");
    await client.config("SET", "save", "900 1");
    expect(await codes()).toEqual([expect.stringMatching(/^GP141 .*scores/)]);
    await client.config("SET", "maxmemory-policy", "noeviction");
    await client.config("SET", "save", "");
  });

  it("keys that are not ours, and answers that are none, are ERR_BOARD_UNAVAILABLE", async () => {
    await client.set("{gatepass-board}:z0ul:smain|lsall", "x");
    await client.set("{gatepass-board}:up:sa", "x");
    await unavailable(put("a", 1));
    await unavailable(board.purge("a", ""));
    for (const answer of [
      null,
      undefined,
      "OK",
      1,
      {},
      [],
      ["stored"],
      ["won", "x"],
      ["stored", "x", "garbage", 1],
      ["stored", "x", "1 2 3 [", 1],
      // Steps that would never end.
      [0, "7", "1"],
      [[], "id"],
      [0, "0", "{}"],
      ["0", 0, 0, 0, 0, 0, 0, 0, 0],
      [[]],
    ]) {
      const broken = redisBoard({ send: async (_, args) => [args.at(-1), answer] });
      const entry = { board: "main", player: "a", score: 5, at: 1, submission: "same", level: "claimed", flags: [], name: "A" } as const;
      if (!Array.isArray(answer) || answer[0] !== "stored" || answer.length > 1) await unavailable(broken.submit(entry, RULES));
      if (!Array.isArray(answer) || answer.length > 0) await unavailable(broken.find("x"));
      if (!Array.isArray(answer) || answer.length > 1) await unavailable(broken.around("x", 1));
      if (typeof answer !== "number") await unavailable(broken.purge("x", ""));
      if (!Array.isArray(answer) || answer[2] !== "{}") await unavailable(broken.clear("main"));
      await unavailable(broken.hidden({ group: "", limit: 3 }));
      const half = redisBoard({
        send: async (command, args) => (args.includes("check") ? [args.at(-1), answer] : client.call(command, ...args)),
      });
      await unavailable(half.check([{ board: "main", rules: RULES }]));
      await unavailable(migrate({ send: async (_, args) => (args.includes("step") ? [args.at(-1), answer] : []) }));
    }
  });

  it("an answer to another call is none, however well it looks", async () => {
    let before: unknown;
    const slipped = redisBoard({
      async send(_, args) {
        const told = before;
        before = [args.at(-1), ["stored", "x", "1", 1]];
        return told ?? before;
      },
    });
    await slipped.remove("first").catch(() => undefined);
    const calls = [slipped.find("a"), slipped.top({ board: "main", period: "all", limit: 1 }), slipped.purge("p", "")];
    await Promise.all(calls.map(unavailable));
  });
});
