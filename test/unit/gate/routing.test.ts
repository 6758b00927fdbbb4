import { describe, expect, it, vi } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { Feature, FeatureFactory, GateOptions, Route, RouteContext } from "../../../src/gate/types.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, codeOf, emulated, kit, ORIGIN, SECRET } from "./kit.ts";

const route = (path: string, handle: Route["handle"], more: Partial<Route> = {}): FeatureFactory => {
  return () => ({ name: `at ${path}`, routes: [{ method: "GET", path, handle, ...more }] });
};
const echo = async (ctx: RouteContext): Promise<Response> => ctx.respond(200, { params: ctx.params, query: ctx.url.search });

describe("paths", () => {
  const at = kit({
    features: [route("/things/:id/parts/:part", echo), route("/well/known", echo, { base: false }), route("/things/list", echo)],
  });
  const get = (target: string, method = "GET"): Promise<Response | null> => {
    // A request whose URL no parser has tidied up, as some servers hand it over.
    const request = new Request(`${ORIGIN}/`, { method });
    Object.defineProperty(request, "url", { value: `${ORIGIN}${target}` });
    return at.gate.handle(request);
  };

  it("parameters and queries arrive; a fixed path wins; base: false stands alone", async () => {
    expect(await (await get("/api/things/a.b-c_d~1/parts/2?x=1#y"))?.json()).toEqual({
      params: { id: "a.b-c_d~1", part: "2" },
      query: "?x=1",
    });
    expect(await (await get("/api/things/list"))?.json()).toMatchObject({ params: {} });
    expect((await get("/well/known"))?.status).toBe(200);
    expect(await get("/api/well/known")).toBeNull();
  });

  it.each([
    "/api//session",
    "//api/session",
    "/api/./session",
    "/api/../api/session",
    "/api/x/../session",
    "/api/%73ession",
    "/api%2fsession",
    "/api\\session",
    "/api/session/",
    "/api/session;x=1",
    "/API/session",
    "/api/sessions",
    "/api/things/a/parts",
    "/api/things//parts/1",
    "/api/things/../parts/1",
    "/api/things/./parts/1",
    "/api/things/a%2fb/parts/1",
    "/api/things/a b/parts/1",
    "/api/things/%00/parts/1",
    `/api/things/${"a".repeat(129)}/parts/1`,
    "/api/things/ä/parts/1",
    "/api/things/:/parts/:",
    "/api/things/:id/parts/:part",
    "/",
    "",
    "/api",
    "/api/__proto__",
    "/api/constructor",
  ])("%s is nobody's: no path means one thing to a proxy's rules and another to us", async (target) => {
    expect(await get(target)).toBeNull();
  });

  it("fetch answers 404 where handle gives way", async () => {
    const answer = await at.gate.fetch(new Request(`${ORIGIN}/elsewhere`));
    expect(await codeOf(answer)).toEqual([404, "NOT_FOUND"]);
  });
});

describe("methods", () => {
  it("405 says what is allowed; HEAD is a GET without its body; OPTIONS answers", async () => {
    const at = kit();
    const call = (method: string, path: string, headers: Record<string, string> = {}): Promise<Response> =>
      at.gate.fetch(new Request(`${ORIGIN}/api${path}`, { method, headers }));
    for (const method of ["GET", "PUT", "DELETE", "PATCH", "PURGE", "HEAD"]) {
      const answer = await call(method, "/session");
      expect([method, answer.status, answer.headers.get("allow")]).toEqual([method, 405, "POST, OPTIONS"]);
    }
    const head = await call("HEAD", "/read/1");
    expect([head.status, await head.text(), head.headers.get("content-type")]).toEqual([200, "", "application/json"]);
    const options = await call("OPTIONS", "/read/1");
    expect([options.status, options.headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
    const uncached = (of: Response): (string | null)[] => [of.headers.get("cache-control"), of.headers.get("cdn-cache-control")];
    expect(uncached(options)).toEqual(["no-store", "no-store"]);
    const asked = await call("OPTIONS", "/read/1", { origin: ORIGIN, "access-control-request-method": "GET" });
    expect([asked.status, ...uncached(asked)]).toEqual([204, "no-store", "no-store"]);
    const asks = { origin: "https://evil.example", "access-control-request-method": "GET" };
    expect(await codeOf(await call("OPTIONS", "/read/1", asks))).toEqual([403, "ORIGIN_NOT_ALLOWED"]);
    // A foreign page may ask for what is public; it may not read the answer.
    const foreign = await call("GET", "/read/1", { origin: "https://evil.example" });
    expect([foreign.status, foreign.headers.get("access-control-allow-origin"), foreign.headers.get("vary")]).toEqual([
      200,
      null,
      "Origin",
    ]);
  });
});

describe("what goes wrong in a handler", () => {
  const failing = (error: unknown): ReturnType<typeof kit> =>
    kit({
      features: [
        route("/fail", async () => {
          throw error;
        }),
      ],
    });
  const call = (at: ReturnType<typeof kit>): Promise<Response> => at.gate.fetch(new Request(`${ORIGIN}/api/fail`));

  it("an unexpected error is a bare 500; its detail goes to onError only", async () => {
    const error = new RangeError("Cannot read /etc/passwd of 203.0.113.7");
    const at = failing(error);
    const answer = await call(at);
    expect([answer.status, await answer.text()]).toEqual([500, '{"error":"INTERNAL"}']);
    expect(at.errors).toEqual([error]);
    expect(at.events.at(-1)).toMatchObject({ type: "internal_error", detail: "RangeError", route: "GET /api/fail" });
  });

  it("a store or a board that is down is 503 with an event", async () => {
    for (const [code, reason] of [
      ["ERR_STORE_UNAVAILABLE", "store_down"],
      ["ERR_STORE_FULL", "store_down"],
      ["ERR_BOARD_UNAVAILABLE", "board_down"],
    ] as const) {
      const at = failing(new GatepassError(code, "Cannot reach it"));
      const answer = await call(at);
      expect(await codeOf(answer)).toEqual([503, "UNAVAILABLE"]);
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(at.events.at(-1)).toMatchObject({ type: "store_unavailable", outcome: "error", reason });
      expect(at.errors).toEqual([]);
    }
  });

  it("a thrown refusal is an answer", async () => {
    const at = kit({
      features: [
        route("/fail", async (ctx) => {
          throw ctx.refuse("NAME_INVALID", { details: { name: "too long" } });
        }),
      ],
    });
    const answer = await call(at);
    expect([answer.status, await answer.json()]).toEqual([422, { error: "NAME_INVALID", details: { name: "too long" } }]);
  });

  it.each([undefined, null, "text", 7, { toString: null }])("throwing %s is a bare 500", async (thrown) => {
    expect(await codeOf(await call(failing(thrown)))).toEqual([500, "INTERNAL"]);
  });

  it("hooks that throw harm nobody", async () => {
    const broken = (): never => {
      throw new Error("a broken hook");
    };
    const listener = (): Feature => ({ name: "listener", on: broken });
    const at = kit({ onEvent: broken, onError: broken, features: [listener, route("/fail", broken)] });
    expect((await at.exchange(at.mint())).status).toBe(200);
    expect(await codeOf(await call(at))).toEqual([500, "INTERNAL"]);
    expect(await codeOf(await at.write())).toEqual([401, "SESSION_MISSING"]);
  });

  it("without onError it goes to the console", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const error = new Error("unexpected");
    const gate = createGate({
      turnstile: emulated,
      store: memoryStore(),
      features: [
        route("/fail", async () => {
          throw error;
        }),
      ],
    });
    await gate.fetch(new Request(`${ORIGIN}/api/fail`));
    expect(logged).toHaveBeenCalledWith(error);
    logged.mockRestore();
  });

  it("an answer whose headers cannot change still gets its rate and CORS headers", async () => {
    const at = kit({
      features: [
        route("/go", async (ctx) => {
          await ctx.admit({ open: true, limits: ["read"] });
          return Response.redirect("https://game.example/there", 302);
        }),
      ],
    });
    const answer = await at.gate.fetch(new Request(`${ORIGIN}/api/go`, { headers: { origin: ORIGIN } }));
    expect([answer.status, answer.headers.get("access-control-allow-origin"), answer.headers.get("ratelimit")]).toEqual([
      302,
      ORIGIN,
      expect.any(String),
    ]);
  });
});

describe("the forms of createGate", () => {
  const options = (more: Partial<GateOptions> = {}): GateOptions => ({
    secrets: SECRET,
    turnstile: emulated,
    clientIp: () => "203.0.113.7",
    ...more,
  });
  const post = (): Request =>
    new Request(`${ORIGIN}/api/session`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });

  it("on Workers a function is called once per env object, and two envs are two gates", async () => {
    vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
    const make = vi.fn((env: { name: string }) => options({ audience: env.name, store: memoryStore() }));
    const gate = createGate(make);
    const [one, two] = [{ name: "one.example" }, { name: "two.example" }];
    const ctx = { waitUntil: (): void => undefined, passThroughOnException: (): void => undefined };
    for (const env of [one, two, one]) expect(await codeOf(await gate.fetch(post(), env, ctx))).toEqual([400, "TURNSTILE_TOKEN_MISSING"]);
    expect(make.mock.calls).toEqual([[one], [two]]);
    expect(gate.for(one)).not.toBe(gate.for(two));
    expect(make).toHaveBeenCalledTimes(2);
    await expect(gate.sessions.verify("x")).rejects.toThrow(TypeError);
    await expect(gate.check()).rejects.toThrow(TypeError);
    await expect(gate.for(one).sessions.verify("x")).rejects.toMatchObject({ code: "ERR_TOKEN_MALFORMED" });
    await gate.scheduled({}, two, ctx);
    vi.unstubAllGlobals();
  });

  it("a session of one env is none of another's", async () => {
    const first = kit({ audience: "one.example" });
    const { token } = await first.session();
    const other = kit({ audience: "two.example", clock: first.now, store: first.counted.store });
    expect(await codeOf(await other.write(bearer(token)))).toEqual([401, "SESSION_INVALID"]);
  });

  it("options that are wrong for an env: the visitor learns nothing, the console everything, and for() throws", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const gate = createGate(() => options({ secrets: "short" }));
    expect(await codeOf(await gate.fetch(post(), {}, {}))).toEqual([500, "INTERNAL"]);
    expect(logged).toHaveBeenCalledOnce();
    expect(await codeOf(await gate.fetch(post()))).toEqual([500, "INTERNAL"]);
    logged.mockRestore();
    expect(() => gate.for({})).toThrow(RangeError);
  });

  it("needs no clock, randomness or crypto to be made: Workers forbid them at module scope", () => {
    const forbidden = (): never => {
      throw new Error("Disallowed at module scope");
    };
    const spies = [
      vi.spyOn(crypto, "getRandomValues").mockImplementation(forbidden),
      vi.spyOn(crypto.subtle, "importKey").mockImplementation(forbidden),
      vi.spyOn(crypto.subtle, "digest").mockImplementation(forbidden),
      vi.spyOn(globalThis, "setTimeout").mockImplementation(forbidden),
      vi.spyOn(globalThis, "fetch").mockImplementation(forbidden),
    ];
    try {
      const gate = createGate(options());
      gate.guard(() => new Response(), { action: "score_submit" });
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  });

  it("every method is a closure", async () => {
    const { fetch, handle, protect, check, run, report, sessions } = createGate(options());
    expect((await fetch(post())).status).toBe(400);
    expect(await handle(new Request(ORIGIN))).toBeNull();
    expect(await protect(post())).toMatchObject({ ok: false });
    expect(await run("sweep")).toMatchObject({ job: "sweep" });
    await report(post(), "login_failed");
    await expect(sessions.verify("x")).rejects.toMatchObject({ code: "ERR_TOKEN_MALFORMED" });
    expect((await check()).map(({ code }) => code)).toContain("GP103");
  });
});

describe("options", () => {
  const base = { secrets: SECRET, turnstile: emulated, store: memoryStore() };
  it.each([
    ["no options", undefined, TypeError],
    ["an unknown option", { ...base, seassion: {} }, TypeError],
    ["an unknown session option", { ...base, session: { time: 3 } }, TypeError],
    ["a mode that is none", { ...base, mode: "shadow" }, TypeError],
    ["a ttl too short", { ...base, session: { ttl: 119 } }, RangeError],
    ["a ttl too long", { ...base, session: { ttl: 901 } }, RangeError],
    ["no uses", { ...base, session: { uses: 0 } }, RangeError],
    ["unlimited uses", { ...base, session: { uses: Number.POSITIVE_INFINITY } }, RangeError],
    ["uses as text", { ...base, session: { uses: "20" } }, TypeError],
    ["an action Turnstile would refuse", { ...base, session: { actions: ["Score Submit"] } }, TypeError],
    ["a binding that is none", { ...base, session: { bind: "ip" } }, TypeError],
    ["a base path without a slash", { ...base, basePath: "api" }, TypeError],
    ["a base path with one too many", { ...base, basePath: "/api/" }, TypeError],
    ["no Turnstile", { secrets: SECRET }, TypeError],
    ["a short secret", { ...base, secrets: "short" }, RangeError],
    ["an origin with a path", { ...base, allowedOrigins: ["https://game.example/"] }, TypeError],
    ["a limit that nobody has", { ...base, limits: { "scores.wirte": [] } }, TypeError],
    ["a rule without a window", { ...base, limits: { session: [{ name: "x", limit: 1, by: "ip" }] } }, TypeError],
    [
      "a rule that counts what a stranger chooses",
      { ...base, limits: { session: [{ name: "x", limit: 1, window: 1, by: "device" }] } },
      TypeError,
    ],
    ["a clock that is none", { ...base, clock: 5 }, TypeError],
    ["a feature that is none", { ...base, features: [{ name: "x" }] }, TypeError],
    ["proxies that are none", { ...base, clientIp: { trustedProxies: ["everyone"] } }, TypeError],
  ])("%s throws at creation", (_, options, type) => {
    // What no type checker saw.
    expect(() => Reflect.apply(createGate, undefined, [options])).toThrow(type);
  });

  it("no error's message holds a secret", () => {
    try {
      createGate({ ...base, secrets: ` ${SECRET}` });
      expect.unreachable();
    } catch (error) {
      expect(String(error)).not.toContain(SECRET);
    }
  });
});

describe("the feature contract", () => {
  const base = { secrets: SECRET, turnstile: emulated, store: memoryStore() };
  const rule = { name: "r", limit: 1, window: 60, by: "ip" as const };
  const nothing: Route["handle"] = async () => new Response();
  it.each<[string, Partial<Feature>[]]>([
    ["two features of one name", [{ name: "a" }, { name: "a" }]],
    ["the kernel's name", [{ name: "kernel" }]],
    [
      "one limit twice",
      [
        { name: "a", limits: { x: [rule] } },
        { name: "b", limits: { x: [rule] } },
      ],
    ],
    ["the kernel's limit", [{ name: "a", limits: { session: [rule] } }]],
    [
      "one job twice",
      [
        { name: "a", jobs: { x: async () => ({ job: "x", swept: 0, kept: 0, tookMs: 0 }) } },
        { name: "b", jobs: { x: async () => ({ job: "x", swept: 0, kept: 0, tookMs: 0 }) } },
      ],
    ],
    [
      "one route twice",
      [
        { name: "a", routes: [{ method: "GET", path: "/x/:a", handle: nothing }] },
        { name: "b", routes: [{ method: ["POST", "GET"], path: "/x/:b", handle: nothing }] },
      ],
    ],
    ["the kernel's route", [{ name: "a", routes: [{ method: "POST", path: "/session", handle: nothing }] }]],
    ["a path that is none", [{ name: "a", routes: [{ method: "GET", path: "x", handle: nothing }] }]],
    ["a method of the kernel's", [{ name: "a", routes: [{ method: "OPTIONS", path: "/x", handle: nothing }] }]],
    ["an action that is none", [{ name: "a", actions: ["A B"] }]],
    ["a bad rule", [{ name: "a", limits: { x: [{ ...rule, limit: 0.5 }] } }]],
  ])("%s is an error at creation", (_, features) => {
    expect(() => createGate({ ...base, features: features.map((feature) => () => ({ name: "x", ...feature })) })).toThrow();
  });

  it("an unknown member is an error", () => {
    expect(() => Reflect.apply(createGate, undefined, [{ ...base, features: [() => ({ name: "a", route: [] })] }])).toThrow(TypeError);
  });

  it("actions are added, limits may be replaced, events and signals are heard, reports arrive, one failing harms no other", async () => {
    const heard: string[] = [];
    const reports: unknown[] = [];
    const chat: FeatureFactory = () => ({
      name: "chat",
      actions: ["chat", "score_submit"],
      on: (event) => heard.push(event.type),
      report: async (_request, signal, about) => {
        reports.push([signal, about]);
      },
    });
    const broken: FeatureFactory = () => ({ name: "broken", report: () => Promise.reject(new Error("broken")) });
    const at = kit({ features: [broken, chat], limits: { write: [{ name: "one", limit: 1, window: 60, by: "ip" }] } });
    expect(at.kernel.options.actions).toEqual(["score_submit", "chat"]);
    const { sessionToken } = await (await at.exchange(at.mint("chat"))).json();
    at.admit = { action: "chat", limits: ["write"] };
    expect((await at.write(bearer(sessionToken))).status).toBe(201);
    expect(await codeOf(await at.write(bearer(sessionToken)))).toEqual([429, "RATE_LIMITED"]);
    expect(heard).toContain("session_issued");
    await at.gate.report(new Request(ORIGIN), "login_failed", { account: "a" });
    expect(reports).toEqual([["login_failed", { account: "a" }]]);
    expect(at.errors).toHaveLength(1);
  });

  it("jobs run in slices until they are done, and an endless one stops", async () => {
    const cursors: (string | undefined)[] = [];
    const feature: FeatureFactory = () => ({
      name: "jobs",
      jobs: {
        slices: async ({ cursor }) => {
          cursors.push(cursor);
          const next = { undefined: "a", a: "b" }[String(cursor)];
          return { job: "slices", swept: 1, kept: 2, tookMs: 0, ...(next !== undefined && { next }) };
        },
        endless: async () => ({ job: "endless", swept: 1, kept: 0, tookMs: 0, next: "again" }),
        broken: () => Promise.reject(new Error("broken")),
      },
    });
    const at = kit({ features: [feature] });
    expect(await at.gate.run("slices")).toMatchObject({ job: "slices", swept: 3, kept: 6 });
    expect(cursors).toEqual([undefined, "a", "b"]);
    expect(await at.gate.run("endless")).toMatchObject({ swept: 2, next: "again" });
    await expect(at.gate.run("nothing")).rejects.toThrow(TypeError);
    cursors.length = 0;
    await expect(at.gate.scheduled({})).rejects.toThrow("broken");
    expect(cursors).toHaveLength(3);
  });
});
