import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/store/index.ts";
import { api, challengeOf } from "./tools.ts";

const errorOf = async (response: Response): Promise<unknown[]> => [response.status, (await response.json()).error];

describe("a protected request", () => {
  it("asks for a challenge, gets a clearance for it, and goes through once", async () => {
    const { call, solve, verify, through, events } = api();
    const refused = await call("/v1/payment/charge", { rid: "req-1" });
    const challenge = await challengeOf(refused);
    expect(challenge).toEqual({
      error: "TURNSTILE_REQUIRED",
      challenge_id: expect.stringMatching(/^chal_[\w-]+\.[\w-]+\.[\w-]{43}$/),
      original_request_id: "req-1",
      action: "v1_payment",
      cdata: expect.stringMatching(/^[\w-]{22}$/),
      scope: ["/v1/payment/*"],
      max_uses: 1,
      expires_in: 300,
      retry_allowed: true,
      max_retries: 1,
    });
    const answer = await verify(challenge, await solve(challenge));
    const cleared = await answer.json();
    expect(cleared).toEqual({ app_clearance_token: expect.any(String), expires_in: 600, scope: ["/v1/payment/*"], max_uses: 1 });
    expect(through).toEqual([]);
    expect((await call("/v1/payment/charge", { rid: "req-1", clearance: cleared.app_clearance_token })).status).toBe(200);
    expect(through).toEqual([{ level: "clearance" }]);
    expect(await errorOf(await call("/v1/payment/charge", { clearance: cleared.app_clearance_token }))).toEqual([403, "CLEARANCE_EXPIRED"]);
    expect(through).toHaveLength(1);
    expect(events.map(({ type }) => type).filter((type) => type !== "config_warning")).toEqual([
      "app_clearance_missing",
      "turnstile_challenge_created",
      "turnstile_token_received",
      "turnstile_siteverify_success",
      "app_clearance_issued",
      "app_clearance_replay_detected",
      "app_clearance_expired",
      "turnstile_challenge_created",
    ]);
    expect(events.find(({ type }) => type === "app_clearance_issued")).toMatchObject({
      challenge_id: challenge.cdata,
      app_version: "1.2.3",
    });
  });

  it("makes a request id where the client has none", async () => {
    const { call, solve, verify } = api();
    for (const rid of ["", "not a name", "x".repeat(65)]) {
      const challenge = await challengeOf(await call("/v1/otp", rid ? { headers: { "x-request-id": rid } } : {}));
      expect(challenge.original_request_id).toMatch(/^[\w-]{22}$/);
      if (!rid) expect((await verify(challenge, await solve(challenge))).status).toBe(200);
    }
  });

  it("goes through without one where the policy never asks, and where the risk is low", async () => {
    const { call, through } = api();
    expect((await call("/health", { method: "GET" })).status).toBe(200);
    expect((await call("/v1/anything")).status).toBe(200);
    expect((await call("/v1/login")).status).toBe(200);
    expect(through).toEqual([{ level: "none" }, { level: "none" }, { level: "none" }]);
  });

  it("a clearance for one path is refused on another, however that is spelled", async () => {
    const { call, clear, through } = api();
    const { app_clearance_token: token } = await clear("/v1/many");
    for (const path of ["/v1/payment/charge", "/v1/many/../payment/charge", "/v1//PAYMENT/charge", "/v1/p%61yment/charge", "/v1/otp"]) {
      expect(await errorOf(await call(path, { clearance: token }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    }
    expect(await errorOf(await call("/v1/many%2f..%2fpayment/charge", { clearance: token }))).toEqual([400, "PATH_AMBIGUOUS"]);
    expect(through).toEqual([]);
    expect((await call("/v1/many", { clearance: token })).status).toBe(200);
  });

  it("max_uses: 1, used by 100 concurrent requests, lets one through", async () => {
    const { call, clear, through } = api();
    const { app_clearance_token: token } = await clear("/v1/payment/charge");
    const all = await Promise.all(Array.from({ length: 100 }, () => call("/v1/payment/charge", { clearance: token })));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(through).toHaveLength(1);
  });

  it("a clearance of three uses has three", async () => {
    const { call, clear } = api();
    const { app_clearance_token: token } = await clear("/v1/many");
    const codes = [];
    for (let i = 0; i < 4; i++) codes.push((await call("/v1/many", { clearance: token, rid: `r${i}` })).status);
    expect(codes).toEqual([200, 200, 200, 403]);
  });

  it("an original request id is good once: REQUEST_REPLAYED, and the use is not lost", async () => {
    const { call, clear, events } = api();
    const { app_clearance_token: token } = await clear("/v1/many");
    expect((await call("/v1/many", { clearance: token, rid: "same" })).status).toBe(200);
    expect(await errorOf(await call("/v1/many", { clearance: token, rid: "same" }))).toEqual([409, "REQUEST_REPLAYED"]);
    expect(events.at(-1)).toMatchObject({ type: "app_clearance_replay_detected", reason: "request_replayed" });
    expect((await call("/v1/many", { clearance: token, rid: "b" })).status).toBe(200);
    expect((await call("/v1/many", { clearance: token, rid: "c" })).status).toBe(200);
  });

  it("the ids of one device's requests are not another's", async () => {
    const { call, clear } = api();
    const first = await clear("/v1/many");
    const second = await clear("/v1/many", { device: "phone-2" });
    expect((await call("/v1/many", { clearance: first.app_clearance_token, rid: "same" })).status).toBe(200);
    expect((await call("/v1/many", { clearance: second.app_clearance_token, rid: "same", device: "phone-2" })).status).toBe(200);
  });

  it("a clearance expires, and only a fresh one will do where the policy says so", async () => {
    const { call, clear, advance } = api();
    const { app_clearance_token: token } = await clear("/v1/many");
    const { app_clearance_token: fresh } = await clear("/v1/fresh");
    advance(66_000);
    expect(await errorOf(await call("/v1/fresh", { clearance: fresh }))).toEqual([403, "CLEARANCE_EXPIRED"]);
    expect((await call("/v1/many", { clearance: token })).status).toBe(200);
    advance(900_000);
    const again = await call("/v1/many", { clearance: token });
    expect(again.status).toBe(403);
    expect(await again.json()).toMatchObject({ error: "CLEARANCE_EXPIRED", challenge_id: expect.any(String) });
  });

  it("is bound to device and user; an address may change unless the policy binds it", async () => {
    const { call, clear } = api();
    const { app_clearance_token: token } = await clear("/v1/many", { user: "ann" });
    expect(await errorOf(await call("/v1/many", { clearance: token, user: "ann", device: "phone-2" }))).toEqual([
      403,
      "TURNSTILE_REQUIRED",
    ]);
    expect(await errorOf(await call("/v1/many", { clearance: token, user: "ann", device: "" }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect(await errorOf(await call("/v1/many", { clearance: token, user: "bob" }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect(await errorOf(await call("/v1/many", { clearance: token }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect((await call("/v1/many", { clearance: token, user: "ann", from: "198.51.100.1" })).status).toBe(200);
    const { app_clearance_token: bound } = await clear("/v1/bound");
    expect(await errorOf(await call("/v1/bound", { clearance: bound, from: "198.51.100.1" }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect((await call("/v1/bound", { clearance: bound })).status).toBe(200);
  });

  it("a scope of the program's own needs a clearance of that scope, whatever the lists say", async () => {
    const { call, clear } = api();
    expect(await errorOf(await call("/health", { scope: "/v1/many" }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    const { app_clearance_token: token } = await clear("/v1/many");
    expect((await call("/health", { scope: "/v1/many", clearance: token })).status).toBe(200);
  });

  it("a token of another kind is no clearance", async () => {
    const { call, session } = api();
    expect(await errorOf(await call("/v1/many", { clearance: await session() }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect(await errorOf(await call("/v1/many", { clearance: "x".repeat(5000) }))).toEqual([403, "TURNSTILE_REQUIRED"]);
  });

  it("what a later check refuses costs no use of the clearance", async () => {
    const { call, clear } = api({
      policy: { always_require_clearance: [{ path: "/v1/otp", limits: ["otp"] }] },
      limits: { otp: [{ name: "otp", limit: 1, window: 600, by: "ip" }] },
    });
    const { app_clearance_token: token } = await clear("/v1/otp");
    expect((await call("/v1/otp", { clearance: token })).status).toBe(200);
    expect(await errorOf(await call("/v1/otp", { clearance: token }))).toEqual([429, "RATE_LIMITED"]);
    expect((await call("/v1/otp", { clearance: token, from: "198.51.100.1" })).status).toBe(200);
  });
});

describe("a stranger", () => {
  it("who hammers a protected route leaves nothing but rate counters", async () => {
    const spent: string[][] = [];
    const inner = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
    const store: typeof inner = {
      ...inner,
      spend(quotas) {
        spent.push(quotas.filter(({ cost }) => cost !== 0).map(({ key }) => key));
        if (quotas.some((quota) => "expiresAt" in quota && quota.cost !== 0)) throw new Error("A stranger's use was counted");
        return inner.spend(quotas);
      },
    };
    const { call } = api({}, { store });
    const answers = [];
    for (let i = 0; i < 300; i++)
      answers.push((await call("/v1/payment/charge", { rid: `r${i}`, clearance: "forged", device: `d${i % 3}` })).status);
    expect(new Set(answers)).toEqual(new Set([403]));
    // One key for the address prefix and one for each device.
    expect(new Set(spent.flat()).size).toBe(4);
  });

  it("with ever new device ids makes no more keys than an address prefix may", async () => {
    const keys = new Set<string>();
    const inner = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
    const store: typeof inner = {
      ...inner,
      async spend(quotas) {
        const result = await inner.spend(quotas);
        if (result.ok) for (const { key, cost } of quotas) if (cost !== 0) keys.add(key);
        return result;
      },
    };
    const { call } = api({}, { store });
    for (let i = 0; i < 5500; i += 500) await Promise.all(Array.from({ length: 500 }, (_, j) => call("/v1/otp", { device: `d${i + j}` })));
    expect(keys.size).toBeLessThanOrEqual(5001);
  });

  it("who writes a victim's device id locks nobody out", async () => {
    const { call, clear, verify, gate } = api();
    const ORIGIN = "https://game.example";
    for (let i = 0; i < 40; i++) {
      await call("/v1/login", { from: "198.51.100.66" });
      await gate.report(
        new Request(`${ORIGIN}/v1/login`, { headers: { "x-device-id": "phone-1", "x-test-from": "198.51.100.66" } }),
        "login_failed",
      );
      const challenge = await challengeOf(await call("/v1/many", { from: "198.51.100.66" }).then((r) => (r.status === 403 ? r : r))).catch(
        () => undefined,
      );
      if (challenge) await verify(challenge, "wrong", {}, "198.51.100.66");
    }
    expect((await call("/v1/login")).status).toBe(200);
    const { app_clearance_token: token } = await clear("/v1/many");
    expect((await call("/v1/many", { clearance: token })).status).toBe(200);
  });
});

describe("200 phones behind one address", () => {
  it("all get through, at once", async () => {
    const { call, clear, through } = api();
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, phone) => {
        const device = `carrier-${phone}`;
        const { app_clearance_token: token } = await clear("/v1/payment/charge", { device });
        return (await call("/v1/payment/charge", { device, clearance: token })).status;
      }),
    );
    expect(answers.filter((status) => status !== 200)).toEqual([]);
    expect(through).toHaveLength(200);
  });
});
