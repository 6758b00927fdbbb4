import { afterEach, describe, expect, it, vi } from "vitest";
import { createGate } from "../../../src/gate/index.ts";
import type { GateOptions } from "../../../src/gate/types.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { contexts, FORMS, flood } from "../../helpers/contexts.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const BIND = "Cannot tell the environment: createGate got a function of it, so bind one with gate.for(env)";
const forms = Object.keys(FORMS).map((name) => [name] as const);

/** Silences the console, and gives what it was told. */
function told(): () => string[] {
  const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
  return () => [...new Set(logged.mock.calls.map(([error]) => (error instanceof Error ? error.message : String(error))))];
}

describe.each(forms)("a gate of %s, and a framework that passes what it likes: no request gets a gate of its own", (name) => {
  const form = FORMS[name] ?? (() => expect.fail());

  it.each(Object.entries(contexts()))("%s", async (_, context) => {
    const messages = told();
    const { reads, writes, sessions, statuses, calls } = await flood(form, context);
    expect([reads <= 120, writes <= 15, sessions <= 30, calls <= 1]).toEqual([true, true, true, true]);
    // Either it works as one gate does, or nothing does and the console says why.
    if (statuses.includes(500)) expect(messages()).toEqual([BIND]);
    else
      expect({ reads, writes, sessions, statuses, calls }).toEqual({
        reads: 120,
        writes: 15,
        sessions: 30,
        statuses: [200, 201, 429],
        calls: 1,
      });
  });

  it.each(Object.entries(contexts()))("in workerd: %s", async (context, args) => {
    vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
    const messages = told();
    const { reads, writes, sessions, statuses, calls } = await flood(form, args);
    expect([reads <= 120, writes <= 15, sessions <= 30, calls <= 8]).toEqual([true, true, true, true]);
    if (context === "Workers' env") expect([reads, writes, sessions, calls]).toEqual([120, 15, 30, 1]);
    if (statuses.includes(500)) expect(messages()).toEqual([BIND]);
  });
});

describe("a function without a parameter", () => {
  it("is called once, whatever comes along, also by protect, guard, report, run, check, sessions and for", async () => {
    const make = vi.fn(() => options());
    const gate = createGate(() => make());
    const request = (): Request => new Request("https://game.example/x", { method: "POST" });
    await gate.check();
    await gate.protect(request(), {}, {}, {});
    await gate.guard(() => new Response())(request(), {});
    await gate.report(request(), "login_failed", {}, {});
    await gate.run("sweep");
    await gate.scheduled({}, {}, {});
    await expect(gate.sessions.verify("x")).rejects.toMatchObject({ code: "ERR_TOKEN_MALFORMED" });
    await gate.for({}).check();
    expect(make).toHaveBeenCalledOnce();
  });

  it("that fails is called again by the next request", async () => {
    const messages = told();
    let broken = true;
    const gate = createGate(() => {
      if (broken) throw new TypeError("not yet");
      return options();
    });
    const read = (): Promise<Response> => gate.fetch(new Request("https://game.example/api/session", { method: "POST", body: "{}" }), {});
    expect((await read()).status).toBe(500);
    broken = false;
    expect((await read()).status).not.toBe(500);
    expect(messages()).toEqual(["not yet"]);
  });
});

describe("a function whose parameter has a default", () => {
  const made = (): { gate: ReturnType<typeof createGate>; calls: unknown[] } => {
    const calls: unknown[] = [];
    const gate = createGate((env: unknown = "the default") => {
      calls.push(env);
      return options();
    });
    return { gate, calls };
  };
  const request = (): Request => new Request("https://game.example/x", { method: "POST" });

  it("gets its default once, whatever a framework passes along", async () => {
    const { gate, calls } = made();
    for (let i = 0; i < 20; i++) expect((await gate.protect(request(), {}, { i })).ok).toBe(true);
    expect((await gate.check()).length).toBeGreaterThan(0);
    expect(calls).toEqual(["the default"]);
  });

  it("gets the environment in workerd, and its default for who brings none", async () => {
    vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
    const { gate, calls } = made();
    const env = {};
    for (let i = 0; i < 20; i++) expect((await gate.protect(request(), {}, env)).ok).toBe(true);
    for (let i = 0; i < 3; i++) expect((await gate.check()).length).toBeGreaterThan(0);
    expect(calls).toEqual([env, "the default"]);
    // A cron's call and a binding are of the same environment as its requests: with another store, a sweep would clean the wrong one.
    await gate.scheduled({}, env, {});
    await gate.for(env).check();
    expect(calls).toEqual([env, "the default"]);
  });

  it("and one without a parameter is asked without an environment in workerd, before and after requests", async () => {
    vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
    for (const make of [() => options(), () => options(), { options: () => options() }.options]) {
      const gate = createGate(make);
      expect((await gate.check()).length).toBeGreaterThan(0);
      await gate.protect(new Request("https://game.example/x", { method: "POST" }), {}, {});
      expect((await gate.check()).length).toBeGreaterThan(0);
      await gate.run("sweep");
    }
  });
});

describe("a function of the environment", () => {
  const made = (): { gate: ReturnType<typeof createGate>; calls: unknown[] } => {
    const calls: unknown[] = [];
    const gate = createGate((env) => {
      calls.push(env);
      return options();
    });
    return { gate, calls };
  };
  const request = (): Request => new Request("https://game.example/x", { method: "POST" });

  it("takes the first object for it, and refuses another one by every method that is given one", async () => {
    const { gate, calls } = made();
    const env = {};
    for (let i = 0; i < 3; i++) expect((await gate.protect(request(), {}, env)).ok).toBe(true);
    await expect(gate.protect(request(), {}, {})).rejects.toThrow(BIND);
    await expect(gate.guard(() => new Response())(request(), {})).rejects.toThrow(BIND);
    await expect(gate.report(request(), "login_failed", {}, {})).rejects.toThrow(BIND);
    await gate.scheduled({}, env, {});
    for (const call of [() => gate.check(), () => gate.run("sweep"), () => gate.sessions.verify("x"), () => gate.sessions.revoke("x")]) {
      await expect(call()).rejects.toThrow(BIND);
    }
    expect(calls).toEqual([env]);
  });

  it("that is bound is the one that counts, and what comes along then is looked at no more", async () => {
    const { gate, calls } = made();
    const env = { name: "bound" };
    const bound = gate.for(env);
    for (let i = 0; i < 20; i++) expect((await bound.protect(request(), {}, { i })).ok).toBe(true);
    expect((await gate.for(env).check()).length).toBeGreaterThan(0);
    expect(calls).toEqual([env]);
    await expect(gate.protect(request(), {}, {})).rejects.toThrow(BIND);
  });

  it("may be eight in one process, bound or not, in workerd as elsewhere; the ninth is refused, the eight go on", async () => {
    for (const userAgent of ["Node.js/24", "Cloudflare-Workers"]) {
      vi.stubGlobal("navigator", { userAgent });
      const { gate, calls } = made();
      const envs = Array.from({ length: 9 }, (_, i) => ({ i }));
      for (const env of envs.slice(0, 8)) expect((await gate.for(env).protect(request())).ok).toBe(true);
      expect(() => gate.for(envs[8])).toThrow(BIND);
      await expect(gate.protect(request(), {}, envs[8])).rejects.toThrow(BIND);
      for (const env of envs.slice(0, 8)) expect((await gate.protect(request(), {}, env)).ok).toBe(true);
      expect(calls).toEqual(envs.slice(0, 8));
      for (const nothing of [undefined, null, "env", 1, () => undefined]) expect(() => gate.for(nothing)).toThrow(BIND);
    }
  });

  it("counts in one memory with the others of its process, and by itself where its store is shared anyway", async () => {
    const limits: GateOptions["limits"] = { session: [{ name: "session", limit: 3, window: 60, by: "ip" }] };
    const ask = async (gate: ReturnType<typeof createGate>): Promise<number> =>
      (await gate.fetch(new Request("https://game.example/api/session", { method: "POST", headers: JSON_TYPE, body: "{}" }))).status;
    for (const own of [true, false]) {
      const gate = createGate((env) => ({ ...strict(env), ...(own && { store: memoryStore() }), limits }));
      const statuses = [];
      for (let i = 0; i < 6; i++) statuses.push(await ask(gate.for([one, two, three][i % 3])));
      expect(statuses).toEqual([400, 400, 400, 429, 429, 429]);
    }
    const rates = createGate((env) => ({
      ...strict(env),
      limits,
      store: { ...memoryStore(), consistency: "exact" },
      rateStore: memoryStore(),
    }));
    const statuses = [];
    for (const env of [one, two, three, one, two, three]) statuses.push(await ask(rates.for(env)));
    expect(statuses).toEqual([400, 400, 400, 429, 429, 429]);
    const apart = createGate((env) => ({ ...strict(env), limits, store: { ...memoryStore(), consistency: "exact" } }));
    for (const env of [one, one, one, two, two, two]) expect(await ask(apart.for(env))).toBe(400);
    expect([await ask(apart.for(one)), await ask(apart.for(two)), await ask(apart.for(three))]).toEqual([429, 429, 400]);
  });
});

const strict = (_env: unknown): GateOptions => ({ ...options(), mode: "enforce" });
const [one, two, three] = [{}, {}, {}];
const JSON_TYPE = { "content-type": "application/json" };

function options(): GateOptions {
  return {
    secrets: "a signing secret of the tests, at least 32 bytes",
    turnstile: { secret: "secret-of-the-tests", allowedHostnames: ["game.example"] },
    clientIp: () => "203.0.113.7",
    mode: "monitor",
  };
}
