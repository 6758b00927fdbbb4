import { inspect } from "node:util";
import { Redis, type RedisConfigNodejs } from "@upstash/redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { upstashStore } from "../../../adapters/upstash.ts";
import { isGatepassError } from "../../../src/errors.ts";
import type { Store, UsesQuota } from "../../../src/store/contract.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisServer, startRedis } from "../../helpers/redis.ts";
import { startUpstash, type UpstashFault, type UpstashServer } from "../../helpers/upstash.ts";

const timeoutMs = 500;
const HTML = "<!doctype html><title>502 Bad Gateway</title>";
const json = (status: number, value: unknown): UpstashFault => ({ kind: "answer", status, body: JSON.stringify(value) });

/** What a database, or whoever stands between, may answer instead of the truth. None of it admits anybody. */
const FAULTS: Record<string, UpstashFault> = {
  "429": json(429, { error: "ERR max requests limit exceeded" }),
  "500": json(500, { error: "ERR internal" }),
  "500 with a result": json(500, { result: ["SERIAL", 1_750_000_000_000, 0, 1_750_000_060_000] }),
  "200 with a result and an error": json(200, { result: ["SERIAL", 1_750_000_000_000, 0, 1_750_000_060_000], error: "ERR" }),
  "HTML, 200": { kind: "answer", status: 200, body: HTML, headers: { "content-type": "text/html" } },
  "HTML, 502": { kind: "answer", status: 502, body: HTML, headers: { "content-type": "text/html" } },
  "half an answer": { kind: "answer", status: 200, body: '{"result":[1750000000000,' },
  "nothing, 200": { kind: "answer", status: 200, body: "" },
  "nothing, 204": { kind: "answer", status: 204, body: "" },
  "a bomb of brackets": { kind: "answer", status: 200, body: "[".repeat(50_000) },
  ...Object.fromEntries(
    [
      null,
      1,
      "OK",
      [],
      {},
      { ok: true },
      { result: null },
      { result: "OK" },
      { result: true },
      { result: [] },
      { result: ["SERIAL"] },
      { result: ["SERIAL", 1] },
      { result: {} },
    ].map((value) => [JSON.stringify(value), json(200, value)]),
  ),
  "the answer to another call": json(200, { result: [1, 1_750_000_000_000, 0, 1_750_000_060_000] }),
  "numbers of another quota": json(200, { result: ["SERIAL", 1_750_000_000_000, 0, 1_750_000_060_000, 3, 4] }),
  "a negative rest": json(200, { result: ["SERIAL", 1_750_000_000_000, -1, 1_750_000_060_000] }),
  "no numbers": json(200, { result: ["SERIAL", "now", "0", "then"] }),
  "no reason to refuse, and a refusal": json(200, { result: ["SERIAL", 1_750_000_000_000, 1, 0, 0, 1_750_000_060_000, 0] }),
  "a stall": { kind: "stall" },
  "a flood": { kind: "flood" },
  "no answer": { kind: "hang" },
  "a connection that is cut": { kind: "reset" },
};

describeWith("redis-server", hasRedis())("upstashStore, when something is wrong", () => {
  let redis: RedisServer;
  let server: UpstashServer;
  let serial = 0;
  beforeAll(async () => {
    redis = await startRedis();
    server = await startUpstash(redis.url);
  });
  beforeEach(() => {
    server.fault = undefined;
  });
  afterAll(async () => {
    await server.close();
    await redis.dispose();
  });

  const once = (limit = 1): UsesQuota => ({ key: `k${++serial}`, limit, expiresAt: Date.now() + 600_000 });
  const rest = (more: { token?: string; fetch?: typeof fetch } = {}, ms = timeoutMs): Store =>
    upstashStore({ url: server.url, token: server.token, ...more }, { timeoutMs: ms });
  /** As the documentation has it: one attempt, which ends with the call. */
  const vendor = (more: Partial<RedisConfigNodejs> = {}, ms = timeoutMs): Store => {
    const signal = (): AbortSignal => AbortSignal.timeout(ms);
    return upstashStore(new Redis({ url: server.url, token: server.token, retry: false, signal, ...more }), { timeoutMs: ms });
  };

  /** The error of a call, which is typed, came in time and tells no secret, however it is looked at. */
  async function errorOf(work: () => Promise<unknown>): Promise<unknown> {
    const start = performance.now();
    const error = await work().then(
      (value) => expect.unreachable(`resolved: ${JSON.stringify(value)}`),
      (thrown: unknown) => thrown,
    );
    expect(performance.now() - start).toBeLessThan(timeoutMs + 500);
    expect(isGatepassError(error)).toBe(true);
    const told = inspect(error, { depth: 20, showHidden: true });
    expect(told).not.toMatch(/secret|bearer/i);
    return isGatepassError(error) ? error.code : undefined;
  }

  describe.each([
    ["plain fetch", rest],
    ["@upstash/redis", vendor],
  ])("over %s", (_, open) => {
    it.each(Object.entries(FAULTS))("%s is ERR_STORE_UNAVAILABLE, and over when it is over", async (_name, fault) => {
      const [store, quota] = [open(), once()];
      server.fault = fault;
      expect(await errorOf(() => store.spend([quota]))).toBe("ERR_STORE_UNAVAILABLE");
      if (!JSON.stringify(fault).includes('[\\"SERIAL\\",1]'))
        expect(await errorOf(() => store.block(quota.key, Date.now() + 1000))).toBe("ERR_STORE_UNAVAILABLE");
      server.fault = undefined;
      expect((await store.spend([quota])).ok).toBe(true);
      expect((await store.spend([quota])).ok).toBe(false);
    });

    it("an answer that is lost is no admission, though it charged", async () => {
      const [store, quota] = [open(), once()];
      await store.spend([once()]);
      server.fault = { kind: "lost" };
      expect(await errorOf(() => store.spend([quota]))).toBe("ERR_STORE_UNAVAILABLE");
      server.fault = undefined;
      expect((await store.spend([quota])).ok).toBe(false);
    });

    it("scripts that are forgotten are sent again, in the middle of many calls, and charge once", async () => {
      const [store, quota] = [open({}, 10_000), once(60)];
      const spends = Array.from({ length: 40 }, () => store.spend([quota]));
      await redis.command("SCRIPT", "FLUSH");
      spends.push(...Array.from({ length: 40 }, () => store.spend([quota])));
      expect((await Promise.all(spends)).filter(({ ok }) => ok).length).toBe(60);
    });

    it("no memory left is ERR_STORE_FULL, and reading goes on", async () => {
      const [store, quota] = [open({}, 10_000), once()];
      await store.spend([quota]);
      await redis.command("CONFIG", "SET", "maxmemory", "1mb");
      try {
        expect(await errorOf(() => store.spend([once()]))).toBe("ERR_STORE_FULL");
        expect(await errorOf(() => store.block("k", Date.now() + 60_000))).toBe("ERR_STORE_FULL");
        expect((await store.spend([quota])).ok).toBe(false);
      } finally {
        await redis.command("CONFIG", "SET", "maxmemory", "0");
      }
      expect((await store.spend([once()])).ok).toBe(true);
    });

    it("Redis itself restarts, and is used again", async () => {
      const [store, quota] = [open(), once()];
      await redis.kill();
      expect(await errorOf(() => store.spend([quota]))).toBe("ERR_STORE_UNAVAILABLE");
      await redis.start();
      await expect
        .poll(() =>
          store.spend([quota]).then(
            ({ ok }) => ok,
            () => false,
          ),
        )
        .toBe(true);
    });
  });

  it("a wrong token is ERR_STORE_UNAVAILABLE", async () => {
    expect(await errorOf(() => rest({ token: "wrong-secret" }).spend([once()]))).toBe("ERR_STORE_UNAVAILABLE");
    expect(await errorOf(() => vendor({ token: "wrong-secret" }).spend([once()]))).toBe("ERR_STORE_UNAVAILABLE");
  });

  it("one request a spend, two for a script that is not known; the token is in a header and nowhere else", async () => {
    await redis.command("SCRIPT", "FLUSH");
    const store = rest();
    server.requests.length = 0;
    for (let i = 0; i < 3; i++) await store.spend([once(), { key: "r", limit: 9, window: 60 }]);
    expect(server.requests.map(({ method, path, body }) => `${method} ${path} ${JSON.parse(body)[0]}`)).toEqual([
      "POST / EVALSHA",
      "POST / EVAL",
      "POST / EVALSHA",
      "POST / EVALSHA",
    ]);
    for (const { headers, body, path } of server.requests) {
      expect(headers.authorization).toBe(`Bearer ${server.token}`);
      expect(JSON.stringify({ ...headers, authorization: "" }) + path + body).not.toContain(server.token);
    }
  });

  it("Next.js is told to keep no answer: one out of a cache would be a token spent twice", async () => {
    const inits: unknown[] = [];
    const watched: typeof fetch = (input, init) => {
      inits.push(init);
      return fetch(input, init);
    };
    await rest({ fetch: watched }).spend([once()]);
    for (const init of inits) expect(init).toMatchObject({ next: { revalidate: 0 }, redirect: "manual" });
  });

  it("a redirect is not followed, wherever it leads", async () => {
    const trap = await startUpstash(redis.url);
    try {
      for (const status of [301, 302, 303, 307, 308]) {
        server.fault = { kind: "answer", status, body: "", headers: { location: `${trap.url}/` } };
        expect(await errorOf(() => rest().spend([once()]))).toBe("ERR_STORE_UNAVAILABLE");
      }
      expect(trap.requests).toEqual([]);
      // A fetch that follows all the same, and takes the token along, is found out.
      const careless: typeof fetch = async (_, init) => Object.defineProperty(await fetch(trap.url, init), "redirected", { value: true });
      expect(await errorOf(() => rest({ fetch: careless }).spend([once()]))).toBe("ERR_STORE_UNAVAILABLE");
      expect(trap.requests.length).toBe(1);
    } finally {
      await trap.close();
    }
  });

  it("an endless body is read to a limit and dropped", async () => {
    server.fault = { kind: "flood" };
    const before = server.flooded;
    const start = performance.now();
    expect(await errorOf(() => rest().spend([once()]))).toBe("ERR_STORE_UNAVAILABLE");
    // It ended when the limit was met, not when the time was over.
    expect(performance.now() - start).toBeLessThan(timeoutMs - 100);
    const held = server.flooded;
    expect(held - before).toBeLessThan(32 * 2 ** 20);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(server.flooded).toBe(held);
  });

  it("a fetch that looks at no signal, and one that throws what it was given, change nothing", async () => {
    let signal: AbortSignal | null | undefined;
    const deaf: typeof fetch = (_, init) => {
      signal = init?.signal;
      return new Promise(() => undefined);
    };
    expect(await errorOf(() => rest({ fetch: deaf }).spend([once()]))).toBe("ERR_STORE_UNAVAILABLE");
    // Those that do look are ended, and hold no connection.
    await expect.poll(() => signal?.aborted).toBe(true);
    const fallen: typeof fetch = () => {
      throw new TypeError("no network");
    };
    expect(await errorOf(() => rest({ fetch: fallen }).spend([once()]))).toBe("ERR_STORE_UNAVAILABLE");
  });

  it("a key with the name of an error is not taken for that error", async () => {
    for (const key of ["u:s-NOSCRIPT", "u:s.OOM"]) {
      const error: UpstashFault = json(500, { error: `ERR internal, in "${key}": NOSCRIPT, OOM` });
      for (const store of [rest(), vendor(), vendor({ enableAutoPipelining: false })]) {
        server.fault = error;
        server.requests.length = 0;
        expect(await errorOf(() => store.spend([{ ...once(), key }]))).toBe("ERR_STORE_UNAVAILABLE");
        expect(server.requests.length).toBe(1);
      }
    }
  });

  it("a client whose signal was raised makes up an answer, which is none", async () => {
    const store = vendor({ signal: AbortSignal.abort("1") });
    expect(await errorOf(() => store.spend([once()]))).toBe("ERR_STORE_UNAVAILABLE");
    expect(await errorOf(() => store.block("k", Date.now() + 1000))).toBe("ERR_STORE_UNAVAILABLE");
  });

  it("the client's own retries never admit a second time", async () => {
    const store = upstashStore(new Redis({ url: server.url, token: server.token }), { timeoutMs: 3000 });
    const quota = once();
    await store.spend([once()]);
    server.fault = { kind: "lost" };
    const spend = store.spend([quota]);
    await expect
      .poll(
        async () =>
          (
            await rest()
              .spend([{ ...quota, cost: 0 }])
              .catch(() => undefined)
          )?.states[0]?.remaining ?? 1,
      )
      .toBeDefined();
    server.fault = undefined;
    expect((await spend).ok).toBe(false);
  });

  it("what can be no database is a TypeError at once, and quotes nothing", () => {
    const { url, token } = server;
    const wrong: [Parameters<typeof upstashStore>[0], string][] = [
      [{ url: "http://example.com", token }, "https"],
      [{ url: "ftp://example.com", token }, "https"],
      [{ url: "http://127.0.0.1.example.com", token }, "https"],
      [{ url: "example.com", token }, "address"],
      [{ url: `https://example.com/?_token=${token}`, token }, "query"],
      [{ url: `https://default:${token}@example.com`, token }, "credentials"],
      [{ url: `https://example.com/#${token}`, token }, "fragment"],
      [{ url, token: `${token}\n` }, "token"],
      [{ url, token: `${token} ` }, "token"],
      [{ url, token: `é${token}` }, "token"],
    ];
    for (const [client, told] of wrong) {
      const make = (): unknown => upstashStore(client);
      expect(make).toThrow(TypeError);
      expect(make).toThrow(told);
      expect(make).not.toThrow(token);
    }
    expect(() => upstashStore({ url, token: "" })).toThrow(RangeError);
    // @ts-expect-error an option of another client
    expect(() => upstashStore({ url, token, retry: false })).toThrow(TypeError);
    // @ts-expect-error no client
    for (const client of [{}, null, undefined, { evalsha: 1 }]) expect(() => upstashStore(client)).toThrow(TypeError);
    // @ts-expect-error an option that does not exist
    expect(() => upstashStore({ url, token }, { table: "x" })).toThrow(TypeError);
    for (const options of [{ prefix: "{a}" }, { prefix: "x".repeat(49) }, { timeoutMs: 0 }, { timeoutMs: 1.5 }]) {
      expect(() => upstashStore({ url, token }, options)).toThrow(RangeError);
    }
    for (const local of ["http://localhost:1", "http://127.0.0.1", "http://[::1]:9", "https://example.com/path"]) {
      expect(upstashStore({ url: local, token }).consistency).toBe("exact");
    }
  });
});
