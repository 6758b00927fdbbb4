import { describe, expect, it } from "vitest";
import type { ConfigProblem } from "../../../src/errors.ts";
import type { SecurityEvent } from "../../../src/events/types.ts";
import { createGate, optionsFromEnv } from "../../../src/gate/index.ts";
import type { FeatureFactory } from "../../../src/gate/types.ts";
import type { LimitRule } from "../../../src/limits/types.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { ACTION, ADDRESS, bearer, codeOf, emulated, kit, ORIGIN, SECRET } from "./kit.ts";

describe("events", () => {
  it("tell the story of an attack without a token, a secret or an address in it", async () => {
    const at = kit({ session: { uses: 1 } });
    const solved = at.mint(undefined, { ephemeralId: "x:an-ephemeral-id-of-a-device" });
    const answers: Response[] = [];
    const keep = async (answer: Promise<Response>): Promise<Response> => {
      const response = await answer;
      answers.push(response.clone());
      return response;
    };
    const { sessionToken, playerToken } = await (await keep(at.exchange(solved))).json();
    await keep(at.write(bearer(sessionToken)));
    await keep(at.write(bearer(sessionToken)));
    await keep(at.write({ "x-gatepass-session": `${sessionToken}x` }));
    await keep(at.write({ "x-turnstile-token": solved }));
    await keep(at.exchange("made-up-token-of-an-attacker-0123456789-0123456789"));
    await keep(at.exchange(at.mint(), {}, { origin: "https://evil.example" }));
    const types = at.types();
    for (const type of [
      "config_warning",
      "turnstile_token_received",
      "turnstile_siteverify_success",
      "turnstile_siteverify_failed",
      "session_issued",
      "session_rejected",
      "session_replay_detected",
    ] as const) {
      expect(types).toContain(type);
    }
    const log = JSON.stringify(at.events);
    for (const leak of [solved, sessionToken, playerToken, SECRET, emulated.secret, ADDRESS, "an-ephemeral-id", "made-up-token"]) {
      expect(log).not.toContain(leak);
    }
    for (const event of at.events)
      expect(event).toMatchObject({ v: 1, at: at.now(), outcome: expect.stringMatching(/^(allow|deny|error|info)$/) });
    expect(at.events.find(({ type }) => type === "session_issued")).toMatchObject({
      route: "POST /api/session",
      ip_prefix: "203.0.113.0/24",
      action: "score_submit",
      session: expect.stringMatching(/^[\w-]{22}$/),
      player: expect.stringMatching(/^[\w-]{22}$/),
      ephemeral_id: expect.stringMatching(/^[\w-]{22}$/),
    });
    for (const answer of answers) {
      const text = `${JSON.stringify([...answer.headers])}${await answer.text()}`;
      for (const leak of [solved, SECRET, emulated.secret, ADDRESS]) expect(text).not.toContain(leak);
    }
  });

  it("a monitored request over several limits is told once for each of them, and for those alone", async () => {
    const limit = (name: string, limit: number): LimitRule => ({ name, limit, window: 60, by: "player" });
    const at = kit({ mode: "monitor" }, { limits: { write: [limit("one", 1), limit("many", 9)], other: [limit("first", 1)] } });
    at.admit = { action: ACTION, limits: ["write", "other"] };
    const { token } = await at.session();
    for (let i = 0; i < 3; i++) expect((await at.write(bearer(token))).status).toBe(201);
    const told = at.events.filter(({ type }) => type === "rate_limited");
    // The one that lasts longest comes first; which that is, the keys' grids decide.
    expect([told.slice(0, 2), told.slice(2)].map((two) => two.map(({ detail }) => detail).sort())).toEqual([
      ["first", "one"],
      ["first", "one"],
    ]);
    for (const event of told)
      expect(event).toMatchObject({ outcome: "deny", code: "RATE_LIMITED", reason: "full", action: ACTION, dry_run: true });
    expect(at.admissions.map((admission) => admission.ok && admission.dryRun)).toEqual([false, true, true]);
  });

  it("a monitored request over one limit's networks all at once is told once", async () => {
    const one: LimitRule = { name: "one", limit: 1, window: 60, by: "ip" };
    const at = kit({ mode: "monitor", clientIp: () => "2001:db8::7" }, { limits: { write: [one] } });
    at.admit = { open: true, limits: ["write"] };
    // Ten times as much is for the networks around the address.
    for (let i = 0; i < 200; i++) await at.write();
    const told = at.events.filter(({ type }) => type === "rate_limited");
    expect(told.length).toBe(199);
  });

  it("warn of the configuration once, at the first request and not before", async () => {
    const at = kit({ mode: "monitor", secrets: "correct horse battery staple and more" });
    expect(at.events).toEqual([]);
    await at.write();
    await at.write();
    const warnings = at.events.filter(({ type }) => type === "config_warning");
    expect(warnings.map(({ reason }) => reason)).toEqual(["mode_monitor", "test_keys_allowed", "memory_store", "low_entropy_secret"]);
    expect(JSON.stringify(warnings)).not.toContain("horse");
  });

  it("warn once of addresses that nobody knows, which share one small bucket", async () => {
    const at = kit({ clientIp: () => undefined, limits: { session: [{ name: "session", limit: 30, window: 60, by: "ip" }] } });
    for (let i = 0; i < 3; i++) expect((await at.exchange(at.mint())).status).toBe(200);
    expect(await codeOf(await at.exchange(at.mint()))).toEqual([429, "RATE_LIMITED"]);
    expect(at.events.filter(({ reason }) => reason === "client_address_unknown")).toHaveLength(1);
  });

  it("do not warn where only the socket tells the address, at the exchange neither", async () => {
    const events: SecurityEvent[] = [];
    const gate = createGate({
      secrets: SECRET,
      turnstile: emulated,
      fetch: async () => Response.json({}),
      onEvent: (event) => events.push(event),
    });
    const request = new Request(`${ORIGIN}/api/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ turnstileToken: "made-up" }),
    });
    expect((await gate.fetch(request, { peer: ADDRESS })).status).toBe(503);
    expect(events.map(({ reason }) => reason)).not.toContain("client_address_unknown");
    expect(events.at(-1)).toMatchObject({ type: "session_rejected", ip_prefix: "203.0.113.0/24" });
  });

  it("warn of a proxy that was not configured, and of a store whose clock is wrong", async () => {
    const at = kit({ store: memoryStore({ clock: () => 4e12 }) });
    for (let i = 0; i < 100; i++)
      await at.gate.fetch(new Request(`${ORIGIN}/api/read/1`, { headers: { "x-forwarded-for": `198.51.100.${i}` } }));
    const reasons = at.events.filter(({ type }) => type === "config_warning").map(({ reason }) => reason);
    expect(reasons.filter((reason) => reason === "single_address")).toHaveLength(1);
    expect(reasons.filter((reason) => reason === "clock_skew")).toHaveLength(1);
  });
});

describe("check", () => {
  it("finds what is wrong: options, the store's own word, the features', and a check that fails", async () => {
    const feature: FeatureFactory = () => ({
      name: "mine",
      check: () => [{ code: "GP900", severity: "warning", message: "Mine", fix: "Yours" }],
    });
    const broken: FeatureFactory = () => ({ name: "broken", check: () => Promise.reject(new Error("no")) });
    const at = kit({ onStoreError: "allow", turnstile: { ...emulated, onUnavailable: "degraded" }, features: [feature, broken] });
    const problems = await at.gate.check();
    expect(problems.map(({ code }) => code)).toEqual(["GP103", "GP104", "GP109", "GP110", "GP900", "GP120"]);
    for (const problem of problems) {
      expect(Object.keys(problem).sort()).toEqual(["code", "fix", "message", "severity"]);
      expect(problem.message).toMatch(/^[A-Z].*[^.]$/);
    }
  });

  it("says that no request had a client address, once requests came; one address is enough to be silent", async () => {
    const at = kit({ clientIp: (request) => request.headers.get("x-real-ip") ?? undefined });
    const problem = async (): Promise<ConfigProblem | undefined> => (await at.gate.check()).find(({ code }) => code === "GP113");
    const read = (headers: Record<string, string> = {}): Promise<Response> =>
      at.gate.fetch(new Request(`${ORIGIN}/api/read/1`, { headers }));
    expect(await problem()).toBeUndefined();
    for (let i = 0; i < 3; i++) await read({ "x-forwarded-for": "203.0.113.9" });
    expect(await problem()).toMatchObject({
      severity: "error",
      message: expect.stringContaining("one bucket"),
      fix: expect.stringMatching(/clientIp.*Next\.js/),
    });
    await at.gate.protect(new Request(ORIGIN, { method: "POST" }));
    expect(await problem()).toBeDefined();
    await read({ "x-real-ip": "203.0.113.9" });
    expect(await problem()).toBeUndefined();
    await read();
    expect(await problem()).toBeUndefined();
  });

  it("says so of a gate under Next.js without clientIp: its second argument names no peer", async () => {
    const at = kit({ clientIp: "socket" });
    const request = new Request(`${ORIGIN}/api/read/1`, { headers: { "x-forwarded-for": "203.0.113.9", "x-real-ip": "203.0.113.9" } });
    await at.gate.fetch(request, { params: Promise.resolve({ gate: ["read", "1"] }) });
    expect((await at.gate.check()).map(({ code }) => code)).toContain("GP113");
  });

  it("tells once what store and board say alike", async () => {
    const problem = (): ConfigProblem[] => [{ code: "GP151", severity: "warning", message: "The database may forget", fix: "Let it not" }];
    const board: FeatureFactory = () => ({ name: "board", check: problem });
    const store = { ...memoryStore(), check: async () => problem() };
    const codes = (await kit({ store, features: [board] }).gate.check()).map(({ code }) => code);
    expect(codes.filter((code) => code === "GP151")).toEqual(["GP151"]);
  });

  it("finds nothing where nothing is wrong", async () => {
    const exact = { ...memoryStore(), consistency: "exact" as const };
    const at = kit({ store: exact, turnstile: { secret: "0x4AAAAAAA-a-real-secret", allowedHostnames: ["game.example"] } });
    expect(await at.gate.check()).toEqual([]);
  });
});

describe("optionsFromEnv", () => {
  it("reads the variables and leaves out what is not set", () => {
    expect(
      optionsFromEnv({
        SESSION_SIGNING_SECRET: "first-secret, second-secret",
        TURNSTILE_SECRET_KEY: "0xA",
        TURNSTILE_SITE_KEY: "0xB",
        TURNSTILE_ENFORCE: "FALSE",
        SESSION_TTL_SEC: "600",
        ALLOWED_ORIGINS: "https://a.example,https://b.example,",
        PATH: "/bin",
      }),
    ).toEqual({
      secrets: ["first-secret", "second-secret"],
      turnstile: { secret: ["0xA"], sitekey: "0xB" },
      session: { ttl: 600 },
      mode: "monitor",
      allowedOrigins: ["https://a.example", "https://b.example"],
    });
    expect(optionsFromEnv({})).toEqual({ turnstile: { secret: [] } });
    for (const [value, mode] of [
      ["true", "enforce"],
      ["1", "enforce"],
      ["0", "monitor"],
      ["monitor", "monitor"],
      ["off", "off"],
    ]) {
      expect(optionsFromEnv({ TURNSTILE_ENFORCE: value }).mode).toBe(mode);
    }
  });

  it("reads what is empty as not set, every spelling of a mode, and a life of up to six digits", () => {
    const empty = {
      SESSION_SIGNING_SECRET: " , ",
      TURNSTILE_SITE_KEY: "",
      TURNSTILE_ENFORCE: null,
      ALLOWED_ORIGINS: ",",
      SESSION_TTL_SEC: undefined,
    };
    expect(optionsFromEnv(empty)).toEqual({ turnstile: { secret: [] } });
    for (const value of ["enforce", "ENFORCE", "True"]) expect(optionsFromEnv({ TURNSTILE_ENFORCE: value }).mode).toBe("enforce");
    expect(optionsFromEnv({ TURNSTILE_ENFORCE: "Off" }).mode).toBe("off");
    expect(optionsFromEnv({ SESSION_TTL_SEC: "000600" }).session).toEqual({ ttl: 600 });
  });

  it.each([
    [{ TURNSTILE_ENFORCE: "yes" }, 'Cannot read "TURNSTILE_ENFORCE": expected true, false, "monitor" or "off"'],
    [{ SESSION_TTL_SEC: "0000600" }, 'Cannot read "SESSION_TTL_SEC": expected a whole number of seconds'],
    [{ SESSION_TTL_SEC: "6e2" }, 'Cannot read "SESSION_TTL_SEC": expected a whole number of seconds'],
    [{ SESSION_SIGNING_SECRET: 5 }, 'Cannot read "SESSION_SIGNING_SECRET": expected text'],
    [{ ALLOWED_ORIGINS: ["https://a.example"] }, 'Cannot read "ALLOWED_ORIGINS": expected text'],
  ])("says what is wrong with %o", (env, message) => {
    expect(() => optionsFromEnv(env)).toThrow(new TypeError(message));
  });

  it.each([
    { TURNSTILE_ENFORCE: "yes please" },
    { TURNSTILE_ENFORCE: "constructor" },
    { SESSION_TTL_SEC: "5 minutes" },
    { SESSION_TTL_SEC: "-1" },
    { TURNSTILE_SECRET_KEY: { get: 1 } },
  ])("refuses %o: a misspelt switch must not open the gate", (env) => {
    expect(() => optionsFromEnv(env)).toThrow(TypeError);
  });
});
