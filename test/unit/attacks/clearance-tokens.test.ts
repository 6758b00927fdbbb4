import { decodeJwt, jwtVerify } from "jose";
import { describe, expect, it, test } from "vitest";
import { EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { GatepassError } from "../../../src/errors.ts";
import type { Admitted, GateOptions } from "../../../src/gate/types.ts";
import { memoryStore, type RateStore } from "../../../src/store/index.ts";
import { createSubkeys } from "../../../src/tokens/index.ts";
import { encodeBase64url } from "../../../src/util/base64url.ts";
import { concatBytes, lp } from "../../../src/util/bytes.ts";
import { forged, SECRET } from "../../helpers/gate.ts";
import { type Api, api, challengeOf } from "../clearance/tools.ts";

const errorOf = async (response: Response): Promise<unknown[]> => [response.status, (await response.json()).error];
const OTHER = "another signing secret of the tests, at least 32 bytes";
const now = (): number => Date.UTC(2026, 10, 20, 12);
/** A gate with this ring, on the store of all its instances. */
const ringed =
  (store = memoryStore({ clock: now })) =>
  (...secrets: string[]): Api =>
    api({}, { secrets, store });
const cleared = async (answer: Response): Promise<string> => (await answer.json()).app_clearance_token;

describe("a ring that turns", () => {
  it("between challenge, verification and use loses nobody, and unbinds nobody", async () => {
    const gate = ringed();
    const [before, during, after] = [gate(SECRET), gate(OTHER, SECRET), gate("a third signing secret, at least 32 bytes", OTHER, SECRET)];
    const challenge = await challengeOf(await before.call("/v1/many", { user: "ann" }));
    const token = await during.solve(challenge);
    expect((await during.verify(challenge, token, { device_id: "phone-2" })).status).toBe(403);
    const clearance = await cleared(await during.verify(challenge, token));
    for (const at of [during, after]) {
      expect((await at.call("/v1/many", { user: "ann", clearance })).status).toBe(200);
      expect((await at.call("/v1/many", { user: "ann", clearance, device: "phone-2" })).status).toBe(403);
      expect((await at.call("/v1/many", { user: "bob", clearance })).status).toBe(403);
    }
    // The same challenge and token under the next ring: the same clearance, of which one use is left.
    const again = await cleared(await during.verify(challenge, token));
    expect(decodeJwt(again).jti).toBe(decodeJwt(clearance).jti);
    const left = await Promise.all(Array.from({ length: 9 }, () => after.call("/v1/many", { user: "ann", clearance: again })));
    expect(left.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it("a secret that left it signs and clears nothing any more", async () => {
    const gate = ringed();
    const challenge = await challengeOf(await gate(SECRET).call("/v1/many"));
    const fresh = gate(OTHER);
    expect((await fresh.verify(challenge, await fresh.solve(challenge))).status).toBe(403);
    const { app_clearance_token: clearance } = await gate(SECRET).clear("/v1/many");
    expect(await errorOf(await fresh.call("/v1/many", { clearance }))).toEqual([403, "TURNSTILE_REQUIRED"]);
  });
});

test("challenge and clearance are verified by plain jose, and say what the protocol lists and nothing of who asks", async () => {
  const { call, solve, verify } = api({}, { identify: () => ({ user: "user-1", session: "app-session-1" }) });
  const challenge = await challengeOf(await call("/v1/many", { rid: "req-7" }));
  const key = new TextEncoder().encode(SECRET);
  const options = { audience: "game.example", currentDate: new Date(now()) };
  const { payload } = await jwtVerify(challenge.challenge_id.slice("chal_".length), key, { ...options, typ: "gp-challenge+jwt" });
  expect(payload).toMatchObject({ v: 1, jti: challenge.cdata, endpoint: "POST /v1/many", rid: "req-7", act: "v1_many" });
  expect([payload.exp, payload.iat].map((seconds) => Number(seconds) - now() / 1000)).toEqual([300, 0]);
  for (const claim of ["dev", "ip"]) expect(payload[claim]).toMatch(/^[\w-]{22}$/);
  const solved = await solve(challenge);
  const token = await cleared(await verify(challenge, solved));
  const mac = await createSubkeys(SECRET).mac("jti/1", concatBytes(lp(challenge.cdata), lp(solved)));
  const clearance = await jwtVerify(token, key, { ...options, typ: "gp-clearance+jwt" });
  expect(clearance.payload).toMatchObject({
    v: 1,
    jti: encodeBase64url(mac.subarray(0, 16)),
    sub: "user-1",
    device_id: payload["dev"],
    session_id: expect.stringMatching(/^[\w-]{22}$/),
    scope: ["/v1/many"],
    max_uses: 3,
    challenge_id: challenge.cdata,
    risk: 0,
  });
  for (const text of ["phone-1", "203.0.113", "app-session-1"]) {
    expect(JSON.stringify([payload, clearance.payload])).not.toContain(text);
  }
});

describe("a clearance of somebody else", () => {
  it("of another gate: another audience, another secret", async () => {
    const { app_clearance_token: clearance } = await api().clear("/v1/many");
    for (const given of [{ audience: "preview.game.example" }, { secrets: OTHER }, { issuer: "us" }] satisfies Partial<GateOptions>[]) {
      expect(await errorOf(await api({}, given).call("/v1/many", { clearance }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    }
  });

  it("of another session of the application, or before there was one", async () => {
    let session: string | undefined = "one";
    const at = api({}, { identify: () => (session ? { session } : {}) });
    const { app_clearance_token: clearance } = await at.clear("/v1/many");
    for (const other of ["two", undefined]) {
      session = other;
      expect(await errorOf(await at.call("/v1/many", { clearance }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    }
    session = "one";
    expect((await at.call("/v1/many", { clearance })).status).toBe(200);
  });

  it("is not tied to a session of the gate's own, which is another one after minutes", async () => {
    const { call, clear, session, through } = api();
    const headers = { "x-gatepass-session": await session() };
    const { app_clearance_token: clearance } = await clear("/v1/many", { headers });
    expect((await call("/v1/many", { clearance, headers: { "x-gatepass-session": await session() } })).status).toBe(200);
    expect((await call("/v1/many", { clearance })).status).toBe(200);
    expect(through).toHaveLength(2);
  });

  it("of a looser entry of the same scope: its uses and its life are not the stricter one's", async () => {
    const policy = {
      always_require_clearance: [
        { path: "/v1/browse", scope: "/shop", max_uses: 50, ttl: 600 },
        { path: "/v1/read", scope: "/shop", max_uses: 1, ttl: 1800 },
        { path: "/v1/pay", scope: "/shop", max_uses: 1, ttl: 600 },
      ],
    };
    const { call, clear } = api({ policy });
    for (const path of ["/v1/browse", "/v1/read"]) {
      const { app_clearance_token: clearance } = await clear(path);
      expect(await errorOf(await call("/v1/pay", { clearance }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    }
    const { app_clearance_token: clearance } = await clear("/v1/pay");
    expect((await call("/v1/browse", { clearance })).status).toBe(200);
  });

  it("of another device, by the name that the client knows, whatever the application calls it", async () => {
    const at = api({}, { identify: () => ({ device: "row:42 of the application's" }) });
    const { app_clearance_token: clearance } = await at.clear("/v1/many");
    expect((await at.call("/v1/many", { clearance, device: "phone-2" })).status).toBe(403);
    expect((await at.call("/v1/many", { clearance })).status).toBe(200);
  });

  it("and headers that came twice are nobody's", async () => {
    const { call, clear } = api();
    const { app_clearance_token: clearance } = await clear("/v1/many");
    for (const headers of [
      { "x-app-clearance": `${clearance}, ${clearance}` },
      { "x-app-clearance": `${clearance},` },
      { "x-app-clearance": `Bearer ${clearance}` },
      { "x-app-clearance": clearance, "x-device-id": "phone-1, phone-1" },
      { "x-app-clearance": clearance, "x-device-id": "phone-2, phone-1" },
    ]) {
      expect(await errorOf(await call("/v1/many", { device: "", headers }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    }
    expect((await call("/v1/many", { clearance })).status).toBe(200);
  });
});

describe("one challenge", () => {
  it("shown a hundred times at once with two tokens is won by one of them, and is one clearance", async () => {
    const limits = { "clearance.attempts": [{ name: "a", limit: 1000, window: 900, by: "ip" as const }] };
    const failures = { "clearance.failures": [{ name: "f", limit: 1000, window: 900, by: "ip" as const }] };
    const { call, solve, verify, events } = api({ limits: { ...limits, ...failures } });
    const challenge = await challengeOf(await call("/v1/otp"));
    const tokens = [await solve(challenge), await solve(challenge)];
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => verify(challenge, tokens[i % 2] ?? "")));
    const won = await Promise.all(answers.filter(({ status }) => status === 200).map(cleared));
    expect(won.length).toBeGreaterThan(0);
    expect(won.length).toBeLessThanOrEqual(50);
    expect(new Set(won.map((token) => decodeJwt(token).jti)).size).toBe(1);
    expect(events.filter(({ reason }) => reason === "challenge_used").length).toBeGreaterThanOrEqual(50);
    const used = await Promise.all(won.map((clearance) => call("/v1/otp", { clearance })));
    expect(used.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it("whose answer was lost again and again is one clearance of the ten that a device may have", async () => {
    const wide = [{ name: "a", limit: 1000, window: 900, by: "ip" as const }];
    const { call, solve, verify, clear } = api({ limits: { "clearance.attempts": wide } });
    const challenge = await challengeOf(await call("/v1/otp"));
    const token = await solve(challenge);
    for (let i = 0; i < 15; i++) expect((await verify(challenge, token)).status).toBe(200);
    for (let i = 0; i < 9; i++) await clear("/v1/otp");
    await expect(clear("/v1/otp")).rejects.toThrow(/429/);
  });

  it("costs a store call or two for its limits, and Cloudflare is not asked, where it is not good", async () => {
    const { call, verify, store, emulator } = api();
    const challenge = await challengeOf(await call("/v1/otp"));
    let spends = 0;
    const { spend } = store;
    Object.assign(store, {
      spend: (quotas: Parameters<typeof spend>[0]) => {
        spends += 1;
        return spend(quotas);
      },
    });
    await verify(challenge, "t", { challenge_id: `chal_${"a".repeat(3000)}.b.${"c".repeat(43)}` });
    expect([spends, emulator.control.counts().siteverify]).toEqual([0, 0]);
    await verify(challenge, "guess");
    // Attempt and failure together; then what the failure says of the device.
    expect(spends).toBe(2);
  });

  it("from before a store that lives in the process began is over, and nobody has replayed it", async () => {
    let time = now();
    const clock = (): number => time;
    const old = api({}, { store: memoryStore({ clock }), clock });
    const challenge = await challengeOf(await old.call("/v1/otp"));
    time += 10_000;
    const young = api({}, { store: memoryStore({ clock }), clock });
    const solved = await young.solve(challenge);
    expect(await errorOf(await young.verify(challenge, solved))).toEqual([403, "SECURITY_VERIFICATION_FAILED"]);
    expect(young.events.at(-1)).toMatchObject({ type: "turnstile_siteverify_failed", reason: "challenge_expired" });
  });
});

describe("what was spent", () => {
  const spent = async (at: Api, clearance: string, count = 20): Promise<number> => {
    const answers = await Promise.all(Array.from({ length: count }, (_, i) => at.call("/v1/many", { clearance, rid: `left-${i}` })));
    return answers.filter(({ status }) => status === 200).length;
  };

  it("is given back once, however often the program asks", async () => {
    const at = api();
    const { app_clearance_token: clearance } = await at.clear("/v1/many");
    const enter = async (rid: string): Promise<Admitted> => {
      const headers = { "x-device-id": "phone-1", "x-app-clearance": clearance, "x-request-id": rid };
      const admission = await at.gate.protect(new Request("https://game.example/v1/many", { method: "POST", headers }));
      if (!admission.ok) throw new Error(admission.code);
      return admission;
    };
    // Two stay in: what is given back of the third must not be theirs.
    await enter("a");
    await enter("b");
    for (let i = 0; i < 4; i++) {
      const { undo } = await enter("mine");
      await Promise.all([undo(), undo(), undo()]);
      await undo();
    }
    expect(await spent(at, clearance)).toBe(1);
  });

  it("is given back when a limit refuses, and fifty of those at once never make a use more", async () => {
    const at = api({
      policy: { always_require_clearance: [{ path: "/v1/many", max_uses: 3, limits: ["slow"] }] },
      limits: {
        slow: [
          { name: "slow", limit: 1, window: 600, by: ["device", "ip-prefix"] },
          { name: "p", limit: 999, window: 600, by: "ip-prefix" },
        ],
      },
    });
    const { app_clearance_token: clearance } = await at.clear("/v1/many");
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => at.call("/v1/many", { clearance, rid: `r${i}` })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    at.advance(700_000);
    expect(await spent(at, clearance, 1)).toBe(1);
    at.advance(100_000);
    // Not more than two were left, whichever way the limit stood.
    let more = 0;
    for (let i = 0; i < 4; i++)
      more += (await at.call("/v1/many", { clearance, rid: `m${i}`, from: "203.0.113.8" })).status === 200 ? 1 : 0;
    expect(more).toBeLessThanOrEqual(1);
  });

  it("is given back when a backend of ours fails after it", async () => {
    const rateStore: RateStore = {
      consistency: "approximate",
      spend: () => Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot reach the store")),
    };
    const store = memoryStore({ clock: now });
    const policy = { always_require_clearance: [{ path: "/v1/many", max_uses: 3, limits: ["slow"] }] };
    const limits = { slow: [{ name: "slow", limit: 9, window: 600, by: "ip" as const }] };
    const good = api({ policy, limits }, { store });
    const { app_clearance_token: clearance } = await good.clear("/v1/many");
    const bad = api({ policy, limits }, { store, rateStore });
    for (let i = 0; i < 5; i++) expect((await bad.call("/v1/many", { clearance, rid: `r${i}` })).status).toBe(503);
    expect(await spent(good, clearance)).toBe(3);
  });

  it("counts a failure once, and not one that was ours", async () => {
    const { call, solve, verify, store } = api();
    const challenge = await challengeOf(await call("/v1/otp"));
    const { spend } = store;
    let calls = 0;
    // The second call of a verification: the first has charged the failure.
    Object.assign(store, {
      spend: (quotas: Parameters<typeof spend>[0]) =>
        ++calls % 2 === 0 ? Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot reach the store")) : spend(quotas),
    });
    const token = await solve(challenge);
    for (let i = 0; i < 8; i++) expect((await verify(challenge, token)).status).toBe(503);
    Object.assign(store, { spend });
    expect((await verify(challenge, token)).status).toBe(200);
  });
});

describe("a route that wants a session as well", () => {
  it("spends both or none: what the session is refused for costs no clearance, and the other way round", async () => {
    const at = api({}, { session: { uses: 2 } });
    const { app_clearance_token: clearance } = await at.clear("/v1/many");
    const call = async (session: string, token = clearance): Promise<unknown[]> => {
      const headers = { "x-device-id": "phone-1", "x-gatepass-session": session, ...(token && { "x-app-clearance": token }) };
      const admission = await at.gate.protect(new Request("https://game.example/v1/many", { method: "POST", headers }), {
        action: "score_submit",
      });
      return admission.ok ? [200, admission.level] : [admission.response.status, admission.code];
    };
    const session = await at.session();
    expect(await call("", clearance)).toEqual([401, "SESSION_MISSING"]);
    // Without a clearance the session is not spent.
    for (let i = 0; i < 3; i++) expect(await call(session, "")).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect([await call(session), await call(session)]).toEqual(Array(2).fill([200, "session"]));
    for (let i = 0; i < 5; i++) expect(await call(session)).toEqual([401, "SESSION_EXHAUSTED"]);
    const another = await at.session();
    expect(await call(another)).toEqual([200, "session"]);
    expect(await call(another)).toEqual([403, "CLEARANCE_EXPIRED"]);
  });
});

test("through a store that may admit too much, every admission says so", async () => {
  const at = api({}, { store: { ...memoryStore({ clock: now }), consistency: "approximate" } });
  const { app_clearance_token: clearance } = await at.clear("/v1/many");
  const headers = { "x-device-id": "phone-1", "x-app-clearance": clearance };
  const admission = await at.gate.protect(new Request("https://game.example/v1/many", { method: "POST", headers }));
  expect(admission.ok && [admission.level, admission.accuracy]).toEqual(["clearance", "approximate"]);
});

test("without a device id a request that is sent again from other networks passes once", async () => {
  const { call, clear } = api();
  const asked = { device: "", from: "203.0.113.7" };
  const { app_clearance_token: clearance } = await clear("/v1/many", asked);
  const send = async (from: string, rid: string, token = clearance): Promise<number> =>
    (await call("/v1/many", { device: "", from, rid, clearance: token })).status;
  expect(await send("203.0.113.7", "one")).toBe(200);
  for (const from of ["198.51.100.7", "192.0.2.7", "2001:db8::7", "unknown"]) expect([from, await send(from, "one")]).toEqual([from, 409]);
  // What is no repeat passes from there, and the clearance has lost no use by the others.
  expect([await send("198.51.100.7", "two"), await send("198.51.100.7", "three"), await send("198.51.100.7", "four")]).toEqual([
    200, 200, 403,
  ]);
  // Another clearance of the same network does not make the id new.
  const { app_clearance_token: next } = await clear("/v1/many", asked);
  expect([await send("192.0.2.7", "one", next), await send("192.0.2.7", "five", next)]).toEqual([409, 200]);
});

test("beside a looser store, what is spent once and what counts failures stays on the exact one", async () => {
  const store = memoryStore({ clock: now });
  const loose = memoryStore({ clock: now });
  const at = api({}, { store, rateStore: { consistency: "approximate", spend: (quotas) => loose.spend(quotas) } });
  const { app_clearance_token: clearance } = await at.clear("/v1/many");
  expect((await at.call("/v1/many", { clearance, rid: "one" })).status).toBe(200);
  const kinds = (keys: readonly string[]): string[] =>
    keys.map((key) => /^u[a-z]+|clearance\.[a-z]+|risk\.[a-z]+/.exec(key)?.[0] ?? key).sort();
  expect(new Set(kinds(loose.keys()))).toEqual(new Set(["clearance.attempts", "clearance.issued"]));
  expect(new Set(kinds(store.keys()))).toEqual(new Set(["risk.prefix", "risk.requests", "uchal", "uclr", "urid"]));
});

describe("the WebView page", () => {
  it("costs no store and no Cloudflare, and shows our sitekey for challenges of our own alone", async () => {
    const store = memoryStore({ clock: now });
    const turnstile = { secret: EMULATOR_SECRET, sitekey: EMULATOR_SITEKEY, allowedHostnames: ["game.example"], allowTestKeys: true };
    const at = api({}, { store, turnstile });
    const page = (id: string): Promise<Response> =>
      at.gate.fetch(new Request(`https://game.example/mobile-turnstile?challenge_id=${encodeURIComponent(id)}`));
    const { challenge_id } = await challengeOf(await at.call("/v1/otp"));
    const keys = store.keys().length;
    const { app_clearance_token: clearance } = await api().clear("/v1/many");
    for (const id of ["", "chal_", "chal_a.b.c", `chal_${clearance}`, challenge_id.slice(5), forged(challenge_id), `${challenge_id}&x=1`]) {
      const refused = await page(id);
      expect([refused.status, await refused.text()]).toEqual([403, '{"error":"SECURITY_VERIFICATION_FAILED"}']);
    }
    for (let i = 0; i < 20; i++) expect(await (await page(challenge_id)).text()).toContain(`data-sitekey="${EMULATOR_SITEKEY}"`);
    at.advance(306_000);
    expect((await page(challenge_id)).status).toBe(403);
    expect(at.events.at(-1)).toMatchObject({ reason: "challenge_expired" });
    expect([store.keys().length, at.emulator.control.counts().siteverify]).toEqual([keys, 0]);
  });
});

describe("a request that was let in", () => {
  it("is a replay when it comes again, also where the clearance has no use left: no second challenge for a payment that was made", async () => {
    const { call, clear, events } = api();
    const { app_clearance_token: clearance } = await clear("/v1/payment/charge", { rid: "pay-1" });
    expect((await call("/v1/payment/charge", { clearance, rid: "pay-1" })).status).toBe(200);
    expect(await errorOf(await call("/v1/payment/charge", { clearance, rid: "pay-1" }))).toEqual([409, "REQUEST_REPLAYED"]);
    expect(events.at(-1)).toMatchObject({ type: "app_clearance_replay_detected", reason: "request_replayed", code: "REQUEST_REPLAYED" });
    const { app_clearance_token: other } = await clear("/v1/payment/charge", { rid: "pay-1" });
    expect(await errorOf(await call("/v1/payment/charge", { clearance: other, rid: "pay-1" }))).toEqual([409, "REQUEST_REPLAYED"]);
    expect((await call("/v1/payment/charge", { clearance: other, rid: "pay-2" })).status).toBe(200);
  });

  it("a hundred at once under one id are one, with a clearance of many uses", async () => {
    const { call, clear } = api();
    const { app_clearance_token: clearance } = await clear("/v1/many");
    const answers = await Promise.all(Array.from({ length: 100 }, () => call("/v1/many", { clearance, rid: "same" })));
    expect(answers.map(({ status }) => status).filter((status) => status !== 409)).toEqual([200]);
    expect((await call("/v1/many", { clearance, rid: "b" })).status).toBe(200);
    expect((await call("/v1/many", { clearance, rid: "c" })).status).toBe(200);
  });
});

test("on a route of middling risk a clearance is spent and weighed: who has one is not counted tightly, and a used-up one is no better than none", async () => {
  const policy = { risk_based: [{ path: "/v1/search", max_uses: 25, risk: 10 }] };
  const bad = (request: Request, name: string): boolean => request.headers.has(name);
  const at = api({ policy, signals: (request) => ({ badIp: bad(request, "x-bad"), abusiveAsn: bad(request, "x-worse") }) });
  const headers = { "x-bad": "1" };
  const { app_clearance_token: clearance } = await at.clear("/v1/search", { headers: { ...headers, "x-worse": "1" } });
  // Where nothing is asked, nothing is spent.
  expect((await at.call("/v1/search", { clearance })).status).toBe(200);
  const statuses = [];
  for (let i = 0; i < 47; i++) statuses.push((await at.call("/v1/search", { headers, clearance, rid: `r${i}` })).status);
  // 25 with the clearance, then the 20 a minute of whoever has none.
  expect(statuses).toEqual([...Array(45).fill(200), 429, 429]);
  expect(at.through.map(({ level }) => level)).toEqual(["none", ...Array(25).fill("clearance"), ...Array(20).fill("none")]);
  expect(await errorOf(await at.call("/v1/search", { headers, clearance, rid: "r0", from: "203.0.113.9" }))).toEqual([
    409,
    "REQUEST_REPLAYED",
  ]);
});

test("while the provider is down, what was not checked says so at every use", async () => {
  const turnstile = {
    secret: "1x0000000000000000000000000000000AA",
    allowedHostnames: ["game.example"],
    allowTestKeys: true,
    siteverifyUrl: "https://down.example/siteverify",
    onUnavailable: "degraded" as const,
  };
  const weak = api({}, { turnstile, fetch: () => Promise.reject(new TypeError("down")) });
  const { app_clearance_token: clearance, max_uses } = await weak.clear("/v1/many");
  const headers = { "x-device-id": "phone-1", "x-app-clearance": clearance };
  const admission = await weak.gate.protect(new Request("https://game.example/v1/many", { method: "POST", headers }));
  expect([max_uses, admission.ok && admission.degraded, admission.ok && admission.level]).toEqual([1, true, "clearance"]);
  // A stranger who waits for an outage has no more of them than on any day.
  for (let i = 0; i < 9; i++) await weak.clear("/v1/many");
  await expect(weak.clear("/v1/many")).rejects.toThrow(/429/);
});

test("events name device and user as one HMAC each, in every step, and where the request came from", async () => {
  const { call, solve, verify, events, gate } = api();
  const asked = await call("/v1/otp", { user: "ann", headers: { "x-app-version": "1.2.3" } });
  const challenge = await challengeOf(asked);
  const token = await cleared(await verify(challenge, await solve(challenge)));
  await call("/v1/otp", { user: "ann", clearance: token });
  await call("/v1/otp", { user: "ann", clearance: token });
  await verify(challenge, "another token");
  const ours = events.filter(({ type }) => /^(app|turnstile|security|high)/.test(type));
  expect(new Set(ours.map(({ device }) => device)).size).toBe(1);
  expect(ours[0]?.device).toMatch(/^[\w-]{22}$/);
  expect(new Set(ours.flatMap(({ user }) => user ?? [])).size).toBe(1);
  for (const { ip_prefix } of ours) expect(ip_prefix).toBe("203.0.113.0/24");
  expect(JSON.stringify(events)).not.toMatch(/phone-1|"ann"/);
  const request = new Request("https://game.example/v1/otp", { method: "POST" });
  Object.defineProperty(request, "cf", { value: { asn: 64_500, country: "DE" } });
  await gate.protect(request);
  expect(events.at(-1)).toMatchObject({ type: "turnstile_challenge_created", asn: 64_500, country: "DE" });
});
