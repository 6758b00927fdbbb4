import { expect, it } from "vitest";
import { redisStore } from "../../../adapters/redis.ts";

/** What looks like an ioredis client, and writes down what happens to its stream. */
function fakeClient(log: string[], stream?: object) {
  return {
    isCluster: false,
    stream,
    async call(_: string, args: string[]): Promise<unknown> {
      log.push("call");
      return [Number(args.at(-1)), 1_750_000_000_000, 0, 1_750_000_060_000];
    },
    duplicate: () => fakeClient(log),
    disconnect: () => undefined,
    on: () => undefined,
  };
}

const spends = (store: ReturnType<typeof redisStore>, n: number) => {
  const expiresAt = Date.now() + 60_000;
  return Promise.all(Array.from({ length: n }, (_, i) => store.spend([{ key: `k${i}`, limit: 1, expiresAt }])));
};

it("over ioredis, what is sent in one moment leaves in one write, and each moment ends", async () => {
  const log: string[] = [];
  const stream = { cork: () => log.push("cork"), uncork: () => log.push("uncork") };
  const store = redisStore(fakeClient(log, stream));
  await spends(store, 1); // The script's hash is known from here on.
  log.length = 0;
  await spends(store, 5);
  await spends(store, 2);
  const moments = log
    .join(" ")
    .split(" uncork")
    .map((moment) => moment.trim())
    .filter(Boolean);
  expect(moments.every((moment) => /^cork( call)+$/.test(moment))).toBe(true);
  expect(moments.length).toBe(2);
  expect(log.filter((entry) => entry === "call").length).toBe(7);
});

it("and what is much leaves in several, so that the server begins before all of it is there", async () => {
  const log: string[] = [];
  const store = redisStore(fakeClient(log, { cork: () => log.push("cork"), uncork: () => log.push("uncork") }));
  await spends(store, 1);
  log.length = 0;
  await spends(store, 40);
  const calls = log
    .join(" ")
    .split("uncork")
    .map((write) => write.split("call").length - 1);
  expect(calls.reduce((sum, n) => sum + n)).toBe(40);
  expect(Math.max(...calls)).toBe(16);
  expect(log.filter((entry) => entry === "cork").length).toBe(log.filter((entry) => entry === "uncork").length);
});

it("a client without a stream, or with one of another kind, is used as it is", async () => {
  for (const stream of [undefined, {}, { cork: true }]) {
    const log: string[] = [];
    expect((await spends(redisStore(fakeClient(log, stream)), 3)).every(({ ok }) => ok)).toBe(true);
    expect(log).toEqual(["call", "call", "call"]);
  }
});
