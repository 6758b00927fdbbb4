import { describe, expect, it } from "vitest";
import type { EventReason } from "../../../src/events/types.ts";
import { createCore } from "../../../src/gate/core.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { Feature, GateOptions, Route } from "../../../src/gate/types.ts";
import { memoryStore, type Store } from "../../../src/store/index.ts";
import { ACTION, emulated, kit, ORIGIN, SECRET } from "./kit.ts";

const turnstile = { secret: "0x4AAAAAAA_your_secret", allowedHostnames: ["game.example"] };
const exact = (): Store => ({ ...memoryStore(), consistency: "exact" });
/** Options that nothing is wrong with. */
const sound = (): Partial<GateOptions> => ({ turnstile, store: exact() });
/** What creation says of options that were not type checked. */
const refusal = (options: object): unknown => {
  try {
    // What createGate calls at once: the tests' own createGate has hooks of its own.
    Reflect.apply(createCore, undefined, [{ secrets: SECRET, ...sound(), ...options }]);
    return undefined;
  } catch (error) {
    return error;
  }
};

describe("findings of the options", () => {
  it("none where nothing is wrong", async () => {
    const at = kit(sound());
    await at.write();
    expect(await at.gate.check()).toEqual([]);
    expect(at.types()).not.toContain("config_warning");
  });

  it.each<[code: string, options: Partial<GateOptions>, reason: EventReason, option: string, severity: string, message: string]>([
    ["GP101", { mode: "monitor" }, "mode_monitor", "mode", "warning", 'Mode "monitor" refuses nobody'],
    ["GP102", { mode: "off" }, "mode_off", "mode", "error", 'Mode "off" checks nobody'],
    ["GP103", { turnstile: emulated }, "test_keys_allowed", "turnstile.allowTestKeys", "error", "Test keys let everybody pass"],
    [
      "GP104",
      { store: memoryStore() },
      "memory_store",
      "store",
      "warning",
      "The store lives in this process only. Other processes do not share it, and a restart clears it",
    ],
    [
      "GP105",
      { store: { ...memoryStore(), consistency: "approximate" } },
      "approximate_store",
      "store",
      "warning",
      "The store may admit a token twice",
    ],
    [
      "GP106",
      { secrets: [SECRET, "correct horse battery staple and more"] },
      "low_entropy_secret",
      "secrets",
      "error",
      "A signing secret looks guessable",
    ],
    ["GP107", { secrets: undefined }, "config", "secrets", "warning", "Without a signing secret there are no sessions"],
    [
      "GP108",
      { mode: "monitor", turnstile: { ...turnstile, secret: "" } },
      "config",
      "turnstile.secret",
      "error",
      "Without a Turnstile secret nobody is verified",
    ],
    ["GP109", { onStoreError: "allow" }, "config", "onStoreError", "warning", "While the store is down there are no limits"],
    [
      "GP110",
      { turnstile: { ...turnstile, onUnavailable: "degraded" } },
      "config",
      "turnstile.onUnavailable",
      "warning",
      "While Cloudflare is down everybody passes",
    ],
    [
      "GP111",
      { allowedOrigins: ["https://a.example", "http://b.example"] },
      "config",
      "allowedOrigins",
      "warning",
      "Without https anybody on the network can change the page",
    ],
    [
      "GP112",
      { turnstile: { ...turnstile, allowedHostnames: ["game.example", "localhost"] } },
      "config",
      "turnstile.allowedHostnames",
      "warning",
      "Solves of any localhost are accepted",
    ],
  ])("%s", async (code, options, reason, option, severity, message) => {
    const at = kit({ ...sound(), ...options, ...(options.store && { store: options.store }) });
    // Others may be found beside it: mode "monitor" is needed where the Turnstile secret is missing.
    expect((await at.gate.check()).filter((problem) => problem.code === code)).toEqual([
      { code, severity, message, fix: `Change "${option}"` },
    ]);
    await at.gate.fetch(new Request(`${ORIGIN}/api/read/1`));
    const warnings = at.events.filter(({ type }) => type === "config_warning");
    expect(warnings).toContainEqual(expect.objectContaining({ outcome: "info", reason, detail: `${code}: ${option}` }));
  });

  it.each([
    ["http://game.example", true],
    ["http://localhost.localdomain.example", false],
    ["http://localhosts.example", true],
    ["http://localhost:3000", false],
    ["http://127.0.0.1:8080", false],
    ["http://127x.example", true],
    ["https://game.example", false],
  ])("GP111 of the public address %s: %s", async (publicUrl, plain) => {
    const codes = (await kit({ ...sound(), publicUrl }).gate.check()).map(({ code }) => code);
    expect(codes).toEqual(plain ? ["GP111"] : []);
  });

  it("a check that fails is told by its name", async () => {
    const store: Store = { ...exact(), check: () => Promise.reject(new Error("no")) };
    const broken: Feature = { name: "mine", check: () => Promise.reject(new Error("no")) };
    const problem = (name: string): object => ({
      code: "GP120",
      severity: "error",
      message: `Cannot check the ${name}`,
      fix: "See whether its backend is up",
    });
    const gate = createGate({ secrets: SECRET, ...sound(), store, features: [() => broken] });
    expect(await gate.check()).toEqual([problem("store"), problem("mine")]);
  });
});

describe("options at their edges", () => {
  it.each([
    ["session", "ttl", 120, 900],
    ["session", "uses", 1, 1000],
    [undefined, "clockTolerance", 0, 60],
  ])("%s %s is an integer from %i to %i", (inner, name, min, max) => {
    const of = (value: unknown): unknown => refusal(inner === undefined ? { [name]: value } : { [inner]: { [name]: value } });
    expect([of(min), of(max)]).toEqual([undefined, undefined]);
    for (const value of [min - 1, max + 1, min + 0.5]) {
      const path = inner === undefined ? name : `${inner}.${name}`;
      expect(of(value)).toEqual(new RangeError(`Invalid "${path}": expected an integer from ${min} to ${max}, got ${value}`));
    }
    expect(of(`${min}`)).toBeInstanceOf(TypeError);
  });

  it.each([
    [{ mode: "on" }, 'Invalid "mode": expected one of "enforce", "monitor", "off", got on'],
    [{ onStoreError: "allowed" }, 'Invalid "onStoreError": expected one of "deny", "allow", got allowed'],
    [
      { turnstile: { ...turnstile, onUnavailable: "allow" } },
      'Invalid "turnstile.onUnavailable": expected one of "deny", "degraded", got allow',
    ],
    [{ session: { bind: "ip" } }, 'Invalid "session.bind": expected one of "none", "ip-prefix", "device", got ip'],
    [{ session: { tll: 300 } }, 'Invalid "session": unknown member "tll", expected one of ttl, uses, actions, bind, subject'],
    [{ store: {} }, 'Invalid "store.spend": expected a function, got undefined'],
    [{ store: { spend() {} } }, 'Invalid "store.refund": expected a function, got undefined'],
    [{ store: { spend() {}, refund() {} } }, 'Invalid "store.block": expected a function, got undefined'],
    [{ rateStore: { refund() {} } }, 'Invalid "rateStore.spend": expected a function, got undefined'],
    ...["identify", "onEvent", "onError", "fetch", "clock", "random", "origin"].map((name): [object, string] => [
      { [name]: 5 },
      `Invalid "${name}": expected a function, got 5`,
    ]),
    [{ session: { subject: "anna" } }, 'Invalid "session.subject": expected a function, got anna'],
    [{ session: { actions: [ACTION, "A"] } }, 'Invalid "session.actions": expected 1 to 32 of a-z 0-9 _ -, got A'],
    [{ session: { actions: [7] } }, 'Invalid "session.actions": expected 1 to 32 of a-z 0-9 _ -, got 7'],
    [{ session: { actions: ["a".repeat(33)] } }, `Invalid "session.actions": expected 1 to 32 of a-z 0-9 _ -, got ${"a".repeat(33)}`],
    [{ session: { actions: [""] } }, 'Invalid "session.actions": expected 1 to 32 of a-z 0-9 _ -, got '],
    [{ features: [{ name: "a" }] }, 'Invalid "features": expected a function'],
    [{ features: [() => ({ nam: "a" })] }, 'Invalid "feature": unknown member "nam", did you mean "name"?'],
    [{ limits: { nobody: [] } }, 'Unknown limit "nobody": expected one of session'],
  ])("%j is refused in words", (options, message) => {
    expect(refusal(options)).toMatchObject({ message: expect.stringContaining(message) });
  });

  it("mode enforce needs a Turnstile secret, the others do not", () => {
    const error = new TypeError('Cannot enforce: "turnstile.secret" is missing');
    for (const secret of [undefined, "", ["", ""]]) expect(refusal({ turnstile: { ...turnstile, secret } })).toEqual(error);
    expect(refusal({ turnstile: undefined })).toEqual(error);
    for (const mode of ["monitor", "off"]) expect(refusal({ mode, turnstile: { ...turnstile, secret: "" } })).toBeUndefined();
  });

  it.each([
    { clockTolerance: 50 },
    { maxAge: 0 },
    { maxAge: "300" },
    { timeoutMs: 0 },
    { retries: 6 },
    { siteverifyUrl: 5 },
    { fetch: 5 },
    { clock: 5 },
    { random: 5 },
    { allowTestKeys: "yes" },
    { allowedHostnames: ["https://game.example"] },
    { onUnavailable: "degrade" },
    { secretKey: "x" },
  ])("an option of Turnstile that cannot be honoured is refused by its name, with and without a secret: %j", (wrong) => {
    const [name = ""] = Object.keys(wrong);
    for (const secret of [turnstile.secret, undefined, "", [], [""]]) {
      const error = refusal({ mode: "monitor", turnstile: { ...turnstile, secret, ...wrong } });
      expect(error).toMatchObject({ message: expect.stringMatching(new RegExp(`^Invalid "turnstile.*${name}`)) });
    }
  });

  it("a hook may be left out as undefined", () => {
    const hooks = ["identify", "onEvent", "onError", "fetch", "origin"];
    expect(refusal(Object.fromEntries(hooks.map((name) => [name, undefined])))).toBeUndefined();
  });

  it.each(["", "/a", "/a.b/~c-d/e_1", "/0"])("the base path %j", (basePath) => {
    expect(refusal({ basePath })).toBeUndefined();
  });

  it.each(["api", "/", "/api/", "//", "/a b", "/a%20b", "/:a", "/a?b", "x/api"])("the base path %j is refused", (basePath) => {
    expect(refusal({ basePath })).toEqual(new TypeError(`Invalid "basePath": expected a path like "/api", got ${basePath}`));
  });

  it("actions of 1 to 32 characters", () => {
    for (const action of ["a", "a".repeat(32), "a_b-9"]) expect(refusal({ session: { actions: [action] } })).toBeUndefined();
  });

  it("tells the features what was resolved, and what the defaults are", () => {
    const { options } = kit({ ...sound(), turnstile: { ...emulated, sitekey: "0x4AAAAAAA_site" } }).kernel;
    expect(options).toEqual({
      mode: "enforce",
      basePath: "/api",
      audience: "game.example",
      clockTolerance: 5,
      sessionTtl: 300,
      sessionUses: 20,
      actions: [ACTION],
      bind: "none",
      allowedOrigins: [],
      publicUrl: undefined,
      onUnavailable: "deny",
      onStoreError: "deny",
      sitekey: "0x4AAAAAAA_site",
    });
    expect(kit({ ...sound(), audience: "mine" }).kernel.options.audience).toBe("mine");
    expect(kit({ mode: "off", turnstile: undefined, store: exact() }).kernel.options.audience).toBe("localhost");
  });
});

describe("features at creation", () => {
  const rule = { name: "r", limit: 1, window: 60, by: "ip" as const };
  const job = async () => ({ job: "x", swept: 0, kept: 0, tookMs: 0 });
  const handle: Route["handle"] = async () => new Response();
  const make = (...features: Partial<Feature>[]): unknown =>
    refusal({ features: features.map((feature) => () => ({ name: "x", ...feature })) });

  it.each([
    ["feature", "a", [{ name: "a" }, { name: "a" }]],
    ["feature", "kernel", [{ name: "kernel" }]],
    ["limit", "l", [{ name: "a", limits: { l: [rule] } }, { limits: { l: [rule] } }]],
    ["limit", "session", [{ limits: { session: [rule] } }]],
    ["job", "j", [{ name: "a", jobs: { j: job } }, { jobs: { j: job } }]],
    ["job", "sweep", [{ jobs: { sweep: job } }]],
  ])("a %s twice: %s", (what, name, features) => {
    expect(make(...features)).toEqual(new TypeError(`Cannot add the ${what} "${name}": it exists`));
  });

  it.each(["x", "", "/", "/x/", "//x", "/:", "/:1", "/x y", "/x%20", "/:a/:b/", "/ä", "/x:y", "z/x"])(
    "the path %j of a route is refused",
    (path) => {
      expect(make({ routes: [{ method: "GET", path, handle }] })).toEqual(new TypeError(`Cannot route the path "${path}"`));
    },
  );

  it.each(["HEAD", "OPTIONS", "get", "", "GET ", "PO ST", "1"])("the method %j of a route is refused", (method) => {
    // A method that no type checker saw.
    const route = Object.assign({ path: "/x", handle }, { method }) as Route;
    expect(make({ routes: [route] })).toEqual(new TypeError(`Cannot route ${method} /x`));
  });

  it.each([
    ["the same pattern", "/x/:a", "/x/:b"],
    ["the same path", "/x", "/x"],
  ])("one method twice at %s is refused", (_, first, second) => {
    const route = (path: string): Route => ({ method: "GET", path, handle });
    expect(make({ routes: [route(first), route(second)] })).toEqual(new TypeError(`Cannot route GET ${second}`));
    expect(make({ routes: [route(first), { ...route(second), method: "POST" }] })).toBeUndefined();
  });

  it("actions of features are added once each", () => {
    const { options } = kit({ ...sound(), features: [() => ({ name: "a", actions: ["spin", ACTION, "spin"] })] }).kernel;
    expect(options.actions).toEqual([ACTION, "spin"]);
    expect(refusal({ features: [() => ({ name: "a", actions: ["Spin"] })] })).toEqual(
      new TypeError('Invalid "feature.actions": expected 1 to 32 of a-z 0-9 _ -, got Spin'),
    );
  });

  it("a limit leaves room for a session's uses and a one-use id: 14 quotas", () => {
    const many = (count: number): object => ({ l: Array.from({ length: count }, (_, i) => ({ ...rule, name: `r${i}`, by: "route" })) });
    expect(make({ limits: many(14) as Feature["limits"] & object })).toBeUndefined();
    expect(make({ limits: many(15) as Feature["limits"] & object })).toBeInstanceOf(RangeError);
  });
});
