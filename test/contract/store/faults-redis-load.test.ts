import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterEach, expect, it } from "vitest";
import { redisStore } from "../../../adapters/redis.ts";
import type { Quota, Store } from "../../../src/store/contract.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisConfig, type RedisServer, startRedis, until } from "../../helpers/redis.ts";
import { resultOf, startLoad } from "../../storm/load.ts";
import { runStorm } from "../../storm/run.ts";
import { gateAt } from "./faults/gate-at.ts";

const timeoutMs = 500;
/** Where nothing hangs: what is asked is whether it is right, not whether the machine is fast. */
const PATIENT = 20_000;
const MANY = 1_000_000_000;
const shared = (limit: number): Quota => ({ key: "all", limit, expiresAt: Date.now() + 3_600_000 });
const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server, a store over each of the two drivers, which stay the same whatever happens, and a patient one to look at what is held. */
async function start(config: RedisConfig = {}, patience = timeoutMs): Promise<{ server: RedisServer; stores: Store[]; look: Store }> {
  const server = await startRedis(config);
  const node = createClient({ url: server.url });
  const io = new Redis(server.port, "127.0.0.1");
  ends.push(
    () => server.dispose(),
    () => node.destroy(),
    () => io.disconnect(),
  );
  node.on("error", () => undefined);
  io.on("error", () => undefined);
  await node.connect();
  const stores = [node, io].map((client) => redisStore(client, { timeoutMs: patience }));
  return { server, stores, look: redisStore(node, { timeoutMs: PATIENT }) };
}

/** Every one of these is what is promised whatever happens to Redis. */
const RIGHT = { twice: 0, forgotten: 0, late: 0 };

describeWith("redis-server", hasRedis())("Redis under load, while something happens to it", () => {
  it("SCRIPT FLUSH, again and again: nobody notices, and all is charged once", { timeout: 240_000 }, async () => {
    const { server, stores, look } = await start({}, PATIENT);
    const load = startLoad(stores, { name: "flush", timeoutMs: PATIENT, shared });
    let running = true;
    const flushing = (async (): Promise<number> => {
      const client = createClient({ url: server.url });
      await client.connect();
      let times = 0;
      for (; running; times++) await client.sendCommand(["SCRIPT", "FLUSH", times % 2 ? "ASYNC" : "SYNC"]);
      client.destroy();
      return times;
    })();
    const storm = { processes: 4, callers: 8, spends: 4000, expiresAt: Date.now() + 3_600_000 };
    const { faults, reports } = await runStorm({ kind: "redis", url: server.url }, storm);
    await load.admits(200);
    await load.stop();
    running = false;
    expect(await flushing).toBeGreaterThan(20);
    expect([faults, reports.flatMap(({ errors }) => errors)]).toEqual([[], []]);
    expect(await resultOf(load, look, shared)).toMatchObject({ ...RIGHT, said: [], unclaimed: 0 });
  });

  for (const how of ["kill", "stop"] as const) {
    it(`ended (${how}) and started again with AOF, appendfsync always: nothing is forgotten`, { timeout: 240_000 }, async () => {
      const { server, stores, look } = await start({ config: { appendonly: "yes", appendfsync: "always" } });
      const load = startLoad(stores, { name: how, timeoutMs, shared });
      for (let round = 0; round < 3; round++) {
        await load.admits(200);
        await server[how]();
        await load.rejects(10);
        await server.start();
      }
      await load.admits(200);
      await load.stop();
      const result = await resultOf(load, look, shared);
      expect(result).toMatchObject({ ...RIGHT, said: ["ERR_STORE_UNAVAILABLE"] });
      // What was charged and not told costs a use: at most each call that rejected, and what ioredis sent twice.
      expect(result.unclaimed).toBeGreaterThanOrEqual(0);
    });
  }

  it("started again with nothing on disk: everything is forgotten, and can be spent once more for each such start", {
    timeout: 60_000,
  }, async () => {
    const { server, stores, look } = await start();
    const load = startLoad(stores, { name: "volatile", timeoutMs, shared });
    await load.admits(300);
    expect((await look.check?.())?.map(({ code }) => code)).toEqual(["GP142"]);
    const before = [...load.admitted.keys()];
    await server.kill();
    await load.rejects(10);
    await server.start();
    await load.admits(300);
    await load.stop();
    // What SECURITY says: after the restart every token that was spent can be spent again.
    const expiresAt = Date.now() + 60_000;
    const old = before.filter((key) => load.admitted.get(key) === 1).slice(0, 50);
    const again = await Promise.all(old.map((key) => look.spend([{ key, limit: 1, expiresAt }])));
    expect(again.filter((one) => one?.ok).length).toBe(50);
    // Once: what follows the restart counts like anything else.
    const third = await Promise.all(old.map((key) => look.spend([{ key, limit: 1, expiresAt }])));
    expect(third.filter((one) => one?.ok).length).toBe(0);
    expect([load.late, Math.max(...load.admitted.values()) <= 2, [...load.failures.keys()]]).toEqual([0, true, ["ERR_STORE_UNAVAILABLE"]]);
  });

  it("stopped (SIGSTOP): every call rejects in time, and none of them is charged when it goes on", { timeout: 240_000 }, async () => {
    const { server, stores, look } = await start();
    const load = startLoad(stores, { name: "hang", timeoutMs, together: 1, shared });
    for (let round = 0; round < 2; round++) {
      await load.admits(200);
      server.pause();
      await load.rejects(100);
      server.resume();
    }
    await load.admits(200);
    await load.stop();
    const result = await resultOf(load, look, shared);
    expect(result).toMatchObject({ ...RIGHT, said: ["ERR_STORE_UNAVAILABLE"] });
    // Those that were under way when it stopped may have been charged. Most of the 200 that rejected were sent afterwards, came too late, and were not.
    expect([result.unclaimed >= 0, result.unclaimed <= 100]).toEqual([true, true]);
  });

  it("a gate refuses meanwhile with a 503 and says why, and takes the same session when it is over", { timeout: 240_000 }, async () => {
    const { server, stores } = await start();
    for (const store of stores) {
      const { session, write, events } = gateAt(0, store);
      const token = await session();
      expect((await write(token)).status).toBe(201);
      server.pause();
      const answer = await write(token);
      expect([answer.status, await answer.json()]).toMatchObject([503, { error: "UNAVAILABLE" }]);
      expect(events.map(({ type }) => type)).toContain("store_unavailable");
      server.resume();
      await until("it works again", async () => (await write(token)).status === 201);
    }
  });

  it("every connection is cut, again and again: what was under way costs a use at most", { timeout: 240_000 }, async () => {
    const { server, stores, look } = await start();
    const load = startLoad(stores, { name: "cut", timeoutMs, shared });
    for (let round = 0; round < 10; round++) {
      await load.admits(50);
      await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    }
    await load.admits(200);
    await load.stop();
    const result = await resultOf(load, look, shared);
    expect(result).toMatchObject(RIGHT);
    expect(result.said.filter((code) => code !== "ERR_STORE_UNAVAILABLE")).toEqual([]);
    expect([result.unclaimed >= 0, result.unclaimed <= 10 * 32]).toEqual([true, true]);
  });

  it("out of memory (noeviction): ERR_STORE_FULL, nothing forgotten, nothing admitted uncharged; on it goes with more", {
    timeout: 60_000,
  }, async () => {
    const { server, stores, look } = await start({}, PATIENT);
    const load = startLoad(stores, { name: "full", timeoutMs: PATIENT, shared });
    for (let round = 0; round < 2; round++) {
      await load.admits(300);
      await server.command("CONFIG", "SET", "maxmemory", "1mb");
      await load.rejects(200);
      const full = stores[0]?.spend([{ key: `new${round}`, limit: 1, window: 60 }]);
      await expect(full).rejects.toMatchObject({ name: "GatepassError", code: "ERR_STORE_FULL" });
      // Reading needs no memory: what was spent still says so.
      const [spent = ""] = load.admitted.keys();
      expect((await stores[1]?.spend([{ key: spent, limit: 1, expiresAt: Date.now() + 60_000 }]))?.ok).toBe(false);
      await server.command("CONFIG", "SET", "maxmemory", "0");
    }
    await load.admits(300);
    await load.stop();
    expect(await resultOf(load, look, shared)).toMatchObject({ ...RIGHT, said: ["ERR_STORE_FULL"], unclaimed: 0 });
    expect((await look.spend([{ ...shared(MANY), cost: 0 }])).ok).toBe(true);
  });
});
