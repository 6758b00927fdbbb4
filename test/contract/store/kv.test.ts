import { afterAll, describe, expect, it } from "vitest";
import { type KvClient, kvStore } from "../../../adapters/cloudflare-kv.ts";
import { testStore } from "../../../src/testing/store.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import { runSuite } from "../workers/run-suite.ts";

const worker = await startWorkerd({ entry: "test/contract/workers/kv.ts", kv: ["KV"] });
afterAll(() => worker.dispose());

describe("kvStore in workerd, on its binding: the contract holds inside one isolate", async () => {
  // Ten thousand calls, too many for files on a disk: below.
  await runSuite(worker, "/", 36, /random schedules/);
});

describe("kvStore on a map", () => {
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

it("wrong options and clients are told at creation", () => {
  const kv: KvClient = { get: async () => new Map(), put: async () => undefined, delete: async () => undefined };
  expect(() => kvStore(kv, { prefix: "x".repeat(65) })).toThrow(RangeError);
  expect(() => kvStore(kv, { timeoutMs: 0 })).toThrow(RangeError);
  expect(() => kvStore(kv, { acceptDoubleSpend: true } as object)).toThrow(TypeError);
  expect(() => kvStore(kv, { acceptDoubleSpends: "yes" } as object)).toThrow(TypeError);
  expect(() => kvStore(undefined as unknown as KvClient)).toThrow(TypeError);
});
