import { Redis } from "@upstash/redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type UpstashStoreOptions, upstashStore } from "../../../adapters/upstash.ts";
import type { Store } from "../../../src/store/contract.ts";
import { testStore } from "../../../src/testing/store.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisServer, startRedis } from "../../helpers/redis.ts";
import { startUpstash, type UpstashServer } from "../../helpers/upstash.ts";

const TIMEOUT = 1000;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;

/** Every way to a database that a user may have. */
const CLIENTS: Record<string, (at: UpstashServer, options: UpstashStoreOptions) => Store> = {
  "an address and plain fetch": ({ url, token }, options) => upstashStore({ url, token }, options),
  "a client of @upstash/redis": ({ url, token }, options) => upstashStore(new Redis({ url, token, retry: false }), options),
  "a client that reads no JSON, no base64, and sends each command by itself": ({ url, token }, options) =>
    upstashStore(
      new Redis({ url, token, retry: false, automaticDeserialization: false, responseEncoding: false, enableAutoPipelining: false }),
      options,
    ),
};

describeWith("redis-server", hasRedis())("upstashStore", () => {
  let redis: RedisServer;
  let server: UpstashServer;
  let serial = 0;
  beforeAll(async () => {
    redis = await startRedis();
    server = await startUpstash(redis.url);
  });
  afterAll(async () => {
    await server.close();
    await redis.dispose();
  });

  const hang = (): (() => void) => {
    server.fault = { kind: "hang" };
    return () => {
      server.fault = undefined;
    };
  };

  describe.each(Object.entries(CLIENTS))("over %s", (name, open) => {
    testStore(
      () => {
        const begin = Date.now();
        let ahead = 0;
        const options = { prefix: `t${++serial}:`, timeoutMs: PATIENT, clock: () => begin + ahead };
        return {
          store: open(server, options),
          another: () => open(server, options),
          impatient: () => open(server, { ...options, timeoutMs: TIMEOUT }),
          advance(ms) {
            ahead += ms;
          },
          timeoutMs: TIMEOUT,
          hang,
        };
      },
      {
        describe,
        // Ten thousand requests, for a script that is the same whoever sends it: once is enough.
        it: (title, test) => (/random schedules/.test(title) && name !== "an address and plain fetch" ? undefined : it(title, test)),
        expect,
      },
    );
  });

  describe("in real time", () => {
    testStore(
      () => {
        const options = { prefix: `t${++serial}:`, timeoutMs: PATIENT };
        const open = (timeoutMs: number): Store => upstashStore({ url: server.url, token: server.token }, { ...options, timeoutMs });
        return {
          store: open(PATIENT),
          impatient: () => open(TIMEOUT),
          dump: async () => (await redis.keys()).filter((key) => key.startsWith(options.prefix)),
          timeoutMs: TIMEOUT,
          hang,
        };
      },
      { describe, it, expect },
    );
  });
});
