import { describe, expect, it, vi } from "vitest";
import { askCondition } from "../../../src/clearance/conditions.ts";
import { edgeSignals } from "../../../src/clearance/decide.ts";
import { methodsOf } from "../../../src/clearance/methods.ts";
import { matchesPath, readingsOf } from "../../../src/clearance/paths.ts";
import { allowsAmbiguous, matchPolicy, parsePolicy } from "../../../src/clearance/policy.ts";
import { EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { ORIGIN } from "../../helpers/gate.ts";
import { api, challengeOf } from "./tools.ts";

describe("the page for native apps", () => {
  const pageOf = async (bridgeOrigins?: string[]): Promise<Response> => {
    const turnstile = { secret: EMULATOR_SECRET, sitekey: EMULATOR_SITEKEY, allowedHostnames: ["game.example"], allowTestKeys: true };
    const at = api(bridgeOrigins ? { bridgeOrigins } : {}, { turnstile });
    const { challenge_id } = await challengeOf(await at.call("/v1/payment/charge"));
    return at.gate.fetch(new Request(`${ORIGIN}/mobile-turnstile?challenge_id=${encodeURIComponent(challenge_id)}`));
  };

  it("may run its own script and the provider's, be framed by nobody, and is kept nowhere", async () => {
    const answer = await pageOf();
    const { "content-security-policy": policy = "", ...headers } = Object.fromEntries(answer.headers);
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "cdn-cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "strict-origin",
    });
    const nonce = /'nonce-([\w-]{22})'/.exec(policy)?.[1];
    expect(policy.split("; ")).toEqual([
      "default-src 'none'",
      `script-src 'nonce-${nonce}' https://challenges.cloudflare.com`,
      `style-src 'nonce-${nonce}'`,
      "frame-src https://challenges.cloudflare.com",
      "connect-src https://challenges.cloudflare.com",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]);
    expect(await answer.text()).toContain(`nonce="${nonce}"`);
  });

  it("may be framed by the origins that are named", async () => {
    const answer = await pageOf(["https://app.example", "https://two.example"]);
    expect(answer.headers.get("content-security-policy")).toMatch(/; frame-ancestors https:\/\/app\.example https:\/\/two\.example$/);
  });
});

describe("what the guard vouches for", () => {
  it("a free path is no dry run and not degraded; one that an entry turns off is a dry run", async () => {
    const policy = { never_require_clearance: ["/free"], always_require_clearance: [{ path: "/off", mode: "off" as const }] };
    const { gate } = api({ policy });
    const ask = (path: string) => gate.protect(new Request(`${ORIGIN}${path}`, { method: "POST" }));
    expect(await ask("/free")).toMatchObject({ ok: true, dryRun: false, degraded: false });
    expect(await ask("/off")).toMatchObject({ ok: true, dryRun: true, degraded: false });
  });

  it("a clearance of one use that comes again is an event that denies", async () => {
    const { call, clear, events } = api();
    const { app_clearance_token: token } = await clear("/v1/payment/charge");
    for (let i = 0; i < 2; i++) await call("/v1/payment/charge", { clearance: token });
    expect(events.filter(({ type }) => type === "app_clearance_replay_detected")).toEqual([
      expect.objectContaining({ outcome: "deny", reason: "clearance_used" }),
    ]);
  });

  it("what visitors without a device did counts for their own address alone", async () => {
    const { gate, call } = api();
    const from = (address: string): Request => new Request(`${ORIGIN}/v1/login`, { method: "POST", headers: { "x-test-from": address } });
    for (let i = 0; i < 8; i++) await gate.report(from("198.51.100.1"), "login_failed");
    const asked = async (address: string): Promise<number> => (await call("/v1/login", { device: "", from: address })).status;
    expect([await asked("198.51.100.1"), await asked("203.0.113.99")]).toEqual([403, 200]);
  });
});

describe("Cloudflare's scores", () => {
  const scored = Object.assign(new Request(ORIGIN, { headers: { "cf-bot-score": "2", "x-waf-attack-score": "3" } }), {
    cf: { botManagement: { score: 1 } },
  });

  it("count where the peer is Cloudflare, and are anybody's text elsewhere", () => {
    expect(edgeSignals(scored, { edge: true })).toEqual({ botScore: 1, wafScore: 3 });
    expect(edgeSignals(scored, { edge: false })).toEqual({});
  });
});

describe("which methods a request may be taken for", () => {
  const of = (headers: Record<string, string>, body?: string, method = "POST"): Promise<readonly string[] | undefined> =>
    methodsOf(new Request(`${ORIGIN}/x`, { method, headers, ...(body !== undefined && { body }) }));

  it("a claim that is empty is none", async () => {
    expect(await of({ "x-http-method-override": "" })).toEqual(["POST"]);
    expect(await of({ "x-http-method-override": "DELETE, " })).toEqual(["POST", "DELETE"]);
  });

  it.each(["charset=utf-8", 'charset="UTF-8"', "charset= utf-8", 'charset = "utf-8"'])("a form with %s is read", async (charset) => {
    expect(await of({ "content-type": `application/x-www-form-urlencoded; ${charset}` }, "_method=DELETE")).toEqual(["POST", "DELETE"]);
  });

  it.each(["charset=utf-16", 'charset="utf-7"', "charset= utf-16le", "charset=x utf-8"])("one with %s cannot be told", async (charset) => {
    expect(await of({ "content-type": `application/x-www-form-urlencoded; ${charset}` }, "_method=DELETE")).toBe(undefined);
  });

  it("are not asked for where no entry of the path names one: a body is not read for nothing", async () => {
    const policy = parsePolicy({ always_require_clearance: ["/a", { path: "/b", method: "DELETE" }] });
    const methods = vi.fn(async () => ["POST", "DELETE"]);
    await matchPolicy(policy, methods, "/a", () => false);
    expect(methods).not.toHaveBeenCalled();
    expect((await matchPolicy(policy, methods, "/b", () => false)).kind).toBe("always");
    expect(methods).toHaveBeenCalledOnce();
  });
});

describe("paths", () => {
  it("/* holds every path, the top itself included", () => {
    for (const path of ["/", "/a", "/a/b"]) expect([matchesPath("/*", path, false), matchesPath("/*", path, true)]).toEqual([true, true]);
    expect([matchesPath("/a/*", "/a", false), matchesPath("/a/*", "/a", true), matchesPath("/a/*", "/ab", true)]).toEqual([
      false,
      true,
      false,
    ]);
  });

  it("look alikes are readings of their own only where they lead elsewhere", () => {
    expect(readingsOf("/ｐay")?.map(({ plain }) => plain)).toEqual(expect.arrayContaining(["/pay"]));
    expect(readingsOf("/plain%20text")?.map(({ plain }) => plain)).toHaveLength(
      new Set(readingsOf("/plain%20text")?.map(({ plain }) => plain)).size,
    );
  });

  it("that cannot be decoded are lifted by no entry, and harm nobody", () => {
    const policy = parsePolicy({ risk_based: [{ path: "/projects/*", ambiguous: "allow" }] });
    expect(allowsAmbiguous(policy, "GET", "/projects/%ff%2Fname")).toBe(false);
    expect(allowsAmbiguous(policy, "GET", "/projects/a%2Fname")).toBe(true);
  });
});

describe("a policy that is none", () => {
  it("is told with the values that there are", () => {
    expect(() => parsePolicy({ always_require_clearance: [{ path: "/a", mode: "watch" as "off" }] })).toThrow(
      /"enforce", "monitor", "off"/,
    );
  });
});

describe("a condition about a body", () => {
  it.each([
    [65_536, true],
    [65_537, false],
  ])("of %i bytes is read to its end: %s", async (length, read) => {
    let size = 0;
    const request = new Request(ORIGIN, { method: "POST", body: "x".repeat(length) });
    const answer = await askCondition(async (copy) => {
      size = (await copy.text()).length;
      return false;
    }, request).catch(() => "failed");
    expect([answer, size === length]).toEqual([read ? false : "failed", read]);
  });
});
