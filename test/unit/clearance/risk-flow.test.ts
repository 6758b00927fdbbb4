import { describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import { requireCloudflare } from "../../../src/http/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { api, challengeOf } from "./tools.ts";

const request = (path: string, headers: Record<string, string> = {}): Request =>
  new Request(`https://game.example${path}`, { method: "POST", headers: { "x-device-id": "phone-1", ...headers } });
const errorOf = async (response: Response): Promise<unknown[]> => [response.status, (await response.json()).error];

describe("what is reported and counted", () => {
  it("failed logins over 5 in 15 minutes: a challenge, and after 15 minutes no more", async () => {
    const { gate, call, advance } = api();
    for (let i = 0; i < 5; i++) await gate.report(request("/v1/login"), "login_failed");
    expect((await call("/v1/login")).status).toBe(200);
    await gate.report(request("/v1/login"), "login_failed");
    expect(await errorOf(await call("/v1/login"))).toEqual([403, "TURNSTILE_REQUIRED"]);
    advance(16.5 * 60_000);
    expect((await call("/v1/login")).status).toBe(200);
  });

  it("failed logins of an account count from wherever they come", async () => {
    const { gate, call } = api();
    for (let i = 0; i < 6; i++) {
      await gate.report(request("/v1/login", { "x-test-from": `198.51.100.${i}`, "x-device-id": `bot-${i}` }), "login_failed", {
        account: "ann",
      });
    }
    expect(await errorOf(await call("/v1/login", { user: "ann" }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect((await call("/v1/login", { user: "bob" })).status).toBe(200);
  });

  it("OTP requests over 2 in 10 minutes", async () => {
    const { gate, call, advance } = api();
    for (let i = 0; i < 2; i++) await gate.report(request("/v1/x"), "otp_requested");
    expect((await call("/v1/x")).status).toBe(200);
    await gate.report(request("/v1/x"), "otp_requested");
    expect((await call("/v1/x")).status).toBe(403);
    advance(11.1 * 60_000);
    expect((await call("/v1/x")).status).toBe(200);
  });

  it("more than 5 user names from one device in 15 minutes: names are counted, not attempts", async () => {
    const { gate, call, events } = api();
    const seen = (user: string): Promise<void> => gate.report(request("/v1/x"), "login_succeeded", { user });
    for (const user of ["a", "b", "c", "d", "e"]) await seen(user);
    for (let i = 0; i < 4; i++) await seen("a");
    expect((await call("/v1/x")).status).toBe(200);
    await seen("f");
    expect((await call("/v1/x")).status).toBe(403);
    expect(events.findLast(({ type }) => type === "app_clearance_missing")?.detail).toBe("50: deviceUsers+50");
    // Who tries them out and fails is denied.
    for (const user of ["a", "b", "c", "d", "e", "f"]) await gate.report(request("/v1/x"), "login_failed", { user });
    expect(await errorOf(await call("/v1/x"))).toEqual([403, "REQUEST_DENIED"]);
  });

  it("requests of one device over 300 in 5 minutes are counted tightly", async () => {
    const { call } = api();
    const statuses: number[] = [];
    for (let i = 0; i < 330; i++) statuses.push((await call("/v1/x")).status);
    // The 301st sees 301 requests; then 20 more a minute.
    expect(statuses.indexOf(429)).toBe(320);
    expect((await call("/v1/x", { device: "phone-2" })).status).toBe(200);
  });

  it("a tripped honeypot and signals of the application's own", async () => {
    const { gate, call } = api({
      risk: { chargeback: { points: 60, over: 1 }, vpn: { points: 50 } },
      signals: (r) => ({ vpn: r.headers.has("x-vpn") }),
    });
    expect((await call("/v1/x", { headers: { "x-vpn": "1" } })).status).toBe(403);
    await gate.report(request("/v1/x"), "chargeback");
    expect((await call("/v1/x")).status).toBe(200);
    await gate.report(request("/v1/x"), "chargeback");
    expect((await call("/v1/x")).status).toBe(403);
    await gate.report(request("/v1/x", { "x-device-id": "phone-2" }), "honeypot_tripped");
    expect((await call("/v1/x", { device: "phone-2" })).status).toBe(403);
    // A weight without "over" is of the application's own `signals`: a report of it would count nothing.
    for (const signal of ["vpn", "chargback", "nobody weighs this"]) {
      await expect(gate.report(request("/v1/x", { "x-device-id": "phone-3" }), signal)).rejects.toThrow(/"chargeback"/);
    }
    expect((await call("/v1/x", { device: "phone-3" })).status).toBe(200);
  });

  it("an established session and an attestation lower it", async () => {
    const { gate, call, session } = api({ signals: (r) => ({ attestation: r.headers.has("x-attested") }) });
    for (let i = 0; i < 6; i++) await gate.report(request("/v1/login"), "login_failed");
    expect((await call("/v1/login")).status).toBe(403);
    expect((await call("/v1/login", { headers: { "x-gatepass-session": await session() } })).status).toBe(200);
    expect((await call("/v1/login", { headers: { "x-attested": "1" } })).status).toBe(200);
  });

  it("a session that was revoked or is used up lowers nothing, nor does one that nobody could check", async () => {
    const { gate, call, session, events } = api({}, { session: { uses: 2 } });
    for (let i = 0; i < 6; i++) await gate.report(request("/v1/login"), "login_failed");
    const login = async (token: string): Promise<number> => (await call("/v1/login", { headers: { "x-gatepass-session": token } })).status;
    const [revoked, used, live] = [await session(), await session(), await session()];
    expect([await login(revoked), await login(used), await login(live)]).toEqual([200, 200, 200]);
    await gate.sessions.revoke((await gate.sessions.verify(revoked)).jti);
    for (let i = 0; i < 2; i++) {
      const write = request("/health", { "x-gatepass-session": used });
      expect((await gate.protect(write, { action: "score_submit" })).ok).toBe(true);
    }
    expect([await login(revoked), await login(used), await login(live)]).toEqual([403, 403, 200]);
    expect(events.findLast(({ type }) => type === "app_clearance_missing")?.detail).toBe("60: sensitivePath+20 failedLogins+40");

    const turnstile = {
      secret: "1x0000000000000000000000000000000AA",
      allowedHostnames: ["game.example"],
      allowTestKeys: true,
      onUnavailable: "degraded" as const,
    };
    const weak = api({}, { turnstile, fetch: () => Promise.reject(new TypeError("down")) });
    for (let i = 0; i < 6; i++) await weak.gate.report(request("/v1/login"), "login_failed");
    const unchecked = await weak.session();
    expect((await weak.call("/v1/login", { headers: { "x-gatepass-session": unchecked } })).status).toBe(403);
  });

  it("the store is asked about a session only where it may lower the risk, and while it is down the session lowers nothing", async () => {
    const store = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
    const { spend } = store;
    let reads = 0;
    let down = false;
    store.spend = (quotas) => {
      const ofSession = quotas.some(({ key }) => key.startsWith("ujti:"));
      reads += Number(ofSession);
      return ofSession && down ? Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: down")) : spend(quotas);
    };
    const { gate, call, session } = api({}, { store });
    const headers = { "x-gatepass-session": await session() };
    expect((await call("/v1/x", { headers })).status).toBe(200);
    expect(reads).toBe(0);
    for (let i = 0; i < 6; i++) await gate.report(request("/v1/login"), "login_failed");
    expect([(await call("/v1/login", { headers })).status, reads]).toEqual([200, 1]);
    down = true;
    expect([(await call("/v1/login", { headers })).status, reads]).toEqual([403, 2]);
  });

  it("a clearance that is used up lowers nothing", async () => {
    const { gate, call, clear } = api({ policy: { risk_based: [{ path: "/v1/login", max_uses: 2 }] } });
    for (let i = 0; i < 6; i++) await gate.report(request("/v1/login"), "login_failed");
    const { app_clearance_token: clearance } = await clear("/v1/login");
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) statuses.push((await call("/v1/login", { clearance })).status);
    expect(statuses).toEqual([200, 200, 403]);
  });

  it("a clearance cannot be brought as a signal", async () => {
    const { gate, call } = api({ signals: () => ({ validClearance: true }) });
    for (let i = 0; i < 6; i++) await gate.report(request("/v1/login"), "login_failed");
    expect((await call("/v1/login")).status).toBe(403);
  });

  it("one device behind many addresses is a cluster", async () => {
    const { call, verify, emulator, events } = api({ risk: { ephemeralCluster: { points: 60 } } });
    const details: (string | undefined)[] = [];
    for (let place = 0; place < 12; place++) {
      const [from, device] = [`198.51.${place}.1`, `d${place}`];
      const challenge = await challengeOf(await call("/v1/many", { from, device }));
      const { action, cdata } = challenge;
      const token = emulator.control.mint({ hostname: "game.example", action, cdata, ephemeralId: "x:one" });
      const { app_clearance_token: clearance } = await (await verify(challenge, token, { device_id: device }, from)).json();
      // Used up at once, so that the next refusal says what is known of it.
      for (let i = 0; i < 4; i++) await call("/v1/many", { from, device, clearance });
      details.push(events.findLast(({ type }) => type === "app_clearance_expired")?.detail);
    }
    expect(details.slice(0, 9).some((detail) => detail?.includes("ephemeralCluster"))).toBe(false);
    expect(details.at(-1)).toContain("ephemeralCluster+60");
  });
});

describe("what Cloudflare says", () => {
  it("counts from request.cf, never from headers of a peer that is not Cloudflare", async () => {
    const { gate, events } = api();
    const asked = (cf: unknown, headers: Record<string, string> = {}): Promise<number> => {
      const made = request("/v1/login", headers);
      if (cf) Object.defineProperty(made, "cf", { value: cf });
      return gate.protect(made).then((admission) => (admission.ok ? 200 : admission.response.status));
    };
    expect(await asked({ botManagement: { score: 20 } })).toBe(403);
    expect(await asked({ botManagement: { score: 31 } })).toBe(200);
    expect(await asked({ botManagement: { score: 0 } })).toBe(200);
    // The WAF's comes in a header that a Transform Rule of the zone writes; 100 is none.
    const waf = (score: string): Record<string, string> => ({ "x-waf-attack-score": score });
    const weighed = (): string | undefined => events.findLast(({ type }) => type === "app_clearance_missing")?.detail;
    expect(await asked({ botManagement: { score: 31 } }, waf("10"))).toBe(200);
    expect(await asked({ botManagement: { score: 5 } }, waf("10"))).toBe(403);
    expect(weighed()).toContain("wafScore+25");
    expect(await asked({ botManagement: { score: 5 } }, waf("100"))).toBe(403);
    expect(weighed()).not.toContain("wafScore");
    expect(await asked(undefined, { "cf-bot-score": "1", ...waf("1") })).toBe(200);
  });

  it("counts from its headers where the peer is known to be Cloudflare", async () => {
    const secret = "0123456789abcdef0123456789abcdef";
    const { call } = api({}, { origin: requireCloudflare({ secret: { header: "x-origin", value: secret } }) });
    const headers = { "x-origin": secret };
    expect((await call("/v1/login", { headers: { ...headers, "cf-bot-score": "20" } })).status).toBe(403);
    expect((await call("/v1/login", { headers: { ...headers, "cf-waf-attack-score": "20", "cf-bot-score": "29" } })).status).toBe(403);
    for (const score of ["30", "0", "-1", "1e1", "100", "", "1, 99"])
      expect((await call("/v1/login", { headers: { ...headers, "cf-bot-score": score } })).status).toBe(200);
    // Whoever comes another way is refused before anything is weighed.
    expect(await errorOf(await call("/v1/anything"))).toEqual([403, "REQUEST_DENIED"]);
  });
});

describe("high risk", () => {
  it("is denied before discounts, cooled down or stepped up as the entry says", async () => {
    const { gate, call, clear } = api({ risk: { evil: { points: 90 } }, signals: (r) => ({ evil: r.headers.has("x-evil") }) });
    const { app_clearance_token: clearance } = await clear("/v1/many");
    const headers = { "x-evil": "1" };
    expect(await errorOf(await call("/v1/many", { headers, clearance }))).toEqual([403, "REQUEST_DENIED"]);
    expect(await errorOf(await call("/v1/anything", { headers }))).toEqual([403, "REQUEST_DENIED"]);
    expect(await errorOf(await call("/v1/step", { headers }))).toEqual([403, "STEP_UP_REQUIRED"]);
    const cooled = await call("/v1/cool", { headers });
    expect([cooled.status, await cooled.json(), Number(cooled.headers.get("retry-after")) >= 900]).toEqual([
      429,
      { error: "SECURITY_VERIFICATION_LIMITED", retry_after_seconds: expect.any(Number) },
      true,
    ]);
    expect((await call("/health", { headers })).status).toBe(200);
    // The clearance was not spent on what was denied.
    expect((await call("/v1/many", { clearance })).status).toBe(200);
    expect(gate).toBeTruthy();
  });

  it("tells the public nothing, the events everything", async () => {
    const { call, events } = api({ risk: { evil: { points: 90 } }, signals: () => ({ evil: true }) });
    const refused = await call("/v1/anything", { headers: { "x-app-version": "2.1" } });
    expect(await refused.json()).toEqual({ error: "REQUEST_DENIED" });
    expect(events.at(-1)).toMatchObject({
      type: "high_risk_api_blocked",
      reason: "risk",
      detail: "90: evil+90",
      app_version: "2.1",
      ip_prefix: "203.0.113.0/24",
    });
  });
});

describe("modes", () => {
  it.each(["monitor", "off"] as const)("%s lets everything through and says so", async (mode) => {
    const { call, through, events } = api({}, { mode });
    const answer = await call("/v1/payment/charge");
    expect([answer.status, await answer.json()]).toEqual([200, { level: "none", dryRun: true }]);
    expect(through).toHaveLength(1);
    expect(events.filter(({ type }) => type === "app_clearance_missing").map(({ dry_run }) => dry_run)).toEqual(
      mode === "monitor" ? [true] : [],
    );
  });

  it("an entry may watch while the rest is enforced", async () => {
    const { call } = api({ policy: { always_require_clearance: [{ path: "/v1/new", mode: "monitor" }, "/v1/old"] } });
    expect([(await call("/v1/new")).status, (await call("/v1/old")).status]).toEqual([200, 403]);
  });
});

describe("a store that is down", () => {
  const down = (): Promise<never> => Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot reach the store"));
  it("answers 503, and with onStoreError allow weighs what it knows, but never lets a clearance be spent uncounted", async () => {
    const store = { ...memoryStore(), spend: down };
    expect((await api({}, { store }).call("/v1/login")).status).toBe(503);
    const lenient = api({}, { store, onStoreError: "allow" });
    expect((await lenient.call("/v1/login")).status).toBe(200);
    expect((await lenient.call("/v1/payment/charge")).status).toBe(403);
    const good = api();
    const { app_clearance_token: clearance } = await good.clear("/v1/many");
    expect((await lenient.call("/v1/many", { clearance })).status).toBe(503);
  });
});

it("costs one store round trip at most where no clearance is needed", async () => {
  let spends = 0;
  const inner = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
  const store: typeof inner = {
    ...inner,
    spend(quotas) {
      spends += 1;
      return inner.spend(quotas);
    },
  };
  const limits = { slow: [{ name: "slow", limit: 9, window: 60, by: "ip" as const }] };
  const { call } = api({ policy: { never_require_clearance: ["/health", { path: "/counted", limits: ["slow"] }] }, limits }, { store });
  for (const [path, trips] of [
    ["/health", 0],
    ["/counted", 1],
    ["/v1/login", 1],
  ] as const) {
    spends = 0;
    expect((await call(path)).status).toBe(200);
    expect([path, spends]).toEqual([path, trips]);
  }
});
