import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { place } from "../../../demo/place.ts";
import { describeWith, freePort, hasRedis } from "../../helpers/backends.ts";
import { buildDemo, type RunningDemo, readBoard, type Send, startDemo, writeScore } from "../../helpers/demo.ts";
import { type RedisServer, startRedis, until } from "../../helpers/redis.ts";

const PASSWORD = "the-password-of-the-tests";
const through =
  ({ url }: RunningDemo): Send =>
  (path, init) =>
    fetch(url + path, init);

describe("STORE", () => {
  it("is the address of a Redis, or nothing; a wrong value is not repeated", () => {
    for (const STORE of [`http://x:${PASSWORD}@127.0.0.1`, PASSWORD, "memory", `redis:${PASSWORD}`, "redis://"]) {
      const wrong = (): unknown => place({ STORE });
      expect(wrong).toThrow(
        new TypeError('Cannot read "STORE": expected redis://host:port or rediss://host:port, or nothing for a SQLite file'),
      );
    }
    expect(place({ STORE: "" }).redis).toBeUndefined();
    expect(place({ STORE: "rediss://user:word@cache.example:6380/2" }).redis?.host).toBe("cache.example:6380");
  });

  it("is said to be wrong at start, and on Deno not to be used", { timeout: 240_000 }, async () => {
    const start = (runtime: "node" | "deno", STORE: string): Promise<string> => startDemo(runtime, { STORE }).then(() => "started", String);
    const [wrong, deno] = await Promise.all([start("node", `http://x:${PASSWORD}@127.0.0.1`), start("deno", "redis://127.0.0.1")]);
    expect(wrong).toContain('TypeError: Cannot read "STORE": expected redis://host:port');
    expect(wrong).not.toContain(PASSWORD);
    expect(deno).toContain('TypeError: Cannot use "STORE": on Deno the store is Deno KV');
  });
});

describeWith("Redis", hasRedis())("the demo with STORE=redis://", () => {
  const folder = mkdtempSync(`${tmpdir()}/ember-ring-`);
  let redis: RedisServer;
  beforeAll(async () => {
    buildDemo();
    redis = await startRedis({ password: PASSWORD, config: { appendonly: "yes", appendfsync: "always" } });
  });
  afterAll(async () => {
    await redis?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });
  // A file that must stay unused.
  const env = (): Record<string, string> => ({ STORE: redis.url, DEMO_DB: `${folder}/none/board.sqlite` });

  it("keeps store and board through a restart, for Node and Bun alike", { timeout: 240_000 }, async () => {
    const first = await startDemo("node", env());
    expect((await writeScore(through(first), 4210, "Wren")).statuses).toEqual([200, 200, 200, 201]);
    expect(await readBoard(through(first))).toEqual(["Wren 4210"]);
    await first.stop();
    const kinds = (await redis.keys()).map((key) => /(ujti|uscore|\|r)/.exec(key)?.[1] ?? "board");
    expect([...new Set(kinds)].sort()).toEqual(["board", "ujti", "uscore", "|r"]);

    const [second, third] = await Promise.all([startDemo("node", env()), startDemo("bun", env())]);
    expect(await readBoard(through(third))).toEqual(["Wren 4210"]);
    expect((await writeScore(through(third), 4211, "Juno")).receipt).toMatchObject({ rank: 1 });
    expect(await readBoard(through(second))).toEqual(["Juno 4211", "Wren 4210"]);
    await Promise.all([second.stop(), third.stop()]);
    expect(() => rmSync(`${folder}/none`, { recursive: true })).toThrow("ENOENT");
  });

  it("says once that Redis is away, serves the page, writes nothing, and goes on when it is back", { timeout: 240_000 }, async () => {
    await redis.stop();
    const demo = await startDemo("node", env());
    const send = through(demo);
    expect(demo.said()).toMatch(/Cannot reach Redis at 127\.0\.0\.1:\d+: .*ECONNREFUSED.*\. Nothing is written until it answers/);
    await refusing(send);
    await redis.start();
    await until("the demo has found Redis", () => demo.said().includes("answers\n"));
    expect(await readBoard(send)).toEqual(["Juno 4211", "Wren 4210"]);

    await redis.kill();
    await until("the demo has lost Redis", () => demo.said().split("Cannot reach").length === 3);
    await refusing(send);
    await redis.start();
    await until("the demo has found Redis again", () => demo.said().split("answers\n").length === 3);
    expect((await writeScore(send, 4212, "Kit")).statuses).toEqual([200, 200, 200, 201]);
    await demo.stop();
    expect(demo.said()).not.toContain(PASSWORD);
    expect(demo.said().split("Cannot reach").length).toBe(3);
  });

  it("a Redis that does not let us in is said to be so", { timeout: 240_000 }, async () => {
    const demo = await startDemo("node", { ...env(), STORE: redis.url.replace(PASSWORD, "wrong") });
    expect(demo.said()).toMatch(/Cannot reach Redis at .*WRONGPASS/);
    await refusing(through(demo));
    await demo.stop();
  });

  it("an address where nothing listens is named, too", { timeout: 240_000 }, async () => {
    const demo = await startDemo("node", { ...env(), STORE: `redis://localhost:${await freePort()}` });
    expect(demo.said()).toMatch(/Cannot reach Redis at localhost:\d+: .*ECONNREFUSED/);
    await demo.stop();
  });
});

/** The page is there, and every write is refused at once. */
async function refusing(send: Send): Promise<void> {
  const start = performance.now();
  expect((await send("/")).status).toBe(200);
  const { statuses } = await writeScore(send, 9999, "Nobody");
  expect(statuses.slice(0, 2)).toEqual([200, 503]);
  const board = await send("/api/scores?board=ember-ring");
  expect([board.status, await board.json()]).toMatchObject([503, { error: "UNAVAILABLE" }]);
  expect(performance.now() - start).toBeLessThan(5000);
}
