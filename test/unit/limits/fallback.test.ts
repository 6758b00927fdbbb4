import { describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import { createLimiter, type Limiter, type LimitRule, type Subject } from "../../../src/limits/index.ts";
import type { RateStore } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/memory.ts";

const NOW = Date.UTC(2026, 0, 1);
const clock = (): number => NOW;
const rule = (name: string, limit: number, more: Partial<LimitRule> = {}): LimitRule => ({ name, limit, window: 60, by: "ip", ...more });
const known = { ip: "203.0.113.7" };

/** A shared store that a test takes down and up again. */
function shared(): { store: ReturnType<typeof memoryStore>; down(error?: Error): void; up(): void } {
  const store = memoryStore({ clock });
  const { spend, refund } = store;
  return {
    store,
    down(error = new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: no connection")) {
      store.spend = () => Promise.reject(error);
      store.refund = () => Promise.reject(error);
    },
    up: () => Object.assign(store, { spend, refund }),
  };
}

const local = (name: string, limit: number, by: Subject = "ip", store: RateStore = memoryStore({ clock })): Limiter =>
  createLimiter({ store, rules: [rule(name, limit, { by })], clock });

describe("a fallback limiter", () => {
  it("counts while the store is down, says so, and is not asked while it is up", async () => {
    const { store, down, up } = shared();
    const limiter = createLimiter({ store, rules: [rule("burst", 20, { onStoreError: local("alone", 2) })], clock });
    expect(await limiter.limit(known)).toMatchObject({ success: true, rule: "burst", remaining: 19, degraded: false });
    down();
    const results = [await limiter.limit(known), await limiter.limit(known), await limiter.limit(known)];
    expect(results.map(({ success, rule, remaining, degraded, accuracy }) => [success, rule, remaining, degraded, accuracy])).toEqual([
      [true, "alone", 1, true, "local"],
      [true, "alone", 0, true, "local"],
      [false, "alone", 0, true, "local"],
    ]);
    expect(results[2]?.retryAfter).toBeGreaterThan(0);
    up();
    expect(await limiter.limit(known)).toMatchObject({ success: true, rule: "burst", remaining: 18, degraded: false });
  });

  it("a refund goes to where the charge was made, once, whatever is up by then", async () => {
    const { store, down, up } = shared();
    const alone = local("alone", 1);
    const limiter = createLimiter({ store, rules: [rule("burst", 2, { onStoreError: alone })], clock });
    const above = await limiter.limit(known);
    down();
    const below = await limiter.limit(known);
    expect(await limiter.limit(known)).toMatchObject({ success: false });
    up();
    expect([await limiter.refund(below), await limiter.refund(below)]).toEqual([true, false]);
    expect(await alone.peek(known)).toMatchObject({ remaining: 1 });
    // The shared store has what it had: one charge.
    expect(await limiter.peek(known)).toMatchObject({ remaining: 1 });
    down();
    await expect(limiter.refund(above)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    expect(await alone.peek(known)).toMatchObject({ remaining: 1 });
  });

  it("a peek charges nothing there either", async () => {
    const { store, down } = shared();
    const limiter = createLimiter({ store, rules: [rule("burst", 2, { onStoreError: local("alone", 1) })], clock });
    down();
    for (let i = 0; i < 5; i++) expect(await limiter.peek(known)).toMatchObject({ success: true, remaining: 1, degraded: true });
    const peeked = await limiter.peek(known);
    expect(await limiter.refund(peeked)).toBe(false);
  });

  it("that several rules name is asked once; of two different ones both must agree, or neither is charged", async () => {
    const { store, down } = shared();
    const [wide, narrow] = [local("wide", 5), local("narrow", 2)];
    const rules = [
      rule("a", 20, { onStoreError: wide }),
      rule("b", 20, { onStoreError: wide }),
      rule("c", 20, { onStoreError: narrow }),
      rule("d", 20, { onStoreError: "allow" }),
    ];
    const limiter = createLimiter({ store, rules, clock });
    down();
    expect(await limiter.limit(known)).toMatchObject({ success: true, rule: "narrow", remaining: 1 });
    expect(await limiter.limit(known)).toMatchObject({ success: true, rule: "narrow", remaining: 0 });
    for (let i = 0; i < 9; i++) expect(await limiter.limit(known)).toMatchObject({ success: false, rule: "narrow" });
    expect(await wide.peek(known)).toMatchObject({ remaining: 3 });
  });

  it("is not asked where another rule denies: nothing passes, nothing is charged", async () => {
    const { store, down } = shared();
    const alone = local("alone", 1);
    const rules = [rule("a", 20, { onStoreError: alone }), rule("b", 20), rule("c", 20, { onStoreError: "allow" })];
    const limiter = createLimiter({ store, rules, clock });
    down();
    expect(await limiter.limit(known)).toMatchObject({ success: false, degraded: true, rule: "b", retryAfter: 5 });
    expect(await alone.peek(known)).toMatchObject({ remaining: 1 });
  });

  it("may have a fallback of its own, and may deny when it is down as well", async () => {
    const { store, down } = shared();
    const second = shared();
    const third = local("third", 1);
    const chain = createLimiter({ store: second.store, rules: [rule("second", 1, { onStoreError: third })], clock });
    const limiter = createLimiter({ store, rules: [rule("first", 9, { onStoreError: chain })], clock });
    down();
    expect(await limiter.limit(known)).toMatchObject({ success: true, rule: "second" });
    second.down();
    const last = await limiter.limit(known);
    expect(last).toMatchObject({ success: true, rule: "third", degraded: true });
    expect(await limiter.limit(known)).toMatchObject({ success: false, rule: "third" });
    expect(await limiter.refund(last)).toBe(true);
    expect(await third.peek(known)).toMatchObject({ remaining: 1 });
    const strict = createLimiter({
      store,
      rules: [rule("first", 9, { onStoreError: createLimiter({ store: second.store, rules: [rule("x", 1)] }) })],
    });
    expect(await strict.limit(known)).toMatchObject({ success: false, degraded: true, rule: "x" });
  });

  it("sees the very request, and subjects in one spelling", async () => {
    const { store, down } = shared();
    const byAgent: Subject = (asked, { email }) => `${asked.headers.get("user-agent")} ${email}`;
    const limiter = createLimiter({
      store,
      rules: [rule("burst", 9, { onStoreError: local("agent", 1, byAgent) })],
      subjects: (asked) => ({ ip: "2001:db8::1", email: asked.headers.get("x-email") ?? undefined }),
      clock,
    });
    const ask = (agent: string, email: string): Request =>
      new Request("http://x.example/", { headers: { "user-agent": agent, "x-email": email } });
    down();
    expect(await limiter.limit(ask("a", "a.b@gmail.com"))).toMatchObject({ success: true });
    expect(await limiter.limit(ask("a", "AB+1@googlemail.com"))).toMatchObject({ success: false });
    expect(await limiter.limit(ask("b", "ab@gmail.com"))).toMatchObject({ success: true });
    const given = createLimiter({ store, rules: [rule("burst", 9, { onStoreError: local("agent", 1, byAgent) })], clock });
    expect(await given.limit(known, ask("c", ""))).toMatchObject({ success: true });
    expect(await given.limit(known, ask("c", ""))).toMatchObject({ success: false });
    expect(await given.limit(known, ask("d", ""))).toMatchObject({ success: true });
  });

  it("over a store that counts rates alone cannot give back, and does no harm", async () => {
    const { store, down } = shared();
    const inner = memoryStore({ clock });
    const loose = local("loose", 1, "ip", { consistency: "approximate", spend: (quotas) => inner.spend(quotas) });
    const rules = [rule("a", 9, { onStoreError: loose }), rule("b", 9, { onStoreError: local("none", 1, () => "all") })];
    const limiter = createLimiter({ store, rules, clock });
    down();
    const result = await limiter.limit(known);
    expect(result).toMatchObject({ success: true, accuracy: "approximate" });
    expect(await limiter.refund(result)).toBe(true);
    expect(await limiter.limit({ ip: "203.0.113.8" })).toMatchObject({ success: true });
    expect(await limiter.limit({ ip: "203.0.113.9" })).toMatchObject({ success: false, rule: "none" });
  });

  it("admits exactly its limit of a crowd", async () => {
    const { store, down } = shared();
    const limiter = createLimiter({ store, rules: [rule("burst", 99, { onStoreError: local("alone", 7) })], clock });
    down();
    const results = await Promise.all(Array.from({ length: 100 }, () => limiter.limit(known)));
    expect(results.filter(({ success }) => success)).toHaveLength(7);
    expect(results.every(({ degraded }) => degraded)).toBe(true);
  });

  it("is no way past a mistake: what is no failure of a store is thrown", async () => {
    const { store, down } = shared();
    const limiter = createLimiter({ store, rules: [rule("burst", 9, { onStoreError: local("alone", 7) })], clock });
    down(new TypeError("a bug in an adapter"));
    await expect(limiter.limit(known)).rejects.toThrow("a bug in an adapter");
    down(new GatepassError("ERR_STORE_FULL", "Cannot spend: the store in memory is full"));
    expect(await limiter.limit(known)).toMatchObject({ success: true, degraded: true });
  });
});
