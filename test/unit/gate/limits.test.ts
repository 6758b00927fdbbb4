import { describe, expect, it } from "vitest";
import { createTurnstileEmulator, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { GatepassError } from "../../../src/errors.ts";
import type { SecurityEvent } from "../../../src/events/types.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { AdmitOptions, Feature, Gate, GateOptions } from "../../../src/gate/types.ts";
import { createLimiter, type Limiter, type LimitRule } from "../../../src/limits/index.ts";
import type { RateStore } from "../../../src/store/contract.ts";
import { memoryStore, usesKey } from "../../../src/store/index.ts";
import { approximateStore } from "../../helpers/approximate-store.ts";
import { ADDRESS, bearer, codeOf, emulated, type Kit, kit, ORIGIN, SECRET } from "./kit.ts";

const unavailable = (): Error => new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: the store is down");
const rule = (name: string, limit: number, more: Partial<LimitRule> = {}): LimitRule => ({ name, limit, window: 60, by: "ip", ...more });
const who = { ip: "203.0.113.7" };
const alone = (limit: number): Limiter => createLimiter({ store: memoryStore(), rules: [rule("alone", limit)] });
const read = (at: Kit): Promise<Response> => at.gate.fetch(new Request(`${ORIGIN}/api/read/1`));

/** A gate in which every client has the address that its `x-test` header says. */
function addressed(limits: NonNullable<Feature["limits"]>, options: Partial<GateOptions> = {}): Kit {
  return kit({ clientIp: (request) => request.headers.get("x-test") ?? undefined, ...options }, { limits });
}

describe("a visitor with a network of addresses", () => {
  const exchange = (at: Kit, ip: string): Promise<Response> => at.exchange("made-up", {}, { "x-test": ip });

  it("has no session limit for each: 16 times the limit for a /48, and others theirs", async () => {
    const at = addressed({}, { limits: { session: [rule("session", 3)] } });
    const codes: number[] = [];
    for (let i = 0; i < 100; i++) codes.push((await exchange(at, `2001:db8:1:${(i * 331).toString(16)}::${i}`)).status);
    // The first 48 are looked at (and are no good), the rest is not.
    expect([codes.filter((code) => code === 403).length, codes.filter((code) => code === 429).length]).toEqual([48, 52]);
    expect(at.emulator.control.counts().siteverify).toBe(48);
    expect((await exchange(at, "2001:db8:2::1")).status).toBe(403);
    expect((await exchange(at, "203.0.113.1")).status).toBe(403);
    expect(at.events.filter(({ type }) => type === "rate_limited").at(-1)).toMatchObject({
      detail: "session/48",
      ip_prefix: "2001:db8:1::/48",
    });
  });

  it("sees one line for a rule in the headers: what the tightest network has left", async () => {
    const at = addressed({ write: [rule("burst", 10)] });
    at.admit = { open: true, limits: ["write"] };
    const write = (subnet: number): Promise<Response> => at.write({ "x-test": `2001:db8:1:${subnet.toString(16)}::1` });
    for (let i = 0; i < 35; i++) await write(i);
    const answer = await write(0x77);
    expect(answer.headers.get("ratelimit-policy")).toBe('"burst";q=10;w=60');
    expect(answer.headers.get("ratelimit")).toMatch(/^"burst";r=4;t=\d+$/);
  });
});

describe("a visitor with many spellings", () => {
  const limits = { write: [rule("mail", 2, { by: "email" }), rule("net", 99, { by: "ip-prefix" })] };

  it("has one mailbox, whoever says it: the application or the route", async () => {
    let email = "";
    const at = kit({ identify: async () => ({ email }) }, { limits });
    at.admit = { open: true, limits: ["write"] };
    const statuses: number[] = [];
    for (email of ["A.User+x@Gmail.com", "auser@gmail.com", "a.user@googlemail.com"]) statuses.push((await at.write()).status);
    email = "";
    at.admit = { ...at.admit, subjects: { email: "A.USER+9@gmail.com" } };
    statuses.push((await at.write()).status);
    at.admit = { ...at.admit, subjects: { email: "other@gmail.com" } };
    statuses.push((await at.write()).status);
    expect(statuses).toEqual([201, 201, 429, 429, 201]);
  });
});

describe("a rule by route", () => {
  it("counts each of the gate's routes for itself, and what a call names as its subject", async () => {
    const each = [{ name: "each", limit: 1, window: 60, by: "route" as const }];
    const at = kit({}, { limits: { write: each, read: each } });
    const { token } = await at.session();
    at.admit = { action: "score_submit", limits: ["write"] };
    expect((await at.write(bearer(token))).status).toBe(201);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([429, "RATE_LIMITED"]);
    at.admit = { action: "score_submit", limits: ["write"], subject: "run-7" };
    expect((await at.write(bearer(token))).status).toBe(201);
    const keys = at.counted.spends.flat().map(({ key }) => key);
    expect(keys.filter((key) => key.startsWith("srun-7|"))).toHaveLength(1);
    const request = new Request(`${ORIGIN}/mine`, { method: "POST", headers: bearer(token) });
    for (let i = 0; i < 2; i++)
      expect(await at.gate.protect(request, { action: "score_submit", limits: ["write"] })).toMatchObject({ ok: true });
  });
});

describe("more quotas than a spend takes", () => {
  const many = (count: number): LimitRule[] => Array.from({ length: count }, (_, i) => rule(`r${i}`, 9));

  it("are found when the gate is made, or the guard, or at the first request, whoever sends it", async () => {
    expect(() => kit({}, { limits: { write: many(5) } })).toThrow(RangeError);
    const at = kit({}, { limits: { a: many(4), b: many(2), c: many(1) } });
    const guard = (limits: string[]) => () => at.gate.guard(() => new Response(), { limits });
    expect(guard(["a", "c"])).not.toThrow();
    expect(guard(["a", "b"])).toThrow(RangeError);
    // From an IPv4 address there were room enough: an IPv6 visitor must not be the first to find out.
    await expect(at.gate.protect(new Request(ORIGIN), { limits: ["a", "b"] })).rejects.toThrow(RangeError);
  });
});

describe("a store that is none", () => {
  it("is refused at creation: what counts rates alone would let each token be used again and again", () => {
    const rates: RateStore = { consistency: "approximate", spend: memoryStore().spend };
    const make =
      (options: object): (() => unknown) =>
      () =>
        Reflect.apply(createGate, undefined, [{ turnstile: emulated, ...options }]);
    expect(make({ store: rates })).toThrow(/store\.refund/);
    expect(make({ rateStore: {} })).toThrow(/rateStore\.spend/);
    expect(make({ rateStore: rates })).not.toThrow();
  });
});

describe("a fallback limiter in a gate", () => {
  const setup = (limiter: Limiter, options: Partial<GateOptions> = {}): Kit =>
    kit(options, { limits: { read: [rule("read", 3, { onStoreError: limiter })], write: [rule("write", 9, { onStoreError: limiter })] } });

  it("counts what needs no use; the admission says degraded, the events say why", async () => {
    const at = setup(alone(2));
    at.admit = { open: true, limits: ["write"] };
    expect((await at.write()).status).toBe(201);
    expect(at.admissions[0]).toMatchObject({ degraded: false, accuracy: "local" });
    at.counted.down = unavailable();
    for (let i = 0; i < 2; i++) expect((await at.write()).status).toBe(201);
    expect(at.admissions.slice(1)).toMatchObject([{ degraded: true }, { degraded: true }]);
    const refused = await at.write();
    expect(await codeOf(refused)).toEqual([429, "RATE_LIMITED"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(at.events.at(-1)).toMatchObject({ type: "rate_limited", detail: "write", degraded: true });
    expect(at.types().filter((type) => type === "store_unavailable")).toHaveLength(3);
    at.counted.down = undefined;
    expect((await at.write()).status).toBe(201);
  });

  it("never lets a session's use, a fresh token's use or a one-use id pass, and is not charged for them", async () => {
    const limiter = alone(5);
    const at = setup(limiter, { onStoreError: "allow" });
    const { token } = await at.session();
    const solved = at.mint();
    at.counted.down = unavailable();
    at.admit = { action: "score_submit", limits: ["write"] };
    expect(await codeOf(await at.write(bearer(token)))).toEqual([503, "UNAVAILABLE"]);
    at.admit = {
      open: true,
      limits: ["write"],
      quotas: [{ quota: { key: usesKey("once", "x"), limit: 1, expiresAt: at.now() + 1e6 }, code: "COMMITMENT_USED" }],
    };
    expect(await codeOf(await at.write())).toEqual([503, "UNAVAILABLE"]);
    expect(await limiter.peek(who)).toMatchObject({ remaining: 5 });
    // A fresh token: the limits pass by the fallback, its one use does not.
    at.admit = { action: "score_submit", limits: ["write"] };
    expect(await codeOf(await at.write({ "x-turnstile-token": solved }))).toEqual([503, "UNAVAILABLE"]);
  });

  it("gets back what it charged when the work failed, and the store nothing", async () => {
    const limiter = alone(5);
    const at = setup(limiter);
    at.admit = { open: true, limits: ["write"] };
    at.counted.down = unavailable();
    await at.write();
    expect(await limiter.peek(who)).toMatchObject({ remaining: 4 });
    const [admission] = at.admissions;
    if (!admission?.ok) throw new Error("refused");
    at.counted.down = undefined;
    await Promise.all([admission.undo(), admission.undo()]);
    expect(await limiter.peek(who)).toMatchObject({ remaining: 5 });
    expect(at.counted.refunded).toEqual([]);
  });

  it("of two different ones both must agree; a rule that denies wins", async () => {
    const [first, second] = [alone(5), alone(1)];
    const both = [rule("a", 9, { onStoreError: first }), rule("b", 9, { onStoreError: second })];
    const at = kit({}, { limits: { both, strict: [rule("c", 9), ...both] } });
    at.counted.down = unavailable();
    const ask = async (limit: string): Promise<unknown> => {
      const [status] = await codeOf(await askFor(at, { open: true, limits: [limit] }));
      return status;
    };
    expect([await ask("both"), await ask("both"), await ask("both"), await ask("strict")]).toEqual([201, 429, 429, 503]);
    expect([(await first.peek(who)).remaining, (await second.peek(who)).remaining]).toEqual([4, 0]);
  });

  it("monitored, its refusal is reported and passes, charged once at most", async () => {
    const limiter = alone(1);
    const at = setup(limiter, { mode: "monitor" });
    at.admit = { open: true, limits: ["write", "read"] };
    at.counted.down = unavailable();
    for (let i = 0; i < 3; i++) expect((await at.write()).status).toBe(201);
    expect(at.admissions.map((admission) => admission.ok && admission.dryRun)).toEqual([false, true, true]);
    expect(at.events.filter(({ type }) => type === "rate_limited")).toHaveLength(2);
  });

  it("of the looser store counts its rates, and the uses are spent as ever", async () => {
    const limiter = alone(2);
    const rateStore: RateStore = { consistency: "approximate", spend: () => Promise.reject(unavailable()) };
    const at = setup(limiter, { rateStore, session: { uses: 3 }, limits: { session: [rule("session", 99, { onStoreError: "allow" })] } });
    const { token } = await at.session();
    at.admit = { action: "score_submit", limits: ["write"] };
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) statuses.push((await at.write(bearer(token))).status);
    expect(statuses).toEqual([201, 201, 429]);
    expect(at.admissions[0]).toMatchObject({ degraded: true, accuracy: "local" });
  });
});

const askFor = (at: Kit, options: AdmitOptions): Promise<Response> => {
  at.admit = options;
  return at.write();
};

describe("kernel.limits", () => {
  const limits = {
    login: [rule("account", 2, { by: ["account", "ip"] }), rule("address", 5, { by: "ip-prefix" })],
    read: [rule("read", 3)],
  };

  it("plans what a limit charges, under the keys that admission charges", async () => {
    const at = kit({}, { limits });
    await askFor(at, { open: true, limits: ["login"], subjects: { account: "a" } });
    const layers = at.kernel.limits.plan("login", { ip: "::ffff:203.0.113.7", account: "a" });
    expect(layers.map(({ quota }) => quota.key)).toEqual(at.counted.spends.at(-1)?.map(({ key }) => key));
    const spent = await at.kernel.store.spend(layers.map(({ quota }) => ({ ...quota, cost: 0 })));
    expect(spent.states.map(({ remaining }) => remaining)).toEqual([1, 4]);
    expect(at.kernel.limits.plan("login", { ip: "203.0.113.7" })).toHaveLength(1);
    expect(() => at.kernel.limits.plan("typo", who)).toThrow(TypeError);
    await expect(at.kernel.limits.charge(["typo"], who)).rejects.toThrow(TypeError);
  });

  it("charges, reads and gives back", async () => {
    const at = kit({}, { limits });
    const charge = (cost?: number): ReturnType<typeof at.kernel.limits.charge> =>
      at.kernel.limits.charge(["login", "read"], { ...who, account: "a" }, cost === undefined ? {} : { cost });
    const first = await charge();
    expect(first).toMatchObject({ ok: true, retryAfter: 0, rule: undefined, degraded: false, accuracy: "local" });
    expect(first.headers.get("ratelimit")).toMatch(/^"account";r=1;t=\d+, "address";r=4;t=\d+, "read";r=2;t=\d+$/);
    expect(await charge(0)).toMatchObject({ ok: true });
    expect(await charge()).toMatchObject({ ok: true });
    expect(await charge(0)).toMatchObject({ ok: false, rule: "account" });
    const refused = await charge();
    expect(refused).toMatchObject({ ok: false, rule: "account" });
    expect(refused.retryAfter).toBeGreaterThan(0);
    await refused.undo();
    expect(at.counted.refunded).toEqual([]);
    await first.undo();
    await first.undo();
    expect(await charge(0)).toMatchObject({ ok: true });
    await expect(charge(9)).rejects.toThrow(RangeError);
    // Whoever charges decides what a refusal means, and says so.
    expect(at.types()).not.toContain("rate_limited");
  });

  it("knows all limits when requests come, and none while features are made", async () => {
    const seen: unknown[] = [];
    const early = kit({
      features: [
        (kernel) => {
          expect(() => kernel.limits.plan("late", who)).toThrow(TypeError);
          return { name: "early", on: () => seen.push(kernel.limits.plan("late", who).length) };
        },
        () => ({ name: "late", limits: { late: [rule("late", 1)] } }),
      ],
    });
    await early.write();
    expect(seen[0]).toBe(1);
  });

  it("down: throws where a rule denies, passes and says so where it allows, asks a fallback", async () => {
    const limiter = alone(1);
    const more = { allowed: [rule("allowed", 1, { onStoreError: "allow" })], counted: [rule("counted", 9, { onStoreError: limiter })] };
    const at = kit({}, { limits: { ...limits, ...more } });
    at.counted.down = unavailable();
    await expect(at.kernel.limits.charge(["read"], who)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    expect(await at.kernel.limits.charge(["allowed"], who)).toMatchObject({ ok: true, degraded: true });
    expect(await at.kernel.limits.charge(["counted"], who, { cost: 0 })).toMatchObject({ ok: true, degraded: true });
    const charged = await at.kernel.limits.charge(["counted"], who);
    expect(charged).toMatchObject({ ok: true, degraded: true });
    expect(await at.kernel.limits.charge(["counted"], who)).toMatchObject({ ok: false, rule: "counted", degraded: true });
    expect(await at.kernel.limits.charge(["counted"], who, { cost: 0 })).toMatchObject({ ok: false });
    await charged.undo();
    expect(await limiter.peek(who)).toMatchObject({ remaining: 1 });
    expect(at.types().filter((type) => type === "store_unavailable")).toHaveLength(6);
  });

  it("uses the looser store, but for failures, which are given back", async () => {
    const loose = approximateStore();
    const at = kit({ rateStore: loose }, { limits });
    const plain = await at.kernel.limits.charge(["read"], who);
    const failure = await at.kernel.limits.charge(["login"], { ...who, account: "a" }, { failures: true });
    expect([plain.accuracy, failure.accuracy]).toEqual(["approximate", "local"]);
    expect(at.counted.spends.map((quotas) => quotas.length)).toEqual([2]);
    await plain.undo();
    await failure.undo();
    expect(at.counted.refunded.map((quotas) => quotas.length)).toEqual([2]);
  });
});

describe("a real looser store beside the store", () => {
  const limits = { write: [rule("burst", 20)], read: [rule("read", 3)] };

  it("may admit too much, says so, and never a use too many", async () => {
    const at = kit({ rateStore: approximateStore(), session: { uses: 30 } }, { limits });
    const { token } = await at.session();
    at.admit = { action: "score_submit", limits: ["write"] };
    const race = await Promise.all(Array.from({ length: 100 }, () => at.write(bearer(token))));
    // What its replicas have not told each other yet lets all of them pass; the counter of uses is exact all the same.
    expect(race.filter(({ status }) => status === 201)).toHaveLength(30);
    expect(at.admissions.every((admission) => !admission.ok || (admission.accuracy === "approximate" && !admission.degraded))).toBe(true);
    const later = await at.write(bearer(token));
    expect(await codeOf(later)).toEqual([429, "RATE_LIMITED"]);
  });

  it("is asked first: a refusal there costs no use; and what it counted stays, whatever the store says then", async () => {
    const loose = approximateStore();
    const at = kit({ rateStore: loose, session: { uses: 1 } }, { limits });
    const { token } = await at.session();
    at.admit = { action: "score_submit", limits: ["read"] };
    at.counted.spends.length = 0;
    expect((await at.write(bearer(token))).status).toBe(201);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_EXHAUSTED"]);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_EXHAUSTED"]);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([429, "RATE_LIMITED"]);
    expect(at.counted.spends).toHaveLength(3);
    expect(at.counted.refunded).toEqual([]);
  });

  it("gets no quota of a feature's own, not even a rate", async () => {
    const loose = approximateStore();
    const at = kit({ rateStore: loose }, { limits });
    const quota = { key: "sx|rsown:60", limit: 1, window: 60 };
    const options: AdmitOptions = { open: true, limits: ["read"], quotas: [{ quota, code: "SECURITY_VERIFICATION_LIMITED" }] };
    expect((await askFor(at, options)).status).toBe(201);
    expect(await codeOf(await askFor(at, options))).toEqual([429, "SECURITY_VERIFICATION_LIMITED"]);
    expect(loose.charges.some((quotas) => quotas.some(({ key }) => key === quota.key))).toBe(false);
    expect(at.counted.spends.flat().map(({ key }) => key)).toEqual([quota.key, quota.key]);
  });

  it("is charged once for a request, also where the mode lets pass what the store refused", async () => {
    const loose = approximateStore();
    const at = kit({ rateStore: loose, mode: "monitor", session: { uses: 1 } }, { limits });
    const { token } = await at.session();
    at.admit = { action: "score_submit", limits: ["write"] };
    await at.write(bearer(token));
    loose.charges.length = 0;
    expect((await at.write(bearer(token))).status).toBe(201);
    expect(at.admissions.at(-1)).toMatchObject({ dryRun: true });
    expect(loose.charges).toHaveLength(1);
  });

  it("as the only store it says so in every admission, and at the start", async () => {
    const inner = memoryStore();
    const at = kit({ store: { ...inner, consistency: "approximate" } });
    const { token } = await at.session();
    await at.write(bearer(token));
    expect(at.admissions[0]).toMatchObject({ ok: true, accuracy: "approximate" });
    expect(at.events.map(({ reason }) => reason)).toContain("approximate_store");
  });
});

describe("a proxy that nobody configured", () => {
  it("is found by the sessions of many players behind one address, told once an hour, without the address", async () => {
    const at = kit();
    const alarms = (): unknown[] => at.events.filter(({ reason }) => reason === "single_address");
    for (let i = 0; i < 49; i++) await at.session();
    expect(alarms()).toEqual([]);
    for (let i = 0; i < 60; i++) await at.session();
    expect(alarms()).toMatchObject([{ type: "config_warning", outcome: "info", ip_prefix: "203.0.113.0/24" }]);
    expect(JSON.stringify(alarms())).not.toContain("203.0.113.7");
    at.advance(3_600_000);
    for (let i = 0; i < 60; i++) await at.session();
    expect(alarms()).toHaveLength(2);
  });

  it("is not suspected behind a visitor who comes back, nor where others come, too", async () => {
    const at = kit();
    const { playerToken } = await at.session();
    for (let i = 0; i < 60; i++) await at.exchange(at.mint(), { playerToken });
    let n = 0;
    const several = kit({ clientIp: () => `198.51.100.${n++ % 2}` });
    for (let i = 0; i < 60; i++) await several.session();
    const local = kit({ turnstile: { ...emulated, allowedHostnames: ["localhost"] } });
    for (let i = 0; i < 60; i++) {
      const token = local.emulator.control.mint({ sitekey: EMULATOR_SITEKEY, action: "score_submit", hostname: "localhost" });
      const body = JSON.stringify({ turnstileToken: token });
      const headers = { "content-type": "application/json" };
      const answer = await local.gate.fetch(new Request("http://localhost:3000/api/session", { method: "POST", headers, body }));
      expect(answer.status).toBe(200);
    }
    for (const { events } of [at, several, local]) expect(events.map(({ reason }) => reason)).not.toContain("single_address");
  });
});

describe("clocks that differ", () => {
  const HOUR = 3_600_000;

  it("headers count by the store's clock, which the limits are of", async () => {
    const base = Date.UTC(2027, 5, 1);
    for (const off of [-HOUR, HOUR]) {
      const at = kit({ clock: () => base + off, store: memoryStore({ clock: () => base }) });
      const answer = await read(at);
      const t = Number(/t=(\d+)/.exec(answer.headers.get("ratelimit") ?? "")?.[1]);
      expect(t).toBe(60);
      expect(at.events.filter(({ reason }) => reason === "clock_skew")).toHaveLength(1);
    }
  });

  /** Gates whose clocks are off by so many ms, on one store and one Turnstile that go right. */
  function gates(...offs: number[]): {
    all: Gate[];
    events: SecurityEvent[][];
    mint(): string;
    advance(ms: number): void;
    storeOff(ms: number): void;
  } {
    let time = Date.UTC(2027, 7, 1) + 300;
    let storeOff = 0;
    const store = memoryStore({ clock: () => time + storeOff });
    const emulator = createTurnstileEmulator({ clock: () => time });
    const events: SecurityEvent[][] = offs.map(() => []);
    const all = offs.map((off, i) =>
      createGate({
        secrets: SECRET,
        clock: () => time + off,
        fetch: (input, init) => emulator.fetch(new Request(input, init)),
        turnstile: emulated,
        session: { uses: 3, ttl: 900 },
        clientIp: () => ADDRESS,
        store,
        onEvent: (event) => events[i]?.push(event),
      }),
    );
    return {
      all,
      events,
      mint: () => emulator.control.mint({ sitekey: EMULATOR_SITEKEY, action: "score_submit", hostname: "game.example" }),
      advance: (ms) => {
        time += ms;
      },
      storeOff: (ms) => {
        storeOff = ms;
      },
    };
  }
  const write = async (gate: Gate | undefined, token: string): Promise<boolean> =>
    (await gate?.protect(new Request(ORIGIN, { method: "POST", headers: bearer(token) }), { action: "score_submit" }))?.ok === true;
  const sessionOf = async (gate: Gate | undefined, token: string): Promise<string | undefined> => {
    const result = await gate?.sessions.exchange(token);
    return result?.ok ? result.sessionToken : undefined;
  };

  it("every expiry has the tolerance in it: to the end of its life a session is spent by a store that is 5 s ahead", async () => {
    const { all, events, mint, advance, storeOff } = gates(0);
    const [gate] = all;
    const solved = mint();
    // The oldest solve that may be exchanged, for the longest life.
    advance(299_500);
    const token = (await sessionOf(gate, solved)) ?? "";
    storeOff(5000);
    advance(904_000);
    expect(await write(gate, token)).toBe(true);
    expect(events[0]?.map(({ reason }) => reason)).not.toContain("clock_skew");
    storeOff(5001);
    await write(gate, token);
    expect(events[0]?.map(({ reason }) => reason)).toContain("clock_skew");
    advance(2000);
    expect(await write(gate, token)).toBe(false);
  });

  it("two gates an hour apart on one store: nothing is spent too often, and the wrong one says what is wrong", async () => {
    for (const off of [HOUR, -HOUR]) {
      const { all, events, mint, advance } = gates(0, off);
      const [right, wrong] = all;
      advance(10_000);
      const solved = mint();
      const tokens = [await sessionOf(right, solved), await sessionOf(wrong, solved)];
      expect(tokens[0]).toBeTypeOf("string");
      const race: boolean[] = await Promise.all(
        tokens.flatMap((token) => all.flatMap((gate) => Array.from({ length: 10 }, () => write(gate, token ?? "")))),
      );
      // The three uses of the one solve, and all of them by the gate whose clock is right.
      expect(race.filter(Boolean)).toHaveLength(3);
      expect(race.slice(0, 10).filter(Boolean)).toHaveLength(3);
      // Whatever it is that reaches the store from there.
      await wrong?.fetch(
        new Request(`${ORIGIN}/api/session`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }),
      );
      expect(events.map((list) => list.filter(({ reason }) => reason === "clock_skew").length)).toEqual([0, 1]);
    }
  });
});
