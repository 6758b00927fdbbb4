import { describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import type { Admission, Feature, GateOptions, Vouched } from "../../../src/gate/types.ts";
import { memoryStore, usesKey } from "../../../src/store/index.ts";
import { bearer, codeOf, emulated, kit, ORIGIN } from "./kit.ts";

const down = (): Error => new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: the store is down");

describe("what a write costs", () => {
  it("with a session exactly one spend: uses first, then the route's quotas, then all limits", async () => {
    const at = kit();
    const { token, claims } = await at.session();
    const expiresAt = at.now() + 60_000;
    at.admit = {
      action: "score_submit",
      limits: ["write", "read"],
      quotas: [{ quota: { key: usesKey("once", "x"), limit: 1, expiresAt }, code: "COMMITMENT_USED" }],
    };
    at.counted.spends.length = 0;
    expect((await at.write(bearer(token))).status).toBe(201);
    expect(at.counted.spends).toHaveLength(1);
    const [batch = []] = at.counted.spends;
    expect(batch.map(({ key }) => key)).toEqual([
      usesKey("jti", claims.jti),
      usesKey("once", "x"),
      expect.stringContaining("write.burst"),
      expect.stringContaining("write.daily"),
      expect.stringContaining("read.read"),
    ]);
    // The counter of the solve outlives every token of it: auth_time + maxAge + 900 + 2 x clockTolerance.
    expect(batch[0]).toMatchObject({ limit: 20, cost: 1, expiresAt: (claims.auth_time + 305 + 900 + 10) * 1000 });
  });

  it("with a fresh token two: the limits, then siteverify, then the token's one use", async () => {
    const at = kit();
    at.admit = { action: "score_submit", limits: ["write"] };
    const solved = at.mint();
    expect((await at.write({ "x-turnstile-token": solved })).status).toBe(201);
    expect(at.counted.spends.map((quotas) => quotas.length)).toEqual([2, 1]);
    expect(at.counted.spends[1]?.[0]).toMatchObject({ limit: 1, cost: 1 });
  });

  it("a fresh token: limits by player are charged when the player is known", async () => {
    const at = kit({}, { limits: { write: [{ name: "mine", limit: 1, window: 60, by: ["player", "ip"] }] } });
    const { playerToken } = await at.session();
    const headers = (): Record<string, string> => ({ "x-turnstile-token": at.mint(), "x-gatepass-player": playerToken });
    expect((await at.write(headers())).status).toBe(201);
    expect(await codeOf(await at.write(headers()))).toEqual([429, "RATE_LIMITED"]);
  });

  it("a refused batch burns nothing: neither uses nor the daily window", async () => {
    const at = kit(
      {},
      {
        limits: {
          write: [
            { name: "burst", limit: 1, window: 60, by: "ip" },
            { name: "daily", limit: 2, window: 86_400, by: "ip" },
          ],
        },
      },
    );
    const { token } = await at.session();
    expect((await at.write(bearer(token))).status).toBe(201);
    for (let i = 0; i < 30; i++) expect(await codeOf(await at.write(bearer(token)))).toEqual([429, "RATE_LIMITED"]);
    at.advance(67_000);
    expect((await at.write(bearer(token))).status).toBe(201);
  });

  it("a refusal says when to come back, and an admission what is left", async () => {
    const at = kit({}, { limits: { write: [{ name: "burst", limit: 1, window: 60, by: "ip" }] } });
    const { token } = await at.session();
    const ok = await at.write(bearer(token));
    expect([ok.headers.get("ratelimit-policy"), ok.headers.get("ratelimit")]).toEqual([
      '"burst";q=1;w=60',
      expect.stringMatching(/^"burst";r=0;t=\d+$/),
    ]);
    const no = await at.write(bearer(token));
    expect(Number(no.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(no.headers.get("ratelimit")).toMatch(/^"burst";r=0;t=\d+$/);
    expect(at.events.at(-1)).toMatchObject({
      type: "rate_limited",
      outcome: "deny",
      route: "POST /api/write",
      ip_prefix: "203.0.113.0/24",
    });
  });

  it("cost: several uses, none (but not of a revoked session), never too many", async () => {
    const at = kit({ session: { uses: 5 } });
    const { token, claims } = await at.session();
    at.admit = { action: "score_submit", cost: 3 };
    expect((await at.write(bearer(token))).status).toBe(201);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_EXHAUSTED"]);
    at.admit = { action: "score_submit", cost: 0 };
    for (let i = 0; i < 3; i++) expect((await at.write(bearer(token))).status).toBe(201);
    await at.gate.sessions.revoke(claims.jti);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_REVOKED"]);
    // A fresh token is one write, whatever it costs: none of it is left for a session.
    at.admit = { action: "score_submit", cost: 3 };
    const solved = at.mint();
    expect((await at.write({ "x-turnstile-token": solved })).status).toBe(201);
    const { sessionToken } = await (await at.exchange(solved)).json();
    expect(await codeOf(await at.write(bearer(sessionToken)))).toEqual([401, "SESSION_EXHAUSTED"]);
    at.admit = { action: "score_submit", cost: 0 };
    const free = at.mint();
    expect((await at.write({ "x-turnstile-token": free })).status).toBe(201);
    expect(await codeOf(await at.write({ "x-turnstile-token": free }))).toEqual([401, "SESSION_EXHAUSTED"]);
  });

  it("undo gives back once, and only what was charged", async () => {
    const at = kit({ session: { uses: 1 } });
    const { token } = await at.session();
    await at.write(bearer(token));
    const [admission] = at.admissions;
    if (!admission?.ok) throw new Error("refused");
    await Promise.all([admission.undo(), admission.undo()]);
    await admission.undo();
    expect(at.counted.refunded).toHaveLength(1);
    expect((await at.write(bearer(token))).status).toBe(201);
    await admission.undo();
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_EXHAUSTED"]);
  });

  it("a one-use id of a feature refuses with its own code, and leaves the session's use", async () => {
    const at = kit({ session: { uses: 2 } });
    const { token } = await at.session();
    const quota = { key: usesKey("once", "x"), limit: 1, expiresAt: at.now() + 1e6 };
    at.admit = { action: "score_submit", quotas: [{ quota, code: "COMMITMENT_USED" }] };
    expect((await at.write(bearer(token))).status).toBe(201);
    for (let i = 0; i < 5; i++) expect(await codeOf(await at.write(bearer(token)))).toEqual([409, "COMMITMENT_USED"]);
    at.admit = { action: "score_submit" };
    expect((await at.write(bearer(token))).status).toBe(201);
  });
});

describe("credentials", () => {
  it("none: what to do is said", async () => {
    const answer = await kit().write();
    expect(await codeOf(answer)).toEqual([401, "SESSION_MISSING"]);
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  });

  it("a session that cannot be used gives way to a fresh token", async () => {
    const at = kit();
    const { token } = await at.session();
    at.advance(400_000);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_EXPIRED"]);
    expect(await (await at.write({ ...bearer(token), "x-turnstile-token": at.mint() })).json()).toMatchObject({ level: "turnstile" });
  });

  it("a fresh token of another action, with cdata, or made up is refused", async () => {
    const at = kit({ session: { actions: ["score_submit", "chat"] } });
    for (const solved of [at.mint("chat"), at.mint(undefined, { cdata: "c" }), "made-up", "x".repeat(5000)]) {
      expect(await codeOf(await at.write({ "x-turnstile-token": solved }))).toEqual([403, "VERIFICATION_FAILED"]);
    }
  });

  it("siteverify is asked after the limits, so that nobody makes us ask without end", async () => {
    const at = kit({}, { limits: { write: [{ name: "burst", limit: 2, window: 60, by: "ip" }] } });
    for (let i = 0; i < 10; i++) await at.write({ "x-turnstile-token": "made-up" });
    expect(at.emulator.control.counts().siteverify).toBe(2);
  });

  it("a fresh token that nobody could check does not count against the limits", async () => {
    const at = kit({}, { limits: { write: [{ name: "burst", limit: 1, window: 60, by: "ip" }] } });
    at.emulator.control.fault({ kind: "status", times: 2 });
    expect(await codeOf(await at.write({ "x-turnstile-token": at.mint() }))).toEqual([503, "UNAVAILABLE"]);
    expect((await at.write({ "x-turnstile-token": at.mint() })).status).toBe(201);
  });

  it("a public read charges its limit, asks for nothing, and knows a session that comes along", async () => {
    const at = kit();
    const { token, claims } = await at.session();
    const read = (headers = {}): Promise<Response> => at.gate.fetch(new Request(`${ORIGIN}/api/read/7`, { headers }));
    expect(await (await read(bearer(token))).json()).toEqual({ id: "7", player: claims.sub });
    expect(await (await read(bearer("junk.junk.junk"))).json()).toEqual({ id: "7" });
    expect((await read()).headers.get("ratelimit")).toMatch(/^"read";r=0/);
    expect(await codeOf(await read())).toEqual([429, "RATE_LIMITED"]);
    // Reading spends no use.
    expect(at.counted.spends.filter((quotas) => quotas.some(({ key }) => key === usesKey("jti", claims.jti)))).toEqual([]);
  });
});

describe("modes", () => {
  const modes = ["enforce", "monitor", "off"] as const;
  const limits: NonNullable<Feature["limits"]> = { write: [{ name: "burst", limit: 1, window: 60, by: "ip" }] };

  it.each(modes)("%s: no credential", async (mode) => {
    const at = kit({ mode });
    const answer = await at.write();
    if (mode === "enforce") return expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ level: "none", player: expect.stringMatching(/^[\w-]{22}$/) });
    expect(at.admissions[0]).toMatchObject({ ok: true, dryRun: true, level: "none" });
    expect(at.events.at(-1)).toMatchObject({ type: "session_rejected", code: "SESSION_MISSING", dry_run: true });
  });

  it.each(modes)("%s: a valid session is a session", async (mode) => {
    const at = kit();
    const { token } = await at.session();
    const relaxed = kit({ mode, clock: at.now, store: at.counted.store });
    expect(await (await relaxed.write(bearer(token))).json()).toMatchObject({ level: "session" });
    expect(relaxed.admissions[0]).toMatchObject({ dryRun: false });
  });

  it.each(modes)("%s: an exhausted, a forged and a limited session", async (mode) => {
    const first = kit({ session: { uses: 1 } });
    const { token, claims } = await first.session();
    await first.write(bearer(token));
    const at = kit({ mode, clock: first.now, store: first.counted.store }, { limits });
    const expected = mode === "enforce" ? 401 : 201;
    const answer = await at.write(bearer(token));
    expect(answer.status).toBe(expected);
    // What failed a check is no session any more, but its player is still told from others.
    if (mode !== "enforce") expect(await answer.json()).toEqual({ level: "none", player: claims.sub });
    expect((await at.write({ "x-gatepass-session": `${token}x` })).status).toBe(expected);
    const limited = await at.write();
    expect(limited.status).toBe(expected);
    if (mode !== "enforce") expect(at.admissions.at(-1)).toMatchObject({ dryRun: true, level: "none", claims: undefined });
  });

  it.each(modes)("%s: one-use ids stay one-use, even where a limit would have refused the batch", async (mode) => {
    const first = kit();
    const { token } = await first.session();
    const at = kit({ mode, clock: first.now, store: first.counted.store }, { limits });
    at.admit = {
      action: "score_submit",
      limits: ["write"],
      quotas: [{ quota: { key: usesKey("once", "y"), limit: 1, expiresAt: at.now() + 1e6 }, code: "COMMITMENT_USED" }],
    };
    expect((await at.write(bearer(token))).status).toBe(201);
    const again = await Promise.all(Array.from({ length: 10 }, () => at.write(bearer(token))));
    const codes = await Promise.all(again.map(async (answer) => (await codeOf(answer)).join(" ")));
    expect(new Set(codes)).toEqual(new Set(["409 COMMITMENT_USED"]));
    at.admit = {
      ...at.admit,
      quotas: [{ quota: { key: usesKey("once", "z"), limit: 1, expiresAt: at.now() + 1e6 }, code: "COMMITMENT_USED" }],
    };
    const race = await Promise.all(Array.from({ length: 10 }, () => at.write(bearer(token))));
    expect(race.filter(({ status }) => status === 201)).toHaveLength(mode === "enforce" ? 0 : 1);
  });

  it.each(modes)("%s: the exchange of a bad token", async (mode) => {
    const at = kit({ mode });
    for (const token of ["made-up", ""]) {
      const answer = await at.exchange(token);
      if (mode === "enforce") expect(answer.status).toBeGreaterThanOrEqual(400);
      else expect([answer.status, await answer.json()]).toEqual([200, { dryRun: true }]);
    }
  });

  it("monitor signs for good tokens; off asks nobody and signs nothing", async () => {
    const monitor = kit({ mode: "monitor" });
    expect((await (await monitor.exchange(monitor.mint())).json()).sessionToken).toBeTypeOf("string");
    const off = kit({ mode: "off" });
    expect(await (await off.exchange(off.mint())).json()).toEqual({ dryRun: true });
    expect((await off.write({ "x-turnstile-token": off.mint() })).status).toBe(201);
    expect(off.admissions[0]).toMatchObject({ level: "none", dryRun: true });
    expect(off.emulator.control.counts().siteverify).toBe(0);
  });

  it("monitor never yields a session for an exchange over the limit", async () => {
    const at = kit({ mode: "monitor", limits: { session: [{ name: "session", limit: 1, window: 60, by: "ip" }] } });
    expect((await (await at.exchange(at.mint())).json()).sessionToken).toBeTypeOf("string");
    expect(await (await at.exchange(at.mint())).json()).toEqual({ dryRun: true });
  });

  it.each(["monitor", "off"] as const)("%s: bodies, methods, origins and missing routes are as ever", async (mode) => {
    const at = kit({ mode });
    expect(await codeOf(await at.exchange("x", { admin: true }))).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await at.write({ origin: "https://evil.example" }))).toEqual([403, "ORIGIN_NOT_ALLOWED"]);
    expect((await at.gate.fetch(new Request(`${ORIGIN}/api/session`))).status).toBe(405);
  });

  it("without a Turnstile secret: enforce throws, monitor lets pass and signs nothing", async () => {
    expect(() => kit({ turnstile: { secret: "", allowedHostnames: ["game.example"] } })).toThrow(TypeError);
    const at = kit({ mode: "monitor", turnstile: { secret: [], allowedHostnames: ["game.example"] } });
    expect(await (await at.exchange("token")).json()).toEqual({ dryRun: true });
    expect((await at.write({ "x-turnstile-token": "token" })).status).toBe(201);
  });
});

describe("the store is down", () => {
  const rules = (onStoreError?: "deny" | "allow"): NonNullable<Feature["limits"]> => ({
    read: [{ name: "read", limit: 3, window: 60, by: "ip", ...(onStoreError && { onStoreError }) }],
  });
  const read = (at: ReturnType<typeof kit>): Promise<Response> => at.gate.fetch(new Request(`${ORIGIN}/api/read/1`));

  it.each([
    ["deny", undefined, 503],
    ["allow", undefined, 200],
    ["allow", "deny", 503],
    ["deny", "allow", 200],
  ] as const)("gate %s, rule %s: a read is answered %i", async (onStoreError, rule, status) => {
    const at = kit({ onStoreError }, { limits: rules(rule) });
    at.counted.down = down();
    const answer = await read(at);
    expect(answer.status).toBe(status);
    expect(at.types()).toContain("store_unavailable");
    expect(at.types()).not.toContain("internal_error");
    if (status === 503) expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("a session's use is never taken on trust, not even with onStoreError allow", async () => {
    const at = kit({ onStoreError: "allow" });
    const { token } = await at.session();
    const solved = at.mint();
    at.counted.down = down();
    expect(await codeOf(await at.write(bearer(token)))).toEqual([503, "UNAVAILABLE"]);
    expect(await codeOf(await at.write({ "x-turnstile-token": solved }))).toEqual([503, "UNAVAILABLE"]);
    // One for each spend: of the session's write, of the fresh token's limits (which may pass), of its use.
    expect(at.types().filter((type) => type === "store_unavailable")).toHaveLength(3);
  });

  it("monitored, a write goes on without a level, unless an id must be used once", async () => {
    const first = kit();
    const { token } = await first.session();
    const at = kit({ mode: "monitor", clock: first.now });
    at.counted.down = down();
    expect(await (await at.write(bearer(token))).json()).toMatchObject({ level: "none" });
    expect(at.admissions[0]).toMatchObject({ degraded: true, dryRun: true });
    at.admit = {
      action: "score_submit",
      quotas: [{ quota: { key: "uonce:x", limit: 1, expiresAt: at.now() + 1e6 }, code: "COMMITMENT_USED" }],
    };
    expect(await codeOf(await at.write(bearer(token)))).toEqual([503, "UNAVAILABLE"]);
  });

  it("an error that is no error of a store is a bare 500, never an admission", async () => {
    const at = kit({ onStoreError: "allow", mode: "monitor" });
    at.counted.down = new TypeError("a bug in an adapter, with a secret in its text");
    const answer = await at.write();
    expect([answer.status, await answer.json()]).toEqual([500, { error: "INTERNAL" }]);
    expect(at.errors).toEqual([at.counted.down]);
    expect(JSON.stringify(at.events)).not.toContain("a bug in");
  });

  it("a store that refuses without saying what is believed", async () => {
    const at = kit();
    const { token } = await at.session();
    for (const refused of [null, 99]) {
      at.counted.store.spend = async () => ({ ok: false, at: at.now(), refused, retryAfter: 0, states: [] });
      expect((await at.write(bearer(token))).status).toBe(401);
    }
  });
});

describe("a rate store beside the store", () => {
  const build = (
    more: Partial<GateOptions> = {},
  ): { at: ReturnType<typeof kit>; rates: ReturnType<typeof memoryStore>; calls: number[] } => {
    const calls: number[] = [];
    const rates = memoryStore();
    const rateStore = {
      consistency: "approximate" as const,
      spend: (quotas: Parameters<typeof rates.spend>[0]) => {
        calls.push(quotas.length);
        return rates.spend(quotas);
      },
    };
    const limits: NonNullable<Feature["limits"]> = { write: [{ name: "burst", limit: 2, window: 60, by: "ip" }] };
    return { at: kit({ rateStore, ...more }, { limits }), rates, calls };
  };

  it("takes the rules alone; uses and once-ids stay on the store; the admission says how sure it is", async () => {
    const { at, calls } = build();
    const { token } = await at.session();
    at.counted.spends.length = calls.length = 0;
    expect((await at.write(bearer(token))).status).toBe(201);
    expect([calls, at.counted.spends.map((quotas) => quotas.length)]).toEqual([[1], [1]]);
    const [admission] = at.admissions;
    expect(admission).toMatchObject({ ok: true, accuracy: "approximate" });
    // What the looser store counted stays counted; the exact one gives back the use.
    if (admission?.ok) await admission.undo();
    expect(at.counted.refunded.map((quotas) => quotas.map(({ key }) => key.slice(0, 4)))).toEqual([["ujti"]]);
    await at.write(bearer(token));
    at.counted.spends.length = 0;
    const refused = await at.write(bearer(token));
    expect(await codeOf(refused)).toEqual([429, "RATE_LIMITED"]);
    expect(refused.headers.get("ratelimit")).toMatch(/^"burst";r=0/);
    // The rates refused first: the use is still there.
    expect(at.counted.spends).toHaveLength(0);
  });

  it("down, its rules pass where that is allowed, and the uses are still counted", async () => {
    const { at } = build({
      onStoreError: "allow",
      session: { uses: 1 },
      rateStore: { consistency: "approximate", spend: () => Promise.reject(down()) },
    });
    const { token } = await at.session();
    expect((await at.write(bearer(token))).status).toBe(201);
    expect(at.admissions[0]).toMatchObject({ degraded: true });
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_EXHAUSTED"]);
  });
});

describe("guards", () => {
  const opinion = (more: Partial<Vouched> = {}): Vouched & { undone: number } => {
    const self = {
      ok: true as const,
      level: "clearance" as const,
      headers: new Headers({ "x-guard": "yes" }),
      degraded: false,
      dryRun: false,
      accuracy: "exact" as const,
      undone: 0,
      undo: async () => {
        self.undone += 1;
      },
      ...more,
    };
    return self;
  };
  const refusal: Admission = { ok: false, code: "REQUEST_DENIED", response: Response.json({ error: "REQUEST_DENIED" }, { status: 403 }) };
  const request = (headers: Record<string, string> = {}): Request => new Request(`${ORIGIN}/shop`, { method: "POST", headers });

  it("one that vouches is enough where no action is named, never where one is", async () => {
    const at = kit({}, { guard: async () => opinion() });
    expect(await at.gate.protect(request())).toMatchObject({ ok: true, level: "clearance" });
    expect(await at.gate.protect(request(), { action: "score_submit" })).toMatchObject({ ok: false, code: "SESSION_MISSING" });
    expect(await codeOf(await at.write())).toEqual([401, "SESSION_MISSING"]);
  });

  it("where an action is named, its session is spent all the same", async () => {
    const at = kit({ session: { uses: 1 } }, { guard: async () => opinion() });
    const { token } = await at.session();
    const spend = (): Promise<Admission> => at.gate.protect(request(bearer(token)), { action: "score_submit" });
    expect(await spend()).toMatchObject({ ok: true, level: "session", player: expect.any(String) });
    expect(await spend()).toMatchObject({ ok: false, code: "SESSION_EXHAUSTED" });
  });

  it("without one, a session of any action is needed", async () => {
    const at = kit({}, { guard: async () => undefined });
    expect(await at.gate.protect(request())).toMatchObject({ ok: false, code: "SESSION_MISSING" });
    const { token } = await at.session();
    expect(await at.gate.protect(request(bearer(token)))).toMatchObject({ ok: true, level: "session" });
  });

  it("a refusal wins over vouching, and what the first spent is given back", async () => {
    const vouch = opinion();
    const second = (): Feature => ({ name: "second", guard: async () => refusal });
    const at = kit({ features: [second] }, { guard: async () => vouch });
    expect(await at.gate.protect(request())).toMatchObject({ ok: false, code: "REQUEST_DENIED" });
    expect(vouch.undone).toBe(1);
  });

  it("a limit refuses whom a guard vouches for, too", async () => {
    const vouch = opinion();
    const at = kit({}, { guard: async () => vouch });
    for (let i = 0; i < 3; i++) expect(await at.gate.protect(request(), { limits: ["read"] })).toMatchObject({ ok: true });
    expect(await at.gate.protect(request(), { limits: ["read"] })).toMatchObject({ ok: false, code: "RATE_LIMITED" });
    expect(vouch.undone).toBe(1);
  });

  it("sees the signals of all features, in their order", async () => {
    const seen: unknown[] = [];
    const second = (): Feature => ({ name: "second", signals: async () => ({ risk: 2, bot: true }) });
    const at = kit(
      { features: [second] },
      {
        signals: async () => ({ risk: 1, country: "DE" }),
        guard: async (_request, context) => {
          seen.push(await context.signals(), context.subjects.ip);
          return undefined;
        },
      },
    );
    await at.gate.protect(request());
    expect(seen).toEqual([{ risk: 2, country: "DE", bot: true }, "203.0.113.7"]);
  });
});

describe("protect and guard", () => {
  it("guard: refuses, merges the rate headers, answers preflights, lets the application's errors out", async () => {
    const at = kit({ allowedOrigins: ["https://other.example"] });
    const { token } = await at.session();
    const guarded = at.gate.guard((_request, admission) => Response.redirect(`${ORIGIN}/${admission.player}`, 303), {
      action: "score_submit",
      limits: ["read"],
    });
    const call = (headers: Record<string, string>, method = "POST"): Promise<Response> =>
      guarded(new Request("https://api.example/buy", { method, headers: { origin: "https://other.example", ...headers } }));
    const answer = await call(bearer(token));
    expect([answer.status, answer.headers.get("ratelimit")]).toEqual([303, expect.stringMatching(/^"read";r=2/)]);
    expect(answer.headers.get("access-control-allow-origin")).toBe("https://other.example");
    const refused = await call({});
    expect(await codeOf(refused)).toEqual([401, "SESSION_MISSING"]);
    expect(refused.headers.get("access-control-allow-origin")).toBe("https://other.example");
    const preflight = await call({ "access-control-request-method": "POST" }, "OPTIONS");
    expect(preflight.status).toBe(204);
    const broken = at.gate.guard(() => Promise.reject(new Error("theirs")));
    await expect(broken(new Request(ORIGIN, { headers: bearer(token) }))).rejects.toThrow("theirs");
  });

  it("a foreign page's write is refused before anything is spent", async () => {
    const at = kit();
    const { token } = await at.session();
    const before = at.counted.spends.length;
    for (const origin of ["https://evil.example", "null"]) {
      const admission = await at.gate.protect(new Request(`${ORIGIN}/buy`, { method: "POST", headers: { ...bearer(token), origin } }));
      expect(admission).toMatchObject({ ok: false, code: "ORIGIN_NOT_ALLOWED" });
    }
    expect(at.counted.spends).toHaveLength(before);
    expect(at.events.at(-1)).toMatchObject({ reason: "origin", outcome: "deny" });
  });

  it("a program's mistakes throw: an action nobody can have, a limit nobody has, a cost nobody can pay", async () => {
    const at = kit();
    const request = new Request(ORIGIN, { method: "POST" });
    for (const options of [{ action: "typo" }, { limits: ["typo"] }]) {
      await expect(at.gate.protect(request, options)).rejects.toThrow(TypeError);
      expect(() => at.gate.guard(() => new Response(), options)).toThrow(TypeError);
    }
    for (const cost of [21, -1, 0.5, Number.NaN]) await expect(at.gate.protect(request, { cost })).rejects.toThrow(RangeError);
  });

  it("a store that is down is an answer, not an exception", async () => {
    const at = kit({ turnstile: emulated });
    const { token } = await at.session();
    at.counted.down = down();
    const admission = await at.gate.protect(new Request(`${ORIGIN}/buy`, { method: "POST", headers: bearer(token) }));
    expect(admission).toMatchObject({ ok: false, code: "UNAVAILABLE" });
  });

  it("what limits key on: the application's word, the header only beside an address", async () => {
    const seen: unknown[] = [];
    const by = [
      "ip" as const,
      (_request: Request, subjects: object) => {
        seen.push(subjects);
        return "x";
      },
    ];
    const at = kit(
      { identify: async () => ({ user: "u1", account: "a1", email: "e@example.org" }) },
      { limits: { write: [{ name: "burst", limit: 100, window: 60, by }] } },
    );
    const { token, claims } = await at.session();
    at.admit = { action: "score_submit", limits: ["write"], subject: "run-7" };
    await at.write({ ...bearer(token), "x-device-id": "phone-1" });
    expect(seen[0]).toMatchObject({
      ip: "203.0.113.7",
      "ip-prefix": "203.0.113",
      device: "phone-1",
      user: "u1",
      account: "a1",
      email: "e@example.org",
      session: claims.jti,
      player: claims.sub,
      route: "run-7",
    });
  });
});
