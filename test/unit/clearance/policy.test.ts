import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { examplePolicy } from "../../../src/clearance/example-policy.ts";
import { normalizePath } from "../../../src/clearance/paths.ts";
import { matchPolicy, parsePolicy } from "../../../src/clearance/policy.ts";

const never = (): boolean => false;
const policy = parsePolicy(examplePolicy);
const kindOf = async (path: string, method = "POST", of = policy): Promise<string> => (await matchPolicy(of, method, path, never)).kind;

describe("matchPolicy", () => {
  it.each([
    ["/api/auth/register", "always"],
    ["/api/otp/request", "always"],
    ["/api/mfa/send", "always"],
    ["/api/otp/verify", "always"],
    ["/api/payment/charge", "always"],
    ["/api/payment/a/b/c", "always"],
    ["/api/payment", "always"],
    ["/api/checkout/start", "always"],
    ["/api/promo/redeem", "always"],
    ["/api/coupon/apply", "always"],
    ["/api/auth/login", "risk"],
    ["/api/auth/forgot-password", "risk"],
    ["/api/search", "risk"],
    ["/api/products/search", "risk"],
    ["/api/graphql", "risk"],
    ["/health", "never"],
    ["/ready", "never"],
    ["/api/app-config", "never"],
    ["/api/version", "never"],
    ["/api/user/me", "unmatched"],
    ["/api/paymentx/charge", "unmatched"],
    ["/healthy", "unmatched"],
    ["/", "unmatched"],
  ])("the example policy has %s under %s", async (path, kind) => {
    expect(await kindOf(path)).toBe(kind);
  });

  // Each of these is /api/payment/charge to some router, proxy or framework in front of or behind the gate.
  it.each([
    "/api/payment/charge/",
    "/api//payment/charge",
    "//api/payment/charge",
    "/api/./payment/charge",
    "/api/x/../payment/charge",
    "/health/../api/payment/charge",
    "/health/..;/api/payment/charge",
    "/health/%2e%2e/api/payment/charge",
    "/health/%252e%252e/api/payment/charge",
    "/api/%70ayment/charge",
    "/api/%2570ayment/charge",
    "/api/%252570ayment/charge",
    "/api%2fpayment%2fcharge",
    "/api%252Fpayment/charge",
    "/API/Payment/CHARGE",
    "/api/PAYMENT%2Fcharge",
    "/api\\payment\\charge",
    "/api%5Cpayment%5Ccharge",
    "/api/payment;v=1/charge",
    "/api;x/payment/charge;y=2",
    "/api/payment/charge%3Fx=1",
    "/api/payment/charge%23top",
    "/api/payment/charge%00.html",
    "/api/payment/charge%0a",
    "/api/payment/%",
    "/health%",
    "/health/%ff",
    "/api/%25252525252570ayment/charge",
  ])("%s is not free", async (path) => {
    expect(await kindOf(path)).toBe("always");
  });

  // The other way round: a path that somebody resolves to a free one, and the application serves as it is written.
  it.each([
    "/api/payment/../../health",
    "/api/payment/%2e%2e/%2e%2e/health",
    "/api/payment/..%2f..%2fhealth",
    "/api/payment/..%252f..%252fhealth",
    "/api/payment/charge;/../../../health",
  ])("%s is not free either", async (path) => {
    expect(await kindOf(path)).toBe("always");
  });

  it("an encoding never makes a path freer (property)", async () => {
    const piece = fc.constantFrom("/", "//", "/./", "/../", "%2f", "%252f", ";", ";a=b", "\\", "%5c", "?", "%3f", "%00", "%", "A", "a");
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), fc.array(piece, { maxLength: 3 }), async (before, after) => {
        const path = `/${before.join("")}/api/payment/charge${after.length === 0 || after[0]?.startsWith("/") ? after.join("") : ""}`;
        const kind = await kindOf(path);
        // Whoever takes the path as plain text, or resolves it as URLs are, and gets to the protected one, must have been stopped.
        const plain = normalizePath(path);
        if (plain === "/api/payment/charge" || plain.startsWith("/api/payment/charge/")) expect(kind).toBe("always");
        expect(kind).not.toBe("never");
      }),
    );
  });

  it("a percent sign in a name is no reason to ask for more", async () => {
    expect([await kindOf("/api/files/100%25"), await kindOf("/api/files/caf%C3%A9")]).toEqual(["unmatched", "unmatched"]);
  });

  it("the most specific entry wins, of equals the strictest", async () => {
    const of = parsePolicy({
      always_require_clearance: ["/api/*", { path: "/api/a", method: "POST" }, "/same"],
      never_require_clearance: ["/api/public/*", { path: "/api/a", method: "GET" }, "/api/a/b", "/same"],
      risk_based: ["/api/public/search"],
    });
    expect(await kindOf("/api/x", "GET", of)).toBe("always");
    expect(await kindOf("/api/public/x", "GET", of)).toBe("never");
    expect(await kindOf("/api/public", "GET", of)).toBe("always");
    expect(await kindOf("/api/public/search", "GET", of)).toBe("risk");
    expect(await kindOf("/api/a", "GET", of)).toBe("never");
    expect(await kindOf("/api/a", "HEAD", of)).toBe("never");
    expect(await kindOf("/api/a", "post", of)).toBe("always");
    expect(await kindOf("/api/a/b", "POST", of)).toBe("never");
    expect(await kindOf("/same", "GET", of)).toBe("always");
  });

  it("a condition decides, is asked once, and fails on the strict side", async () => {
    const of = parsePolicy({
      always_require_clearance: [{ path: "/api/graphql", when: "mutation" }],
      never_require_clearance: [{ path: "/api/graphql", when: "introspection" }],
    });
    const asked: string[] = [];
    const ask = (truths: string[]) => (name: string) => {
      asked.push(name);
      return truths.includes(name);
    };
    expect((await matchPolicy(of, "POST", "/api//graphql", ask(["mutation"]))).kind).toBe("always");
    expect(asked.filter((name) => name === "mutation")).toHaveLength(1);
    expect((await matchPolicy(of, "POST", "/api/graphql", ask(["introspection"]))).kind).toBe("never");
    expect((await matchPolicy(of, "POST", "/api/graphql", ask([]))).kind).toBe("unmatched");
    const broken = (): boolean => {
      throw new Error("broken");
    };
    expect((await matchPolicy(of, "POST", "/api/graphql", broken)).kind).toBe("always");
    expect((await matchPolicy(parsePolicy({ never_require_clearance: [{ path: "/x", when: "y" }] }), "GET", "/x", broken)).kind).toBe(
      "unmatched",
    );
  });

  it("an unmatched path is its own scope", async () => {
    const { scope, action, ttl, maxUses } = await matchPolicy(policy, "GET", "/api/Thing/", never);
    expect({ scope, action, ttl, maxUses }).toEqual({ scope: "/api/thing", action: "thing", ttl: 900, maxUses: 20 });
  });

  it("lives and uses of the example policy are the ones that suit each", () => {
    const entry = (path: string): { ttl: number; maxUses: number } | undefined => policy.entries.find((one) => one.path === path);
    for (const [path, from, to, uses] of [
      ["/api/otp/request", 300, 600, 1],
      ["/api/payment/*", 300, 600, 1],
      ["/api/auth/register", 600, 900, 1],
      ["/api/auth/login", 900, 900, 20],
      ["/api/auth/forgot-password", 300, 900, 1],
      ["/api/promo/redeem", 300, 900, 1],
      ["/api/search", 900, 1800, 20],
    ] as const) {
      const { ttl = 0, maxUses } = entry(path) ?? {};
      expect([path, ttl >= from && ttl <= to, maxUses]).toEqual([path, true, uses]);
    }
  });
});

describe("parsePolicy", () => {
  it.each([
    [null, /the whole: expected object/],
    [[], /the whole: expected object/],
    [{ always: [] }, /the whole: unknown member "always"/],
    [{ always_require_clearance: "x" }, /always_require_clearance/],
    [{ always_require_clearance: ["api"] }, /always_require_clearance\.0/],
    [{ always_require_clearance: ["/api/%70ay"] }, /always_require_clearance\.0/],
    [{ always_require_clearance: ["/api/pay?x"] }, /always_require_clearance\.0/],
    [{ always_require_clearance: ["/api/*/pay"] }, /Invalid policy/],
    [{ always_require_clearance: ["/api/pay*"] }, /whole segments/],
    [{ always_require_clearance: [{ path: "/a", ttl: 299 }] }, /always_require_clearance\.0\.ttl: expected at least 300/],
    [{ always_require_clearance: [{ path: "/a", ttl: 1801 }] }, /always_require_clearance\.0/],
    [{ always_require_clearance: [{ path: "/a", max_uses: 0 }] }, /always_require_clearance\.0/],
    [{ always_require_clearance: [{ path: "/a", action: "Über" }] }, /always_require_clearance\.0/],
    [{ always_require_clearance: [{ path: "/a", unknown: 1 }] }, /always_require_clearance\.0: unknown member "unknown"/],
    [{ always_require_clearance: ["/a", "/A/"] }, /twice/],
  ])("refuses %j", (document, message) => {
    expect(() => parsePolicy(document)).toThrow(TypeError);
    expect(() => parsePolicy(document)).toThrow(message);
  });

  it("names the conditions it uses", () => {
    expect(parsePolicy({ risk_based: [{ path: "/a", when: "x" }, { path: "/b", when: "x" }, "/c"] }).conditions).toEqual(["x"]);
  });
});
