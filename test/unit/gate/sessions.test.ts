import { describe, expect, it, vi } from "vitest";
import { createTokens } from "../../../src/tokens/index.ts";
import { bearer, codeOf, emulated, kit, ORIGIN, SECRET } from "./kit.ts";

const statuses = async (answers: Promise<Response>[]): Promise<Record<string, number>> => {
  const count: Record<string, number> = {};
  for (const answer of await Promise.all(answers)) {
    const [status, code] = answer.status === 201 ? [201, ""] : await codeOf(answer);
    count[`${status} ${code}`.trim()] = (count[`${status} ${code}`.trim()] ?? 0) + 1;
  }
  return count;
};

describe("one solve is one session", () => {
  it("exchanged a hundred times concurrently and again at 295 s, its uses add up to one session's", async () => {
    const at = kit({ session: { uses: 20, ttl: 900 } });
    const solved = at.mint();
    const exchange = async (): Promise<string> => {
      const { sessionToken }: { sessionToken: string } = await (await at.exchange(solved)).json();
      return sessionToken;
    };
    const early = await Promise.all(Array.from({ length: 100 }, exchange));
    at.advance(295_000);
    const late = await exchange();
    const jtis = await Promise.all([...early, late].map(async (token) => (await at.gate.sessions.verify(token)).jti));
    expect(new Set(jtis).size).toBe(1);
    const mixed = [...early, late, late, late];
    expect(await statuses(mixed.map((token) => at.write(bearer(token))))).toEqual({ "201": 20, "401 SESSION_EXHAUSTED": 83 });
    // The late session lives longest: its counter must not have expired with the early ones.
    at.advance(895_000);
    expect(await codeOf(await at.write(bearer(late)))).toEqual([401, "SESSION_EXHAUSTED"]);
    at.advance(20_000);
    expect(await codeOf(await at.write(bearer(late)))).toEqual([401, "SESSION_EXPIRED"]);
  });

  it("revoked in between, none of its sessions has a use left, not even one that is exchanged afterwards", async () => {
    const at = kit({ session: { ttl: 900 } });
    const solved = at.mint();
    const first = await (await at.exchange(solved)).json();
    const { jti } = await at.gate.sessions.verify(first.sessionToken);
    expect((await at.write(bearer(first.sessionToken))).status).toBe(201);
    await at.gate.sessions.revoke(jti);
    at.advance(295_000);
    const later = await (await at.exchange(solved)).json();
    expect(await statuses([first, later, later].map(({ sessionToken }) => at.write(bearer(sessionToken))))).toEqual({
      "401 SESSION_REVOKED": 3,
    });
    at.advance(890_000);
    expect(await codeOf(await at.write(bearer(later.sessionToken)))).toEqual([401, "SESSION_REVOKED"]);
  });

  it("a fresh token and the session of the same solve share the counter: never a write more than one session's", async () => {
    const at = kit({ session: { uses: 3 } });
    const solved = at.mint();
    const { sessionToken } = await (await at.exchange(solved)).json();
    expect((await at.write({ "x-turnstile-token": solved })).status).toBe(201);
    expect(await codeOf(await at.write({ "x-turnstile-token": solved }))).toEqual([401, "SESSION_EXHAUSTED"]);
    expect(await statuses(Array.from({ length: 5 }, () => at.write(bearer(sessionToken))))).toEqual({
      "201": 2,
      "401 SESSION_EXHAUSTED": 3,
    });
  });

  it("a session that was used leaves nothing for the fresh token", async () => {
    const at = kit();
    const solved = at.mint();
    const { sessionToken } = await (await at.exchange(solved)).json();
    expect((await at.write(bearer(sessionToken))).status).toBe(201);
    expect(await codeOf(await at.write({ "x-turnstile-token": solved }))).toEqual([401, "SESSION_EXHAUSTED"]);
    expect(at.types()).toContain("session_replay_detected");
  });

  it("a hundred concurrent writes with one use let one through", async () => {
    const at = kit({ session: { uses: 1 } });
    const { token } = await at.session();
    expect(await statuses(Array.from({ length: 100 }, () => at.write(bearer(token))))).toEqual({ "201": 1, "401 SESSION_EXHAUSTED": 99 });
    expect(at.types().filter((type) => type === "session_replay_detected")).toHaveLength(99);
  });

  it("a hundred concurrent writes with one fresh token let one through", async () => {
    const at = kit();
    const solved = at.mint();
    expect(await statuses(Array.from({ length: 100 }, () => at.write({ "x-turnstile-token": solved })))).toEqual({
      "201": 1,
      "401 SESSION_EXHAUSTED": 99,
    });
  });

  it("spent with another gate's key, a token buys nothing here: idempotency is per secret and per purpose", async () => {
    const at = kit();
    const other = kit({
      secrets: "another-ring-0123456789-ABCDEFGHIJKLMNOP",
      fetch: (input, init) => at.emulator.fetch(new Request(input, init)),
      clock: at.now,
    });
    const solved = at.mint();
    expect((await at.exchange(solved)).status).toBe(200);
    expect(await codeOf(await other.exchange(solved))).toEqual([403, "VERIFICATION_FAILED"]);
  });
});

describe("the exchange", () => {
  it("answers what the protocol says, and claims what it says", async () => {
    const at = kit({ session: { ttl: 120, uses: 7 } });
    at.advance(500);
    const solved = at.mint();
    at.advance(60_000);
    const answer = await at.exchange(solved);
    const body = await answer.json();
    expect([answer.status, Object.keys(body).sort(), body.expiresIn, body.uses]).toEqual([
      200,
      ["expiresIn", "playerToken", "sessionToken", "uses"],
      120,
      7,
    ]);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const now = Math.floor(at.now() / 1000);
    const claims = await at.gate.sessions.verify(body.sessionToken);
    expect(claims).toMatchObject({
      v: 1,
      aud: "game.example",
      scope: ["score_submit"],
      uses: 7,
      iat: now,
      exp: now + 120,
      auth_time: now - 60,
    });
    expect([claims.jti.length, claims.sub.length, claims.key]).toEqual([22, 22, 0]);
    expect(claims).not.toHaveProperty("bnd");
    // The page may read its token: nothing of the challenge is in it.
    expect(JSON.stringify(claims)).not.toContain(solved);
  });

  it.each([
    ["a made-up token", "made-up-token", 403, "VERIFICATION_FAILED"],
    ["no token", "", 400, "TURNSTILE_TOKEN_MISSING"],
    ["an endless token", "x".repeat(2049), 403, "VERIFICATION_FAILED"],
  ])("%s is refused", async (_, token, status, code) => {
    const at = kit();
    expect(await codeOf(await at.exchange(token))).toEqual([status, code]);
    expect(at.types()).toContain("session_rejected");
  });

  it("refuses what was solved for another action, with cdata, too long ago", async () => {
    const at = kit();
    expect(await codeOf(await at.exchange(at.mint("newsletter")))).toEqual([403, "VERIFICATION_FAILED"]);
    expect(await codeOf(await at.exchange(at.mint(undefined, { cdata: "a-pending-clearance" })))).toEqual([403, "VERIFICATION_FAILED"]);
    const old = at.mint();
    at.advance(301_000);
    expect(await codeOf(await at.exchange(old))).toEqual([403, "VERIFICATION_FAILED"]);
    const reasons = at.events.filter(({ type }) => type === "turnstile_siteverify_failed").map(({ reason }) => reason);
    expect(reasons).toEqual(["action_mismatch", "cdata_mismatch", "expired_or_spent"]);
  });

  it("is limited per address, before Cloudflare is asked", async () => {
    const at = kit({ limits: { session: [{ name: "session", limit: 2, window: 60, by: "ip" }] } });
    await at.exchange(at.mint());
    await at.exchange("made-up");
    const asked = at.emulator.control.counts().siteverify;
    const answer = await at.exchange(at.mint());
    expect(await codeOf(answer)).toEqual([429, "RATE_LIMITED"]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(answer.headers.get("ratelimit-policy")).toBe('"session";q=2;w=60');
    expect(at.emulator.control.counts().siteverify).toBe(asked);
    expect(at.types()).toContain("rate_limited");
  });

  it("several actions: the scope is the one that was confirmed, and opens no other", async () => {
    const at = kit({ session: { actions: ["score_submit", "chat"] } });
    const { sessionToken } = await (await at.exchange(at.mint("chat"))).json();
    expect((await at.gate.sessions.verify(sessionToken)).scope).toEqual(["chat"]);
    expect(await codeOf(await at.write(bearer(sessionToken)))).toEqual([403, "SCOPE_DENIED"]);
    at.admit = { action: "chat" };
    expect((await at.write(bearer(sessionToken))).status).toBe(201);
  });

  it("without a signing secret there is no exchange, only fresh tokens", async () => {
    const at = kit({ secrets: [] });
    expect(await codeOf(await at.exchange(at.mint()))).toEqual([404, "NOT_FOUND"]);
    await expect(at.gate.sessions.exchange(at.mint())).resolves.toEqual({ ok: false, code: "NOT_FOUND" });
    const monitored = kit({ secrets: [], mode: "monitor" });
    expect(await codeOf(await monitored.exchange(monitored.mint()))).toEqual([404, "NOT_FOUND"]);
    const solved = at.mint();
    expect((await at.write({ "x-turnstile-token": solved })).status).toBe(201);
    expect((await at.write({ "x-turnstile-token": solved })).status).toBe(403);
    expect(await codeOf(await at.write())).toEqual([401, "SESSION_MISSING"]);
    expect(JSON.stringify(at.counted.spends)).not.toContain(solved);
  });

  it("the application may exchange by itself, with its own word for the address", async () => {
    const at = kit({ session: { bind: "ip-prefix" } });
    const result = await at.gate.sessions.exchange(at.mint(), { remoteip: "203.0.113.99" });
    if (!result.ok) throw new Error(result.code);
    // The same /24 as the kit's address, so the session is bound to what its writes come from.
    expect((await at.write(bearer(result.sessionToken))).status).toBe(201);
    expect(result.claims.bnd).toHaveLength(22);
  });
});

describe("test keys", () => {
  it("their token is a constant: each exchange is a session and a player of its own, for every action", async () => {
    const at = kit({
      turnstile: { ...emulated, secret: "1x0000000000000000000000000000000AA" },
      session: { actions: ["score_submit", "chat"] },
    });
    const dummy = "XXXX.DUMMY.TOKEN.XXXX";
    const [one, two] = await Promise.all([at.exchange(dummy), at.exchange(dummy)].map(async (answer) => (await answer).json()));
    const claims = await Promise.all([one, two].map(({ sessionToken }) => at.gate.sessions.verify(sessionToken)));
    expect(claims[0]?.jti).not.toBe(claims[1]?.jti);
    expect(claims[0]?.sub).not.toBe(claims[1]?.sub);
    expect(claims[0]?.scope).toEqual(["score_submit", "chat"]);
    for (let i = 0; i < 2; i++) expect((await at.write({ "x-turnstile-token": dummy })).status).toBe(201);
  });
});

describe("tokens that are none of this gate's sessions", () => {
  const options = { audience: "game.example", clock: () => Date.now() };
  const claims = { sub: "mallory", auth_time: 1, scope: ["score_submit"], uses: 1000 };

  it("tampered, foreign, of another kind, shapeless: all invalid, nothing spent", async () => {
    const at = kit();
    const { token, playerToken } = await at.session();
    const sign = (secrets: string, typ: string, given: Record<string, unknown>, audience = "game.example"): Promise<string> =>
      createTokens({ ...options, secrets, audience, clock: at.now }).sign(typ, given, { ttl: 300 });
    const other = "a-secret-of-mallory-0123456789-ABCDEFGHI";
    const session = "gp-session+jwt";
    const now = Math.floor(at.now() / 1000);
    const forged = {
      "a flipped bit": `${token.slice(0, -2)}${token.at(-2) === "A" ? "B" : "A"}${token.slice(-1)}`,
      "no signature": token.slice(0, token.lastIndexOf(".") + 1),
      "another secret": await sign(other, session, { ...claims, auth_time: now }),
      "a player token": playerToken,
      "a commitment": await sign(SECRET, "gp-score+jwt", { ...claims, auth_time: now }),
      "a preview's audience": await sign(SECRET, session, { ...claims, auth_time: now }, "preview.example"),
      "uses without end": await sign(SECRET, session, { ...claims, auth_time: now, uses: 1e9 }),
      "uses as text": await sign(SECRET, session, { ...claims, auth_time: now, uses: "20" }),
      "no scope": await sign(SECRET, session, { ...claims, auth_time: now, scope: "score_submit" }),
      "no solve": await sign(SECRET, session, { ...claims, auth_time: "now" }),
    };
    const before = at.counted.spends.length;
    for (const [name, bad] of Object.entries(forged)) {
      expect([name, ...(await codeOf(await at.write({ "x-gatepass-session": bad })))]).toEqual([name, 401, "SESSION_INVALID"]);
    }
    expect(await codeOf(await at.write(bearer(playerToken)))).toEqual([401, "SESSION_INVALID"]);
    expect(at.counted.spends).toHaveLength(before);
  });

  it("an expired session says so, with how to authenticate", async () => {
    const at = kit();
    const { token } = await at.session();
    at.advance(306_000);
    const answer = await at.write(bearer(token));
    expect(await codeOf(answer)).toEqual([401, "SESSION_EXPIRED"]);
    expect(answer.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
  });

  it("a token that was verified before is no better than it was: it expires, and a copy of its claims cannot change it", async () => {
    const at = kit({ session: { uses: 3 } });
    const { token, claims } = await at.session();
    claims.scope.push("everything");
    claims.uses = 1000;
    claims.exp += 1e6;
    expect((await at.write(bearer(token))).status).toBe(201);
    const again = await at.gate.sessions.verify(token);
    expect([again.scope, again.uses]).toEqual([["score_submit"], 3]);
    const flipped = token.endsWith("A") ? `${token.slice(0, -1)}Q` : `${token.slice(0, -1)}A`;
    expect(await codeOf(await at.write({ "x-gatepass-session": flipped }))).toEqual([401, "SESSION_INVALID"]);
    at.advance(304_000);
    expect((await at.write(bearer(token))).status).toBe(201);
    at.advance(1_000);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_EXPIRED"]);
    at.advance(-1_000_000);
    expect(await codeOf(await at.write(bearer(token)))).toEqual([401, "SESSION_INVALID"]);
  });

  it("the application's own Authorization is none of our business", async () => {
    const at = kit();
    const { token } = await at.session();
    const theirs = await createTokens({ secrets: "the-application's-own-secret-0123456789-" }).sign("JWT", {}, { ttl: 60 });
    for (const authorization of [`Bearer ${theirs}`, "Basic YTpi", "Bearer x", "Bearer ..", "Bearer"]) {
      expect((await at.write({ authorization, "x-gatepass-session": token })).status).toBe(201);
      expect(await codeOf(await at.write({ authorization }))).toEqual([401, "SESSION_MISSING"]);
    }
  });
});

describe("rotation", () => {
  const fresh = "a-new-secret-8Zq2-hT6vB1nM4kX9cR3wY7uJ5s";

  it("an old secret still verifies; the new one signs; a solve exchanged before cannot be exchanged again into a second session", async () => {
    const before = kit({ session: { bind: "ip-prefix" } });
    const solved = before.mint();
    const { sessionToken, playerToken } = await (await before.exchange(solved)).json();
    const after = kit({
      secrets: [fresh, SECRET],
      session: { bind: "ip-prefix" },
      clock: before.now,
      store: before.counted.store,
      fetch: (input, init) => before.emulator.fetch(new Request(input, init)),
    });
    // Bound under the old secret's sub-key: `key` tells which one.
    expect((await after.write(bearer(sessionToken))).status).toBe(201);
    expect((await after.gate.sessions.verify(sessionToken)).key).toBe(1);
    expect(await codeOf(await after.exchange(solved))).toEqual([403, "VERIFICATION_FAILED"]);
    const renewed = await (await after.exchange(before.mint(), { playerToken })).json();
    const [old, now] = await Promise.all([sessionToken, renewed.sessionToken].map((token) => after.gate.sessions.verify(token)));
    expect([now?.key, now?.sub]).toEqual([0, old?.sub]);
  });
});

describe("binding", () => {
  it("a session that was stolen is useless from another /24", async () => {
    let address = "198.51.100.10";
    const at = kit({ session: { bind: "ip-prefix" }, clientIp: () => address });
    const solved = at.mint();
    const { sessionToken } = await (await at.exchange(solved)).json();
    address = "198.51.100.77";
    expect((await at.write(bearer(sessionToken))).status).toBe(201);
    address = "203.0.113.5";
    expect(await codeOf(await at.write(bearer(sessionToken)))).toEqual([401, "SESSION_INVALID"]);
    expect(at.events.at(-1)).toMatchObject({ type: "session_rejected", reason: "binding" });
    // The token itself, too: the thief's idempotency key is another one, so that Cloudflare refuses it.
    expect(await codeOf(await at.exchange(solved))).toEqual([403, "VERIFICATION_FAILED"]);
  });

  it("a session of one device is useless on another, and one without a binding where there must be one", async () => {
    const at = kit({ session: { bind: "device" } });
    const { sessionToken } = await (await at.exchange(at.mint(), {}, { "x-device-id": "phone-1" })).json();
    expect((await at.write({ ...bearer(sessionToken), "x-device-id": "phone-1" })).status).toBe(201);
    for (const device of ["phone-2", "", "phone-1 "]) {
      const answer = await at.write({ ...bearer(sessionToken), ...(device && { "x-device-id": device.replace(" ", "!") }) });
      expect(await codeOf(answer)).toEqual([401, "SESSION_INVALID"]);
    }
    const unbound = await kit({ clock: at.now, fetch: (i, n) => at.emulator.fetch(new Request(i, n)) }).gate.sessions.exchange(at.mint());
    if (!unbound.ok) throw new Error(unbound.code);
    expect(await codeOf(await at.write(bearer(unbound.sessionToken)))).toEqual([401, "SESSION_INVALID"]);
  });

  it("by device, the application's own word counts, not the header", async () => {
    const at = kit({ session: { bind: "device" }, identify: (request) => ({ device: request.headers.get("x-real-device") ?? "none" }) });
    const { sessionToken } = await (await at.exchange(at.mint(), {}, { "x-real-device": "a", "x-device-id": "b" })).json();
    expect((await at.write({ ...bearer(sessionToken), "x-real-device": "a" })).status).toBe(201);
    expect((await at.write({ ...bearer(sessionToken), "x-real-device": "c", "x-device-id": "a" })).status).toBe(401);
  });
});

describe("the provider is down", () => {
  const failing = (at: ReturnType<typeof kit>, times = 2): void => at.emulator.control.fault({ kind: "status", status: 503, times });

  it("by default nobody gets in, and the attempt does not count", async () => {
    const at = kit({ limits: { session: [{ name: "session", limit: 1, window: 60, by: "ip" }] } });
    failing(at);
    const answer = await at.exchange(at.mint());
    expect(await codeOf(answer)).toEqual([503, "UNAVAILABLE"]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(at.types()).toContain("turnstile_siteverify_timeout");
    expect((await at.exchange(at.mint())).status).toBe(200);
  });

  it("degraded: a short session of two uses that says what it is; asking again makes no more of it", async () => {
    const at = kit({ turnstile: { ...emulated, onUnavailable: "degraded" } });
    failing(at, 4);
    const solved = at.mint();
    const [one, two] = [await (await at.exchange(solved)).json(), await (await at.exchange(solved)).json()];
    expect([one.expiresIn, one.uses]).toEqual([120, 2]);
    expect(await at.gate.sessions.verify(one.sessionToken)).toMatchObject({ deg: true, uses: 2 });
    expect(await statuses([one, two, one, two].map(({ sessionToken }) => at.write(bearer(sessionToken))))).toEqual({
      "201": 2,
      "401 SESSION_EXHAUSTED": 2,
    });
    expect(at.admissions.find(({ ok }) => ok)).toMatchObject({ degraded: true, level: "session" });
    at.admit = { action: "score_submit", cost: 3 };
    expect(await codeOf(await at.write(bearer(one.sessionToken)))).toEqual([401, "SESSION_EXHAUSTED"]);
  });

  it("a wrong secret is our own fault: never degraded, 503 and an event", async () => {
    const at = kit({ turnstile: { ...emulated, secret: "0x4AAAAAAA-not-the-secret-of-any-widget", onUnavailable: "degraded" } });
    expect(await codeOf(await at.exchange(at.mint()))).toEqual([503, "UNAVAILABLE"]);
    expect(at.events.find(({ type }) => type === "turnstile_siteverify_failed")).toMatchObject({
      outcome: "error",
      reason: "misconfigured",
    });
  });
});

describe("players", () => {
  it("one solve is one player; the same browser stays the same; forged, expired and foreign player tokens are ignored", async () => {
    const at = kit();
    const first = await at.session();
    const same = await (await at.exchange(at.mint(), { playerToken: first.playerToken })).json();
    expect((await at.gate.sessions.verify(same.sessionToken)).sub).toBe(first.claims.sub);
    const forged = await createTokens({
      secrets: "mallory's-secret-0123456789-0123456789-ab",
      audience: "game.example",
      clock: at.now,
    }).sign("gp-player+jwt", { sub: first.claims.sub }, { ttl: 300 });
    const ours = createTokens({ secrets: SECRET, audience: "game.example", clock: at.now });
    const nobody = await ours.sign("gp-player+jwt", { sub: "" }, { ttl: 300 });
    for (const playerToken of [forged, first.token, nobody, "junk", ""]) {
      const other = await (await at.exchange(at.mint(), { playerToken })).json();
      const { sub } = await at.gate.sessions.verify(other.sessionToken);
      expect([sub.length, sub === first.claims.sub]).toEqual([22, false]);
    }
    at.advance(399 * 86_400_000);
    const recognised = await (await at.exchange(at.mint(), { playerToken: same.playerToken })).json();
    expect((await at.gate.sessions.verify(recognised.sessionToken)).sub).toBe(first.claims.sub);
    at.advance(2 * 86_400_000);
    const forgotten = await (await at.exchange(at.mint(), { playerToken: same.playerToken })).json();
    expect((await at.gate.sessions.verify(forgotten.sessionToken)).sub).not.toBe(first.claims.sub);
  });

  it("a player token grants nothing", async () => {
    const at = kit();
    const { playerToken } = await at.session();
    expect(await codeOf(await at.write({ "x-gatepass-player": playerToken }))).toEqual([401, "SESSION_MISSING"]);
    expect(await codeOf(await at.write({ "x-gatepass-session": playerToken }))).toEqual([401, "SESSION_INVALID"]);
  });

  it("a fallback write is by the player who sends the token along, else by the solve", async () => {
    const at = kit();
    const { playerToken, claims } = await at.session();
    const solved = at.mint();
    const known = await (await at.write({ "x-turnstile-token": solved, "x-gatepass-player": playerToken })).json();
    expect(known).toEqual({ player: claims.sub, level: "turnstile" });
    const alone = await (await at.write({ "x-turnstile-token": at.mint() })).json();
    expect(alone.player).not.toBe(claims.sub);
    const again = at.mint();
    const { sub } = await at.gate.sessions.verify((await (await at.exchange(again)).json()).sessionToken);
    expect((await (await at.write({ "x-turnstile-token": again })).json()).player).toBe(sub);
  });

  it("the application's account wins, and a session of the account before is refused after a change of users", async () => {
    const at = kit({ session: { subject: (request) => request.headers.get("x-account") ?? undefined } });
    const anna = await (await at.exchange(at.mint(), {}, { "x-account": "anna" })).json();
    expect((await at.gate.sessions.verify(anna.sessionToken)).sub).toBe("anna");
    const headers = { ...bearer(anna.sessionToken), "x-account": "anna" };
    expect(await (await at.write(headers)).json()).toEqual({ player: "anna", level: "session" });
    expect(await codeOf(await at.write({ ...headers, "x-account": "ben" }))).toEqual([401, "SESSION_INVALID"]);
  });
});

it("the exchange refuses a foreign page, by every mode", async () => {
  for (const mode of ["enforce", "monitor", "off"] as const) {
    const at = kit({ mode });
    const answer = await at.exchange(at.mint(), {}, { origin: "https://evil.example" });
    expect(await codeOf(answer)).toEqual([403, "ORIGIN_NOT_ALLOWED"]);
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    expect((await at.exchange("x", {}, { origin: ORIGIN })).status).not.toBe(500);
  }
});

it("a gate remembers at most 1,000 verified tokens: strangers with many sessions do not fill its memory", { timeout: 30_000 }, async () => {
  const at = kit();
  const { claims } = await at.session();
  const ours = createTokens({ secrets: SECRET, audience: "game.example", clock: at.now });
  const { auth_time, scope, sub, uses } = claims;
  const tokens: string[] = [];
  for (let i = 0; i < 1001; i++)
    tokens.push(await ours.sign("gp-session+jwt", { jti: `session-${i}`, auth_time, scope, sub, uses }, { ttl: 300 }));
  const macs = vi.spyOn(crypto.subtle, "verify");
  const computed = async (from: number, to: number): Promise<number> => {
    const before = macs.mock.calls.length;
    for (const token of tokens.slice(from, to)) await at.gate.sessions.verify(token);
    return macs.mock.calls.length - before;
  };
  try {
    // One is remembered from the exchange; the last of these makes room for itself.
    expect([await computed(0, 999), await computed(0, 999)]).toEqual([999, 0]);
    expect([await computed(999, 1001), await computed(999, 1001)]).toEqual([2, 0]);
    expect([await computed(0, 998), await computed(0, 998)]).toEqual([998, 0]);
  } finally {
    macs.mockRestore();
  }
});
