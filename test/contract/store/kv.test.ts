import { afterAll, describe, expect, it } from "vitest";
import { type KvClient, kvStore } from "../../../adapters/cloudflare-kv.ts";
import { testStore } from "../../../src/testing/store.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import { runSuite } from "../workers/run-suite.ts";

const worker = await startWorkerd({ entry: "test/contract/workers/kv.ts", kv: ["KV"] });
afterAll(() => worker.dispose());

describe("kvStore in workerd, on its binding: the contract holds inside one isolate", async () => {
  await runSuite(worker, "/", 36);
});

describe("kvStore on a map, over all random schedules", () => {
  testStore(
    () => {
      let time = 1_750_000_000_000;
      const held = new Map<string, string>();
      const kv: KvClient = {
        get: async (keys) => new Map(keys.map((key) => [key, held.get(key) ?? null])),
        put: async (key, value) => void held.set(key, value),
        delete: async (key) => void held.delete(key),
      };
      return {
        store: kvStore(kv, { acceptDoubleSpends: true, clock: () => time }),
        advance(ms) {
          time += ms;
        },
      };
    },
    { describe, it, expect },
  );
});

it("what KV shows and what was written here are one count: of each sub-window the larger one", async () => {
  let time = 1_750_000_000_000;
  let shown: string | null = null;
  let written = "";
  // Two places that do not see each other's writes, of which KV keeps the last.
  const kv: KvClient = {
    get: async (keys) => new Map(keys.map((key) => [key, key.endsWith(":rk") ? shown : null])),
    put: async (_, value) => {
      written = value;
    },
    delete: async () => undefined,
  };
  const [here, there] = [kvStore(kv, { clock: () => time }), kvStore(kv, { clock: () => time })];
  const quota = { key: "k", limit: 5, window: 60 };
  await here.spend([{ ...quota, cost: 2 }]);
  time += 20_000;
  await there.spend([{ ...quota, cost: 1 }]);
  shown = written;
  // A read merges; another one does not count the same again.
  for (let i = 0; i < 3; i++) expect((await here.spend([{ ...quota, cost: 0 }])).states[0]?.remaining).toBe(2);
  expect((await here.spend([{ ...quota, cost: 3 }])).ok).toBe(false);
  expect((await here.spend([{ ...quota, cost: 2 }])).states[0]?.remaining).toBe(0);
  shown = written;
  // What here knew has reached the other place with it: the two of the beginning are over first, then the one and the two.
  expect((await there.spend([{ ...quota, cost: 0 }])).states[0]?.remaining).toBe(0);
  time += 46_000;
  expect((await there.spend([{ ...quota, cost: 0 }])).states[0]?.remaining).toBe(2);
});

it("wrong options and clients are told at creation", () => {
  const kv: KvClient = { get: async () => new Map(), put: async () => undefined, delete: async () => undefined };
  expect(() => kvStore(kv, { prefix: "x".repeat(65) })).toThrow(RangeError);
  expect(() => kvStore(kv, { timeoutMs: 0 })).toThrow(RangeError);
  expect(() => kvStore(kv, { acceptDoubleSpend: true } as object)).toThrow(TypeError);
  expect(() => kvStore(kv, { acceptDoubleSpends: "yes" } as object)).toThrow(TypeError);
  expect(() => kvStore(undefined as unknown as KvClient)).toThrow(TypeError);
});
