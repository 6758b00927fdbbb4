import { existsSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, vi } from "vitest";
import { clearance } from "../../../src/clearance/index.ts";
import { createClient } from "../../../src/client/index.ts";
import type { createTurnstileEmulator } from "../../../src/emulator/index.ts";
import { defineGame } from "../../../src/game/index.ts";
import { createGate, type GateOptions } from "../../../src/gate/index.ts";
import type { Kernel, RouteContext } from "../../../src/gate/types.ts";
import { createLimiter } from "../../../src/limits/index.ts";
import { memoryBoard } from "../../../src/scores/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { createTokens } from "../../../src/tokens/index.ts";
import { createTurnstile } from "../../../src/turnstile/index.ts";
import { root } from "../../helpers/sources.ts";

// The functions themselves: the suite's set-up gives tests a gate and an emulator that copy their options.
vi.unmock("../../../src/gate/create-gate.ts");
vi.unmock("../../../src/emulator/index.ts");

/**
 * A bag of options somewhere in the public entries. The test refuses to pass as long as an exported function is neither here nor among those that take none.
 */
interface Bag {
  /** Where it is given, for the test's name. */
  of: string;
  /** Options that are right, the required ones at least. */
  good?: object;
  /** Gives options to whoever takes them. */
  use(options: object): unknown;
  /** Members, and a value that each cannot have. */
  impossible: Record<string, unknown>;
  /** What is no bag, and yet may be given: a promise where it is awaited, a function where one may give the options; where bytes are dear (the browser, `verify`), all. */
  besides?: "promise" | "function" | "anything";
}

const SECRET = "a signing secret of the tests, at least 32 bytes";
const turnstile = { secret: "0x4AAAAAAA_your_secret", allowedHostnames: ["game.example"] };
const request = (path = "/"): Request => new Request(`https://game.example${path}`, { method: "POST" });
const sound = (): GateOptions => ({ secrets: SECRET, turnstile, store: memoryStore() });
const rule = { name: "r", limit: 5, window: 60, by: "ip" as const };
const guarded = (): GateOptions => ({ ...sound(), features: [clearance({ policy: { always_require_clearance: ["/x"] } })] });
const within = (name: string, member: object): GateOptions => Reflect.apply(Object.assign, undefined, [sound(), { [name]: member }]);
const call = (target: (...given: never[]) => unknown, ...given: unknown[]): unknown => Reflect.apply(target, undefined, given);
/** The kernel that features get. */
const kernelOf = (): Kernel => {
  let found: Kernel | undefined;
  const spy = (kernel: Kernel): { name: string } => {
    found = kernel;
    return { name: "spy" };
  };
  createGate({ ...sound(), features: [spy] });
  if (!found) throw new Error("no kernel");
  return found;
};
const admitting = async (options: object): Promise<unknown> => {
  let told: unknown;
  const handle = async (ctx: RouteContext): Promise<Response> => {
    await ctx.admit(options).catch((error: unknown) => {
      told = error;
    });
    return new Response("done");
  };
  const gate = createGate({ ...sound(), features: [() => ({ name: "a", routes: [{ method: "POST", path: "/x", handle }] })] });
  await gate.fetch(request("/api/x"));
  if (told) throw told;
  return undefined;
};
const feature = (given: object): unknown => call(createGate, { ...sound(), features: [() => given] });
const game = defineGame({
  id: "wait",
  version: 1,
  hz: 10,
  maxTicks: 2,
  input: { bits: 1, kind: "edge" },
  init: () => ({ ticks: 0 }),
  step(state) {
    state.ticks += 1;
  },
  score: (state) => state.ticks,
  hash: (state, hasher) => hasher.int(state.ticks),
});
const definition = { ...game, input: { ...game.input } };
const limiter = () => createLimiter({ store: memoryStore(), rules: [rule] });
const kit = { describe: () => undefined, it: () => undefined, expect: () => ({ toEqual: () => undefined }) };
/** What the first declared test does with what `make` gives. */
const firstTest = async (suite: (make: () => unknown, kit: object) => unknown, under: object): Promise<void> => {
  const tests: (() => Promise<void>)[] = [];
  await suite(() => under, {
    ...kit,
    describe: (_: string, body: () => void) => body(),
    it: (_: string, test: () => Promise<void>) => tests.push(test),
  });
  await tests[0]?.();
};
const ring = () => createTokens({ secrets: SECRET });
const client = (): Record<string, (options: object) => Promise<unknown>> => Object(createClient({ sitekey: "0x4EXAMPLE" }));
/** There is no page here: only what is said of the options counts, which is the cause of the client's own error. */
const refused = async (method: ((options: object) => Promise<unknown>) | undefined, options: object): Promise<void> => {
  await method?.(options).catch((error: unknown) => {
    const { code, cause } = Object(error);
    if (code === "ERR_CLIENT_CONFIG" && cause instanceof TypeError && /^Invalid option/.test(cause.message)) throw cause;
  });
};
const emulator = (create: (...given: never[]) => unknown): ReturnType<typeof createTurnstileEmulator> =>
  (create as unknown as typeof createTurnstileEmulator)();
const redis = { send: async () => [] };
/** Like a Redis without data, as far as `migrate` asks. */
const emptyRedis = {
  send: async (_command: string, args: readonly string[]) => [args.at(-1), args.includes("finish") ? 1 : ["0", 1, 0, 0, 0, 0, 0, 0, 0]],
};
const kv = { get: async () => new Map(), put: async () => undefined, delete: async () => undefined };
/** Like the binding of an empty database, as far as `migrate` asks: there are no tables, and whatever is made is made. */
const d1 = {
  prepare: () => ({ bind: () => ({}) }),
  batch: async (statements: object[]) => statements.map(() => ({ results: [{ meta: 0, old: 0, n: 0, triggers: 1, version: 2 }] })),
};
const denoKv = { getMany: async () => [], atomic: () => ({}) };
const namespace = { idFromName: (name: string) => name, get: () => ({ fetch: async () => Response.json({}) }) };
const postgres = { query: async () => ({ rows: [{ answer: JSON.stringify({ version: 4, board: 2 }) }] }) };
const rest = { url: "https://example.upstash.io", token: "the-rest-token" };
const binding = { limit: async () => ({ success: true }) };

const FUNCTION = "later";
const MS = Number.NaN;
const sqlBoard = { table: "a b", timeoutMs: MS, random: FUNCTION };
const sqlStore = { table: "a b", timeoutMs: 0, clock: FUNCTION };

/** How a message names a member that it does not name by its path. */
const WORDS: Record<string, RegExp> = {
  method: /method|Cannot route/,
  params: /params|parameters/,
  weights: /"risk/,
  limits: /limit/,
  action: /action/,
};

/** By subpath and export. A text says why a function takes no options. */
const EXPORTS: Record<string, Record<string, string | ((exported: (...given: never[]) => unknown) => Bag[])>> = {
  "./tokens": {
    createTokens: (createTokens) => [
      {
        of: "createTokens",
        good: { secrets: SECRET },
        use: (options) => call(createTokens, options),
        impossible: { secrets: 5, issuer: 5, audience: [], clockTolerance: "5", maxTtl: 0, clock: 5, random: {} },
      },
      {
        of: "a secret",
        good: { kid: "a", secret: SECRET },
        use: (options) => call(createTokens, { secrets: options }),
        impossible: { kid: 5, secret: "short" },
      },
      { of: "sign", good: { ttl: 60 }, use: (options) => call(ring().sign, "a+jwt", {}, options), impossible: { ttl: MS } },
    ],
    createSubkeys: (createSubkeys) => [
      {
        of: "a secret",
        good: { kid: "a", secret: SECRET },
        use: (options) => call(createSubkeys, options),
        impossible: { kid: "", secret: 5 },
      },
    ],
    weakSecrets: (weakSecrets) => [
      {
        of: "a secret",
        good: { kid: "a", secret: SECRET },
        use: (options) => call(weakSecrets, options),
        impossible: { kid: "", secret: 5 },
      },
    ],
  },
  "./turnstile": {
    createTurnstile: (create) => [
      {
        of: "createTurnstile",
        good: turnstile,
        use: (options) => call(create, options),
        impossible: {
          secret: "0x4AAAAAAAC3DHQFLr1GavRN",
          allowedHostnames: "game.example",
          maxAge: MS,
          timeoutMs: -1,
          retries: 6,
          siteverifyUrl: "https://evil.example/",
          fetch: FUNCTION,
          allowTestKeys: "false",
          clock: FUNCTION,
          random: FUNCTION,
        },
      },
      { of: "verify", use: (options) => call(createTurnstile(turnstile).verify, "", options), impossible: {}, besides: "anything" },
    ],
    withBreaker: (withBreaker) => [
      {
        of: "withBreaker",
        use: (options) => call(withBreaker, createTurnstile(turnstile), options),
        impossible: { failures: 0, openFor: MS, clock: FUNCTION },
      },
    ],
  },
  "./store": {
    memoryStore: (create) => [{ of: "memoryStore", use: (options) => call(create, options), impossible: { maxKeys: 0, clock: FUNCTION } }],
    isUsesQuota: "a quota is checked by the store that it is spent on",
    partitionOf: "takes a text",
    rateKey: "takes what validateRules has checked",
    usesKey: "takes texts",
  },
  ".": {
    createGate: (create) => [
      {
        of: "createGate",
        good: { secrets: SECRET, turnstile },
        use: (options) => call(create, options),
        besides: "function",
        impossible: {
          secrets: "short",
          turnstile: "0x4AAAAAAA_your_secret",
          store: "redis://localhost",
          rateStore: {},
          session: 300,
          identify: {},
          issuer: 5,
          audience: [],
          clockTolerance: 61,
          allowedOrigins: "https://game.example",
          publicUrl: 5,
          clientIp: "forwarded",
          limits: [],
          onStoreError: "ignore",
          origin: {},
          features: {},
          mode: "enforced",
          basePath: "api",
          onEvent: "log",
          onError: "log",
          clock: 5,
          random: 4,
          fetch: "https://proxy.example",
        },
      },
      {
        of: "createGate of a function",
        good: sound(),
        use: (options) => createGate(() => options as GateOptions).for({}),
        impossible: { mode: "on" },
      },
      {
        of: "turnstile",
        good: turnstile,
        use: (options) => call(create, within("turnstile", options)),
        impossible: {
          secret: "1x00000000000000000000AA",
          sitekey: "0x4AAAAAAADnPIDROzbs0Aaj-7V1uIZPS8x",
          allowedHostnames: "game.example",
          maxAge: MS,
          timeoutMs: -1,
          retries: 6,
          siteverifyUrl: "https://evil.example/",
          fetch: FUNCTION,
          allowTestKeys: "false",
          clock: FUNCTION,
          random: FUNCTION,
          onUnavailable: "allow",
        },
      },
      {
        of: "session",
        use: (options) => call(create, within("session", options)),
        impossible: { ttl: MS, uses: -1, actions: "score_submit", bind: "ip", subject: "anna" },
      },
      {
        of: "clientIp, of proxies",
        good: { trustedProxies: ["10.0.0.0/8"] },
        use: (options) => call(create, within("clientIp", options)),
        besides: "function",
        impossible: { trustedProxies: "10.0.0.0/8", source: "x-real-ip" },
      },
      {
        of: "clientIp, of a header",
        good: { header: "x-real-ip" },
        use: (options) => call(create, within("clientIp", options)),
        besides: "function",
        impossible: { header: 5 },
      },
      {
        of: "a rule",
        good: rule,
        use: (options) => call(create, within("limits", { session: [options] })),
        impossible: { name: "a b", limit: MS, window: -1, by: "adress", onStoreError: "ignore" },
      },
      {
        of: "a secret",
        good: { kid: "a", secret: SECRET },
        use: (options) => call(create, within("secrets", options)),
        impossible: { kid: 5, secret: "short" },
      },
      {
        of: "a feature",
        good: { name: "a" },
        use: feature,
        impossible: {
          name: 5,
          routes: {},
          actions: "score_submit",
          limits: [],
          jobs: { a: 5 },
          guard: 5,
          report: 5,
          reports: "a",
          signals: 5,
          on: 5,
          check: 5,
        },
      },
      {
        of: "a route",
        good: { method: "GET", path: "/x", handle: async () => new Response() },
        use: (options) => feature({ name: "a", routes: [options] }),
        impossible: { method: "get", path: 5, base: "no", maxBody: MS, handle: "x" },
      },
      {
        of: "protect",
        use: (options) => call(createGate(sound()).protect, request(), options),
        impossible: { scope: 5, action: "unheard_of", cost: MS, subject: 5, limits: "session" },
      },
      {
        of: "guard",
        use: (options) => call(createGate(sound()).guard, () => new Response(), options),
        impossible: { scope: 5, action: "unheard_of", cost: -1, subject: 5, limits: ["unheard of"] },
      },
      {
        of: "guard of a gate of a function",
        use: (options) => call(createGate(() => sound()).guard, () => new Response(), options),
        impossible: { scope: 5, cost: 1.5, limits: "session" },
      },
      {
        of: "admit of a route",
        use: admitting,
        impossible: {
          scope: 5,
          action: "unheard_of",
          cost: MS,
          subject: 5,
          limits: "session",
          quotas: {},
          strict: "no",
          open: "no",
          subjects: { emial: "x" },
        },
      },
      {
        of: "report",
        use: (options) => call(createGate(guarded()).report, request(), "login_failed", options),
        impossible: { weight: MS },
      },
      {
        of: "sessions.exchange",
        use: (options) => call(createGate(sound()).sessions.exchange, "", options),
        impossible: { remoteip: 5, playerToken: 5, route: 5 },
      },
      {
        of: "kernel.limits.charge",
        use: (options) => call(kernelOf().limits.charge, ["session"], { ip: "203.0.113.7" }, options),
        impossible: { cost: MS },
      },
      {
        of: "identify's answer",
        use: (identity) => call(createGate({ ...sound(), identify: () => identity as object }).protect, request()),
        besides: "promise",
        impossible: {},
      },
    ],
    createLimiter: (create) => [
      {
        of: "createLimiter",
        good: { store: memoryStore(), rules: [rule] },
        use: (options) => call(create, options),
        impossible: { store: "redis://localhost", rules: rule, subjects: "ip", onStoreError: "ignore", clock: FUNCTION },
      },
      {
        of: "a rule",
        good: rule,
        use: (options) => call(create, { store: memoryStore(), rules: [options] }),
        impossible: { name: 5, limit: 0, window: "60", by: [], onStoreError: {} },
      },
      { of: "limit's subjects", use: (options) => call(limiter().limit, options), impossible: {} },
      { of: "peek's subjects", use: (options) => call(limiter().peek, options), impossible: {} },
      {
        of: "block",
        use: (options) => call(limiter().block, { ip: "203.0.113.7" }, 0, options),
        impossible: { rule: "unheard of", prefix: 32 },
      },
    ],
    optionsFromEnv: "an environment holds more than ours; what it may not be is below",
    contentSecurityPolicy: (policy) => [
      {
        of: "directives",
        use: (options) => call(policy, options),
        impossible: { "script-src": 5, "script-scr": "'self'", "img-src": "a;b" },
      },
    ],
    requireCloudflare: (requires) => [
      { of: "requireCloudflare", use: (options) => call(requires, options), impossible: { ranges: "everybody", secret: "x", mtls: "x" } },
      {
        of: "secret",
        good: { header: "x-origin", value: "0123456789abcdef0123456789abcdef" },
        use: (secret) => call(requires, { secret }),
        impossible: { header: "a b", value: "short" },
      },
      {
        of: "mtls",
        good: { header: "x-verified", value: "yes", proxies: ["10.0.0.0/8"] },
        use: (mtls) => call(requires, { mtls }),
        impossible: { header: 5, value: "", proxies: [] },
      },
    ],
    GatepassError: "an error's options are the platform's",
    isGatepassError: "takes a value and a code",
  },
  "./scores": {
    scores: (make) => [
      {
        of: "scores",
        good: { board: memoryBoard() },
        use: (options) => call(createGate, within("features", [call(make, options)] as never)),
        impossible: { board: "sqlite", boards: [], moderation: ["a token"], cache: "yes", action: 5 },
      },
      {
        of: "a board",
        use: (options) => call(createGate, within("features", [call(make, { board: memoryBoard(), boards: { main: options } })] as never)),
        impossible: { minLevel: "sure", require: "nothing", min: MS, max: "9", order: "up", operator: "max", names: "free" },
      },
      {
        of: "names",
        use: (names) => call(createGate, within("features", [call(make, { board: memoryBoard(), boards: { main: { names } } })] as never)),
        impossible: { typed: "no", filter: ["bad"], generate: "x" },
      },
      {
        of: "moderation",
        good: { tokens: ["a moderation token of 32 characters"] },
        use: (moderation) => call(createGate, within("features", [call(make, { board: memoryBoard(), moderation })] as never)),
        impossible: { tokens: "a moderation token of 32 characters" },
      },
    ],
    memoryBoard: (make) => [{ of: "memoryBoard", use: (options) => call(make, options), impossible: { random: FUNCTION } }],
    signCommitment: (sign) => [
      {
        of: "claims",
        good: { score: 1, ts: 1, game: "g", board: "main", sub: "p", level: "claimed" },
        use: (claims) => call(sign, ring(), claims),
        impossible: {},
      },
    ],
    cleanName: "takes a text",
    foldName: "takes a text",
    generatedName: "takes a text",
    periodsOf: "takes an instant",
  },
  "./game": {
    defineGame: (define) => [
      {
        of: "defineGame",
        good: definition,
        use: (options) => call(define, options),
        impossible: {
          id: "A",
          version: 0,
          hz: MS,
          maxTicks: -1,
          segmentTicks: 0,
          input: "edge",
          params: {},
          init: 5,
          step: 5,
          done: 5,
          score: 5,
          hash: 5,
        },
      },
      {
        of: "input",
        good: { bits: 1, kind: "edge" },
        use: (input) => call(define, { ...definition, input }),
        impossible: { bits: 9, kind: "tap" },
      },
    ],
    createSimulation: (create) => [
      {
        of: "createSimulation",
        good: { seed: new Uint8Array(16) },
        use: (options) => call(create, game, options),
        impossible: { seed: "seed", params: {} },
      },
    ],
    simulate: (run) => [
      {
        of: "simulate",
        good: { seed: new Uint8Array(16), inputs: [] },
        use: (options) => call(run, game, options),
        impossible: { seed: new Uint8Array(8), params: {}, inputs: 5 },
      },
    ],
    createHasher: "takes nothing",
    createRng: "takes a seed",
  },
  "./client": {
    createClient: (create) => [
      {
        of: "createClient",
        good: { sitekey: "0x4EXAMPLE" },
        use: (options) => call(create, options),
        impossible: {
          sitekey: "a b",
          baseUrl: 5,
          origins: "https://game.example",
          action: "a b",
          container: 5,
          label: 5,
          nonce: 5,
          scriptUrl: 5,
          refreshBefore: MS,
          watchdogMs: -1,
          theme: "blue",
          language: 5,
          player: {},
          fetch: {},
          onState: "log",
        },
      },
      ...["token", "session", "scores"].map(
        (method): Bag => ({ of: method, use: (options) => refused(client()[method], options), impossible: {}, besides: "anything" }),
      ),
      {
        of: "submitScore",
        good: { score: 1 },
        use: (options) => refused(client()["submitScore"], options),
        impossible: {},
        besides: "anything",
      },
      { of: "commit", good: { score: 1 }, use: (options) => refused(client()["commit"], options), impossible: {}, besides: "anything" },
    ],
    GatepassError: "an error's options are the platform's",
    isGatepassError: "takes a value and a code",
  },
  "./client/clearance": {
    withClearance: (wrap) => [
      {
        of: "withClearance",
        use: (options) => call(wrap, client(), options),
        impossible: { deviceId: "a b", baseUrl: 5, origins: "https://game.example", fetch: {} },
      },
    ],
  },
  "./emulator": {
    createTurnstileEmulator: (create) => [
      {
        of: "createTurnstileEmulator",
        use: (options) => call(create, options),
        impossible: { clock: 5, widgets: {}, faults: "hang", random: 5 },
      },
      {
        of: "a widget",
        good: { sitekey: "0x4EXAMPLE", secrets: ["0x4EXAMPLE_SECRET"] },
        use: (widget) => call(create, { widgets: [widget] }),
        impossible: {
          sitekey: "a b",
          secrets: "0x4EXAMPLE_SECRET",
          mode: "visible",
          hostnames: "localhost",
          interactive: "no",
          disabled: 1,
        },
      },
      {
        of: "control.mint",
        use: (options) => call(emulator(create).control.mint, options),
        impossible: { sitekey: "0x4NOBODY", action: "A B", cdata: "a b", hostname: 5, interactive: "no", ephemeralId: 5 },
      },
      {
        of: "control.fault",
        good: { kind: "hang" },
        use: (options) => call(emulator(create).control.fault, options),
        impossible: { kind: "hung", times: MS, spend: "no" },
      },
      {
        of: "control.fault of a status",
        good: { kind: "status" },
        use: (options) => call(emulator(create).control.fault, options),
        impossible: { status: 99, times: 0 },
      },
    ],
  },
  "./testing": {
    testStore: (suite) => [
      {
        of: "what make gives",
        good: { store: memoryStore() },
        use: (under) => firstTest(suite as never, under),
        besides: "promise",
        impossible: { store: {}, advance: 5, dump: 5, another: 5, hang: 5, timeoutMs: MS, bounded: 5, schedules: 0, dispose: 5 },
      },
    ],
    testBoard: (suite) => [
      {
        of: "what make gives",
        good: { board: memoryBoard() },
        use: (under) => firstTest(suite as never, under),
        besides: "promise",
        impossible: { board: {}, reopen: 5, dispose: 5 },
      },
    ],
    eventRecorder: "takes nothing",
  },
  "./clearance": {
    clearance: (make) => [
      {
        of: "clearance",
        good: { policy: {} },
        use: (options) => call(createGate, within("features", [call(make, options)] as never)),
        impossible: {
          policy: { always: [] },
          when: { reads: true },
          risk: { vpn: { points: MS } },
          signals: {},
          limits: { "clearance.attempt": [] },
          sharedAddress: 0,
          mobilePath: "//x",
          bridgeOrigins: ["https://*.example.com"],
          scriptUrl: "javascript:alert(1)",
        },
      },
      {
        of: "a weight",
        good: { points: 5 },
        use: (vpn) => call(createGate, within("features", [call(make, { policy: {}, risk: { vpn } })] as never)),
        impossible: { points: 101, below: "5", over: MS },
      },
      {
        of: "an entry of the policy",
        good: { path: "/x" },
        use: (entry) => call(createGate, within("features", [call(make, { policy: { risk_based: [entry] } })] as never)),
        impossible: { path: "x", ttl: 5, max_uses: MS, mode: "on", when: "unheard_of", limits: ["unheard of"] },
      },
    ],
    explainPolicy: (explain) => [
      {
        of: "the question",
        good: { path: "/x" },
        use: (question) => call(explain, {}, question),
        impossible: { path: 5, method: 5, signals: [], shared: "x", holds: "x", weights: { botScore: { pionts: 5 } } },
      },
    ],
    parsePolicy: (parse) => [
      {
        of: "the document",
        use: (document) => call(parse, document),
        impossible: { always_require_clearance: "/x", risk_based: {}, never_require_clearance: 5 },
      },
    ],
    assessRisk: (assess) => [
      { of: "a weight", good: { points: 5 }, use: (vpn) => call(assess, {}, { vpn }), impossible: { points: MS, below: "5", over: null } },
    ],
  },
  "./adapters/cloudflare-kv": {
    kvStore: (make) => [
      {
        of: "kvStore",
        use: (options) => call(make, kv, options),
        impossible: { acceptDoubleSpends: "no", prefix: 5, timeoutMs: MS, clock: FUNCTION },
      },
    ],
  },
  "./adapters/cloudflare-ratelimit": {
    rateLimitBinding: (make) => [
      {
        of: "rateLimitBinding",
        use: (options) => call(make, [{ binding, limit: 5, window: 10 }], options),
        impossible: { otherwise: {}, rules: {}, timeoutMs: MS, clock: FUNCTION },
      },
      {
        of: "a binding",
        good: { binding, limit: 5, window: 10 },
        use: (one) => call(make, [one]),
        impossible: { binding: "BURST", limit: 0, window: 30 },
      },
    ],
  },
  "./adapters/d1": {
    d1Store: (make) => [{ of: "d1Store", use: (options) => call(make, d1, options), impossible: sqlStore }],
    d1Board: (make) => [{ of: "d1Board", use: (options) => call(make, d1, options), impossible: sqlBoard }],
    migrate: (migrate) => [{ of: "migrate", use: (options) => call(migrate, d1, options), impossible: { table: "a b", timeoutMs: MS } }],
  },
  "./adapters/deno-kv": {
    denoKvStore: (make) => [
      { of: "denoKvStore", use: (options) => call(make, denoKv, options), impossible: { prefix: 5, timeoutMs: MS, clock: FUNCTION } },
    ],
  },
  "./adapters/durable-object": {
    durableObjectStore: (make) => [
      {
        of: "durableObjectStore",
        use: (options) => call(make, namespace, options),
        impossible: { shards: 0, prefix: 5, timeoutMs: MS, locationHint: "mars" },
      },
    ],
    gatepassObject: (make) => [{ of: "gatepassObject", use: (options) => call(make, Object, options), impossible: { clock: FUNCTION } }],
  },
  "./adapters/node": { toNode: "takes a gate or a handler; what it may not be is below" },
  "./adapters/postgres": {
    postgresStore: (make) => [
      {
        of: "postgresStore",
        use: (options) => call(make, postgres, options),
        impossible: { schema: "a b", prefix: 5, timeoutMs: MS, clock: FUNCTION },
      },
    ],
    postgresBoard: (make) => [
      {
        of: "postgresBoard",
        use: (options) => call(make, postgres, options),
        impossible: { schema: 5, prefix: "a b", timeoutMs: MS, random: FUNCTION },
      },
    ],
    migrate: (migrate) => [
      {
        of: "migrate",
        use: (options) => call(migrate, postgres, options),
        impossible: { schema: "a b", prefix: 5, timeoutMs: MS, recount: 1 },
      },
    ],
  },
  "./adapters/redis": {
    redisStore: (make) => [
      {
        of: "redisStore",
        use: (options) => call(make, redis, options),
        impossible: { prefix: "{a}", timeoutMs: MS, waitReplicas: 17, waitTimeoutMs: 0, clock: FUNCTION },
      },
    ],
    redisBoard: (make) => [
      { of: "redisBoard", use: (options) => call(make, redis, options), impossible: { prefix: "{a}", timeoutMs: MS, random: FUNCTION } },
    ],
    migrate: (migrate) => [
      { of: "migrate", use: (options) => call(migrate, emptyRedis, options), impossible: { prefix: "{a}", timeoutMs: MS } },
    ],
  },
  "./adapters/sqlite": {
    sqliteStore: (make) => [
      { of: "sqliteStore", use: (options) => call(make, new DatabaseSync(":memory:"), options), impossible: sqlStore },
    ],
    sqliteBoard: (make) => [
      { of: "sqliteBoard", use: (options) => call(make, new DatabaseSync(":memory:"), options), impossible: sqlBoard },
    ],
    migrate: (migrate) => [
      {
        of: "migrate",
        use: (options) => call(migrate, new DatabaseSync(":memory:"), options),
        impossible: { table: "a b", timeoutMs: MS },
      },
    ],
  },
  "./adapters/upstash": {
    upstashStore: (make) => [
      { of: "upstashStore", use: (options) => call(make, rest, options), impossible: { prefix: "{a}", timeoutMs: MS, clock: FUNCTION } },
      {
        of: "an address",
        good: rest,
        use: (options) => call(make, options),
        impossible: { url: "ftp://example", token: "a b", fetch: FUNCTION },
      },
    ],
  },
};

/** The source of a subpath, as the build has it. */
function sourceOf(subpath: string): string {
  const files = [
    `${subpath.slice(2)}.ts`,
    `src/${subpath.slice(2)}.ts`,
    `src/${subpath.slice(2)}/index.ts`,
    `${subpath.slice(2)}/index.ts`,
  ];
  return files.find((file) => existsSync(root + file)) ?? "src/index.ts";
}

const manifest: { exports: Record<string, unknown> } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const subpaths = Object.keys(manifest.exports).filter((subpath) => typeof manifest.exports[subpath] !== "string");
const exported = new Map<string, Record<string, unknown>>();
for (const subpath of subpaths) exported.set(subpath, await import(root + sourceOf(subpath)));

/** What a call comes to: the error, or undefined. */
async function outcome(use: () => unknown): Promise<unknown> {
  try {
    await use();
    return undefined;
  } catch (error) {
    return error;
  }
}
const isRefusal = (error: unknown, name: string): boolean =>
  (error instanceof TypeError || error instanceof RangeError) && error.message.includes(name);

describe("every exported function", () => {
  it("is listed here, with each bag of options that it takes or the reason why it takes none", () => {
    for (const subpath of subpaths) {
      const known = {
        ...EXPORTS[subpath],
        ...(subpath === "." && { ...EXPORTS["./tokens"], ...EXPORTS["./turnstile"], ...EXPORTS["./store"] }),
      };
      const functions = Object.entries(exported.get(subpath) ?? {}).filter(([, value]) => typeof value === "function");
      expect([subpath, Object.keys(known).sort()]).toEqual([subpath, functions.map(([name]) => name).sort()]);
    }
    expect(Object.keys(EXPORTS).sort()).toEqual([...subpaths].sort());
  });
});

const cases = Object.entries(EXPORTS).flatMap(([subpath, functions]) =>
  Object.entries(functions).flatMap(([name, bags]) => {
    const target = exported.get(subpath)?.[name];
    if (typeof bags === "string" || typeof target !== "function") return [];
    return bags((...given) => Reflect.apply(target, undefined, given)).map((bag): [string, Bag] => [`${subpath} ${name}: ${bag.of}`, bag]);
  }),
);

describe.each(cases)("%s", (_, { good = {}, use, impossible, besides }) => {
  it("takes what is right", async () => {
    expect(await outcome(() => use({ ...good }))).toBeUndefined();
  });

  it("refuses an unknown member by name, an own one or an inherited one, and names that every object has", async () => {
    for (const name of ["nonsense", "constructor", "toString", "hasOwnProperty"]) {
      const error = await outcome(() => use({ ...good, [name]: undefined }));
      expect([name, isRefusal(error, name), String(error)]).toEqual([name, true, expect.any(String)]);
    }
    const proto = await outcome(() => use({ ...good, ...JSON.parse('{"x":1}'), nonsense: true }));
    expect(isRefusal(proto, "x") || isRefusal(proto, "nonsense")).toBe(true);
  });

  it("refuses each member that is misspelt", async () => {
    for (const name of [...Object.keys(good), ...Object.keys(impossible)]) {
      const misspelt = `${name.slice(0, 1)}${name.slice(2)}x`;
      const error = await outcome(() => use({ ...good, [misspelt]: 1 }));
      expect([misspelt, isRefusal(error, misspelt), String(error)]).toEqual([misspelt, true, expect.any(String)]);
    }
  });

  it.each(Object.entries(impossible))("refuses %s: %j", async (name, value) => {
    const error = await outcome(() => use({ ...good, [name]: value }));
    expect([isRefusal(error, ""), String(error)]).toEqual([true, expect.any(String)]);
    // By its path; a few in words of their own.
    expect(String(error)).toMatch(WORDS[name] ?? new RegExp(name));
    expect(String(error)).not.toMatch(/is not a function|undefined \(reading|not iterable/);
  });

  if (besides === "anything") return;
  it("refuses what is no bag: it would pass for one without a member", async () => {
    const none = [new Map(), new Headers(), new Date(), 5, true, "nonsense", Symbol("x")];
    if (besides !== "promise") none.push(Promise.resolve(good) as never);
    if (besides !== "function") none.push((() => good) as never);
    for (const nothing of none) {
      const error = await outcome(() => use(nothing as object));
      const what = Object.prototype.toString.call(nothing);
      expect([what, isRefusal(error, ""), String(error)]).toEqual([what, true, expect.any(String)]);
    }
  });
});

describe("what is no client, no gate and no environment", () => {
  const of = (subpath: string, name: string, ...given: unknown[]): unknown =>
    Reflect.apply(Object(exported.get(subpath))[name], undefined, given);
  const NONE = ["scores.sqlite", "redis://localhost", 5, null, {}, [], () => undefined, new Map()];
  it.each([
    ["./adapters/sqlite", "sqliteStore"],
    ["./adapters/sqlite", "sqliteBoard"],
    ["./adapters/sqlite", "migrate"],
    ["./adapters/redis", "redisStore"],
    ["./adapters/redis", "redisBoard"],
    ["./adapters/redis", "migrate"],
    ["./adapters/postgres", "postgresStore"],
    ["./adapters/postgres", "postgresBoard"],
    ["./adapters/postgres", "migrate"],
    ["./adapters/d1", "d1Store"],
    ["./adapters/d1", "d1Board"],
    ["./adapters/d1", "migrate"],
    ["./adapters/deno-kv", "denoKvStore"],
    ["./adapters/cloudflare-kv", "kvStore"],
    ["./adapters/cloudflare-ratelimit", "rateLimitBinding"],
    ["./adapters/durable-object", "durableObjectStore"],
    ["./adapters/upstash", "upstashStore"],
    ["./client/clearance", "withClearance"],
    ["./turnstile", "withBreaker"],
    ["./game", "createSimulation"],
    ["./game", "simulate"],
  ])("%s %s refuses a text, an empty object and the like in place of its client", async (subpath, name) => {
    for (const none of NONE) {
      const error = await outcome(() => of(subpath, name, none));
      expect([String(none), error instanceof TypeError, String(error)]).toEqual([String(none), true, expect.any(String)]);
    }
  });

  it("toNode refuses what can serve nothing: every request would be an error", async () => {
    for (const none of [{}, { fetch: () => undefined }, { handle: () => undefined }, "gate", 5, null, undefined, []]) {
      expect((await outcome(() => of("./adapters/node", "toNode", none))) instanceof TypeError).toBe(true);
    }
    expect(await outcome(() => of("./adapters/node", "toNode", createGate(sound())))).toBeUndefined();
    expect(await outcome(() => of("./adapters/node", "toNode", async () => new Response()))).toBeUndefined();
  });

  it("optionsFromEnv refuses what is no environment", async () => {
    for (const none of ["PORT=1", 5, null, undefined, ["x"], () => ({})]) {
      expect((await outcome(() => of(".", "optionsFromEnv", none))) instanceof TypeError).toBe(true);
    }
  });

  it("guard refuses what is no handler", () => {
    for (const none of [undefined, {}, new Response()]) expect(() => call(createGate(sound()).guard, none)).toThrow(TypeError);
  });
});

describe("what is reported and revoked", () => {
  it("a signal that nothing declares is refused: misspelt, it would count nothing", async () => {
    const { report } = createGate(guarded());
    for (const signal of ["login_faild", "LOGIN_FAILED", "failedLogins", "", undefined, 5]) {
      expect((await outcome(() => call(report, request(), signal))) instanceof TypeError).toBe(true);
    }
    for (const signal of ["login_failed", "login_succeeded", "otp_requested", "honeypot_tripped"]) {
      expect(await outcome(() => call(report, request(), signal))).toBeUndefined();
      // Where nothing counts it, it is a signal all the same: clearance may be left out in development.
      expect(await outcome(() => call(createGate(sound()).report, request(), signal))).toBeUndefined();
    }
  });

  it("a feature declares signals of its own, and hears them", async () => {
    const heard: string[] = [];
    const chat = { name: "chat", reports: ["spam_reported"], report: async (_: Request, signal: string) => void heard.push(signal) };
    const gate = createGate({ ...sound(), features: [() => chat] });
    await gate.report(request(), "spam_reported");
    await expect(gate.report(request(), "spam_reportd")).rejects.toThrow(/"spam_reported"/);
    expect(heard).toEqual(["spam_reported"]);
  });

  it("revoke refuses what is no id: a claim that is not there, or a whole token, would revoke nothing", async () => {
    const { revoke } = createGate(sound()).sessions;
    for (const none of [undefined, null, "", 5, {}, "x".repeat(129)]) {
      expect(isRefusal(await outcome(() => call(revoke, none)), "jti")).toBe(true);
    }
    expect(await outcome(() => revoke("an id"))).toBeUndefined();
  });

  it("the kernel's own options never reach the application: protect cannot be opened from outside", async () => {
    const { protect } = createGate(sound());
    for (const option of ["open", "quotas", "failures", "strict", "subjects"]) {
      await expect(call(protect, request(), { [option]: true })).rejects.toThrow(new RegExp(option));
    }
    // Not by a polluted prototype either.
    Object.defineProperty(Object.prototype, "open", { value: true, enumerable: true, configurable: true });
    const error = await outcome(() => call(protect, request(), {}));
    Reflect.deleteProperty(Object.prototype, "open");
    expect(isRefusal(error, '"open"')).toBe(true);
  });
});
