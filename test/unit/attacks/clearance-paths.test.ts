import { describe, expect, it, test } from "vitest";
import { matchPolicy, parsePolicy } from "../../../src/clearance/policy.ts";
import type { LimitRule } from "../../../src/limits/types.ts";
import { api, challengeOf } from "../clearance/tools.ts";

const never = (): boolean => false;
const errorOf = async (response: Response): Promise<unknown[]> => [response.status, (await response.json()).error];

const TWO = parsePolicy({
  always_require_clearance: [
    { path: "/api/docs/*", max_uses: 50, ttl: 1800, limits: ["docs"], mode: "monitor" },
    { path: "/api/payment/*", max_uses: 1, ttl: 600, max_age: 60, bind_ip: true, limits: ["pay"] },
  ],
  risk_based: [{ path: "/api/new", mode: "off" }],
  never_require_clearance: [{ path: "/health", limits: ["slow"] }],
});

/** `/api/docs/‥/payment/charge`: the one character ‥ is `..` to a router that folds what looks alike. */
const DOTS = "%E2%80%A5";

describe("a path that two routers read as two protected ones", () => {
  it("gets the strictest of both terms, and no clearance for one of them opens it", async () => {
    const entry = await matchPolicy(TWO, "POST", `/api/docs/${DOTS}/payment/charge`, never);
    const { kind, ttl, maxUses, maxAge, bindIp, limits, mode } = entry;
    expect({ kind, ttl, maxUses, maxAge, bindIp, limits: [...limits].sort(), mode }).toEqual({
      kind: "always",
      ttl: 600,
      maxUses: 1,
      maxAge: 60,
      bindIp: true,
      limits: ["docs", "pay"],
      mode: undefined,
    });
    expect(TWO.entries.some(({ scope }) => scope === entry.scope)).toBe(false);
  });

  it("through the gate: a clearance of twenty uses is not one for payments", async () => {
    const { call, clear, through } = api({ policy: { always_require_clearance: ["/v1/docs/*", { path: "/v1/payment/*", max_uses: 1 }] } });
    const { app_clearance_token: token } = await clear("/v1/docs/a");
    expect((await call("/v1/docs/b", { clearance: token })).status).toBe(200);
    for (const path of [
      `/v1/docs/${DOTS}/payment/charge`,
      `/v1/docs/x/${DOTS}/${DOTS}%EF%BC%8Fpayment/charge`,
      "/v1/docs/%EF%BC%8E./payment/charge",
    ]) {
      expect([path, ...(await errorOf(await call(path, { clearance: token })))]).toEqual([path, 403, "TURNSTILE_REQUIRED"]);
    }
    expect(through).toHaveLength(1);
    // Who insists, and solves the challenge, gets through once.
    const odd = `/v1/docs/${DOTS}/payment/charge`;
    const { app_clearance_token: own, max_uses } = await clear(odd);
    expect([max_uses, (await call(odd, { clearance: own })).status]).toEqual([1, 200]);
    expect((await call("/v1/payment/charge", { clearance: own })).status).toBe(403);
  });

  it("keeps the limits of a free one beside it, and its mode opens nothing that is in no list", async () => {
    expect((await matchPolicy(TWO, "POST", "/health;/x", never)).limits).toEqual(["slow"]);
    expect(await matchPolicy(TWO, "POST", "/api/n%65w", never)).toMatchObject({ kind: "risk", mode: undefined });
    expect(await matchPolicy(TWO, "POST", "/api/new", never)).toMatchObject({ kind: "risk", mode: "off" });
  });
});

describe("a path that looks like another", () => {
  it.each([
    "/api/payment./charge",
    "/api/payment.../charge.",
    "/api/payment%20/charge",
    "/api/%EF%BD%90ayment/charge",
    "/api/payment%EF%BC%8Fcharge",
    "/api/payment/%E2%80%A6/charge",
    "/api/payment%E2%80%A4/charge",
    "/%E2%84%AApi/../api/payment/x",
  ])("%s is as protected", async (path) => {
    expect((await matchPolicy(TWO, "POST", path, never)).maxUses).toBe(1);
  });

  it("long s and Kelvin are letters: /paſt is /past", async () => {
    const of = parsePolicy({ always_require_clearance: ["/past/kelvin"] });
    expect((await matchPolicy(of, "POST", "/pa%C5%BFt/%E2%84%AAelvin", never)).kind).toBe("always");
  });

  it("an encoding hides no points of the path", async () => {
    const { gate, call } = api();
    for (let i = 0; i < 6; i++)
      await gate.report(new Request("https://game.example/v1/login", { headers: { "x-device-id": "phone-1" } }), "login_failed");
    for (const path of ["/v1/login", "/v1/log%69n", "/v1/LOGIN/", "/v1//login", "/v1/%EF%BD%8Cogin.", "/v1/login%3Fx=1"]) {
      expect([path, (await call(path)).status]).toEqual([path, 403]);
    }
  });
});

describe("a method that is claimed", () => {
  const policy = parsePolicy({
    always_require_clearance: [{ path: "/api/account", method: "DELETE" }],
    never_require_clearance: [{ path: "/api/account", method: ["GET", "POST"] }],
  });

  it("in a header or the query counts beside the real one, and the strictest wins", async () => {
    expect((await matchPolicy(policy, ["POST", "delete"], "/api/account", never)).kind).toBe("always");
    const { call } = api({
      policy: {
        always_require_clearance: [{ path: "/v1/account", method: "DELETE" }],
        never_require_clearance: [{ path: "/v1/account", method: ["GET", "POST"] }],
      },
    });
    expect((await call("/v1/account")).status).toBe(200);
    expect((await call("/v1/account", { method: "HEAD" })).status).toBe(200);
    for (const name of ["x-http-method-override", "X-HTTP-Method", "x-method-override"]) {
      expect((await call("/v1/account", { headers: { [name]: "delete" } })).status).toBe(403);
    }
    expect((await call("/v1/account?_method=DELETE")).status).toBe(403);
    expect((await call("/v1/account?%5fmethod=DELETE")).status).toBe(403);
    // It cannot be claimed away.
    expect((await call("/v1/account", { method: "DELETE", headers: { "x-http-method-override": "GET" } })).status).toBe(403);
  });
});

describe("very long paths", () => {
  it("cost no more than their length, however they are written", async () => {
    const policy = parsePolicy({
      always_require_clearance: Array.from({ length: 300 }, (_, i) => `/api/entry-${i}/*`),
      never_require_clearance: ["/health"],
    });
    const long = 16_000;
    const paths = [
      "/a".repeat(long / 2),
      "/..".repeat(long / 3),
      "%252525".repeat(long / 7),
      `/${".".repeat(long)}x`,
      `/${" ".repeat(long)}x`,
      `/${";".repeat(long)}`,
      "/%EF%B7%BA".repeat(long / 10),
      `/${"\\".repeat(long)}`,
      `/health/${"%2e%2e%2f".repeat(long / 9)}`,
    ];
    const started = performance.now();
    for (const path of paths.flatMap((one) => [one, one.slice(0, 4000)])) {
      expect((await matchPolicy(policy, "POST", path, never)).kind).not.toBe("never");
    }
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it("fall under everything there is, beyond any honest length, if they came as far as the policy", async () => {
    for (const path of [`/${"x".repeat(4096)}`, `/%61${"x".repeat(4096)}`]) {
      const { kind, maxUses, mode, limits } = await matchPolicy(TWO, "GET", path, never);
      expect([kind, maxUses, mode, [...limits].sort()]).toEqual(["always", 1, undefined, ["docs", "pay", "slow"]]);
      expect((await matchPolicy(TWO, "GET", path.slice(0, 4000), never)).kind).toBe("unmatched");
    }
  });

  it("give a challenge that fits into a token, and a clearance for that very path alone", async () => {
    const { call, clear } = api({ signals: () => ({ botScore: 1, badIp: true }) });
    const path = `/v1/${"x".repeat(3900)}`;
    const { app_clearance_token: token } = await clear(path);
    expect((await call(path, { clearance: token })).status).toBe(200);
    expect((await call(`${path}y`, { clearance: token })).status).toBe(403);
    expect(await errorOf(await call(`/${"y".repeat(20_000)}`))).toEqual([400, "PATH_AMBIGUOUS"]);
  });
});

describe("a condition that reads the body", () => {
  const CHUNK = 8192;
  /** A body without an end, and how much of it was taken. */
  function endless(): { body: ReadableStream<Uint8Array>; taken(): number } {
    let taken = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          taken += CHUNK;
          controller.enqueue(new Uint8Array(CHUNK).fill(32));
        },
      },
      { highWaterMark: 0 },
    );
    return { body, taken: () => taken };
  }
  const post = (body: ReadableStream<Uint8Array> | string): Request => {
    const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" };
    return new Request("https://game.example/v1/graphql", init);
  };
  const policy = { always_require_clearance: [{ path: "/v1/graphql", when: "mutation" }], never_require_clearance: ["/v1/*"] };

  it("takes 64 KiB of it at most, and is then answered on the strict side", async () => {
    const { gate } = api({ policy, when: { mutation: async (request) => (await request.text()).includes("mutation") } });
    const { body, taken } = endless();
    const admission = await gate.protect(post(body));
    expect(!admission.ok && admission.code).toBe("TURNSTILE_REQUIRED");
    expect(taken()).toBeLessThanOrEqual(65_536 + 2 * CHUNK);
  });

  it("leaves the whole body to the handler, and takes nothing of one that it does not read", async () => {
    const at = api({ policy, when: { mutation: async (request) => JSON.parse(await request.text()).query.startsWith("mutation") } });
    const query = post(JSON.stringify({ query: "query { me }" }));
    expect((await at.gate.protect(query)).ok).toBe(true);
    expect(await query.json()).toEqual({ query: "query { me }" });
    expect((await at.gate.protect(post(JSON.stringify({ query: "mutation { pay }" })))).ok).toBe(false);
    const lazy = api({ policy, when: { mutation: (request) => request.headers.has("x-mutation") } });
    const { body, taken } = endless();
    const request = post(body);
    expect((await lazy.gate.protect(request)).ok).toBe(true);
    expect(taken()).toBe(0);
    const reader = request.body?.getReader();
    for (let i = 0; i < 50; i++) await reader?.read();
    expect(taken()).toBeLessThanOrEqual(51 * CHUNK);
  });

  it("gets the request's own method and headers", async () => {
    const seen: unknown[] = [];
    const { gate } = api({
      policy,
      when: {
        mutation: (request) => {
          seen.push(request.method, request.headers.get("content-type"), new URL(request.url).pathname);
          return false;
        },
      },
    });
    await gate.protect(post("{}"));
    expect(seen).toEqual(["POST", "text/plain;charset=UTF-8", "/v1/graphql"]);
  });
});

test("a scope that the program asks for is opened by no list, no mode and no spelling", async () => {
  const { call, clear } = api({
    policy: {
      always_require_clearance: [{ path: "/v1/known", max_uses: 2 }],
      risk_based: [{ path: "/v1/off", mode: "off" }],
      never_require_clearance: ["/v1/free"],
    },
  });
  for (const path of ["/v1/off", "/v1/free", "/v1/known", "/V1/Off/", "/v1/%6fff"]) {
    expect([path, ...(await errorOf(await call(path, { scope: "/v1/named" })))]).toEqual([path, 403, "TURNSTILE_REQUIRED"]);
  }
  const limited = api({
    policy: { risk_based: [{ path: "/v1/limited", limits: ["slow"] }] },
    limits: { slow: [{ name: "slow", limit: 1, window: 60, by: "ip" }] },
  });
  const { app_clearance_token: many } = await limited.clear("/v1/limited", { scope: "/v1/named" });
  const statuses = [];
  for (let i = 0; i < 2; i++) statuses.push((await limited.call("/v1/limited", { scope: "/v1/named", clearance: many })).status);
  // The path's own limits go with it.
  expect(statuses).toEqual([200, 429]);
  const challenge = await challengeOf(await call("/v1/off", { scope: "/v1/known" }));
  expect([challenge.scope, challenge.max_uses]).toEqual([["/v1/known"], 2]);
  const { app_clearance_token: token } = await clear("/v1/known");
  expect((await call("/v1/free", { scope: "/v1/known", clearance: token })).status).toBe(200);
});

test("a scope that several entries share is as strict as the strictest of them, whichever the program asks it for", async () => {
  const loose = { path: "/v1/browse/anything", scope: "/v1/pay", max_uses: 1000, ttl: 1800 };
  const strict = { path: "/v1/pay", max_uses: 1, ttl: 300 };
  for (const mode of [undefined, "monitor", "off"] as const) {
    for (const kind of ["always_require_clearance", "risk_based"] as const) {
      const { call } = api({
        policy: { always_require_clearance: [strict], [kind]: [...(kind === "risk_based" ? [] : [strict]), { ...loose, mode }] },
      });
      const asked = await call("/v1/other", { scope: "/v1/pay" });
      expect([mode, kind, asked.status]).toEqual([mode, kind, 403]);
      expect(await challengeOf(asked)).toMatchObject({ scope: ["/v1/pay"], max_uses: 1 });
    }
  }
});

test("limits of a scope and of a path that do not fit into one step are not dropped: the request is refused", async () => {
  const rules = (name: string): LimitRule[] =>
    Array.from({ length: 9 }, (_, i) => ({ name: `${name}-${i}`, limit: 1, window: 60, by: "ip-prefix" }));
  const { call } = api({
    policy: {
      always_require_clearance: [{ path: "/v1/pay", limits: ["pay"] }],
      risk_based: [{ path: "/v1/other", limits: ["other"] }],
    },
    limits: { pay: rules("pay"), other: rules("other") },
  });
  expect((await call("/v1/pay", { scope: "/v1/pay" })).status).toBe(403);
  expect(await errorOf(await call("/v1/other", { scope: "/v1/pay" }))).toEqual([400, "PATH_AMBIGUOUS"]);
});
