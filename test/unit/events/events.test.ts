import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createEvents,
  EVENT_REASONS,
  type EventFields,
  eventReasonOfToken,
  redactText,
  type SecurityEvent,
} from "../../../src/events/index.ts";

const JWS = `${"eyJhbGciOiJIUzI1NiJ9"}.${"eyJzdWIiOiJwbGF5ZXIifQ"}.${"x".repeat(43)}`;
const TURNSTILE = `0.${"Ab3_-".repeat(40)}.${"Qx9".repeat(20)}.${"f0".repeat(32)}`;
const SECRET = "a-signing-secret-of-32-bytes!!!!";

function recorder(options: { redact?: string[] } = {}): { events: SecurityEvent[]; emit: (fields: unknown) => SecurityEvent | undefined } {
  const events: SecurityEvent[] = [];
  const sink = createEvents({ onEvent: (event) => void events.push(event), clock: () => 1234, ...options });
  return {
    events,
    emit(fields) {
      Reflect.apply(sink.emit, undefined, ["session_issued", fields]);
      return events.at(-1);
    },
  };
}

describe("an event", () => {
  it("has the version, the type, the time and what is documented", () => {
    const fields: EventFields = {
      outcome: "deny",
      reason: "token_expired",
      code: "SESSION_EXPIRED",
      route: "POST /api/scores",
      action: "score_submit",
      ip_prefix: "203.0.113.0/24",
      asn: 64496,
      country: "DE",
      player: "kQ3vY8wq1PzR7tLmN0aBcD",
      session: "jti-jti-jti-jti-jti-jt",
      error_codes: ["timeout-or-duplicate"],
      latency_ms: 12.5,
      degraded: false,
      dry_run: true,
      detail: "The clock is 12 s ahead",
    };
    expect(recorder().emit(fields)).toEqual({ v: 1, type: "session_issued", at: 1234, ...fields });
  });

  it("drops undefined, unknown and ill-typed fields", () => {
    const event = recorder().emit({
      outcome: "maybe",
      reason: "Made up",
      code: "ERR_TOKEN_EXPIRED",
      player: undefined,
      name: "Robert",
      asn: Number.NaN,
      degraded: "yes",
      route: 7,
      error_codes: "x",
    });
    expect(event).toEqual({ v: 1, type: "session_issued", at: 1234, outcome: "info" });
    expect(Object.keys(event ?? {})).not.toContain("player");
  });

  it("cannot be changed by one sink for the next", () => {
    const seen: unknown[] = [];
    const change = (event: SecurityEvent): void => void Reflect.set(event, "outcome", "allow");
    createEvents({ onEvent: change, listeners: [change, (event) => void seen.push(event.outcome)], clock: () => 0 }).emit("rate_limited", {
      outcome: "deny",
    });
    expect(seen).toEqual(["deny"]);
  });

  it("never holds a token, a secret or a full address, in whichever field", () => {
    const fields = [
      "route",
      "action",
      "ip_prefix",
      "country",
      "device",
      "user",
      "email",
      "player",
      "session",
      "challenge_id",
      "run",
      "app_version",
      "ephemeral_id",
      "detail",
    ];
    const addresses = fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter((text) => !/^(0+:|::)/.test(text)),
    );
    const leak = fc.oneof(
      fc.constantFrom(JWS, TURNSTILE, SECRET, "XXXX.DUMMY.TOKEN.XXXX", "1x0000000000000000000000000000000AA", `0x4${"A".repeat(32)}`),
      addresses,
    );
    const glue = fc.constantFrom("", " ", ": ", ":", "=", '"', "(", "\n", "ip", ".", "1", "f");
    fc.assert(
      fc.property(fc.constantFrom(...fields), leak, glue, glue, (field, secret, before, after) => {
        const { emit } = recorder({ redact: [SECRET] });
        const event = emit({ outcome: "error", [field]: `${before}${secret}${after}`, error_codes: [secret] });
        expect(JSON.stringify(event)).not.toContain(secret);
      }),
      { numRuns: 2000 },
    );
  });

  it("keeps `detail` short, and redacts before it cuts", () => {
    const event = recorder().emit({ outcome: "error", detail: `${"word ".repeat(57)} ${JWS}` });
    expect(event?.detail?.length).toBeLessThanOrEqual(300);
    expect(event?.detail).toContain("[token]");
    expect(event?.detail).not.toContain("eyJ");
    expect(recorder().emit({ outcome: "error", detail: "z ".repeat(1e6) })?.detail).toHaveLength(300);
  });
});

describe("redactText", () => {
  it("leaves what is harmless as it is", () => {
    for (const text of [
      "POST /api/scores/:id/hide",
      "203.0.113.0/24",
      "2001:db8:1::/48",
      "::/48",
      "12:30:45",
      "timeout-or-duplicate",
      "kQ3vY8wq1PzR7tLmN0aBcD",
      "1.2.3",
      "at gate/index.ts:10:5",
      "GP101: the store is local",
      "2026-11-21T10:00:00.000Z",
    ]) {
      expect(redactText(text)).toBe(text);
    }
  });

  it("finds addresses in their company", () => {
    expect(redactText("peer 203.0.113.7:4711, [2001:db8::1]:80; ::ffff:10.0.0.1 fe80::1%eth0")).toBe(
      "peer [address]:4711, [[address]]:80; [address] [address]",
    );
    expect(redactText("203.0.113.7/24 and 203.0.113.7/32 and 203.0.113.0/25")).toBe("[address] and [address] and [address]");
    expect(redactText("2001:db8:1:2::/64")).toBe("[address]");
    expect(redactText("connect ECONNREFUSED 127.0.0.1:6379")).toBe("connect ECONNREFUSED [address]:6379");
  });

  it("does not take long on hostile text", () => {
    const started = performance.now();
    for (const piece of [":", "1.", "a.", "0x", "::1", "%", "a-", "=", "1:", "f:"]) redactText(piece.repeat(4096));
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe("emit", () => {
  it("never throws, whatever a sink does, and still reaches the others", async () => {
    const seen: string[] = [];
    const events = createEvents({
      onEvent: () => {
        throw new Error("sink");
      },
      listeners: [() => Promise.reject(new Error("later")), (event) => void seen.push(event.type)],
      clock: () => 0,
    });
    events.emit("rate_limited", { outcome: "deny" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual(["rate_limited"]);
  });

  it("survives a broken clock, hostile fields, and no sink", () => {
    const broken = createEvents({
      onEvent: () => undefined,
      clock: () => {
        throw new Error("clock");
      },
    });
    expect(() => broken.emit("rate_limited", { outcome: "deny" })).not.toThrow();
    const { emit, events } = recorder();
    for (const fields of [
      null,
      undefined,
      7,
      {
        get outcome() {
          throw new Error("getter");
        },
      },
    ]) {
      expect(() => emit(fields)).not.toThrow();
    }
    // A number has no fields; the others cannot even be read.
    expect(events).toEqual([{ v: 1, type: "session_issued", at: 1234, outcome: "info" }]);
    expect(() => createEvents({ clock: () => 0 }).emit("rate_limited", { outcome: "deny" })).not.toThrow();
  });

  it("ends when sinks answer each other, and works after that", () => {
    let count = 0;
    const events = createEvents({
      listeners: [
        () => {
          count += 1;
          events.emit("detection_raised", { outcome: "info" });
        },
      ],
      clock: () => 0,
    });
    events.emit("rate_limited", { outcome: "deny" });
    expect(count).toBe(4);
    events.emit("rate_limited", { outcome: "deny" });
    expect(count).toBe(8);
  });
});

it("every token error has a reason of its own", () => {
  const codes = [
    "ERR_TOKEN_MALFORMED",
    "ERR_TOKEN_HEADER",
    "ERR_TOKEN_SIGNATURE",
    "ERR_TOKEN_EXPIRED",
    "ERR_TOKEN_NOT_YET",
    "ERR_TOKEN_CLAIM",
  ] as const;
  const reasons = codes.map(eventReasonOfToken);
  expect(reasons).toEqual(["token_malformed", "token_header", "token_signature", "token_expired", "token_not_yet", "token_claim"]);
  for (const reason of reasons) expect(EVENT_REASONS).toContain(reason);
});
