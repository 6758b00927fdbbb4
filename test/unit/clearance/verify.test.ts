import { describe, expect, it } from "vitest";
import { CHALLENGE_PREFIX } from "../../../src/protocol.ts";
import { api, challengeOf } from "./tools.ts";

const FAILED = [403, { error: "SECURITY_VERIFICATION_FAILED" }];
const said = async (response: Response): Promise<unknown[]> => [response.status, await response.json()];

describe("POST /security/turnstile/verify", () => {
  it.each([
    ["nothing", {}],
    ["no token", { challenge_id: "chal_x", original_request_id: "r" }],
    ["an unknown member", { challenge_id: "chal_x", turnstile_token: "t", original_request_id: "r", admin: true }],
    ["a request id that is no name", { challenge_id: "chal_x", turnstile_token: "t", original_request_id: "a b" }],
    ["a device that is no name", { challenge_id: "chal_x", turnstile_token: "t", original_request_id: "r", device_id: "ü" }],
    ["a token of 2049 characters", { challenge_id: "chal_x", turnstile_token: "t".repeat(2049), original_request_id: "r" }],
    ["a challenge of 4097 characters", { challenge_id: "c".repeat(4097), turnstile_token: "t", original_request_id: "r" }],
  ])("refuses %s as BODY_INVALID, and Cloudflare is not asked", async (_, body) => {
    const { send, emulator } = api();
    expect(await said(await send("POST", "/security/turnstile/verify", body))).toEqual([400, { error: "BODY_INVALID" }]);
    expect(emulator.control.counts().siteverify).toBe(0);
  });

  it("says the same of every challenge that is not good, stores nothing and asks nobody; the events say which", async () => {
    const { call, verify, session, emulator, events, store, advance } = api();
    const challenge = await challengeOf(await call("/v1/otp"));
    const id = challenge.challenge_id;
    const spends: unknown[] = [];
    const { spend } = store;
    Object.assign(store, {
      spend(quotas: Parameters<typeof spend>[0]) {
        spends.push(quotas);
        return spend(quotas);
      },
    });
    for (const [reason, change] of [
      ["challenge_invalid", { challenge_id: "chal_" }],
      ["challenge_invalid", { challenge_id: id.slice(CHALLENGE_PREFIX.length) }],
      ["challenge_invalid", { challenge_id: `${id.slice(0, -1)}${id.endsWith("A") ? "E" : "A"}` }],
      ["challenge_invalid", { challenge_id: CHALLENGE_PREFIX + (await session()) }],
      ["challenge_binding", { device_id: "phone-2" }],
      ["challenge_binding", { device_id: undefined }],
      ["challenge_binding", { original_request_id: "another" }],
    ] as const) {
      spends.length = 0;
      const before = emulator.control.counts().siteverify;
      expect(await said(await verify(challenge, "token", change))).toEqual(FAILED);
      expect([events.at(-1)?.reason, spends.length, emulator.control.counts().siteverify]).toEqual([reason, 0, before]);
    }
    advance(306_000);
    expect(await said(await verify(challenge, "token"))).toEqual(FAILED);
    expect(events.at(-1)?.reason).toBe("challenge_expired");
  });

  it("a token solved for one challenge is refused for another, and so is one of another action", async () => {
    const { call, solve, verify, events } = api();
    const [a, b] = [await challengeOf(await call("/v1/otp", { rid: "a" })), await challengeOf(await call("/v1/otp", { rid: "b" }))];
    const token = await solve(a);
    expect(await said(await verify(b, token))).toEqual(FAILED);
    expect(events.at(-1)).toMatchObject({ type: "turnstile_siteverify_failed", reason: "cdata_mismatch" });
    const c = await challengeOf(await call("/v1/otp", { rid: "c" }));
    expect(await said(await verify(c, await solve(c, { action: "other" })))).toEqual(FAILED);
    expect(events.at(-1)?.reason).toBe("action_mismatch");
  });

  it("a session's token opens no challenge: it has no cdata", async () => {
    const { call, verify, mint, events } = api();
    expect(await said(await verify(await challengeOf(await call("/v1/otp")), await mint()))).toEqual(FAILED);
    expect(events.at(-1)?.reason).toMatch(/mismatch/);
  });

  it("the same challenge and token again give the same clearance; another token never", async () => {
    const { call, solve, verify, events } = api();
    const challenge = await challengeOf(await call("/v1/otp"));
    const token = await solve(challenge);
    const answers = await Promise.all(Array.from({ length: 5 }, () => verify(challenge, token)));
    expect(answers.map(({ status }) => status).filter((status) => status === 200).length).toBeGreaterThan(0);
    const tokens = await Promise.all(
      answers.filter(({ status }) => status === 200).map(async (answer) => (await answer.json()).app_clearance_token),
    );
    const through = await Promise.all(tokens.map((clearance) => call("/v1/otp", { clearance })));
    expect(through.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await said(await verify(challenge, await solve(challenge)))).toEqual(FAILED);
    expect(events.at(-1)).toMatchObject({ type: "app_clearance_replay_detected", reason: "challenge_used", challenge_id: challenge.cdata });
  });

  it("survives a lost answer: Cloudflare took the token and its answer was dropped; the user has one clearance", async () => {
    const { call, solve, verify, emulator } = api();
    const challenge = await challengeOf(await call("/v1/otp"));
    const token = await solve(challenge);
    // Both attempts of the first call are lost, so that the client has to come again.
    emulator.control.fault({ kind: "drop", spend: true, times: 2 });
    const lost = await verify(challenge, token);
    expect([lost.status, (await lost.json()).error, Number(lost.headers.get("retry-after")) > 0]).toEqual([503, "UNAVAILABLE", true]);
    const answer = await verify(challenge, token);
    expect(answer.status).toBe(200);
    const { app_clearance_token: clearance } = await answer.json();
    const again = await verify(challenge, token);
    const { app_clearance_token: other } = await again.json();
    expect((await call("/v1/otp", { clearance })).status).toBe(200);
    expect((await call("/v1/otp", { clearance: other })).status).toBe(403);
  });

  it("provider down: 503 with Retry-After, or a clearance of one use and five minutes where the gate says so", async () => {
    const { call, solve, verify, emulator } = api({}, {});
    const challenge = await challengeOf(await call("/v1/many"));
    emulator.control.fault({ kind: "status", status: 503, times: 2 });
    const down = await verify(challenge, await solve(challenge));
    expect([down.status, down.headers.get("retry-after") !== null]).toEqual([503, true]);
    const turnstile = {
      secret: "1x0000000000000000000000000000000AA",
      allowedHostnames: ["game.example"],
      allowTestKeys: true,
      siteverifyUrl: "https://down.example/siteverify",
      onUnavailable: "degraded" as const,
    };
    const weak = api({}, { turnstile, fetch: () => Promise.reject(new TypeError("down")) });
    const asked = await challengeOf(await weak.call("/v1/many"));
    const answer = await weak.verify(asked, "token");
    const { app_clearance_token: clearance, ...rest } = await answer.json();
    expect([answer.status, rest]).toEqual([200, { expires_in: 300, scope: ["/v1/many"], max_uses: 1 }]);
    expect((await weak.call("/v1/many", { clearance })).status).toBe(200);
    expect((await weak.call("/v1/many", { clearance })).status).toBe(403);
    expect(weak.events.find(({ type }) => type === "app_clearance_issued")).toMatchObject({ degraded: true });
  });

  it("a hundred guesses at once are five failures; then nobody is asked any more", async () => {
    const { call, verify, emulator, events } = api();
    const challenges = await Promise.all(Array.from({ length: 100 }, async (_, i) => challengeOf(await call("/v1/otp", { rid: `r${i}` }))));
    const answers = await Promise.all(challenges.map((challenge, i) => verify(challenge, `guess-${i}`)));
    const statuses = answers.map(({ status }) => status);
    expect([statuses.filter((status) => status === 403).length, statuses.filter((status) => status === 429).length]).toEqual([5, 95]);
    expect(emulator.control.counts().siteverify).toBe(5);
    const limited = answers.find(({ status }) => status === 429);
    expect(await limited?.json()).toEqual({ error: "SECURITY_VERIFICATION_LIMITED", retry_after_seconds: expect.any(Number) });
    expect(Number(limited?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(events.filter(({ type }) => type === "security_verification_limited")).toHaveLength(95);
  });

  it("many failures raise the device's risk, for itself alone", async () => {
    const { call, verify, events, advance } = api();
    for (let i = 0; i < 4; i++) await verify(await challengeOf(await call("/v1/otp", { rid: `r${i}` })), "bad");
    expect(events.some(({ detail }) => detail?.includes("clearanceFailures"))).toBe(false);
    expect((await call("/v1/login")).status).toBe(403);
    expect(events.findLast(({ type }) => type === "app_clearance_missing")?.detail).toBe("70: sensitivePath+20 clearanceFailures+50");
    expect((await call("/v1/login", { device: "phone-2" })).status).toBe(200);
    advance(16.5 * 60_000);
    expect((await call("/v1/login")).status).toBe(200);
  });
});
