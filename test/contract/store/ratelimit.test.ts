import { afterAll, describe, expect, it } from "vitest";
import { type RateLimitBinding, type RateLimitClient, rateLimitBinding } from "../../../adapters/cloudflare-ratelimit.ts";
import { memoryStore } from "../../../src/store/memory.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import { runSuite } from "../workers/run-suite.ts";

const worker = await startWorkerd({
  entry: "test/contract/workers/ratelimit.ts",
  ratelimits: { FIVE: { limit: 5, period: 10 }, TWENTY: { limit: 20, period: 60 } },
});
afterAll(() => worker.dispose());

describe("rateLimitBinding in workerd, on its bindings", async () => {
  await runSuite(worker, "/", 7);
});

const yes: RateLimitClient = { limit: async () => ({ success: true }) };
const quota = { key: "k", limit: 5, window: 10 };

it.each([
  ["throws", () => Promise.reject(new Error("internal error"))],
  ["hangs", () => new Promise(() => undefined)],
  ["answers nothing", async () => undefined],
  ["answers a text", async () => ({ success: "yes" })],
])("a binding that %s: typed, in time, and never ok", async (_, limit) => {
  // What a backend sends is never what its types say.
  const binding = { limit } as unknown as RateLimitClient;
  const store = rateLimitBinding([{ binding, limit: 5, window: 10 }], { timeoutMs: 100 });
  const start = performance.now();
  await expect(store.spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  expect(performance.now() - start).toBeLessThan(600);
});

it("wrong bindings and options are told at creation", () => {
  const five: RateLimitBinding = { binding: yes, limit: 5, window: 10 };
  expect(() => rateLimitBinding([])).toThrow(TypeError);
  expect(() => rateLimitBinding([five, { ...five }])).toThrow(TypeError);
  expect(() => rateLimitBinding([{ ...five, window: 30 as 60 }])).toThrow(RangeError);
  expect(() => rateLimitBinding([{ ...five, limit: 0 }])).toThrow(RangeError);
  expect(() => rateLimitBinding([{ ...five, binding: undefined as unknown as RateLimitClient }])).toThrow(TypeError);
  expect(() => rateLimitBinding([five], { other: yes } as object)).toThrow(TypeError);
  expect(() => rateLimitBinding([five], { otherwise: {} as never })).toThrow(TypeError);
  const day = { name: "day", limit: 200, window: 86_400, by: "ip" };
  expect(() => rateLimitBinding([five], { rules: [day] })).toThrow(/no rate limit binding fits/);
  expect(() => rateLimitBinding([five], { rules: [day], otherwise: memoryStore() })).not.toThrow();
  expect(() => rateLimitBinding([five], { rules: [5, 80, 1, 320].map((limit) => ({ limit, window: 10 })) })).not.toThrow();
});

it("no time is lost for an empty spend", async () => {
  const store = rateLimitBinding([{ binding: yes, limit: 5, window: 10 }], { clock: () => 7 });
  expect(await store.spend([])).toEqual({ ok: true, at: 7, refused: null, retryAfter: 0, states: [] });
});
