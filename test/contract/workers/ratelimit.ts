// A Worker that asks its own rate limit bindings: FIVE in 10 s, TWENTY in 60 s.
import { type RateLimitClient, rateLimitBinding } from "../../../adapters/cloudflare-ratelimit.ts";
import { createLimiter } from "../../../src/limits/index.ts";
import type { RateQuota } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/memory.ts";
import type { TestKit } from "../../../src/testing/board.ts";
import { bearer, ORIGIN, testGate } from "../../helpers/gate.ts";
import { serveSuite } from "./suites.ts";

interface Env {
  FIVE: RateLimitClient;
  TWENTY: RateLimitClient;
}

let serial = 0;

export default {
  fetch: (request: Request, env: Env): Promise<Response> => serveSuite(request, (kit) => testBindings(env, kit)),
};

function testBindings({ FIVE, TWENTY }: Env, { it, expect }: TestKit): void {
  const bindings = [
    { binding: FIVE, limit: 5, window: 10 },
    { binding: TWENTY, limit: 20, window: 60 },
  ] as const;
  const store = rateLimitBinding(bindings);
  const key = (): string => `k${serial++}`;

  /** Declares a test that lies within one period of the bindings: they begin anew with each, for all keys at once. */
  const within = (name: string, test: () => Promise<void>): void => {
    it(name, async () => {
      for (let left = 3; left > 0; left--) {
        const period = Math.floor(Date.now() / 10_000);
        const failed = await test().then(
          () => undefined,
          (error: unknown) => ({ error }),
        );
        if (failed === undefined) return;
        // The clock of a Worker stands still until it waited for something.
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (left === 1 || period === Math.floor(Date.now() / 10_000)) throw failed.error;
      }
    });
  };

  within("admits the limit of the binding, and no more in its period", async () => {
    for (const quota of [
      { key: key(), limit: 5, window: 10 },
      { key: key(), limit: 20, window: 60 },
    ]) {
      const all = await Promise.all(Array.from({ length: 30 }, () => store.spend([quota])));
      expect(all.filter(({ ok }) => ok).length).toEqual(quota.limit);
      const refused = all.find(({ ok }) => !ok);
      expect([refused?.refused, refused?.retryAfter, refused?.states[0]?.why]).toEqual([0, quota.window, "full"]);
    }
  });

  within("states say no more than is certain, reads ask nobody", async () => {
    const quota = { key: key(), limit: 5, window: 10 };
    const { at, states } = await store.spend([quota]);
    expect(states).toEqual([{ remaining: 0, resetAt: at + 10_000 }]);
    for (let i = 0; i < 9; i++) {
      const read = await store.spend([{ ...quota, cost: 0 }]);
      expect([read.ok, read.states]).toEqual([true, [{ remaining: 0, resetAt: read.at }]]);
    }
    const rest = await Promise.all(Array.from({ length: 9 }, () => store.spend([quota])));
    expect(rest.filter(({ ok }) => ok).length).toEqual(4);
  });

  within("a cost is so many calls; a burst that is refused does not use up the longer window", async () => {
    const dear = { key: key(), limit: 5, window: 10, cost: 3 };
    expect([(await store.spend([dear])).ok, (await store.spend([dear])).ok]).toEqual([true, false]);
    const minute = { key: key(), limit: 20, window: 60 };
    const burst = { key: key(), limit: 5, window: 10 };
    for (let i = 0; i < 30; i++) await store.spend([minute, burst]);
    const left = await Promise.all(Array.from({ length: 30 }, () => store.spend([minute])));
    expect(left.filter(({ ok }) => ok).length).toEqual(15);
  });

  within("limits that no binding has: multiples over several keys, smaller ones by several calls, never more than the limit", async () => {
    const admitted = async (quota: RateQuota): Promise<number> => {
      let count = 0;
      for (let i = 0; i < quota.limit * 4 + 10; i++) count += (await store.spend([quota])).ok ? 1 : 0;
      return count;
    };
    expect(await admitted({ key: key(), limit: 20, window: 10 })).toEqual(20);
    expect(await admitted({ key: key(), limit: 2, window: 60 })).toEqual(2);
    expect(await admitted({ key: key(), limit: 1, window: 10 })).toEqual(1);
    const odd = await admitted({ key: key(), limit: 3, window: 10 });
    expect([odd >= 1, odd <= 3]).toEqual([true, true]);
  });

  within("a rule by ip is counted for IPv6 and its networks too", async () => {
    const limiter = createLimiter({ store, rules: [{ name: key(), limit: 5, window: 10, by: "ip" }] });
    const results: boolean[] = [];
    for (let i = 0; i < 8; i++) results.push((await limiter.limit({ ip: "2001:db8::1" })).success);
    expect(results).toEqual([true, true, true, true, true, false, false, false]);
    expect((await limiter.limit({ ip: "2001:db8:0:1::1" })).accuracy).toEqual("approximate");
    const unknown = await limiter.limit({});
    expect([unknown.success, (await limiter.limit({})).success]).toEqual([true, false]);
  });

  within("what fits no binding goes elsewhere, or is a TypeError before anything is charged", async () => {
    const day = { key: key(), limit: 2, window: 86_400 };
    const burst = { key: key(), limit: 5, window: 10 };
    const wrong = await store.spend([burst, day]).catch((error: unknown) => error);
    expect(wrong instanceof TypeError).toEqual(true);
    const both = rateLimitBinding(bindings, { otherwise: memoryStore() });
    const all = [await both.spend([day, burst]), await both.spend([burst, day]), await both.spend([burst, day])];
    expect(all.map(({ ok, refused }) => [ok, refused])).toEqual([
      [true, null],
      [true, null],
      [false, 1],
    ]);
    expect([all[0]?.states[0]?.remaining, all[2]?.states[1]?.why, (all[2]?.retryAfter ?? 0) > 80_000]).toEqual([1, "full", true]);
    // Two of the five went with an admission, one with the refusal of the day: the first, wrong call took none.
    const left = [await both.spend([burst]), await both.spend([burst]), await both.spend([burst])];
    expect(left.map(({ ok }) => ok)).toEqual([true, true, false]);
    const uses = { key: "u", limit: 1, expiresAt: Date.now() + 60_000 };
    // What untyped code might do.
    expect((await store.spend([uses as unknown as RateQuota]).catch((error: unknown) => error)) instanceof TypeError).toEqual(true);
  });

  within("a gate counts its rules by it, and says approximate", async () => {
    const clock = (): number => Date.UTC(2026, 10, 20, 12);
    const rateStore = rateLimitBinding(bindings, { otherwise: memoryStore({ clock }), clock });
    const { gate, session } = testGate({
      rateStore,
      limits: { "scores.read": [{ name: key(), limit: 5, window: 10, by: "ip" }] },
    });
    const token = await session();
    const protect = (): ReturnType<typeof gate.protect> => {
      const request = new Request(`${ORIGIN}/write`, { method: "POST", headers: bearer(token) });
      return gate.protect(request, { action: "score_submit", limits: ["scores.read"] });
    };
    const admissions = [await protect(), await protect(), await protect(), await protect(), await protect(), await protect()];
    expect(admissions.map((one) => (one.ok ? one.accuracy : one.code))).toEqual([
      ...Array.from({ length: 5 }, () => "approximate"),
      "RATE_LIMITED",
    ]);
  });
}
