import { describe, expect, it } from "vitest";
import { createLimiter } from "../../../src/limits/index.ts";
import type { LimitResult } from "../../../src/limits/types.ts";
import type { Store } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { testGate } from "../../helpers/gate.ts";

const START = 1_750_000_000_000;

/** A store that other processes share, as far as can be seen from here, and how often it was asked. */
function shared(): { store: Store; clock: () => number; advance(ms: number): void; asked(): number } {
  let time = START;
  let calls = 0;
  const clock = (): number => time;
  const memory = memoryStore({ clock });
  return {
    store: {
      ...memory,
      consistency: "exact",
      spend: (quotas) => {
        calls += 1;
        return memory.spend(quotas);
      },
    },
    clock,
    advance: (ms) => {
      time += ms;
    },
    asked: () => calls,
  };
}

const rules = [{ name: "burst", limit: 5, window: 60, by: "ip" }] as const;
const visitor = { ip: "203.0.113.7" };

describe("what was refused is refused again from memory", () => {
  it("100,000 refused requests of one key cost at most two store calls a second, and none is admitted", async () => {
    const { store, clock, advance, asked } = shared();
    const limiter = createLimiter({ store, rules, clock });
    for (let i = 0; i < 5; i++) expect((await limiter.limit(visitor)).success).toBe(true);
    await limiter.limit(visitor);
    const before = asked();
    let admitted = 0;
    for (let i = 0; i < 100_000; i++) {
      if (i % 5000 === 0) advance(500);
      if ((await limiter.limit(visitor)).success) admitted += 1;
    }
    // 100,000 requests in ten seconds.
    expect(admitted).toBe(0);
    expect(asked() - before).toBeLessThanOrEqual(20);
  });

  it("a client that waits for retryAfter is admitted, from every moment at which it may have been refused", async () => {
    for (let moment = 0; moment < 66_000; moment += 1300) {
      const { store, clock, advance } = shared();
      const limiter = createLimiter({ store, rules, clock });
      for (let i = 0; i < 5; i++) {
        await limiter.limit(visitor);
        advance(700);
      }
      let last: LimitResult = await limiter.limit(visitor);
      for (let passed = 0; passed < moment && !last.success; passed += 650) {
        advance(650);
        last = await limiter.limit(visitor);
      }
      if (last.success) continue;
      advance(last.retryAfter * 1000);
      expect((await limiter.limit(visitor)).success).toBe(true);
    }
  });

  it("decides as the store does, at every step of random schedules, but for the part of a second by which retryAfter is rounded up", async () => {
    let seed = 7;
    const below = (n: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % n;
    };
    const { store, clock, advance } = shared();
    const bare = memoryStore({ clock });
    const [limiter, model] = [createLimiter({ store, rules, clock }), createLimiter({ store: bare, rules, clock })];
    for (let step = 0; step < 20_000; step++) {
      const who = { ip: `203.0.113.${below(3)}` };
      const [mine, right] = await Promise.all([limiter.limit(who), model.limit(who)]);
      if (right.success && !mine.success) {
        expect([step, mine.retryAfter]).toEqual([step, 1]);
        await model.refund(right);
      } else expect([step, mine.success]).toEqual([step, right.success]);
      if (mine.success && below(8) === 0) await Promise.all([limiter.refund(mine), model.refund(right)]);
      advance(below(10) === 0 ? below(20_000) : below(300));
    }
  });

  it("a refund of another process is noticed within a second", async () => {
    const { store, clock, advance } = shared();
    const [here, there] = [createLimiter({ store, rules, clock }), createLimiter({ store, rules, clock })];
    const held = await there.limit(visitor);
    for (let i = 0; i < 4; i++) await here.limit(visitor);
    expect((await here.limit(visitor)).success).toBe(false);
    await there.refund(held);
    expect((await here.limit(visitor)).success).toBe(false);
    advance(1000);
    expect((await here.limit(visitor)).success).toBe(true);
  });

  it("a clock that is set back makes no refusal last longer", async () => {
    const { store, clock, advance } = shared();
    let ahead = 3_600_000;
    const limiter = createLimiter({ store, rules, clock: () => clock() + ahead });
    for (let i = 0; i < 6; i++) await limiter.limit(visitor);
    ahead = 0;
    advance(66_000);
    expect((await limiter.limit(visitor)).success).toBe(true);
  });

  it("a gate answers 429 with Retry-After and the rate headers, and does not ask its store again", async () => {
    const { store, clock, asked } = shared();
    const { gate } = testGate({ store, clock });
    const answers: Response[] = [];
    for (let i = 0; i < 300; i++) answers.push(await gate.fetch(new Request("https://game.example/api/scores")));
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(120);
    expect(refused).toHaveLength(180);
    expect(asked()).toBeLessThanOrEqual(122);
    for (const { headers } of refused) {
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
      expect(headers.get("ratelimit")).toMatch(/"scores.read";r=0/);
    }
  });
});
