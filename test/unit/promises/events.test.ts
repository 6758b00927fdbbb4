import { describe, expect, it } from "vitest";
import { EMULATOR_SECRET } from "../../../src/emulator/index.ts";
import { GatepassError } from "../../../src/errors.ts";
import { EVENT_REASONS, type EventType, type SecurityEvent } from "../../../src/events/index.ts";
import { STATUS } from "../../../src/protocol.ts";
import { memoryBoard, scores } from "../../../src/scores/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, MODERATOR, type TestGate, testGate } from "../../helpers/gate.ts";

/** What an event may say, as the protocol lists it; `detail` is redacted text of our own. */
const FIELDS = [
  ..."v type at outcome reason code route action ip_prefix asn country device user email player session challenge_id run app_version".split(
    " ",
  ),
  ..."error_codes ephemeral_id latency_ms degraded dry_run detail".split(" "),
];

const down = (): GatepassError => new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: the backend is down");

/** A store that is down from when it is told. */
function breakable(): { store: ReturnType<typeof memoryStore>; fail(): void } {
  let broken = false;
  const inner = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
  return {
    store: { ...inner, spend: async (quotas) => (broken ? Promise.reject(down()) : inner.spend(quotas)) },
    fail: () => {
      broken = true;
    },
  };
}

/** Each type with what provokes it and what the one event of it must say, besides version and time. */
const CASES: [type: EventType, says: Partial<SecurityEvent>, provoke: () => Promise<TestGate>][] = [
  [
    "turnstile_token_received",
    { outcome: "info", route: "POST /api/session", ip_prefix: "203.0.113.0/24" },
    async () => {
      const at = testGate();
      await at.session();
      return at;
    },
  ],
  [
    "turnstile_siteverify_success",
    { outcome: "allow", action: "score_submit", latency_ms: expect.any(Number), ip_prefix: "203.0.113.0/24" },
    async () => {
      const at = testGate();
      await at.session();
      return at;
    },
  ],
  [
    "turnstile_siteverify_failed",
    { outcome: "deny", code: "VERIFICATION_FAILED", reason: "invalid", error_codes: ["invalid-input-response"] },
    async () => {
      const at = testGate();
      await at.send("POST", "/session", { turnstileToken: "made-up-token-of-a-stranger" });
      return at;
    },
  ],
  [
    "turnstile_siteverify_timeout",
    { outcome: "error", code: "UNAVAILABLE", reason: "timeout", latency_ms: expect.any(Number) },
    async () => {
      const at = testGate({
        turnstile: {
          secret: "0x4AAAAAAA-of-a-provider-that-hangs",
          allowedHostnames: ["game.example"],
          timeoutMs: 20,
        },
        fetch: (_input, init) => new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(init.signal?.reason))),
      });
      await at.send("POST", "/session", { turnstileToken: "a-token-that-nobody-answers" });
      return at;
    },
  ],
  [
    "session_issued",
    {
      outcome: "allow",
      action: "score_submit",
      session: expect.stringMatching(/^[\w-]{22}$/),
      player: expect.stringMatching(/^[\w-]{22}$/),
      route: "POST /api/session",
    },
    async () => {
      const at = testGate();
      await at.session();
      return at;
    },
  ],
  [
    "session_rejected",
    { outcome: "deny", code: "SESSION_MISSING", reason: "session_missing", action: "score_submit", route: "POST /api/scores" },
    async () => {
      const at = testGate();
      await at.send("POST", "/scores", { score: 1 });
      return at;
    },
  ],
  [
    "session_replay_detected",
    { outcome: "deny", code: "SESSION_EXHAUSTED", reason: "full", session: expect.any(String), player: expect.any(String) },
    async () => {
      const at = testGate();
      const header = { "x-turnstile-token": await at.mint() };
      expect((await at.send("POST", "/scores", { score: 1 }, header)).status).toBe(201);
      expect((await at.send("POST", "/scores", { score: 2 }, header)).status).toBe(401);
      return at;
    },
  ],
  [
    "score_committed",
    { outcome: "allow", session: expect.any(String), player: expect.any(String), route: "POST /api/commitments" },
    async () => {
      const at = testGate();
      expect((await at.send("POST", "/commitments", { score: 1 }, bearer(await at.session()))).status).toBe(200);
      return at;
    },
  ],
  [
    "score_accepted",
    { outcome: "allow", session: expect.any(String), player: expect.any(String), route: "POST /api/scores" },
    async () => {
      const at = testGate();
      expect((await at.send("POST", "/scores", { score: 1, name: "Ada Typed" }, bearer(await at.session()))).status).toBe(201);
      return at;
    },
  ],
  [
    "score_rejected",
    { outcome: "deny", code: "SCORE_INVALID", reason: "score_bounds", route: "POST /api/scores" },
    async () => {
      const at = testGate();
      expect((await at.send("POST", "/scores", { score: 2 ** 40, name: "Ada Typed" }, bearer(await at.session()))).status).toBe(422);
      return at;
    },
  ],
  [
    "rate_limited",
    { outcome: "deny", code: "RATE_LIMITED", reason: "full", route: "GET /api/scores" },
    async () => {
      const at = testGate({ limits: { "scores.read": [{ name: "one", limit: 1, window: 60, by: "ip" }] } });
      await at.send("GET", "/scores");
      expect((await at.send("GET", "/scores")).status).toBe(429);
      return at;
    },
  ],
  [
    "internal_error",
    { outcome: "error", code: "INTERNAL", detail: "RangeError", route: "GET /api/scores" },
    async () => {
      const board = { ...memoryBoard(), top: () => Promise.reject(new RangeError("of 203.0.113.7, quoting a stranger")) };
      const at = testGate({ features: [scores({ board })] });
      expect((await at.send("GET", "/scores")).status).toBe(500);
      return at;
    },
  ],
  [
    "store_unavailable",
    { outcome: "error", reason: "store_down" },
    async () => {
      const { store, fail } = breakable();
      const at = testGate({ store });
      const token = await at.session();
      fail();
      expect((await at.send("POST", "/scores", { score: 1 }, bearer(token))).status).toBe(503);
      return at;
    },
  ],
  [
    "config_warning",
    { outcome: "info", reason: "test_keys_allowed" },
    async () => {
      const at = testGate({ store: { ...memoryStore(), consistency: "exact" }, secrets: "Vt5-kernel-tests-xQ9-7hR2mLw8ZpD4sK1uYc" });
      await at.send("POST", "/session");
      return at;
    },
  ],
  [
    "high_risk_api_blocked",
    { outcome: "deny", code: "ORIGIN_NOT_ALLOWED", reason: "origin", route: "POST /api/scores" },
    async () => {
      const at = testGate();
      expect((await at.send("POST", "/scores", { score: 1 }, { origin: "https://evil.example" })).status).toBe(403);
      return at;
    },
  ],
  [
    "cleanup_swept",
    { outcome: "info", detail: "3 entries of the store" },
    async () => {
      const at = testGate({ store: { ...memoryStore(), sweep: async () => 3 } });
      await at.gate.run("sweep");
      return at;
    },
  ],
];

/** Only what the protocol lists, each of its kind, and nothing that must not be there. */
function expectDocumented(events: readonly SecurityEvent[]): void {
  for (const event of events) {
    expect(FIELDS, event.type).toEqual(expect.arrayContaining(Object.keys(event)));
    expect(event).toMatchObject({ v: 1, at: expect.any(Number), outcome: expect.stringMatching(/^(allow|deny|error|info)$/) });
    if (event.reason !== undefined) expect(EVENT_REASONS).toContain(event.reason);
    if (event.code !== undefined) expect(STATUS).toHaveProperty(event.code);
    expect(JSON.stringify(event)).not.toMatch(/203\.0\.113\.7|Ada Typed|eyJ/);
  }
}

describe("every event of the protocol that concerns a gate with scores is raised, with its documented fields only", () => {
  it.each(CASES)("%s", async (type, says, provoke) => {
    const { events } = await provoke();
    const found = events.filter((event) => event.type === type);
    expect(found.length).toBeGreaterThan(0);
    expect(found.at(-1)).toMatchObject({ type, ...says });
    expectDocumented(events);
  });

  it("a moderator's deeds and a wrong bearer are told, by whom nobody need know", async () => {
    const at = testGate();
    const { id } = await (await at.send("POST", "/scores", { score: 1, name: "Ada Typed" }, bearer(await at.session()))).json();
    at.events.length = 0;
    expect((await at.send("POST", `/scores/${id}/hide`, undefined, bearer("a wrong bearer of thirty-two letters"))).status).toBe(401);
    for (const [path, body] of [
      ["/hide", { hidden: true }],
      ["/hide", { hidden: false }],
      ["/ban", { banned: true }],
      ["/ban", { banned: false }],
      ["/purge", {}],
    ] as const) {
      expect((await at.send("POST", `/scores/${id}${path}`, body, bearer(MODERATOR))).status).toBe(204);
    }
    const again = await (await at.send("POST", "/scores", { score: 1 }, bearer(await at.session()))).json();
    expect((await at.send("DELETE", `/scores/${again.id}`, undefined, bearer(MODERATOR))).status).toBe(204);
    expect(at.events.filter(({ type }) => /score_re|high/.test(type)).map(({ type, reason }) => [type, reason])).toEqual([
      ["high_risk_api_blocked", "unauthorized"],
      ["score_rejected", "moderation_hide"],
      ["score_rejected", "moderation_ban"],
      ["score_rejected", "moderation_purge"],
      ["score_rejected", "moderation_remove"],
    ]);
    expect(at.events.filter(({ reason }) => reason?.startsWith("moderation")).map(({ player }) => typeof player)).toEqual(
      Array(6).fill("string"),
    );
    expectDocumented(at.events);
    expect(JSON.stringify(at.events)).not.toContain(MODERATOR);
  });

  it("a provider that is down is told whichever way it is down, and a wrong secret of ours is no client's fault", async () => {
    const at = testGate();
    at.emulator.control.fault({ kind: "status", times: 2 });
    expect((await at.send("POST", "/session", { turnstileToken: await at.mint() })).status).toBe(503);
    at.emulator.control.fault({ kind: "fail", code: "invalid-input-secret" });
    expect((await at.send("POST", "/session", { turnstileToken: await at.mint() })).status).toBe(503);
    expect(at.events.filter(({ type }) => type.includes("siteverify")).map(({ type, outcome, reason }) => [type, outcome, reason])).toEqual(
      [
        ["turnstile_siteverify_timeout", "error", "unavailable"],
        ["turnstile_siteverify_failed", "error", "misconfigured"],
      ],
    );
    expectDocumented(at.events);
  });

  it("what was let in while the provider was down says so: the session, and each write by it or by a fresh token", async () => {
    const at = testGate({
      turnstile: {
        secret: EMULATOR_SECRET,
        allowedHostnames: ["game.example"],
        allowTestKeys: true,
        siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
        onUnavailable: "degraded",
      },
    });
    at.emulator.control.fault({ kind: "status", times: 4 });
    const token = await at.session();
    expect((await at.send("POST", "/scores", { score: 1 }, bearer(token))).status).toBe(201);
    const fresh = { "x-turnstile-token": await at.mint() };
    expect((await at.send("POST", "/scores", { score: 1 }, fresh)).status).toBe(201);
    // Still good once only, although nobody could say whether it was good at all.
    expect((await at.send("POST", "/scores", { score: 1 }, fresh)).status).toBeGreaterThanOrEqual(400);
    const said = (type: EventType): unknown[] => at.events.filter((event) => event.type === type).map(({ degraded }) => degraded);
    expect([said("turnstile_siteverify_timeout"), said("session_issued"), said("score_accepted")]).toEqual([
      [true, true],
      [true],
      [true, true],
    ]);
    expectDocumented(at.events);
  });

  it("a store that is down is one store_unavailable, with the route and whose request it was", async () => {
    let down = false;
    const { spend, ...rest } = memoryStore();
    const broken = new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: the store is down");
    const at = testGate({ store: { ...rest, spend: (quotas) => (down ? Promise.reject(broken) : spend(quotas)) } });
    const token = await at.session();
    down = true;
    expect((await at.send("POST", "/scores", { score: 1 }, bearer(token))).status).toBe(503);
    expect(at.events.filter(({ type }) => type === "store_unavailable")).toEqual([
      expect.objectContaining({ outcome: "error", reason: "store_down", route: "POST /api/scores", ip_prefix: "203.0.113.0/24" }),
    ]);
  });

  it("a board that is down is a store_unavailable that says which", async () => {
    const board = { ...memoryBoard(), submit: () => Promise.reject(new GatepassError("ERR_BOARD_UNAVAILABLE", "Cannot write the row")) };
    const at = testGate({ features: [scores({ board })] });
    expect((await at.send("POST", "/scores", { score: 1 }, bearer(await at.session()))).status).toBe(503);
    expect(at.events.filter(({ type }) => type === "store_unavailable")).toEqual([
      expect.objectContaining({ outcome: "error", reason: "board_down", route: "POST /api/scores" }),
    ]);
  });

  it("under monitor what would have been refused is told with dry_run", async () => {
    const at = testGate({ mode: "monitor", limits: { "scores.write": [{ name: "one", limit: 1, window: 60, by: "ip" }] } });
    for (let i = 0; i < 2; i++) expect((await at.send("POST", "/scores", { score: i })).status).toBe(201);
    expect(at.events.filter(({ outcome }) => outcome === "deny").map(({ type, dry_run }) => [type, dry_run])).toEqual([
      ["session_rejected", true],
      ["session_rejected", true],
      ["rate_limited", true],
    ]);
    expect(at.events.filter(({ type }) => type === "score_accepted").map(({ dry_run }) => dry_run)).toEqual([true, true]);
  });
});
