import fc from "fast-check";
import Fastify from "fastify";
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { matchPolicy, parsePolicy } from "../../../src/clearance/policy.ts";
import type { PolicyDocument, PolicyEntry } from "../../../src/clearance/types.ts";
import type { LimitRule } from "../../../src/limits/types.ts";
import { api } from "../clearance/tools.ts";

const never = (): boolean => false;
const match = (policy: PolicyDocument, path: string): Promise<PolicyEntry> => matchPolicy(parsePolicy(policy), "POST", path, never);
const errorOf = async (response: Response): Promise<unknown[]> => [response.status, (await response.json()).error];

/** Spellings of /api/payment/status that some routers take to that path, and others to what `/api/payment/*` names. */
const STATUS = [
  "/api/payment/STATUS",
  "/api/payment/status/",
  "/api/payment//status",
  "/api/payment/statu%73",
  "/api/payment/status%20",
  "/api/payment/status.",
  "/api/payment/%EF%BD%93tatus",
  "/api/payment/status%3Fx",
  "/api/payment/status%23x",
  "/api/payment/%C5%BFtatus",
  "/API/payment/STATUS",
];

describe("an entry that only watches one path lets no other spelling of it through", () => {
  const policy: PolicyDocument = {
    always_require_clearance: [{ path: "/api/payment/*", max_uses: 1, limits: ["pay"] }],
    risk_based: [{ path: "/api/payment/status", mode: "monitor", max_uses: 1000, ttl: 1800, risk: 0 }],
  };

  it.each(STATUS)("%s is enforced as the pattern beside it, for a router that compares to the letter", async (path) => {
    expect(await match(policy, path)).toMatchObject({ kind: "always", mode: undefined, maxUses: 1, ttl: 900, limits: ["pay"], risk: 30 });
    const { call, clear } = api({ policy, limits: { pay: [{ name: "pay", limit: 2, window: 60, by: "ip" }] } });
    expect(await errorOf(await call(path))).toEqual([403, "TURNSTILE_REQUIRED"]);
    // Nor does a clearance for one of the two open it.
    const { app_clearance_token: token } = await clear("/api/payment/charge");
    expect(await errorOf(await call(path, { clearance: token }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    const { app_clearance_token: own } = await clear(path);
    expect((await call(path, { clearance: own })).status).toBe(200);
    expect(await errorOf(await call("/api/payment/charge", { clearance: own }))).toEqual([403, "TURNSTILE_REQUIRED"]);
  });

  it("the path itself is watched, as it says", async () => {
    expect(await match(policy, "/api/payment/status")).toMatchObject({ kind: "risk", mode: "monitor", scope: "/api/payment/status" });
  });

  it("two entries that are both watched are no reason to be looser than the gate", async () => {
    const both: PolicyDocument = {
      always_require_clearance: [
        { path: "/api/payment/*", mode: "monitor" },
        { path: "/api/payment/status", mode: "off" },
      ],
    };
    for (const path of STATUS) expect([path, (await match(both, path)).mode]).toEqual([path, undefined]);
    const { call } = api({ policy: both });
    expect((await call("/api/payment/charge")).status).toBe(200);
    for (const path of STATUS) expect([path, (await call(path)).status]).toEqual([path, 403]);
  });

  it("a gate that watches enforces what one of the readings enforces", async () => {
    const mixed: PolicyDocument = {
      always_require_clearance: [{ path: "/api/payment/*", mode: "enforce" }, "/api/payment/status"],
    };
    const { call } = api({ policy: mixed }, { mode: "monitor" });
    expect((await call("/api/payment/status")).status).toBe(200);
    for (const path of STATUS) expect([path, (await call(path)).status]).toEqual([path, 403]);
  });
});

describe("a free path frees no spelling of itself that a router takes to a protected one", () => {
  const policy: PolicyDocument = { always_require_clearance: ["/api/payment/*"], never_require_clearance: ["/api/payment/status"] };

  it.each(STATUS)("%s", async (path) => {
    expect((await match(policy, path)).kind).toBe("always");
  });

  it("a path that one router reads as free and another as risk-based is never free", async () => {
    const risky: PolicyDocument = { risk_based: [{ path: "/api/payment/*", risk: 60 }], never_require_clearance: ["/api/payment/status"] };
    const { call } = api({ policy: risky });
    for (const path of STATUS) {
      expect([path, (await match(risky, path)).kind]).toEqual([path, "risk"]);
      expect([path, ...(await errorOf(await call(path)))]).toEqual([path, 403, "TURNSTILE_REQUIRED"]);
    }
    expect((await call("/api/payment/status")).status).toBe(200);
  });

  it("nor what another router takes for a path that is in no list", async () => {
    // `new URL("//health", base)` is the root of a host that is called "health".
    for (const path of ["/he%61lth", "/health.", "/health%3Fx", "/%EF%BD%88ealth", "//health"])
      expect([path, (await match({ never_require_clearance: ["/health"] }, path)).kind]).toEqual([path, "unmatched"]);
    // Whoever compares to the letter has no such path, and nothing else in the policy names it.
    for (const path of ["/health", "/HEALTH", "/health/"])
      expect([path, (await match({ never_require_clearance: ["/health"] }, path)).kind]).toEqual([path, "never"]);
  });

  /**
   * The attack: a free path has a character that some routers only decode in parameters. With a letter before it encoded too, the path as it came is in no
   * list, and decoded as a whole it is the free one. Hono and Fastify decode the letter alone, and take it to the route beside the free one.
   */
  it.each([
    ["/users/@me", "/%75sers/%40me"],
    ["/users/@me", "/use%72s/%40m%65"],
    ["/users/a,b", "/%75sers/a%2Cb"],
    ["/users/a:b", "/%75sers/a%3Ab"],
    ["/users/a+b", "/%75sers/a%2bb"],
    ["/users/a=b", "/%75sers/a%3db"],
    ["/users/a&b", "/%75sers/a%26b"],
    ["/users/a$b", "/%75sers/a%24b"],
    ["/users/a/b", "/%75sers/a%2Fb"],
  ])("nor what a router takes to a protected path that decodes a part of it alone: %s as %s", async (free, path) => {
    const mixed: PolicyDocument = {
      always_require_clearance: [{ path: "/users/*", max_uses: 1, ambiguous: "allow" }],
      never_require_clearance: [free],
    };
    expect(await match(mixed, path)).toMatchObject({ kind: "always", maxUses: 1 });
    const { call } = api({ policy: mixed });
    expect(await errorOf(await call(path))).toEqual([403, "TURNSTILE_REQUIRED"]);
    // Not made up: both routers take it to the protected route, and never to the free one.
    const hono = new Hono();
    const fastify = Fastify();
    hono.post(free, (c) => c.text("free"));
    fastify.post(free.replace(":", "::"), async () => "free");
    hono.post("/users/:id", (c) => c.text("protected"));
    fastify.post("/users/:id", async () => "protected");
    const reached = [
      await (await hono.request(`https://game.example${path}`, { method: "POST" })).text(),
      (await fastify.inject({ method: "POST", url: path })).body,
    ];
    expect(reached).toContain("protected");
  });

  it("nor what a proxy decodes that takes the encoding off letters alone (RFC 3986, 6.2.2.2)", async () => {
    for (const [free, path] of [
      ["/users/café", "/%75sers/caf%C3%A9"],
      ["/users/a|b", "/%75sers/a%7Cb"],
      ["/users/a!b", "/user%73/a%21b"],
    ] as const) {
      const mixed: PolicyDocument = { always_require_clearance: ["/users/*"], never_require_clearance: [free] };
      expect([path, (await match(mixed, path)).kind]).toEqual([path, "always"]);
    }
  });

  it("what honest clients encode below a free pattern stays free beside a pattern for all else", async () => {
    const open: PolicyDocument = { always_require_clearance: ["/*"], never_require_clearance: ["/files/*"] };
    for (const path of ["/files/a%20b", "/files/caf%C3%A9", "/files/%40me", "/files/a%2Cb", "/files/x%3Fy"])
      expect([path, (await match(open, path)).kind]).toEqual([path, "never"]);
  });

  it("what is free in all readings stays free, with the limits of each", async () => {
    const free: PolicyDocument = {
      never_require_clearance: [
        { path: "/a/*", limits: ["one"] },
        { path: "/a/b", limits: ["two"] },
      ],
    };
    expect(await match(free, "/a/b.")).toMatchObject({ kind: "never", limits: expect.arrayContaining(["one", "two"]) });
  });
});

/**
 * The attack: `new URL(request.url, base).pathname` is how handlers of node:http read a path, and it takes what stands behind two slashes for a host.
 */
describe("a path that begins with two slashes counts without its host too", () => {
  const policy: PolicyDocument = {
    always_require_clearance: [{ path: "/api/payment/*", max_uses: 1 }],
    never_require_clearance: ["/public/*", "/health"],
  };
  it.each([
    "//evil.example/api/payment/42",
    "///evil.example/api/payment/42",
    "//public/api/payment/42",
    "//public/API/payment//42",
    "//public/api/p%61yment/42",
    "//public/api/payment",
    "//health/api/payment/42/",
    "//public:80/api/payment/42.",
    "//u@public/api/payment/42",
    "//public/%EF%BD%81pi/payment/42",
    "/%EF%BC%8Fpublic/api/payment/42",
  ])("%s", async (path) => {
    // Not made up: that is where such a handler takes it, but for the letters that it compares as they are.
    if (/^\/+[\w.@:]+\/api\/payment\/42$/.test(path)) expect(new URL(path, "http://base.example").pathname).toBe("/api/payment/42");
    expect(await match(policy, path)).toMatchObject({ kind: "always", maxUses: 1 });
    const { call } = api({ policy });
    expect(await errorOf(await call(path))).toEqual([403, "TURNSTILE_REQUIRED"]);
  });

  it("a doubled slash behind an address's end stays what it is", async () => {
    expect(await match(policy, "//api/payment/42")).toMatchObject({ kind: "always" });
    expect(await match(policy, "//other/x")).toMatchObject({ kind: "unmatched" });
  });
});

describe("of several readings the strictest terms count", () => {
  it("of a risk-based and an always reading, always", async () => {
    const policy: PolicyDocument = { risk_based: ["/api/docs/*"], always_require_clearance: ["/api/payment/*"] };
    for (const path of ["/api/docs/%E2%80%A5/payment/x", "/api/payment/%E2%80%A5/docs/x"])
      expect((await match(policy, path)).kind).toBe("always");
  });

  it("the highest risk of the readings' own counts, and what a reading without one is called counts beside it", async () => {
    const risks = (one?: number, other?: number): PolicyDocument => ({
      risk_based: [
        { path: "/api/docs/*", ...(one !== undefined && { risk: one }) },
        { path: "/api/payment/*", ...(other !== undefined && { risk: other }) },
      ],
    });
    const path = "/api/docs/%E2%80%A5/payment/x";
    expect((await match(risks(10, 55), path)).risk).toBe(55);
    expect((await match(risks(55, 10), path)).risk).toBe(55);
    // By its name: 30.
    expect((await match(risks(10, undefined), path)).risk).toBe(30);
    expect((await match(risks(undefined, 0), path)).risk).toBe(30);
    expect((await match(risks(0, 0), path)).risk).toBe(0);
    const { call } = api({ policy: risks(10, 55) });
    expect((await call("/api/docs/x")).status).toBe(200);
    expect((await call(path)).status).toBe(403);
  });

  it("a reading that no entry names lends its own terms: no clearance for the entry opens it", async () => {
    const policy: PolicyDocument = {
      always_require_clearance: [{ path: "/api/many", max_uses: 1000, ttl: 1800, mode: "monitor", high_risk: "cool_down" }],
    };
    const entry = await match(policy, "/api/m%61ny");
    expect(entry).toMatchObject({ kind: "always", maxUses: 20, ttl: 900, mode: undefined, highRisk: "deny" });
    expect(entry.scope).not.toBe("/api/many");
    const enforced = api({ policy: { always_require_clearance: [{ path: "/api/many", max_uses: 1000 }] } });
    const { app_clearance_token: token } = await enforced.clear("/api/many");
    expect((await enforced.call("/api/many", { clearance: token })).status).toBe(200);
    expect(await errorOf(await enforced.call("/api/m%61ny", { clearance: token }))).toEqual([403, "TURNSTILE_REQUIRED"]);
  });

  it("a condition that fails to answer asks for what the next entry says as well", async () => {
    const policy = parsePolicy({
      always_require_clearance: ["/api/*"],
      risk_based: [{ path: "/api/graphql", when: "reads", mode: "monitor" }],
    });
    const of = async (answer: () => boolean): Promise<unknown[]> => {
      const { kind, mode } = await matchPolicy(policy, "POST", "/api/graphql", answer);
      return [kind, mode];
    };
    expect(await of(() => true)).toEqual(["risk", "monitor"]);
    expect(await of(() => false)).toEqual(["always", undefined]);
    expect(
      await of(() => {
        throw new Error("broken");
      }),
    ).toEqual(["always", undefined]);
  });

  it("limits that do not fit into one spend are not left out: the request is refused", async () => {
    const rules = (name: string): LimitRule[] =>
      Array.from({ length: 3 }, (_, i) => ({ name: `${name}${i}`, limit: 5, window: 60, by: "ip" }));
    const names = ["a", "b", "c", "d", "e"];
    const policy: PolicyDocument = {
      always_require_clearance: [{ path: "/api/payment/*", limits: ["e"] }],
      risk_based: [
        { path: "/api/docs/*", limits: ["a"] },
        { path: "/api/*", limits: ["b"] },
        { path: "/api/docs/payment/*", limits: ["c"] },
        { path: "/*", limits: ["d"] },
      ],
    };
    const at = api({ policy, limits: Object.fromEntries(names.map((name) => [name, rules(name)])) });
    // One limit after the other fits, all together do not.
    const path = "/API/docs/%E2%80%A5/payment/charge";
    expect((await match(policy, path)).limits.length).toBeGreaterThan(2);
    expect(await errorOf(await at.call(path))).toEqual([400, "PATH_AMBIGUOUS"]);
    expect(at.events.at(-1)).toMatchObject({ type: "high_risk_api_blocked", reason: "path_ambiguous", detail: "limits" });
    expect((await at.call("/api/docs/x")).status).toBe(200);
  });
});

describe('"ambiguous": "allow"', () => {
  const policy: PolicyDocument = {
    always_require_clearance: [
      { path: "/admin/*", max_uses: 1 },
      { path: "/projects/secret/*", max_uses: 1 },
      "/api/report",
      "/api/plain/*",
    ],
    risk_based: [
      { path: "/projects/*", ambiguous: "allow" },
      { path: "/api/report", method: "GET", ambiguous: "allow" },
      { path: "/api/read/*", method: ["GET", "HEAD"], ambiguous: "allow" },
    ],
    never_require_clearance: [{ path: "/public/*", ambiguous: "allow" }],
  };
  const REFUSED = [400, "PATH_AMBIGUOUS"];

  it.each([
    "/projects/group%2Fname/issues",
    "/projects/group%2fname%2Fsub/issues;page=2",
    "/projects/x;v=1",
    "/projects/x%3Bv=1/y;z",
    "/projects;page=2",
    "/Projects/a%2Fb",
    "/project%73/a%2Fb",
    "/api/report;v=1",
    "/api/read/a%2Fb",
  ])("%s goes below the entry that allows it", async (path) => {
    const { call } = api({ policy });
    expect((await call(path, { method: "GET" })).status).not.toBe(400);
  });

  it.each(["/projects/group%2Fname/issues", "/projects/x;v=1", "/public/a%2Fb", "/public/a;b", "/public/a%2Fb;c/d%3Be"])(
    "%s goes through",
    async (path) => {
      const { call } = api({ policy });
      expect((await call(path)).status).toBe(200);
    },
  );

  it.each([
    "/projects%2Fx",
    "/projects%2F",
    "/%2Fprojects/x",
    "//projects/a%2Fb",
    "/other%2F..%2Fprojects/x",
    "/x;/projects/y",
    "/api/report%2F",
    "/api/report/x;y",
    "/api/plain/a%2Fb",
    "/admin/a%2Fb",
    "/projectsx/a%2Fb",
    "/public;x",
    "/public%2Fx",
    "/health%2F",
  ])("%s is no path below it", async (path) => {
    const { call } = api({ policy });
    expect(await errorOf(await call(path, { method: "GET" }))).toEqual(REFUSED);
  });

  it.each([
    "/projects/a%2F..%2Fb",
    "/projects/a/..;/b",
    "/projects/%2e%2e%2Fadmin/x",
    "/projects/a%2Fb%00",
    "/projects/a%2Fb%5Cc",
    "/projects/a%252Fb",
    "/projects/a%2Fb%ff",
    `/projects/a%2F${"b".repeat(4096)}`,
  ])("%s is refused all the same: only %2F and ; may be allowed", async (path) => {
    const { call } = api({ policy });
    expect(await errorOf(await call(path))).toEqual(REFUSED);
  });

  it("only for the methods that the entry names", async () => {
    const { call } = api({ policy });
    for (const method of ["GET", "HEAD"]) expect((await call("/api/read/a%2Fb", { method })).status).toBe(200);
    expect(await errorOf(await call("/api/read/a%2Fb", { method: "POST" }))).toEqual(REFUSED);
    expect(await errorOf(await call("/api/report;v=1", { method: "POST" }))).toEqual(REFUSED);
  });

  it("all readings count: one that falls under a stricter entry asks for what that asks", async () => {
    const { call, clear } = api({ policy });
    for (const path of ["/projects/secret%2Fx", "/projects/secret;v=1/x", "/projects/secret%3Bv=1/x", "/projects/SECRET%2Fx"]) {
      expect([path, await match(policy, path)]).toMatchObject([path, { kind: "always", maxUses: 1 }]);
      expect([path, ...(await errorOf(await call(path)))]).toEqual([path, 403, "TURNSTILE_REQUIRED"]);
    }
    const { app_clearance_token: token } = await clear("/projects/secret%2Fx");
    expect((await call("/projects/secret/x", { clearance: token })).status).toBe(403);
  });

  it("a free entry frees only what stays below it in every reading", async () => {
    const { call } = api({ policy });
    // `\u2025` looks like two dots, `\uFF0F` like a slash.
    for (const path of ["/public/a%2F%E2%80%A5%2F%E2%80%A5%2Fadmin/x", "/public/%E2%80%A5%EF%BC%8Fadmin;x/y", "/public/;x"])
      expect([path, ...(await errorOf(await call(path)))]).toEqual([path, ...REFUSED]);
  });

  it("no other value is accepted", () => {
    for (const ambiguous of ["refuse", "Allow", true, ""])
      expect(() => parsePolicy(JSON.parse(JSON.stringify({ risk_based: [{ path: "/a", ambiguous }] })))).toThrow(/ambiguous/);
  });
});

it("a policy's own path is written plainly", () => {
  for (const path of ["/a/../b", "/a/./b", "/..", "/a/.", "/a/%2e", "/a;b", "/a\\b", "/a%2Fb"])
    expect(() => parsePolicy({ always_require_clearance: [path] }), path).toThrow(TypeError);
  expect(() => parsePolicy({ always_require_clearance: ["/.well-known/x", "/a/...", "/a..b"] })).not.toThrow();
});

it("in whatever form its letters are composed, a path is under its entry", async () => {
  const policy: PolicyDocument = { always_require_clearance: ["/na\u00efve/*"] };
  for (const path of ["/na%C3%AFve/x", "/nai%CC%88ve/x", "/NA%C3%8FVE/x"]) expect((await match(policy, path)).kind).toBe("always");
  expect((await match({ always_require_clearance: ["/nai\u0308ve/*"] }, "/na%C3%AFve/x")).kind).toBe("always");
});

it("no spelling is looser than the plain path (property)", async () => {
  const policy = parsePolicy({
    always_require_clearance: [
      { path: "/api/payment/*", max_uses: 1 },
      { path: "/api/docs/*", mode: "monitor", max_uses: 1000 },
    ],
    risk_based: [
      { path: "/api/payment/status", mode: "off" },
      { path: "/api/*", mode: "monitor" },
    ],
    never_require_clearance: ["/api/payment/health", "/public/*", "/api"],
  });
  const letter = (character: string): fc.Arbitrary<string> => {
    const code = character.charCodeAt(0).toString(16);
    const wide = encodeURIComponent(String.fromCodePoint((character.codePointAt(0) ?? 0) + 0xfee0));
    return fc.constantFrom(
      character,
      character,
      character,
      character.toUpperCase(),
      `%${code}`,
      `%${code.toUpperCase()}`,
      ...(/[a-z]/.test(character) ? [wide] : []),
    );
  };
  const spelled = (word: string): fc.Arbitrary<string> => fc.tuple(...[...word].map(letter)).map((letters) => letters.join(""));
  const slash = fc.constantFrom("/", "/", "/", "//", "./", "%20/");
  const end = fc.constantFrom("", "", "/", ".", "%20", "%3Fx", "%23", "...");
  const rest = fc.constantFrom("charge", "status", "health", "42");
  await fc.assert(
    fc.asyncProperty(
      slash,
      spelled("api"),
      slash,
      spelled("payment"),
      slash,
      rest.chain(spelled),
      end,
      async (a, api, b, payment, c, name, d) => {
        const path = `/${a.replace(/^[^/]*\//, "")}${api}${b}${payment}${c}${name}${d}`;
        const entry = await matchPolicy(policy, "POST", path, never);
        // Each router has one of these; the policy must not be looser than any that it takes the path to.
        const literal = decodeURIComponent(path);
        if (literal === "/api/payment/status") expect(entry.kind).not.toBe("never");
        else if (literal !== "/api/payment/health")
          expect([path, entry.kind, entry.mode ?? "enforce", entry.maxUses]).toEqual([path, "always", "enforce", 1]);
      },
    ),
    { numRuns: 2000 },
  );
});
