import { describe, expect, it } from "vitest";
import { EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import type { GateOptions } from "../../../src/gate/types.ts";
import { ORIGIN, type TestGate, testGate } from "../../helpers/gate.ts";
import { api, challengeOf } from "../clearance/tools.ts";

const TURNSTILE = {
  secret: "0x4AAAAAAA-not-the-secret-of-any-widget",
  allowedHostnames: ["game.example"],
  allowTestKeys: true,
  siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
};

/** How often each answer was given. */
async function statuses(answers: readonly Promise<{ status: number }>[]): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (const { status } of await Promise.all(answers)) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

describe("junk tokens of one address, where the program names no limit", () => {
  const write = (i: number): Request =>
    new Request(`${ORIGIN}/own`, { method: "POST", headers: { "x-turnstile-token": `junk-${i}`, "x-device-id": `made-up-${i}` } });

  it.each([
    ["guard", {}],
    ["guard, with limits that count no address", { scoped: [{ name: "scoped", limit: 1000, window: 60, by: "session" as const }] }],
  ])("%s: Cloudflare is asked about 30 of 500 a minute", async (_, limits) => {
    const names = Object.keys(limits);
    const own = names.length > 0 ? [() => ({ name: "own", limits })] : [];
    const at = testGate({ features: own });
    const handler = at.gate.guard(() => new Response("done"), { action: "score_submit", limits: names });
    expect(await statuses(times(500, (i) => handler(write(i))))).toEqual({ 403: 30, 429: 470 });
    expect(at.emulator.control.counts().siteverify).toBe(30);
    // The same budget as that of exchanges.
    expect((await at.send("POST", "/session", { turnstileToken: "junk" })).status).toBe(429);
    at.advance(66_000);
    expect((await handler(write(501))).status).toBe(403);
  });

  it("a limit by address that the program names is the one that counts", async () => {
    const wide = { wide: [{ name: "wide", limit: 100, window: 60, by: "ip-prefix" as const }] };
    const at = testGate({ features: [() => ({ name: "own", limits: wide })] });
    const handler = at.gate.guard(() => new Response("done"), { action: "score_submit", limits: ["wide"] });
    expect(await statuses(times(120, (i) => handler(write(i))))).toEqual({ 403: 100, 429: 20 });
  });

  it("gate.sessions.exchange: 30 a minute for the address that it is told, by request or as text", async () => {
    const at = testGate();
    const asked = await Promise.all(times(100, (i) => at.gate.sessions.exchange(`junk-${i}`, { remoteip: "198.51.100.7" })));
    expect(asked.filter(({ ok, ...rest }) => !ok && "code" in rest && rest.code === "RATE_LIMITED").length).toBe(70);
    expect(at.emulator.control.counts().siteverify).toBe(30);
    const limited = asked.at(-1);
    expect([limited?.ok === false && (limited.retryAfter ?? 0) > 0, limited?.headers?.has("ratelimit")]).toEqual([true, true]);
    expect((await at.gate.sessions.exchange("junk", { remoteip: "198.51.100.8" })).ok).toBe(false);
    expect(at.emulator.control.counts().siteverify).toBe(31);
    const request = new Request(`${ORIGIN}/own`);
    const more = await Promise.all(times(50, () => at.gate.sessions.exchange("junk", { request })));
    expect(more.filter((result) => !result.ok && result.code === "RATE_LIMITED").length).toBe(20);
    // What failed a check is not signed under any mode.
    const watching = testGate({ mode: "monitor", store: at.store });
    const token = await watching.mint();
    expect(await watching.gate.sessions.exchange(token, { remoteip: "198.51.100.7" })).toMatchObject({ ok: false, code: "RATE_LIMITED" });
  });
});

describe.each(["invalid-input-secret", "bad-request"])("while siteverify says %s", (code) => {
  const broken = (options: Partial<GateOptions> = {}): TestGate => {
    const at = testGate(options);
    at.emulator.control.fault({ kind: "fail", code, times: 1_000_000 });
    return at;
  };
  const siteverify = ({ events }: TestGate): unknown[] =>
    events.flatMap(({ type, reason, error_codes }) => (reason === "misconfigured" ? [[type, error_codes]] : []));

  it("500 junk exchanges at once ask Cloudflare no more often than one address may, and it is reported once", async () => {
    const at = broken();
    expect(await statuses(times(500, (i) => at.send("POST", "/session", { turnstileToken: `junk-${i}` })))).toEqual({ 503: 30, 429: 470 });
    expect(at.emulator.control.counts().siteverify).toBeLessThanOrEqual(30);
    expect(siteverify(at)).toEqual([["turnstile_siteverify_failed", [code]]]);
    at.advance(66_000);
    const before = at.emulator.control.counts().siteverify;
    for (let i = 0; i < 40; i++) await at.send("POST", "/session", { turnstileToken: `junk-${i}` });
    expect(at.emulator.control.counts().siteverify).toBe(before + 1);
    expect(siteverify(at)).toHaveLength(1);
  });

  it("one after the other: 5 are asked about, none is given back", async () => {
    const at = broken();
    for (let i = 0; i < 30; i++) expect((await at.send("POST", "/session", { turnstileToken: `junk-${i}` })).status).toBe(503);
    expect((await at.send("POST", "/session", { turnstileToken: "junk" })).status).toBe(429);
    expect(at.emulator.control.counts().siteverify).toBe(5);
  });

  it("fresh tokens are not given back either, with the limits of a route or without any", async () => {
    const at = broken();
    const headers = { "x-turnstile-token": "junk" };
    for (let i = 0; i < 15; i++) expect((await at.send("POST", "/scores", { score: 1 }, headers)).status).toBe(503);
    expect((await at.send("POST", "/scores", { score: 1 }, headers)).status).toBe(429);
    const bare = at.gate.guard(() => new Response("done"), { action: "score_submit" });
    const own = (): Promise<Response> => bare(new Request(`${ORIGIN}/own`, { method: "POST", headers }));
    for (let i = 0; i < 30; i++) expect((await own()).status).toBe(503);
    expect((await own()).status).toBe(429);
    expect(at.emulator.control.counts().siteverify).toBe(5);
    expect(siteverify(at)).toHaveLength(1);
  });

  it("verifications of challenges: attempts are counted, failures are not the visitor's", async () => {
    const at = api();
    const challenges = await Promise.all(times(12, async (i) => challengeOf(await at.call("/v1/otp", { rid: `r${i}` }))));
    at.emulator.control.fault({ kind: "fail", code, times: 1_000_000 });
    const said: number[] = [];
    for (const challenge of challenges) said.push((await at.verify(challenge, "junk")).status);
    expect(said).toEqual([...times(10, () => 503), 429, 429]);
    expect(at.emulator.control.counts().siteverify).toBe(5);
    expect(at.events.filter(({ reason }) => reason === "misconfigured")).toHaveLength(1);
  });

  it("nobody is let in degraded, also when the breaker is open", async () => {
    const at = broken({ turnstile: { ...TURNSTILE, onUnavailable: "degraded" } });
    expect(await statuses(times(20, (i) => at.send("POST", "/session", { turnstileToken: `junk-${i}` })))).toEqual({ 503: 20 });
  });

  it("a good answer ends it, and the next time is reported again", async () => {
    const at = testGate();
    for (let round = 0; round < 2; round++) {
      at.emulator.control.fault({ kind: "fail", code, times: 2 });
      for (let i = 0; i < 2; i++) await at.send("POST", "/session", { turnstileToken: "junk" });
      expect((await at.send("POST", "/session", { turnstileToken: await at.mint() })).status).toBe(200);
    }
    expect(siteverify(at)).toHaveLength(2);
  });
});

describe("while Cloudflare is down", () => {
  it("attempts are given back, and the breaker keeps Cloudflare from being asked", async () => {
    const at = testGate();
    at.emulator.control.fault({ kind: "status", status: 503, times: 1_000_000 });
    for (let i = 0; i < 100; i++) expect((await at.send("POST", "/session", { turnstileToken: "junk" })).status).toBe(503);
    expect(at.emulator.control.counts().siteverify).toBe(10);
    const result = await at.gate.sessions.exchange("junk", { remoteip: "198.51.100.7" });
    expect(result).toMatchObject({ ok: false, code: "UNAVAILABLE", retryable: true });
  });
});

describe("a solve from the future", () => {
  /** What siteverify says, with the time of the solve moved. */
  const ahead = (ms: number, options: Partial<GateOptions> = {}): TestGate => {
    const at: TestGate = testGate({
      ...options,
      fetch: async (input, init) => {
        const answer = await at.emulator.fetch(new Request(input, init));
        const body = await answer.json();
        return Response.json({ ...body, challenge_ts: new Date(Date.parse(body.challenge_ts) + ms).toISOString() });
      },
    });
    return at;
  };

  it.each([
    [3_600_000, {}, 403],
    [5_001, {}, 403],
    [5_000, {}, 200],
    [5_001, { clockTolerance: 20 }, 200],
    [20_001, { clockTolerance: 20 }, 403],
    [1, { clockTolerance: 0 }, 403],
  ])("%i ms ahead, with %j: %i", async (ms, options, status) => {
    const at = ahead(ms, options);
    expect((await at.send("POST", "/session", { turnstileToken: await at.mint() })).status).toBe(status);
    if (status === 403) expect(at.events.find(({ type }) => type === "turnstile_siteverify_failed")?.reason).toBe("too_early");
    const fresh = await at.send("POST", "/scores", { score: 1 }, { "x-turnstile-token": await at.mint() });
    expect(fresh.status).toBe(status === 200 ? 201 : status);
  });

  it("opens no challenge", async () => {
    const at = api();
    const challenge = await challengeOf(await at.call("/v1/otp"));
    const { action, cdata } = challenge;
    at.advance(3_600_000);
    const token = at.emulator.control.mint({ sitekey: EMULATOR_SITEKEY, hostname: "game.example", action, cdata });
    at.advance(-3_600_000);
    expect((await at.verify(challenge, token)).status).toBe(403);
    expect(at.events.at(-1)?.reason).toBe("too_early");
  });
});

it("siteverify of a clearance and of a session is told the client's address, as it is known, or none", async () => {
  const told: unknown[] = [];
  const at: ReturnType<typeof api> = api(
    {},
    {
      fetch: (input, init) => {
        told.push(JSON.parse(String(init?.body)).remoteip);
        return at.emulator.fetch(new Request(input, init));
      },
    },
  );
  for (const from of ["198.51.100.23", "2001:db8::17", "unknown"]) {
    const challenge = await challengeOf(await at.call("/v1/many", { from }));
    expect((await at.verify(challenge, await at.solve(challenge), {}, from)).status).toBe(200);
    expect((await at.send("POST", "/session", { turnstileToken: await at.mint() }, { "x-test-from": from })).status).toBe(200);
  }
  expect(told).toEqual(["198.51.100.23", "198.51.100.23", "2001:db8::17", "2001:db8::17", undefined, undefined]);
});
