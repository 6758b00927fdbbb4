// What a user of Redis may not do, found out by `check` before the first visitor does. Every user here is one of a real server's ACL.
import { Cluster, Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, expect, describe as group, it } from "vitest";
import { BLOCK, REFUND, SPEND } from "../../../adapters/_lua.ts";
import { MIGRATION_COMMANDS } from "../../../adapters/_redis-board-migrate.ts";
import { MIGRATION_SCRIPT } from "../../../adapters/_redis-board-migrate-script.ts";
import { BOARD_COMMANDS, BOARD_SCRIPT } from "../../../adapters/_redis-board-script.ts";
import { STORE_COMMANDS } from "../../../adapters/_redis-permissions.ts";
import { redisBoard, redisStore } from "../../../adapters/redis.ts";
import { upstashStore } from "../../../adapters/upstash.ts";
import { createGate } from "../../../src/gate/index.ts";
import { scores } from "../../../src/scores/index.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisServer, startCluster, startRedis } from "../../helpers/redis.ts";
import { startUpstash } from "../../helpers/upstash.ts";

/** Rules of an ACL, and what comes of them. */
const USERS: Record<string, { rules: string[]; store: string[]; board: string[]; works: boolean }> = {
  "everything that is needed": { rules: ["~gatepass*", "~{gatepass-board}:*", "+@all"], store: [], board: [], works: true },
  "no more than is needed": { rules: ["~gatepass*", "~{gatepass-board}:*", ...grants(), "+info"], store: [], board: [], works: true },
  "no info": { rules: ["~*", "+@all", "-info"], store: ["GP145 info"], board: ["GP145 info"], works: true },
  "no dangerous commands": { rules: ["~*", "+@all", "-@dangerous"], store: ["GP145 info"], board: ["GP145 info"], works: true },
  "no scripting": { rules: ["~*", "+@all", "-@scripting"], store: ["GP146 eval"], board: ["GP146 eval"], works: false },
  "no evalsha": { rules: ["~*", "+@all", "-evalsha"], store: ["GP146 eval"], board: ["GP146 eval"], works: false },
  "no eval": { rules: ["~*", "+@all", "-eval"], store: ["GP146 eval"], board: ["GP146 eval"], works: false },
  "neither info nor scripting": {
    rules: ["~*", "+@all", "-info", "-@scripting"],
    store: ["GP145 info", "GP146 eval"],
    board: ["GP145 info", "GP146 eval"],
    works: false,
  },
  "another key pattern": { rules: ["~other:*", "+@all"], store: ["GP147 gatepass:"], board: ["GP147 {gatepass-board}:"], works: false },
  "keys that are only read": { rules: ["%R~*", "+@all"], store: ["GP147 gatepass:"], board: ["GP147 {gatepass-board}:"], works: false },
  "no keys": { rules: ["resetkeys", "+@all"], store: ["GP147 gatepass:"], board: ["GP147 {gatepass-board}:"], works: false },
  "no commands that write": { rules: ["~*", "+@all", "-@write"], store: ["GP146 del set"], board: ["GP146 del set"], works: false },
  "no commands that read": { rules: ["~*", "+@all", "-@read"], store: ["GP146 get mget pttl"], board: expectRead(), works: false },
  "one command missing": { rules: ["~*", "+@all", "-mget"], store: ["GP146 mget"], board: ["GP146 mget"], works: false },
  "one command of the board missing": { rules: ["~*", "+@all", "-zadd"], store: [], board: ["GP146 zadd"], works: true },
  "one command of refunds missing": { rules: ["~*", "+@all", "-del"], store: ["GP146 del"], board: ["GP146 del"], works: true },
  nothing: {
    rules: ["~*", "-@all", "+auth", "+hello", "+client"],
    store: ["GP145 info", "GP146 eval"],
    board: ["GP145 info", "GP146 eval"],
    works: false,
  },
};

function grants(): string[] {
  const names = new Set([...STORE_COMMANDS, ...BOARD_COMMANDS].map((line) => line.split(" ")[0]?.toLowerCase()));
  return [...names, "eval", "evalsha"].map((name) => `+${name}`);
}

function expectRead(): string[] {
  return [
    "GP146 exists get hget hgetall hscan mget sismember smembers srandmember type zcard zcount zrange zrangebylex zrangebyscore zscore",
  ];
}

/** Code, and the commands or keys that a problem names. */
function briefly({ code, message, fix }: { code: string; message: string; fix: string }): string {
  const about = {
    GP145: "info",
    GP146: [...fix.matchAll(/\+(\w+)/g)].map(([, name]) => name).join(" "),
    GP147: /"(.*)"/.exec(message)?.[1],
  };
  const named = about[code as keyof typeof about];
  return `${code} ${code === "GP146" && named?.startsWith("eval") ? "eval" : sorted(named)}`;
}
const sorted = (text = ""): string => text.split(" ").sort().join(" ");

describeWith("redis-server", hasRedis())("a user of Redis who may not do everything", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ config: { appendonly: "yes" } });
    let i = 0;
    for (const { rules } of Object.values(USERS)) await server.command("ACL", "SETUSER", `user${i++}`, "on", ">password", ...rules);
  });
  afterAll(() => server.dispose());

  const urlOf = (name: string): string => `redis://user${Object.keys(USERS).indexOf(name)}:password@127.0.0.1:${server.port}`;

  group.each(Object.entries(USERS))("%s", (name, { store: ofStore, board: ofBoard, works }) => {
    it.each([
      [
        "redis",
        async () => {
          const client = createClient({ url: urlOf(name), RESP: 2 });
          client.on("error", () => undefined);
          await client.connect();
          return { client, close: () => client.destroy() };
        },
      ],
      [
        "ioredis",
        async () => {
          const client = new Redis(urlOf(name), { enableReadyCheck: false, maxRetriesPerRequest: 0 });
          client.on("error", () => undefined);
          return { client, close: () => client.disconnect() };
        },
      ],
    ])("over %s", async (driver, open) => {
      const { client, close } = await open();
      try {
        const [store, board] = [redisStore(client), redisBoard(client)];
        const [problems, others] = [await store.check(), await board.check()];
        expect(problems.map(briefly).map((one) => one.split(" ").sort().join(" "))).toEqual(
          ofStore.map((one) => one.split(" ").sort().join(" ")),
        );
        expect(others.map(briefly).map((one) => one.split(" ").sort().join(" "))).toEqual(
          ofBoard.map((one) => one.split(" ").sort().join(" ")),
        );
        // What it says is true, also after a restart, when no script is known.
        await server.command("SCRIPT", "FLUSH");
        const spent = await store.spend([{ key: `k${driver}${name}`, limit: 1, expiresAt: Date.now() + 1000 }]).then(
          ({ ok }) => ok,
          () => false,
        );
        expect([spent, problems.every(({ severity }) => severity === "warning") || name.includes("refunds")]).toEqual([works, works]);
        // And it leaves nothing: what it may not delete is gone after a second.
        await expect.poll(async () => (await server.keys()).filter((key) => key.includes("check"))).toEqual([]);
      } finally {
        close();
      }
    });
  });

  it("gate.check() says so, once for both, and not that the backend is down", async () => {
    const client = createClient({ url: urlOf("neither info nor scripting") });
    client.on("error", () => undefined);
    await client.connect();
    const gate = createGate({
      secrets: "JxJWFQgo6gGmNIXU5qMNrSfFIMsDzyrqWeIOwgRp1DY",
      turnstile: { secret: "0x4AAAAAAA_a_secret", allowedHostnames: ["game.example"] },
      store: redisStore(client),
      features: [scores({ board: redisBoard(client) })],
    });
    const problems = await gate.check();
    client.destroy();
    expect(problems.filter(({ severity }) => severity === "error").map(({ code }) => code)).toEqual(["GP146", "GP146"]);
    expect(problems.map(({ code }) => code)).not.toContain("GP120");
    for (const { message, fix } of problems) expect(message + fix).not.toMatch(/password|user\d/);
  });

  it("a server that takes no writes says why", async () => {
    const small = await startRedis({ config: { appendonly: "yes", "min-replicas-to-write": "1" } });
    try {
      const client = createClient({ url: small.url });
      client.on("error", () => undefined);
      await client.connect();
      const told = async (): Promise<string[]> =>
        (await redisStore(client).check()).map(({ code, message }) => `${code} ${/\((\w+)\)/.exec(message)?.[1] ?? ""}`);
      expect(await told()).toEqual(["GP148 NOREPLICAS"]);
      await small.command("CONFIG", "SET", "min-replicas-to-write", "0");
      expect(await told()).toEqual([]);
      await small.command("SET", "ballast", "x".repeat(3_000_000));
      await small.command("CONFIG", "SET", "maxmemory", "1mb");
      expect(await told()).toEqual(["GP148 OOM"]);
      await small.command("CONFIG", "SET", "maxmemory", "0");
      await small.command("REPLICAOF", "127.0.0.1", String(server.port));
      expect(await told()).toEqual(["GP148 READONLY"]);
      await small.command("REPLICAOF", "NO", "ONE");
      client.destroy();
    } finally {
      await small.dispose();
    }
  });

  it("who waits for replicas needs WAIT and CLIENT too", async () => {
    await server.command("ACL", "SETUSER", "waiter", "on", ">password", "~*", "+@all", "-wait", "-client");
    const client = new Redis(`redis://waiter:password@127.0.0.1:${server.port}`, { enableReadyCheck: false });
    client.on("error", () => undefined);
    const codes = async (waitReplicas: number): Promise<string[]> => (await redisStore(client, { waitReplicas }).check()).map(briefly);
    expect(await codes(0)).toEqual([]);
    expect(await codes(1)).toEqual(["GP143 ", "GP146 client wait"]);
    client.disconnect();
  });

  it("a token of Upstash that may only read is told, over fetch and over the vendor's client", async () => {
    await server.command("ACL", "SETUSER", "reader", "on", ">password", "~*", "-@all", "+@read", "+hello", "+client", "+auth");
    await server.command(
      "ACL",
      "SETUSER",
      "scripted",
      "on",
      ">password",
      "~*",
      "-@all",
      "+@read",
      "+@scripting",
      "+hello",
      "+client",
      "+auth",
    );
    for (const user of ["reader", "scripted"]) {
      const upstash = await startUpstash(`redis://${user}:password@127.0.0.1:${server.port}`);
      try {
        const problems = await upstashStore({ url: upstash.url, token: upstash.token }).check();
        expect(problems).toMatchObject([{ code: "GP146", severity: "error", fix: expect.stringContaining("read-only") }]);
      } finally {
        await upstash.close();
      }
    }
    const upstash = await startUpstash(server.url);
    expect(await upstashStore({ url: upstash.url, token: upstash.token }).check()).toEqual([]);
    await expect(upstashStore({ url: upstash.url, token: "another" }).check()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    await upstash.close();
  });
});

describeWith("redis-server", hasRedis())("a Cluster of which one master has another user", () => {
  it("is told, whichever master has the key that is tried", async () => {
    const cluster = await startCluster();
    const client = new Cluster([...cluster.addresses], { redisOptions: { maxRetriesPerRequest: 0 } });
    client.on("error", () => undefined);
    try {
      const codes = async (): Promise<string[]> => (await redisStore(client).check()).map(({ code }) => code);
      expect(await codes()).toEqual(["GP142"]);
      const [one] = await cluster.masters();
      await one?.command("ACL", "SETUSER", "default", "-evalsha");
      for (let i = 0; i < 5; i++) expect(await codes()).toEqual(["GP142", "GP146"]);
      await one?.command("ACL", "SETUSER", "default", "+evalsha", "resetkeys", "~other:*");
      for (let i = 0; i < 5; i++) expect(await codes()).toEqual(["GP142", "GP147"]);
      await one?.command("ACL", "SETUSER", "default", "+@all", "allkeys", "-info");
      expect(await codes()).toEqual(["GP142", "GP145"]);
    } finally {
      client.disconnect();
      await cluster.dispose();
    }
  });
});

it("every command of the scripts is tried, and no other one", () => {
  const used = (...scripts: string[]): string[] =>
    [...new Set(scripts.flatMap((script) => [...script.matchAll(/call\('([A-Z]+)'/g)].map(([, name]) => name ?? "")))].sort();
  const tried = (lines: readonly string[]): string[] => [...new Set(lines.map((line) => line.split(" ")[0] ?? ""))].sort();
  expect(tried(STORE_COMMANDS)).toEqual(used(SPEND, REFUND, BLOCK));
  expect(tried(BOARD_COMMANDS)).toEqual(used(BOARD_SCRIPT));
  const migrating = tried(MIGRATION_COMMANDS);
  expect(used(MIGRATION_SCRIPT).filter((name) => !migrating.includes(name))).toEqual([]);
  // What is written is deleted before the next command wants another kind of value, and at last.
  for (const lines of [STORE_COMMANDS, BOARD_COMMANDS, MIGRATION_COMMANDS]) expect(lines.slice(0, 2)).toEqual(["SET @ x PX 1000", "DEL @"]);
});
