import { describe, expect, it } from "vitest";
import { clearance } from "../../../src/clearance/index.ts";
import { createGate, type GateOptions } from "../../../src/gate/index.ts";
import { SECRET } from "../../helpers/gate.ts";

const POLICY = { always_require_clearance: ["/v1/payment/*"] };
const turnstile = { secret: "0x4AAAAAAA_your_secret", sitekey: "0x4AAAAAAA_sitekey", allowedHostnames: ["game.example"] };
const make = (options: object, gate: Partial<GateOptions> = {}): unknown => {
  const feature = Reflect.apply(clearance, undefined, [{ policy: POLICY, ...options }]);
  return createGate({ secrets: SECRET, turnstile, features: [feature], ...gate });
};

describe("clearance()", () => {
  it.each([
    "https://app.example/",
    "https://app.example/path",
    "https://app.example:443",
    "HTTPS://app.example",
    "https://App.example",
    "https://*.app.example",
    "https://*",
    "*",
    "null",
    "app.example",
    "https://user@app.example",
    "https://app.example;script-src",
    "https://app.example 'unsafe-inline'",
    "https://app.example,https://b.example",
    "data:text/html,x",
    "javascript:1",
    "",
    5,
    ["https://app.example"],
  ])("refuses a bridge origin that is not exact: %j, which frames of others would be or which would change the page's policy", (origin) => {
    expect(() => make({ bridgeOrigins: [origin] })).toThrow(/"bridgeOrigins": expected an exact origin/);
    expect(() => make({ bridgeOrigins: ["https://good.example", origin] })).toThrow(TypeError);
  });

  it("takes exact ones, as a list alone", () => {
    for (const origin of [
      "https://app.example",
      "http://localhost:3000",
      "https://app.example:8443",
      "http://[::1]:3000",
      "http://10.0.2.2",
    ]) {
      expect(() => make({ bridgeOrigins: [origin] })).not.toThrow();
    }
    expect(() => make({ bridgeOrigins: "https://app.example" })).toThrow(/"bridgeOrigins": expected a list/);
  });

  it.each([
    "mobile",
    "/",
    "//mobile",
    "/mobile/",
    "/a//b",
    "/../mobile",
    "/a/./b",
    "/a/..",
    "/mobile?x=1",
    "/mobile#x",
    "/mobile page",
    "/%6dobile",
    "/:id",
    "/mobile*",
    `/${"a".repeat(128)}`,
    5,
    null,
  ])("refuses %j as mobilePath: no request would ever reach the page", (mobilePath) => {
    expect(() => make({ mobilePath })).toThrow(/"mobilePath"/);
  });

  it("takes paths of letters, digits, dots, dashes, and of several segments", () => {
    for (const mobilePath of ["/m", "/mobile-turnstile", "/security/v1.0/check_1", "/.well-known/check"]) {
      expect(() => make({ mobilePath })).not.toThrow();
    }
  });

  it.each([
    "api.js",
    "/turnstile/v0/api.js",
    "//challenges.cloudflare.com/api.js",
    "javascript:alert(1)",
    "data:text/javascript,1",
    "ftp://example/api.js",
    "https://user:password@example/api.js",
    "",
    5,
    null,
  ])("refuses %j as scriptUrl: the page would load nothing, or something else", (scriptUrl) => {
    expect(() => make({ scriptUrl })).toThrow(/"scriptUrl"/);
  });

  it("takes another script of the emulator's", () => {
    expect(() => make({ scriptUrl: "http://localhost:8788/turnstile/v0/api.js" })).not.toThrow();
  });

  it("refuses a condition that the policy names and nobody gives, and one that is no function", () => {
    const policy = { always_require_clearance: [{ path: "/x", when: "writes" }] };
    expect(() => make({ policy })).toThrow(/"writes"/);
    expect(() => make({ policy, when: {} })).toThrow(/"writes"/);
    expect(() => make({ policy, when: { write: () => true } })).toThrow(/"writes"/);
    expect(() => make({ policy, when: JSON.parse('{"__proto__":{"writes":true}}') })).toThrow(TypeError);
    for (const writes of [true, "writes", null]) expect(() => make({ policy, when: { writes } })).toThrow(/"when.writes"/);
    for (const when of [[], new Map([["writes", () => true]]), "writes"]) expect(() => make({ policy, when })).toThrow(/"when"/);
    expect(() => make({ policy, when: { writes: () => true, reads: () => false } })).not.toThrow();
  });

  it("refuses a limit that the policy names and nobody gives, and a misspelt one of its own: the defaults would stay in force", () => {
    const policy = { always_require_clearance: [{ path: "/x", limits: ["otp"] }] };
    const rules = [{ name: "a", limit: 1, window: 60, by: "ip" }];
    expect(() => make({ policy })).toThrow(/unknown limit "otp"/);
    expect(() => make({ policy, limits: { otpp: rules } })).toThrow(/unknown limit "otp"/);
    expect(() => make({ limits: { "clearance.attemps": rules } })).toThrow(/"clearance.attemps", did you mean "clearance.attempts"/);
    expect(() => make({ limits: { "clearance.attempts": rules[0] } })).toThrow(/"limits.clearance.attempts": expected a list/);
    for (const limits of [[], new Map(), "strict"]) expect(() => make({ limits })).toThrow(/"limits"/);
    expect(() => make({ policy, limits: { otp: rules, "clearance.attempts": rules } })).not.toThrow();
  });

  it.each(["polcy", "bridgeOrigin", "mobilepath", "scriptURL", "whn", "signal", "ttl"])(
    "refuses the misspelt option %s by name",
    (name) => {
      expect(() => make({ [name]: undefined })).toThrow(new RegExp(`unknown member "${name}"`));
    },
  );

  it("refuses a gate without a signing secret, and one without a Turnstile secret where anything is enforced", () => {
    expect(() => make({}, { secrets: undefined })).toThrow(/no signing secret/);
    expect(() => make({}, { secrets: [] })).toThrow(/no signing secret/);
    const without = { ...turnstile, secret: undefined };
    const enforcing = { always_require_clearance: [{ path: "/x", mode: "enforce" }] };
    expect(() => make({ policy: enforcing }, { turnstile: without, mode: "monitor" })).toThrow(/no Turnstile secret/);
    expect(() => make({}, { turnstile: without, mode: "monitor" })).not.toThrow();
    expect(() => make({ policy: enforcing }, { turnstile: without, mode: "off" })).not.toThrow();
  });

  it("refuses a policy that is not there yet: a promise would be one without an entry", () => {
    for (const policy of [Promise.resolve(POLICY), new Map(), [], "policy.json", undefined, null])
      expect(() => make({ policy })).toThrow(TypeError);
  });
});
