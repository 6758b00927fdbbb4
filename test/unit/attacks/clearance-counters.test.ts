import { describe, expect, it, test } from "vitest";
import { exampleLimits, examplePolicy, explainPolicy } from "../../../src/clearance/index.ts";
import { GatepassError } from "../../../src/errors.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { type Api, api } from "../clearance/tools.ts";

const ORIGIN = "https://game.example";
const errorOf = async (response: Response): Promise<unknown[]> => [response.status, (await response.json()).error];
const from = (address: string, device?: string, path = "/v1/login"): Request =>
  new Request(`${ORIGIN}${path}`, { method: "POST", headers: { "x-test-from": address, ...(device && { "x-device-id": device }) } });

describe("a victim", () => {
  it("whose account strangers fail to enter, and ask passwords for, is challenged at most, everywhere", async () => {
    const { gate, call, clear } = api({ policy: { risk_based: ["/v1/login", "/v1/otp/request", "/v1/payment/charge"] } });
    for (let i = 0; i < 40; i++) {
      const bot = from(`198.51.${i}.9`, `bot-${i}`);
      await gate.report(bot, "login_failed", { account: "ann" });
      await gate.report(bot, "otp_requested", { account: "ann", user: "ann" });
    }
    for (const path of ["/v1/login", "/v1/otp/request", "/v1/payment/charge", "/v1/else"]) {
      expect([path, ...(await errorOf(await call(path, { user: "ann" })))]).toEqual([path, 403, "TURNSTILE_REQUIRED"]);
      const { app_clearance_token: clearance } = await clear(path, { user: "ann", device: `own-${path.length}` });
      expect((await call(path, { user: "ann", device: `own-${path.length}`, clearance })).status).toBe(200);
    }
    // The bots' own devices are denied all the same, where they fail by themselves.
    for (let i = 0; i < 6; i++) {
      await gate.report(from("198.51.0.9", "bot-0"), "login_failed", { account: "ann" });
      await gate.report(from("198.51.0.9", "bot-0"), "otp_requested", { account: "ann" });
    }
    expect(await errorOf(await call("/v1/otp/request", { from: "198.51.0.9", device: "bot-0", user: "ann" }))).toEqual([
      403,
      "REQUEST_DENIED",
    ]);
  });

  it("who shares an address with whoever does it is challenged at most, without a device id too", async () => {
    const { gate, call, clear } = api({ policy: { risk_based: ["/v1/otp/request"] } });
    for (let i = 0; i < 20; i++) {
      for (const signal of ["login_failed", "otp_requested", "honeypot_tripped"]) await gate.report(from("203.0.113.7"), signal);
    }
    expect(await errorOf(await call("/v1/otp/request", { device: "" }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    const { app_clearance_token: clearance } = await clear("/v1/otp/request", { device: "" });
    expect((await call("/v1/otp/request", { device: "", clearance })).status).toBe(200);
    // And with one, not at all.
    expect((await call("/v1/otp/request", { device: "phone-9" })).status).toBe(200);
  });

  it("whose device id a stranger sends is not refused by the limits of the example either", async () => {
    const { call } = api({ policy: { risk_based: [{ path: "/v1/signin", limits: ["login", "otp"] }] }, limits: exampleLimits });
    for (let i = 0; i < 60; i++) await call("/v1/signin", { from: `198.51.100.${i}`, device: "victim" });
    expect((await call("/v1/signin", { device: "victim" })).status).toBe(200);
  });

  it("is what explainPolicy says: shared signals add, and never deny", async () => {
    const question = { method: "POST", path: "/api/auth/login", shared: { failedLogins: 9, otpRequests: 9 } };
    expect(await explainPolicy(examplePolicy, question)).toMatchObject({ decision: "challenge", risk: { score: 100, gross: 20 } });
    expect(await explainPolicy(examplePolicy, { ...question, signals: { failedLogins: 9, otpRequests: 9 } })).toMatchObject({
      decision: "cool_down",
      risk: { gross: 100 },
    });
  });
});

describe("whoever makes up a new device each time", () => {
  const stuff = async ({ gate }: Api, count: number, prefix = "198.51.100"): Promise<void> => {
    for (let i = 0; i < count; i++)
      await gate.report(from(`${prefix}.${i % 250}`, `made-up-${i}`), "login_failed", { account: `account-${i}` });
  };

  it("is challenged at the log-in after 500 failures from one network; others are not, and nobody is denied", async () => {
    const at = api();
    await stuff(at, 500);
    expect((await at.call("/v1/login", { from: "198.51.100.1", device: "new" })).status).toBe(200);
    await stuff(at, 1);
    expect(await errorOf(await at.call("/v1/login", { from: "198.51.100.1", device: "new" }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect((await at.call("/v1/else", { from: "198.51.100.1", device: "new" })).status).toBe(200);
    expect((await at.call("/v1/login")).status).toBe(200);
    at.advance(17 * 60_000);
    expect((await at.call("/v1/login", { from: "198.51.100.1", device: "new" })).status).toBe(200);
  });

  it("gets nobody of its network denied, not even whom something else speaks against", async () => {
    const at = api({ signals: () => ({ botScore: 5 }) });
    await stuff(at, 501);
    expect(await errorOf(await at.call("/v1/login", { from: "198.51.100.1", device: "new" }))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect(at.events.findLast(({ type }) => type === "app_clearance_missing")?.detail).toBe(
      "90: sensitivePath+20 botScore+30 addressReports+40",
    );
  });

  it("silences no report by a flood of requests first", { timeout: 240_000 }, async () => {
    const { call, gate } = api();
    for (let i = 0; i < 5200; i += 400) await Promise.all(Array.from({ length: 400 }, (_, j) => call("/v1/x", { device: `f${i + j}` })));
    for (let i = 0; i < 6; i++) await gate.report(from("203.0.113.7", "phone-1"), "login_failed", { account: "ann" });
    expect(await errorOf(await call("/v1/login"))).toEqual([403, "TURNSTILE_REQUIRED"]);
    expect(await errorOf(await call("/v1/login", { device: "other", from: "192.0.2.1", user: "ann" }))).toEqual([
      403,
      "TURNSTILE_REQUIRED",
    ]);
    const names = ["a", "b", "c", "d", "e", "f"];
    for (const user of names) await gate.report(from("203.0.113.7", "phone-2"), "login_failed", { user });
    expect(await errorOf(await call("/v1/login", { device: "phone-2" }))).toEqual([403, "REQUEST_DENIED"]);
  });

  it("makes no more keys by reports than its network may", async () => {
    const store = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
    const at = api({}, { store });
    await stuff(at, 5100, "203.0.113");
    // Device, account, and the names of a device: five for each of 5000, and those of the network.
    expect(store.keys().length).toBeLessThanOrEqual(5000 * 4 + 2);
  });
});

describe("a report", () => {
  it("of hostile values harms nobody", async () => {
    const store = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
    const { gate, call, errors } = api({}, { store });
    for (const signal of [
      "__proto__",
      "constructor",
      "toString",
      "",
      "x".repeat(100_000),
      "deviceRequests",
      "addressReports",
      "failedLogins",
    ]) {
      await expect(gate.report(from("203.0.113.7", "phone-1"), signal, { account: "ann" })).rejects.toThrow(TypeError);
    }
    expect(store.keys()).toEqual([]);
    for (const weight of [0, -5, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e9]) {
      await expect(gate.report(from("203.0.113.7", "phone-1"), "login_failed", { weight })).rejects.toThrow(RangeError);
    }
    expect(store.keys()).toEqual([]);
    expect(errors).toEqual([]);
    const started = performance.now();
    for (const account of ["|{}:", "\u0000", "\ud800", "a".repeat(5_000_000), "__proto__"]) {
      await gate.report(from("203.0.113.7", "phone-1"), "login_failed", { account, user: account });
    }
    expect(performance.now() - started).toBeLessThan(500);
    // A visitor's JSON may hold anything in the place of a name: it is counted, and no error for the login.
    for (const account of [["ann"], { $ne: "" }, 5, true, null]) {
      await Reflect.apply(gate.report, undefined, [from("203.0.113.7", "phone-9"), "login_failed", { account }]);
    }
    expect(errors).toEqual([]);
    for (const key of store.keys()) expect(key).toMatch(/^[\w.:|-]{1,80}$/);
    expect((await call("/v1/x")).status).toBe(200);
  });
});

describe("a report of a request whose body was read since", () => {
  const identify = async (request: Request): Promise<{ account?: string }> => JSON.parse(await request.clone().text());
  const login = (): Request =>
    new Request(`${ORIGIN}/v1/login`, { method: "POST", body: '{"account":"ann"}', headers: { "x-test-from": "198.51.100.1" } });

  it("knows who it was, and one that it cannot know breaks nothing", async () => {
    const { gate, errors } = api({}, { identify });
    for (let i = 0; i < 6; i++) {
      const request = login();
      await gate.protect(request);
      await request.json();
      await gate.report(request, "login_failed");
    }
    const elsewhere = login();
    elsewhere.headers.set("x-test-from", "192.0.2.9");
    expect((await gate.protect(elsewhere)).ok).toBe(false);
    expect(errors).toEqual([]);
    const unseen = login();
    await unseen.json();
    await gate.report(unseen, "login_failed");
    expect(errors).toHaveLength(1);
  });
});

describe("modes and failures of our own", () => {
  const down = { ...memoryStore(), spend: () => Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot reach the store")) };

  it("who only watches lets everything through while the store is down", async () => {
    const { call, events } = api({}, { store: down, mode: "monitor" });
    expect((await call("/v1/payment/charge")).status).toBe(200);
    expect(events.some(({ type, dry_run }) => type === "store_unavailable" && dry_run)).toBe(true);
  });

  it("onStoreError: allow tells that nothing was counted", async () => {
    const { gate, events } = api({}, { store: down, onStoreError: "allow" });
    const admission = await gate.protect(from("203.0.113.7", "phone-1"));
    expect([admission.ok, admission.ok && admission.degraded]).toEqual([true, true]);
    expect(events.some(({ type, degraded }) => type === "store_unavailable" && degraded)).toBe(true);
  });

  it("a gate that is off is off, whatever an entry says; one that watches may enforce an entry", async () => {
    const policy = { always_require_clearance: [{ path: "/v1/a", mode: "enforce" as const }, "/v1/b"] };
    const off = api({ policy }, { mode: "off" });
    expect((await off.call("/v1/a")).status).toBe(200);
    const watching = api({ policy }, { mode: "monitor" });
    expect([(await watching.call("/v1/a")).status, (await watching.call("/v1/b")).status]).toEqual([403, 200]);
    expect(() => api({ policy }, { mode: "monitor", turnstile: { secret: undefined, allowedHostnames: ["game.example"] } })).toThrow(
      /Turnstile secret/,
    );
  });

  it("what cannot work is told when the gate is made, not to the first client of middling risk", () => {
    const by = "ip" as const;
    const limits = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, [{ name, limit: 9, window: 60, by }]] as const));
    const policy = (names: string[]): { risk_based: { path: string; limits: string[] }[] } => ({
      risk_based: [{ path: "/x", limits: names }],
    });
    expect(() => api({ limits, policy: policy(["a", "b", "c"]) })).not.toThrow();
    expect(() => api({ limits, policy: policy(["a", "b", "c", "d"]) })).toThrow(/more limits/);
    expect(() => api({ risk: { failedLogins: { points: 40, over: Number("five") } } })).toThrow(/failedLogins\.over/);
    const four = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, { points: 9, over: 1 }]));
    expect(() => api({ risk: four })).toThrow(/at most 3/);
  });

  it("three signals of the application's own fit into one spend with everything else", async () => {
    const risk = Object.fromEntries(["a", "b", "c"].map((name) => [name, { points: 9, over: 1 }]));
    const at = api(
      { risk, policy: { always_require_clearance: [{ path: "/v1/many", max_uses: 3 }] } },
      {
        identify: () => ({ user: "ann", account: "ann@example.org" }),
      },
    );
    const { app_clearance_token: clearance } = await at.clear("/v1/many");
    expect((await at.call("/v1/many", { clearance })).status).toBe(200);
  });
});

test("who asks is told to the application's signals, as the gate knows it", async () => {
  const seen: unknown[] = [];
  const { call } = api({
    signals: (_request, { info, subjects }) => {
      seen.push(info.ipPrefixText, subjects.device, subjects.user);
      return { badIp: info.ipPrefixText === "203.0.113.0/24", abusiveAsn: true };
    },
  });
  expect((await call("/v1/login", { user: "ann" })).status).toBe(403);
  expect(seen).toEqual(["203.0.113.0/24", "phone-1", "ann"]);
});
