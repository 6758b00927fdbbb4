import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import {
  createLimiter,
  type LimitRule,
  limitResult,
  planLimits,
  rateHeaders,
  type Subjects,
  validateRules,
} from "../../../src/limits/index.ts";
import type { RateStore, SpendResult } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/memory.ts";

const request = new Request("http://game.example/api/scores");
const minute: LimitRule = { name: "minute", limit: 15, window: 60, by: "ip" };
const daily: LimitRule = { name: "daily", limit: 200, window: 86_400, by: "ip-prefix" };
const known: Subjects = { ip: "203.0.113.7", "ip-prefix": "203.0.113" };

describe("planLimits", () => {
  it("charges each rule under a key of its own", () => {
    const layers = planLimits([minute, daily], known, request, "scores.write");
    expect(layers.map(({ quota: { limit, window } }) => [limit, window])).toEqual([
      [15, 60],
      [200, 86_400],
    ]);
    expect(new Set(layers.map(({ quota }) => quota.key)).size).toBe(2);
    expect(layers.map(({ rule, prefix, shared }) => [rule, prefix, shared])).toEqual([
      [minute, undefined, undefined],
      [daily, undefined, undefined],
    ]);
    const [other] = planLimits([minute], known, request, "scores.read");
    expect(other?.quota.key).not.toBe(layers[0]?.quota.key);
  });

  it("gives every address, and every combination, a bucket of its own", () => {
    const text = fc.string({ minLength: 1, maxLength: 12 });
    const both: LimitRule = { ...minute, by: ["device", "ip-prefix"] };
    const key = (device: string, prefix: string): string | undefined =>
      planLimits([both], { device, "ip-prefix": prefix }, request)[0]?.quota.key;
    fc.assert(fc.property(text, text, text, text, (a, b, c, d) => (key(a, b) === key(c, d)) === (a === c && b === d)));
  });

  it("puts all unknown addresses into one bucket with a tenth of the limit, whatever else they say", () => {
    const rules: LimitRule[] = [
      minute,
      daily,
      { ...minute, name: "few", limit: 5 },
      { ...minute, name: "mixed", by: ["device", "ip-prefix"] },
    ];
    const layers = planLimits(rules, { device: "a" }, request);
    expect(layers.map(({ quota, rule, shared }) => [quota.limit, rule.limit, shared])).toEqual([
      [1, 1, true],
      [20, 20, true],
      [1, 1, true],
      [1, 1, true],
    ]);
    // A stranger without an address that varies its device id must not get a bucket for each.
    expect(planLimits(rules, { device: "b" }, request)).toEqual(layers);
    expect(planLimits(rules, {}, request)).toEqual(layers);
  });

  it("leaves out a rule of which another subject is unknown or empty", () => {
    const rules: LimitRule[] = [
      minute,
      { ...minute, name: "device", by: "device" },
      { ...minute, name: "pair", by: ["user", "ip"] },
      { ...minute, name: "own", by: () => undefined },
    ];
    expect(planLimits(rules, { ...known, device: "" }, request).map(({ rule }) => rule)).toEqual([minute]);
  });

  it("asks a function of the application's", () => {
    const own: LimitRule = { ...minute, by: (asked, subjects) => `${new URL(asked.url).pathname}-${subjects.ip}` };
    expect(planLimits([own], known, request)).toHaveLength(1);
  });
});

describe("limitResult", () => {
  const plan = planLimits([minute, daily], known, request);
  const spent = (part: Partial<SpendResult>): SpendResult => ({ ok: true, at: 1000, refused: null, retryAfter: 0, states: [], ...part });

  it("is the tightest layer when all admit", () => {
    const states = [
      { remaining: 3, resetAt: 0 },
      { remaining: 9, resetAt: 60_000 },
      { remaining: 2, resetAt: 90_000 },
    ];
    expect(limitResult(plan, spent({ states }), 1, "exact")).toEqual({
      success: true,
      limit: 200,
      remaining: 2,
      reset: 90_000,
      retryAfter: 0,
      rule: "daily",
      degraded: false,
      accuracy: "exact",
      headers: new Headers({
        "ratelimit-policy": '"minute";q=15;w=60, "daily";q=200;w=86400',
        ratelimit: '"minute";r=9;t=59, "daily";r=2;t=89',
      }),
    });
  });

  it("is the refusing layer, even where another has as little left", () => {
    const states = [
      { remaining: 0, resetAt: 60_000 },
      { remaining: 0, resetAt: 90_000, why: "full" as const },
    ];
    expect(limitResult(plan, spent({ ok: false, refused: 1, retryAfter: 30, states }), 0, "exact")).toMatchObject({
      success: false,
      rule: "daily",
      retryAfter: 30,
      reset: 90_000,
      reason: "full",
    });
  });

  it("is of two that refuse the one with the longest wait, which the store names", () => {
    const full = { remaining: 0, resetAt: 60_000, why: "full" as const };
    expect(limitResult(plan, spent({ ok: false, refused: 1, retryAfter: 30, states: [full, full] }), 0, "exact").rule).toBe("daily");
  });

  it("is a success where another limit of the same spend refused", () => {
    const states = [
      { remaining: 0, resetAt: 0, why: "full" as const },
      { remaining: 5, resetAt: 1 },
      { remaining: 5, resetAt: 1 },
    ];
    expect(limitResult(plan, spent({ ok: false, refused: 0, retryAfter: 30, states }), 1, "exact")).toMatchObject({
      success: true,
      retryAfter: 0,
      rule: "minute",
    });
  });

  it("is unlimited where no rule applies", () => {
    expect(limitResult([], spent({}), 0, "local")).toMatchObject({
      success: true,
      remaining: Number.POSITIVE_INFINITY,
    });
  });
});

describe("rateHeaders", () => {
  const burst = { name: "burst", limit: 15, window: 60 };
  const daily = { name: "daily", limit: 200, window: 86_400 };

  it("speak draft 10", () => {
    const headers = rateHeaders(
      [
        { rule: burst, state: { remaining: 14, resetAt: 60_500 } },
        { state: { remaining: 1, resetAt: 7 } },
        { rule: daily, state: { remaining: 199, resetAt: 86_400_000 } },
      ],
      500,
    );
    expect(headers.get("ratelimit-policy")).toBe('"burst";q=15;w=60, "daily";q=200;w=86400');
    expect(headers.get("ratelimit")).toBe('"burst";r=14;t=60, "daily";r=199;t=86400');
  });

  it("have one line for a rule: what its tightest network has left", () => {
    const states = [12, 3, 40].map((remaining) => ({ rule: burst, state: { remaining, resetAt: 10_000 + remaining * 1000 } }));
    expect(rateHeaders(states, 0).get("ratelimit")).toBe('"burst";r=3;t=13');
  });

  it("on a refusal cut the time of the rule that refused, and of no other", () => {
    const at = (dailyWhy?: "full"): string | null =>
      rateHeaders(
        [
          { rule: burst, state: { remaining: 0, resetAt: 60_000, why: "full" } },
          { rule: daily, state: { remaining: dailyWhy ? 0 : 5, resetAt: 80_000_000, ...(dailyWhy && { why: dailyWhy }) } },
        ],
        0,
        7,
      ).get("ratelimit");
    expect(at()).toBe('"burst";r=0;t=7, "daily";r=5;t=80000');
    expect(at("full")).toBe('"burst";r=0;t=7, "daily";r=0;t=7');
  });

  it("never say a time beyond the window, though a unit may count for a tenth longer", () => {
    for (const why of [undefined, "full" as const]) {
      const state = { remaining: 0, resetAt: 66_000, ...(why && { why }) };
      expect(rateHeaders([{ rule: burst, state }], 0, 66).get("ratelimit")).toBe('"burst";r=0;t=60');
    }
  });

  it("say no time of a blocked subject: the block may outlast the window", () => {
    const state = { remaining: 0, resetAt: 5_000, why: "blocked" as const };
    expect(rateHeaders([{ rule: burst, state }], 0, 7200).get("ratelimit")).toBe('"burst";r=0');
  });

  it("never say less than nothing, nor a time after the wait", () => {
    const headers = rateHeaders(
      [
        { rule: burst, state: { remaining: -1, resetAt: 60_000, why: "full" } },
        { rule: daily, state: { remaining: 5, resetAt: 0 } },
      ],
      500,
      7,
    );
    expect(headers.get("ratelimit")).toBe('"burst";r=0;t=7, "daily";r=5;t=0');
    expect([...rateHeaders([{ rule: burst }], 0)]).toEqual([]);
  });
});

describe("validateRules", () => {
  const check =
    (...rules: unknown[]): (() => void) =>
    () =>
      Reflect.apply(validateRules, undefined, ["scores.write", rules]);

  it("accepts what stands together", () => {
    expect(check(minute, daily)).not.toThrow();
    expect(check({ ...minute, by: "email" }, daily)).not.toThrow();
    expect(check({ ...minute, by: ["device", "ip-prefix"] }, { ...daily, by: "ip" })).not.toThrow();
    expect(check({ ...minute, by: "player" })).not.toThrow();
    expect(check({ ...minute, by: () => "x" })).not.toThrow();
    expect(check()).not.toThrow();
  });

  it("refuses a rule on what the caller chooses without one by address: it varies the text and is never refused", () => {
    for (const by of ["device", "email", "user", "phone", "account", ["user", "device"]]) {
      expect(check({ ...minute, by }), String(by)).toThrow(TypeError);
      expect(check({ ...minute, by }, { ...daily, by: "ip" }), String(by)).toThrow(/ip-prefix/);
      expect(check({ ...minute, by }, { ...daily, by: [by, "ip-prefix"].flat() }), String(by)).toThrow(TypeError);
    }
    expect(check({ ...minute, by: ["email", "ip"] })).toThrow(TypeError);
  });

  it.each([
    [{ ...minute, limit: 0 }, RangeError],
    [{ ...minute, limit: 1.5 }, RangeError],
    [{ ...minute, limit: Number.POSITIVE_INFINITY }, RangeError],
    [{ ...minute, window: 0 }, RangeError],
    [{ ...minute, window: "60" }, TypeError],
    [{ ...minute, by: "cookie" }, TypeError],
    [{ ...minute, by: [] }, TypeError],
    [{ ...minute, by: undefined }, TypeError],
    [{ ...minute, name: 'a";q=1' }, TypeError],
    [{ ...minute, name: "" }, TypeError],
    [{ ...minute, onStoreError: "maybe" }, TypeError],
    [{ ...minute, onStoreError: null }, TypeError],
    [{ ...minute, onstoreerror: "allow" }, TypeError],
    [{ ...minute, onStoreError: {} }, TypeError],
    [null, TypeError],
  ])("refuses %j", (rule, error) => {
    expect(check(rule)).toThrow(error);
  });

  it("refuses more quotas than one charge has room for, when the gate is made and not at each request", () => {
    const rules = (count: number, by: unknown): unknown[] =>
      Array.from({ length: count }, (_, i) => ({ ...minute, name: `rule-${i}`, by }));
    expect(check(...rules(16, "ip-prefix"))).not.toThrow();
    expect(check(...rules(17, "ip-prefix"))).toThrow(RangeError);
    // Each counts an IPv6 address three times, and whoever has one must not be the first to find out.
    expect(check(...rules(5, "ip"))).not.toThrow();
    expect(check(...rules(6, "ip"))).toThrow(RangeError);
    expect(check({ ...minute, limit: Number.MAX_SAFE_INTEGER })).toThrow(RangeError);
  });

  it("refuses one name for two rules, and what is no list", () => {
    expect(check(minute, { ...daily, name: "minute" })).toThrow(TypeError);
    expect(() => Reflect.apply(validateRules, undefined, ["x", minute])).toThrow(TypeError);
  });
});

describe("createLimiter", () => {
  const setup = (rules: LimitRule[] = [{ ...minute, limit: 3 }, daily]) => {
    let now = Date.UTC(2026, 0, 1);
    const clock = (): number => now;
    const store = memoryStore({ clock });
    const tick = (seconds: number): void => {
      now += seconds * 1000;
    };
    return { store, limiter: createLimiter({ store, rules, clock }), tick };
  };

  it("admits the limit, refuses the next, and admits who waited", async () => {
    const { limiter, tick } = setup();
    for (const left of [2, 1, 0])
      expect(await limiter.limit(known)).toMatchObject({ success: true, remaining: left, limit: 3, rule: "minute" });
    const refused = await limiter.limit(known);
    expect(refused).toMatchObject({ success: false, remaining: 0, rule: "minute", degraded: false, accuracy: "local" });
    expect(refused.retryAfter).toBeGreaterThan(0);
    expect(refused.retryAfter).toBeLessThanOrEqual(66);
    expect(await limiter.limit({ ip: "203.0.113.8" })).toMatchObject({ success: true });
    tick(refused.retryAfter);
    expect(await limiter.limit(known)).toMatchObject({ success: true });
  });

  it("charges nothing for a peek, and tells the truth in it", async () => {
    const { limiter, tick } = setup();
    for (let i = 0; i < 9; i++) expect(await limiter.peek(known)).toMatchObject({ success: true, remaining: 3 });
    for (let i = 0; i < 3; i++) await limiter.limit(known);
    const peeked = await limiter.peek(known);
    expect(peeked).toMatchObject({ success: false, remaining: 0, rule: "minute", reason: "full" });
    // As long as it says, and a little less would have done.
    expect(peeked.retryAfter).toBeGreaterThan(59);
    expect(peeked.retryAfter).toBeLessThanOrEqual(66);
    tick(peeked.retryAfter);
    expect(await limiter.peek(known)).toMatchObject({ success: true, remaining: 3, retryAfter: 0 });
  });

  it("has the headers of an answer: what all rules have left, and when to come back", async () => {
    const { limiter, store, tick } = setup();
    const headers = Object.fromEntries((await limiter.limit(known)).headers);
    expect(headers["ratelimit-policy"]).toBe('"minute";q=3;w=60, "daily";q=200;w=86400');
    expect(headers["ratelimit"]).toBe('"minute";r=2;t=60, "daily";r=199;t=86400');
    expect(headers["retry-after"]).toBeUndefined();
    await limiter.limit(known);
    await limiter.limit(known);
    const refused = await limiter.limit(known);
    expect(refused.headers.get("retry-after")).toBe(String(refused.retryAfter));
    expect(refused.headers.get("ratelimit")).toBe('"minute";r=0;t=60, "daily";r=197;t=86400');
    tick(30);
    const later = await limiter.limit(known);
    expect(later.headers.get("ratelimit")).toMatch(new RegExp(`^"minute";r=0;t=${later.retryAfter}, "daily";r=197;t=8\\d{4}$`));
    expect(Object.fromEntries((await limiter.limit({ ip: "2001:db8::1" })).headers)["ratelimit"]).toMatch(/^"minute";r=2;t=60, "daily";/);
    store.spend = () => Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: no connection"));
    expect(Object.fromEntries((await limiter.limit(known)).headers)).toEqual({ "retry-after": "5" });
  });

  it("its headers never promise more time than a window, and each rule's time is its own", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 30 }), async (pauses) => {
        const { limiter, tick } = setup();
        for (const ms of pauses) {
          tick(ms / 1000);
          const { headers, retryAfter } = await limiter.limit(known);
          const [, minute = 99, daily = 0] = /^"minute";r=\d;t=(\d+), "daily";r=\d+;t=(\d+)$/.exec(headers.get("ratelimit") ?? "") ?? [];
          expect(Number(minute)).toBeLessThanOrEqual(60);
          expect(Number(daily)).toBeLessThanOrEqual(86_400);
          // What was charged of the day counts for a day, whatever the minute's rule says.
          expect(Number(daily)).toBeGreaterThan(84_000);
          if (retryAfter > 0) expect(Number(minute)).toBeLessThanOrEqual(retryAfter);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("gives back once what one call charged", async () => {
    const { limiter } = setup();
    const first = await limiter.limit(known);
    expect([await limiter.refund(first), await limiter.refund(first)]).toEqual([true, false]);
    expect(await limiter.peek(known)).toMatchObject({ remaining: 3 });
    await limiter.limit(known);
    expect(await limiter.refund(await limiter.peek(known))).toBe(false);
    expect(await limiter.refund({ ...first })).toBe(false);
  });

  it("takes one address in any spelling for one, and a made-up one for unknown", async () => {
    const { limiter } = setup([{ ...minute, limit: 20 }]);
    for (const ip of ["203.0.113.7", "::ffff:203.0.113.7", "64:ff9b::cb00:7107"]) await limiter.limit({ ip });
    expect(await limiter.peek(known)).toMatchObject({ remaining: 17 });
    await limiter.limit({ ip: "2001:db8::1" });
    expect(await limiter.peek({ ip: "2001:db8:0:0:ffff::9" })).toMatchObject({ remaining: 19 });
    expect(await limiter.peek({ ip: "20010db800000000" })).toMatchObject({ remaining: 19 });
    await limiter.limit({ ip: "a" });
    expect(await limiter.peek({ ip: "b" })).toMatchObject({ limit: 2, remaining: 1 });
  });

  it("blocks one client by one rule, and never the bucket of the unknown", async () => {
    const { limiter, tick } = setup();
    const until = Date.UTC(2026, 0, 1) + 60_000;
    expect(await limiter.block(known, until)).toBe(true);
    expect(await limiter.limit(known)).toMatchObject({ success: false, rule: "minute", reason: "blocked", retryAfter: 60 });
    expect(await limiter.peek(known)).toMatchObject({ success: false, reason: "blocked", retryAfter: 1 });
    expect(await limiter.limit({ ip: "203.0.113.8" })).toMatchObject({ success: true });
    tick(61);
    const after = await limiter.limit(known);
    expect([after.success, after.reason]).toEqual([true, undefined]);
    expect(await limiter.block({}, until)).toBe(false);
    await expect(limiter.block(known, until, { rule: "hourly" })).rejects.toThrow(TypeError);
  });

  it("blocks by the rule that is named, in any spelling of who it is", async () => {
    const login: LimitRule = { ...minute, name: "login", by: ["email", "ip"] };
    const { limiter } = setup([daily, login]);
    const until = Date.UTC(2026, 0, 1) + 60_000;
    expect(await limiter.block({ ip: "::ffff:203.0.113.7", email: "A.B+1@gmail.com" }, until, { rule: "login" })).toBe(true);
    expect(await limiter.limit({ ...known, email: "ab@googlemail.com" })).toMatchObject({ success: false, rule: "login" });
    expect(await limiter.limit({ ...known, email: "c@gmail.com" })).toMatchObject({ success: true });
    // Without a mailbox the rule has nobody to block.
    expect(await limiter.block(known, until, { rule: "login" })).toBe(false);
    await limiter.block({ ip: "203.0.113.99" }, until);
    expect(await limiter.limit(known)).toMatchObject({ success: false, rule: "daily" });
  });

  it("counts requests where it knows their subjects", async () => {
    const store = memoryStore();
    const rules = [{ ...minute, limit: 1 }];
    const limiter = createLimiter({ store, rules, subjects: async () => ({ ip: "203.0.113.7" }) });
    expect([(await limiter.limit(request)).success, (await limiter.limit(request)).success]).toEqual([true, false]);
    await expect(createLimiter({ store, rules }).limit(request)).rejects.toThrow(TypeError);
  });

  it("admits exactly the limit of a crowd", async () => {
    const { limiter } = setup([{ ...minute, limit: 7 }]);
    const results = await Promise.all(Array.from({ length: 100 }, () => limiter.limit(known)));
    expect(results.filter((result) => result.success)).toHaveLength(7);
  });

  it("fails closed when the store is down, unless every rule says otherwise", async () => {
    const down = (error: Error): RateStore => ({ consistency: "exact", spend: () => Promise.reject(error) });
    const unavailable = down(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: no connection"));
    const run = (store: RateStore, rules: LimitRule[], onStoreError?: "deny" | "allow") =>
      createLimiter({ store, rules, ...(onStoreError && { onStoreError }) }).limit(known);
    expect(await run(unavailable, [minute])).toMatchObject({ success: false, degraded: true, retryAfter: 5, rule: "minute" });
    expect(await run(unavailable, [minute], "allow")).toMatchObject({ success: true, degraded: true });
    expect(await run(unavailable, [minute, { ...daily, onStoreError: "deny" }], "allow")).toMatchObject({ success: false, rule: "daily" });
    expect(await run(unavailable, [{ ...minute, onStoreError: "allow" }])).toMatchObject({ success: true, degraded: true });
    await expect(run(down(new TypeError("a bug")), [minute], "allow")).rejects.toThrow("a bug");
  });

  it("needs a whole store to refund and to block", async () => {
    const { store } = setup();
    const limiter = createLimiter({ store: { consistency: "local", spend: (quotas) => store.spend(quotas) }, rules: [minute] });
    await expect(limiter.block(known, 1)).rejects.toThrow(TypeError);
    await expect(limiter.refund(await limiter.limit(known))).rejects.toThrow(TypeError);
  });

  it.each([{ onStoreError: "Deny" }, { onstoreerror: "deny" }, { store: undefined }, { store: {} }, { clock: 7 }, { rules: minute }])(
    "refuses %j: what is misspelt must not let everybody pass",
    (bad) => {
      const make = (options: object): unknown =>
        Reflect.apply(createLimiter, undefined, [{ store: memoryStore(), rules: [minute], ...options }]);
      expect(() => make({})).not.toThrow();
      expect(() => make(bad)).toThrow(TypeError);
    },
  );

  it("charges nothing where no rule applies", async () => {
    const { limiter, store } = setup([{ ...minute, by: "player" }]);
    expect(await limiter.limit(known)).toMatchObject({ success: true, remaining: Number.POSITIVE_INFINITY });
    expect(store.size).toBe(0);
  });
});

describe("a limit that depends on who asks", () => {
  const plans: Record<string, number> = { free: 2, pro: 5 };
  const rules: LimitRule[] = [
    { name: "plan", limit: ({ account = "" }) => plans[account.split(":")[0] ?? ""] ?? 1, window: 60, by: ["account", "ip-prefix"] },
    { name: "network", limit: 100, window: 60, by: "ip-prefix" },
  ];
  const limiterOf = (): ReturnType<typeof createLimiter> => createLimiter({ store: memoryStore(), rules });
  const admitted = async (account: string): Promise<number> => {
    const limiter = limiterOf();
    let count = 0;
    for (let i = 0; i < 10; i++) if ((await limiter.limit({ ...known, account })).success) count += 1;
    return count;
  };

  it("admits as many as the plan of each caller says, and tells that number in the headers", async () => {
    expect([await admitted("free:1"), await admitted("pro:1"), await admitted("nobody")]).toEqual([2, 5, 1]);
    const result = await limiterOf().limit({ ...known, account: "pro:1" });
    expect([result.limit, result.headers.get("ratelimit-policy")]).toEqual([5, '"plan";q=5;w=60, "network";q=100;w=60']);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5", null, undefined, Promise.resolve(5)])(
    "a function that gives %s admits nothing: a plan that is not found must not be a plan without limit",
    async (limit) => {
      const make = (): ReturnType<typeof createLimiter> =>
        Reflect.apply(createLimiter, undefined, [
          { store: memoryStore(), rules: [{ name: "plan", limit: () => limit, window: 60, by: "ip" }] },
        ]);
      await expect(make().limit(known)).rejects.toThrow(RangeError);
    },
  );
});
