import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contentSecurityPolicy, createCors, jsonResponse, refusalResponse } from "../../../src/http/index.ts";
import { type PublicCode, STATUS } from "../../../src/protocol.ts";

const isCode = (text: string): text is PublicCode => text in STATUS;
const CODES = Object.keys(STATUS).filter(isCode);

describe("refusalResponse", () => {
  it.each(CODES)("says %s with its status and nothing internal, and no cache keeps it", async (code) => {
    const response = refusalResponse(code, { details: { field: "name" } });
    const body = Object(await response.json());
    expect(response.status).toBe(STATUS[code]);
    expect(body.error).toBe(code);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("cdn-cache-control")).toBe("no-store");
    expect(response.headers.get("www-authenticate")?.startsWith("Bearer") ?? false).toBe(response.status === 401);
    expect(response.headers.has("retry-after")).toBe(response.status === 429 || response.status === 503);
    expect("details" in body).toBe(response.status === 422);
  });

  it("asks to wait at least as long as is true, at most 10 % longer", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 100_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        async (wait, random) => {
          const response = refusalResponse("RATE_LIMITED", { retryAfter: wait }, () => random);
          const asked = Number(response.headers.get("retry-after"));
          expect(Object(await response.json()).retryAfter).toBe(asked);
          return Number.isInteger(asked) && asked >= wait && asked <= wait * 1.1;
        },
      ),
    );
    expect(refusalResponse("RATE_LIMITED", { retryAfter: 100 }, () => 0.99).headers.get("retry-after")).toBe("109");
    expect(refusalResponse("RATE_LIMITED", { retryAfter: 0 }).headers.get("retry-after")).toBe("1");
  });

  it("names the wait as each API does, and the methods of a 405", async () => {
    expect(Object(await refusalResponse("SECURITY_VERIFICATION_LIMITED", { retryAfter: 5 }, () => 0).json())).toEqual({
      error: "SECURITY_VERIFICATION_LIMITED",
      retry_after_seconds: 5,
    });
    const wrong = refusalResponse("METHOD_NOT_ALLOWED", { allow: ["GET", "POST"], headers: { "x-request-id": "r1" } });
    expect([wrong.headers.get("allow"), wrong.headers.get("x-request-id")]).toEqual(["GET, POST", "r1"]);
  });
});

describe("jsonResponse", () => {
  it("lets a route choose its caching, and has no body for 204", async () => {
    const cached = jsonResponse(200, { a: 1 }, { "cache-control": "public, max-age=5" });
    expect([cached.headers.get("cache-control"), cached.headers.get("cdn-cache-control")]).toEqual(["public, max-age=5", null]);
    expect(await cached.json()).toEqual({ a: 1 });
    const none = jsonResponse(204, { ignored: true });
    expect([none.body, none.headers.get("content-type")]).toEqual([null, null]);
  });
});

describe("createCors", () => {
  const cors = createCors({ allowedOrigins: ["https://app.example", "capacitor://localhost"], publicUrl: "https://game.example/play" });
  const ask = (origin: string | null, url = "http://127.0.0.1:8080/api/scores", init: RequestInit = {}): Request =>
    new Request(url, { ...init, headers: { ...(origin === null ? {} : { origin }), ...Object(init.headers) } });

  it.each([
    [null, "http://x/", { allowed: true }],
    ["https://app.example", "http://x/", { allowed: true }],
    ["capacitor://localhost", "http://x/", { allowed: true }],
    ["https://game.example", "http://127.0.0.1:8080/", { allowed: true }],
    // TLS ends before us.
    ["https://play.example", "http://play.example/", { allowed: true }],
    ["https://play.example:8443", "http://play.example:8443/", { allowed: true }],
    ["http://play.example", "http://play.example/", { allowed: true }],
    // Anybody on the line may have written the page.
    ["http://play.example", "https://play.example/", { allowed: false }],
    ["http://game.example", "http://127.0.0.1/", { allowed: false }],
    ["https://play.example:444", "http://play.example/", { allowed: false }],
    ["https://evil.example", "http://play.example/", { allowed: false }],
    ["null", "http://null/", { allowed: false }],
    ["", "http://x/", { allowed: false }],
    ["https://app.example.evil.example", "http://x/", { allowed: false }],
    ["https://app.example:444", "http://x/", { allowed: false }],
    ["http://app.example", "http://x/", { allowed: false }],
    ["https://APP.example", "http://x/", { allowed: false }],
    ["https://app.example/", "http://x/", { allowed: false }],
    ["https://app.example, https://evil.example", "http://x/", { allowed: false }],
    ["https://user@play.example", "http://play.example/", { allowed: false }],
    ["file://", "http://x/", { allowed: false }],
  ])("Origin %j at %s", (origin, url, expected) => {
    expect(cors.check(ask(origin, url))).toMatchObject(expected);
  });

  it("answers a preflight with our headers, and says no to a stranger", async () => {
    const headers = { "access-control-request-method": "POST", "access-control-request-headers": "authorization, x-turnstile-token" };
    const yes = cors.preflight(ask("https://app.example", undefined, { method: "OPTIONS", headers }), ["GET", "POST"]);
    expect(yes?.status).toBe(204);
    expect(yes?.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(yes?.headers.get("access-control-allow-methods")).toBe("GET, POST");
    expect(yes?.headers.has("access-control-allow-credentials")).toBe(false);
    const allowed = yes?.headers.get("access-control-allow-headers")?.split(", ") ?? [];
    for (const name of [
      "authorization",
      "content-type",
      "x-gatepass-session",
      "x-gatepass-player",
      "x-turnstile-token",
      "x-device-id",
      "x-app-version",
      "x-request-id",
      "x-app-clearance",
    ]) {
      expect(allowed).toContain(name);
    }
    const no = cors.preflight(ask("https://evil.example", undefined, { method: "OPTIONS", headers }), ["GET", "POST"]);
    expect([no?.status, await no?.json()]).toEqual([403, { error: "ORIGIN_NOT_ALLOWED" }]);
    expect(no?.headers.has("access-control-allow-origin")).toBe(false);
    expect(no?.headers.get("vary")).toBe("Origin");
    expect(cors.preflight(ask("https://app.example", undefined, { method: "OPTIONS" }), ["GET"])).toBeNull();
    expect(cors.preflight(ask("https://app.example", undefined, { method: "POST", headers }), ["GET"])).toBeNull();
  });

  it("a preflight of an allowed origin echoes the header names that it asks for: a tracing SDK's, a guarded route's own", () => {
    const asked = "authorization,baggage,sentry-trace,traceparent,X-My-Route";
    const headers = { "access-control-request-method": "POST", "access-control-request-headers": asked };
    const answer = cors.preflight(ask("https://app.example", undefined, { method: "OPTIONS", headers }), ["POST"]);
    const names = answer?.headers.get("access-control-allow-headers")?.split(", ") ?? [];
    for (const name of asked.toLowerCase().split(",")) expect(names).toContain(name);
    expect(new Set(names).size).toBe(names.length);
    const vary = answer?.headers.get("vary")?.toLowerCase().split(", ");
    expect(vary).toEqual(expect.arrayContaining(["origin", "access-control-request-headers"]));
    for (const name of ["cache-control", "cdn-cache-control"]) expect(answer?.headers.get(name)).toBe("no-store");
  });

  it.each([
    ["a wildcard", "*"],
    ["an injected line", "x-a: b"],
    ["a name with a space", "x a"],
    ["names outside ASCII", "x-ü"],
    ["nothing between commas", ",, ,"],
    ["quotes and brackets", 'x"a,(x),x;y,x/y'],
    ["a list without end", Array.from({ length: 1000 }, (_, i) => `x-${i}`).join(",")],
  ])("a preflight that asks for %s gets our own header names alone", (_what, asked) => {
    const headers = { "access-control-request-method": "POST", "access-control-request-headers": asked };
    const allow = (more: object): string | null | undefined =>
      cors
        .preflight(ask("https://app.example", undefined, { method: "OPTIONS", headers: { ...headers, ...more } }), ["POST"])
        ?.headers.get("access-control-allow-headers");
    expect(allow({})).toBe(allow({ "access-control-request-headers": "authorization" }));
    expect(allow({})?.length).toBeLessThan(300);
  });

  it("a foreign origin's preflight is refused whatever it asks for, and nothing of it is echoed", () => {
    const headers = { "access-control-request-method": "POST", "access-control-request-headers": "traceparent" };
    for (const origin of ["https://evil.example", "null"]) {
      const answer = cors.preflight(ask(origin, undefined, { method: "OPTIONS", headers }), ["POST"]);
      expect([answer?.status, answer?.headers.has("access-control-allow-headers")]).toEqual([403, false]);
      expect(answer?.headers.has("access-control-allow-origin")).toBe(false);
    }
  });

  it("varies by Origin always, and never allows a wildcard", () => {
    const plain = cors.apply(jsonResponse(200, {}), ask("https://evil.example"));
    expect([plain.headers.get("vary"), plain.headers.has("access-control-allow-origin")]).toEqual(["Origin", false]);
    const none = cors.apply(jsonResponse(200, {}), ask(null));
    expect([none.headers.get("vary"), none.headers.has("access-control-allow-origin")]).toEqual(["Origin", false]);
    const listed = cors.apply(jsonResponse(200, {}, { vary: "Accept" }), ask("https://app.example"));
    expect(listed.headers.get("vary")).toBe("Accept, Origin");
    expect(listed.headers.get("access-control-allow-origin")).toBe("https://app.example");
    for (const name of ["RateLimit", "RateLimit-Policy", "Retry-After"])
      expect(listed.headers.get("access-control-expose-headers")).toContain(name);
    expect(cors.apply(cors.apply(jsonResponse(200, {}), ask("https://app.example")), ask("https://app.example")).headers.get("vary")).toBe(
      "Origin",
    );
  });

  it("copies an answer whose headers cannot change", async () => {
    const fixed = Response.redirect("https://game.example/", 303);
    const copy = cors.apply(fixed, ask("https://app.example"));
    expect([copy.status, copy.headers.get("location"), copy.headers.get("access-control-allow-origin")]).toEqual([
      303,
      "https://game.example/",
      "https://app.example",
    ]);
  });

  it.each([
    "*",
    "null",
    "https://*.example",
    "https://app.example/",
    "https://app.example/path",
    "https://APP.example",
    "https://app.example:443",
    "app.example",
    "",
    "https://a.example,https://b.example",
    "javascript://x y",
  ])("refuses %j on the list", (origin) => {
    expect(() => createCors({ allowedOrigins: [origin] })).toThrow(TypeError);
  });

  it("refuses a publicUrl that is none", () => {
    for (const publicUrl of ["game.example", "", "ftp://game.example"]) expect(() => createCors({ publicUrl })).toThrow(TypeError);
  });
});

describe("contentSecurityPolicy", () => {
  const turnstile = "https://challenges.cloudflare.com";

  it("is a policy of its own", () => {
    expect(contentSecurityPolicy()).toBe(
      `default-src 'self'; script-src 'self' ${turnstile}; frame-src 'self' ${turnstile}; connect-src 'self' ${turnstile}`,
    );
  });

  it("adds to yours, replaces 'none', and keeps what a fallback allowed", () => {
    const policy = contentSecurityPolicy({
      "default-src": "'none'",
      "script-src": ["'self'", "'nonce-abc'"],
      "child-src": "https://video.example",
      "script-src-elem": "'self'",
      "img-src": "data: 'self'",
      "upgrade-insecure-requests": "",
    });
    expect(policy.split("; ")).toEqual([
      "default-src 'none'",
      `script-src 'self' 'nonce-abc' ${turnstile}`,
      "child-src https://video.example",
      `script-src-elem 'self' ${turnstile}`,
      "img-src data: 'self'",
      "upgrade-insecure-requests",
      `frame-src https://video.example ${turnstile}`,
      `connect-src ${turnstile}`,
    ]);
    expect(contentSecurityPolicy({ "script-src": turnstile }).split("; ")[0]).toBe(`script-src ${turnstile}`);
  });

  it.each([
    { "script-src": "'self'; report-uri //evil" },
    { "script-src": "a\r\nset-cookie: x=1 ü" },
    { "script-src": "a,b" },
    { "script src": "'self'" },
    { scriptSrc: "'self'" },
  ])("refuses %j: one value would write another directive", (bad) => {
    expect(() => contentSecurityPolicy({ ...bad })).toThrow(TypeError);
  });
});
