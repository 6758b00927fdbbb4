import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RedisClient, redisStore } from "../../../adapters/redis.ts";
import { isGatepassError } from "../../../src/errors.ts";
import type { Store, UsesQuota } from "../../../src/store/contract.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisServer, startRedis, until } from "../../helpers/redis.ts";
import { inTime } from "../../storm/load.ts";
import { type RedisProxy, startProxy } from "../../storm/proxy.ts";

const timeoutMs = 400;
let serial = 0;
const once = (): UsesQuota => ({ key: `k${++serial}`, limit: 1, expiresAt: Date.now() + 600_000 });

/** What somebody who is no Redis, or an odd one, may say to a script of one quota. Each is the whole of the answer. */
const ANSWERS: Record<string, string> = {
  "a text": "+OK\r\n",
  "a number": ":1\r\n",
  "nothing, as a text": "$-1\r\n",
  "nothing, as a list": "*-1\r\n",
  "an empty list": "*0\r\n",
  "the number of the call alone": "*1\r\n:SERIAL\r\n",
  "the answer to another call": "*4\r\n:1\r\n:1750000000000\r\n:0\r\n:1750000060000\r\n",
  "a time alone": "*2\r\n:SERIAL\r\n:1750000000000\r\n",
  "an ok with a missing state": "*3\r\n:SERIAL\r\n:1750000000000\r\n:0\r\n",
  "an ok with one state too many": "*6\r\n:SERIAL\r\n:1750000000000\r\n:0\r\n:1750000060000\r\n:0\r\n:1750000060000\r\n",
  "an ok of less than nothing": "*4\r\n:SERIAL\r\n:1750000000000\r\n:-1\r\n:1750000060000\r\n",
  "texts where numbers belong": "*4\r\n:SERIAL\r\n$3\r\nnow\r\n$1\r\n0\r\n$4\r\nthen\r\n",
  "nothing where numbers belong": "*4\r\n:SERIAL\r\n$-1\r\n$-1\r\n$-1\r\n",
  "lists where numbers belong": "*4\r\n:SERIAL\r\n*1\r\n:1750000000000\r\n*1\r\n:0\r\n*1\r\n:1750000060000\r\n",
  "an error within a list": "*4\r\n:SERIAL\r\n:1750000000000\r\n-ERR no\r\n:1750000060000\r\n",
  "a number larger than any": `*4\r\n:SERIAL\r\n:1750000000000\r\n:${"9".repeat(40)}\r\n:1750000060000\r\n`,
  "a fraction": "*4\r\n:SERIAL\r\n:1750000000000\r\n$3\r\n0.5\r\n:1750000060000\r\n",
  "a refusal by nobody": "*7\r\n:SERIAL\r\n:1750000000000\r\n:9\r\n:0\r\n:0\r\n:1750000060000\r\n:1\r\n",
  "a refusal without a reason": "*7\r\n:SERIAL\r\n:1750000000000\r\n:1\r\n:0\r\n:0\r\n:1750000060000\r\n:0\r\n",
  "a reason that nobody knows": "*7\r\n:SERIAL\r\n:1750000000000\r\n:1\r\n:0\r\n:0\r\n:1750000060000\r\n:9\r\n",
  "an ok that has a reason to refuse": "*7\r\n:SERIAL\r\n:1750000000000\r\n:0\r\n:0\r\n:0\r\n:1750000060000\r\n:1\r\n",
  "lists in lists": `${"*2\r\n:SERIAL\r\n".repeat(200)}:1\r\n`,
  "half a list": "*4\r\n:SERIAL\r\n:1750000000000\r\n",
  "half a text": "$100\r\nabc",
  "a list that never ends": "*2147483647\r\n:1\r\n",
  "a text that never ends": "$536870912\r\nx",
  "another protocol": "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n<html>",
  "no protocol": "\u0000\u0001\u0002\r\n\u00ff\r\n\r\n",
  "a map": "%1\r\n+ok\r\n#t\r\n",
  "an error without a text": "-\r\n",
  "NOSCRIPT, whatever is tried": "-NOSCRIPT No matching script. Please use EVAL.\r\n",
  READONLY: "-READONLY You can't write against a read only replica.\r\n",
  LOADING: "-LOADING Redis is loading the dataset in memory\r\n",
  BUSY: "-BUSY Redis is busy running a script.\r\n",
  NOAUTH: "-NOAUTH Authentication required.\r\n",
  NOPERM: "-NOPERM this user has no permissions to run the 'evalsha' command\r\n",
  MISCONF: "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.\r\n",
  NOREPLICAS: "-NOREPLICAS Not enough good replicas to write.\r\n",
  CLUSTERDOWN: "-CLUSTERDOWN The cluster is down\r\n",
  "MOVED, by a server that is no cluster": "-MOVED 1 127.0.0.1:1\r\n",
};

const open: Record<string, (port: number, password?: string) => Promise<{ client: RedisClient; end(): void }>> = {
  "node-redis": async (port, password) => {
    const client = createClient({ socket: { host: "127.0.0.1", port }, ...(password === undefined ? {} : { password }) });
    client.on("error", () => undefined);
    client.connect().catch(() => undefined);
    return { client, end: () => client.destroy() };
  },
  ioredis: async (port, password) => {
    const client = new Redis(port, "127.0.0.1", password === undefined ? {} : { password });
    client.on("error", () => undefined);
    return { client, end: () => client.disconnect() };
  },
};

/** The code of a call that must fail, in time. */
async function failure(store: Store, quota: UsesQuota): Promise<string> {
  let late = false;
  const answer = inTime(store.spend([quota]), timeoutMs, () => {
    late = true;
  });
  const told = await answer.then(
    ({ ok }) => `ok: ${ok}`,
    (error: unknown) => (isGatepassError(error) ? error.code : String(error)),
  );
  return late ? `${told}, but late` : told;
}

/** Whether a token can still be spent, as soon as there is an answer: a machine that stands still for a moment is no refusal. */
async function answerTo(store: Store, quota: UsesQuota): Promise<boolean | undefined> {
  let ok: boolean | undefined;
  await until("there is an answer", () =>
    store.spend([quota]).then(
      (result) => {
        ok = result.ok;
        return true;
      },
      () => false,
    ),
  );
  return ok;
}

/** Waits until a spend is admitted by the very same store. */
function recovers(store: Store, quota: UsesQuota): Promise<void> {
  return until("the store works again", () =>
    store.spend([quota]).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
}

describeWith("redis-server", hasRedis())("a Redis that says something else", () => {
  let server: RedisServer;
  let proxy: RedisProxy;
  const ends: (() => Promise<unknown> | unknown)[] = [];
  beforeAll(async () => {
    server = await startRedis();
    proxy = await startProxy(server.port);
  });
  afterAll(async () => {
    for (const end of ends) await end();
    await proxy?.close();
    await server?.dispose();
  });

  async function storeAt(driver: string, port: number, password?: string): Promise<Store> {
    const { client, end } = (await open[driver]?.(port, password)) ?? { client: { send: async () => null }, end: () => undefined };
    ends.push(end);
    return redisStore(client, { timeoutMs });
  }

  for (const driver of Object.keys(open)) {
    it(`garbage of every kind admits nobody, and is over when it is over (${driver})`, { timeout: 240_000 }, async () => {
      const store = await storeAt(driver, proxy.port);
      await recovers(store, once());
      for (const [name, answer] of Object.entries(ANSWERS)) {
        const quota = once();
        const before = proxy.met;
        proxy.fault = { answer };
        const codes = await Promise.all([failure(store, quota), failure(store, once())]);
        expect([name, codes, proxy.met > before]).toEqual([name, Array(2).fill("ERR_STORE_UNAVAILABLE"), true]);
        proxy.fault = undefined;
        // Half an answer is the beginning of the next one, and after bytes that are none node-redis gives every answer to the call before:
        // such a connection is only good for being cut. Until then nobody is admitted.
        if (/never ends|half|protocol/.test(name)) {
          // ioredis begins anew by itself where the protocol is another one.
          const heals = driver === "ioredis" && /protocol/.test(name);
          if (!heals) expect([name, await failure(store, quota)]).toEqual([name, "ERR_STORE_UNAVAILABLE"]);
          proxy.cut();
        }
        await recovers(store, { ...quota, limit: 2 });
        expect([name, await answerTo(store, quota)]).toEqual([name, false]);
      }
    });

    it(`no memory left, in its own words, is ERR_STORE_FULL (${driver})`, async () => {
      const store = await storeAt(driver, proxy.port);
      const quota = once();
      await recovers(store, once());
      proxy.fault = { answer: "-OOM command not allowed when used memory > 'maxmemory'.\r\n" };
      expect(await failure(store, quota)).toBe("ERR_STORE_FULL");
      proxy.fault = undefined;
      await recovers(store, quota);
    });

    it(`an answer that is lost on its way is no admission, though it charged (${driver})`, async () => {
      const store = await storeAt(driver, proxy.port);
      await recovers(store, once());
      const other = await storeAt(driver, server.port);
      for (let round = 0; round < 5; round++) {
        const quota = once();
        proxy.fault = "lost";
        expect(await failure(store, quota)).toBe("ERR_STORE_UNAVAILABLE");
        proxy.fault = undefined;
        expect((await other.spend([{ ...quota, cost: 0 }])).states[0]?.remaining).toBe(0);
        await recovers(store, once());
        expect(await answerTo(store, quota)).toBe(false);
      }
    });

    it(`a password that is wrong, missing, or changed while the store runs (${driver})`, async () => {
      const locked = await startRedis({ password: "right" });
      try {
        const strangers = await Promise.all([storeAt(driver, locked.port, "wrong"), storeAt(driver, locked.port)]);
        for (const store of strangers) expect(await failure(store, once())).toBe("ERR_STORE_UNAVAILABLE");
        expect(await locked.keys()).toEqual([]);
        const store = await storeAt(driver, locked.port, "right");
        await recovers(store, once());
        const admin = createClient({ url: locked.url });
        await admin.connect();
        await admin.sendCommand(["CONFIG", "SET", "requirepass", "other"]);
        await admin.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        const quota = once();
        for (let i = 0; i < 3; i++) expect(await failure(store, quota)).toBe("ERR_STORE_UNAVAILABLE");
        await admin.sendCommand(["CONFIG", "SET", "requirepass", "right"]);
        await recovers(store, once());
        // It was never charged, whatever was said meanwhile.
        await recovers(store, quota);
        admin.destroy();
      } finally {
        await locked.dispose();
      }
    });

    it(`a replica admits nobody; made the master, it does (${driver})`, async () => {
      const replica = await startRedis({ config: { replicaof: `127.0.0.1 ${server.port}` } });
      try {
        await until("it follows", async () => (await replica.info("replication"))["master_link_status"] === "up");
        const [store, main] = await Promise.all([storeAt(driver, replica.port), storeAt(driver, server.port)]);
        const [spent, quota] = [once(), once()];
        await recovers(main, spent);
        await until("the replica has it", async () => (await replica.keys()).includes(`gatepass:{${spent.key}}`));
        await until("it is connected", () =>
          store.spend([{ ...spent, cost: 0 }]).then(
            () => true,
            () => false,
          ),
        );
        expect(await failure(store, quota)).toBe("ERR_STORE_UNAVAILABLE");
        await expect(store.block("b", Date.now() + 60_000)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
        expect(await answerTo(store, spent)).toBe(false);
        await replica.command("REPLICAOF", "NO", "ONE");
        await recovers(store, quota);
        expect(await answerTo(store, quota)).toBe(false);
      } finally {
        await replica.dispose();
      }
    });

    it(`a server that is still loading its data admits nobody, and forgets nothing (${driver})`, { timeout: 240_000 }, async () => {
      // A tenth of a millisecond for each key: loading takes a second or more.
      const slow = await startRedis({ config: { appendonly: "no", save: "3600 1", "key-load-delay": "100" } });
      try {
        const store = await storeAt(driver, slow.port);
        const [spent, quota] = [once(), once()];
        await recovers(store, spent);
        await slow.command("EVAL", "for i = 1, 12000 do redis.call('SET', 'x' .. i, i) end return 1", "0");
        await slow.stop();
        const loading = slow.start();
        let during = 0;
        const end = loading.then(() => "loaded");
        while ((await Promise.race([end, failure(store, quota)])) === "ERR_STORE_UNAVAILABLE") during += 1;
        await loading;
        expect(during).toBeGreaterThan(0);
        await recovers(store, once());
        expect(await answerTo(store, spent)).toBe(false);
      } finally {
        await slow.dispose();
      }
    });
  }
});
