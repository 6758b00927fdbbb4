import { describe, expect, it } from "vitest";
import { type Turnstile, type TurnstileReason, withBreaker } from "../../../src/turnstile/index.ts";

/** A provider that answers as `script` says, `ok` when it has run out, behind a breaker on a clock of its own. */
function setup(script: (TurnstileReason | "ok" | "never")[] = []) {
  const state = { now: 1_000_000, asked: 0 };
  const inner: Turnstile = {
    async verify() {
      state.asked += 1;
      const step = script.shift() ?? "ok";
      if (step === "never") await new Promise(() => {});
      if (step === "ok" || step === "never") {
        return { ok: true, hostname: "", action: "", cdata: "", challengeAt: 0, testKey: false, latencyMs: 0 };
      }
      return { ok: false, reason: step, errorCodes: [], retryable: step === "timeout" || step === "unavailable", latencyMs: 0 };
    },
  };
  const turnstile = withBreaker(inner, { clock: () => state.now });
  const call = async (times = 1): Promise<string> => {
    let said = "";
    for (let i = 0; i < times; i++) {
      const result = await turnstile.verify("token", {});
      said = result.ok ? "ok" : result.reason;
    }
    return said;
  };
  return { state, turnstile, call };
}
const down = (times: number): TurnstileReason[] => Array.from({ length: times }, (_, i) => (i % 2 ? "timeout" : "unavailable"));

describe("withBreaker", () => {
  it("opens after 5 failures in a row: the next are told at once, and nobody is asked", async () => {
    const { state, turnstile, call } = setup(down(5));
    expect(await call(5)).toBe("unavailable");
    expect(state.asked).toBe(5);
    state.now += 29_999;
    expect(await turnstile.verify("token", {})).toEqual({
      ok: false,
      reason: "unavailable",
      errorCodes: [],
      retryable: true,
      latencyMs: 0,
    });
    await call(100);
    expect(state.asked).toBe(5);
  });

  it("half open after 30 s: one goes through, the others of the moment do not; an answer closes it", async () => {
    const { state, turnstile, call } = setup(down(5));
    await call(5);
    state.now += 30_000;
    const burst = await Promise.all(Array.from({ length: 10 }, () => turnstile.verify("token", {})));
    expect(burst.filter(({ ok }) => ok).length).toBe(1);
    expect(state.asked).toBe(6);
    expect(await call(10)).toBe("ok");
    expect(state.asked).toBe(16);
  });

  it("a failed probe opens it for another 30 s", async () => {
    const { state, call } = setup(down(6));
    await call(5);
    state.now += 30_000;
    await call(5);
    expect(state.asked).toBe(6);
    state.now += 29_999;
    await call(5);
    expect(state.asked).toBe(6);
    state.now += 1;
    expect(await call()).toBe("ok");
  });

  it("a probe that never ends does not keep it open for ever", async () => {
    const { state, turnstile, call } = setup([...down(5), "never"]);
    await call(5);
    state.now += 30_000;
    void turnstile.verify("token", {});
    expect(await call()).toBe("unavailable");
    state.now += 30_000;
    expect(await call()).toBe("ok");
  });

  it("only failures in a row count: any answer of the provider starts anew", async () => {
    for (const answer of ["ok", "invalid", "expired_or_spent", "too_early", "action_mismatch", "test_key"] as const) {
      const { state, call } = setup([...down(4), answer, ...down(4)]);
      await call(9);
      await call();
      expect(state.asked).toBe(10);
    }
  });

  it("junk from a stranger neither closes it nor starts the count anew nor uses up the probe", async () => {
    const { state, call } = setup([...down(4), "missing", "malformed", "unavailable", "malformed", "missing"]);
    await call(7);
    const before = state.asked;
    expect(await call()).toBe("unavailable");
    expect(state.asked).toBe(before);
    state.now += 30_000;
    expect(await call()).toBe("malformed");
    expect(await call()).toBe("missing");
    expect(await call()).toBe("ok");
  });

  it("a configuration that is wrong opens it too: Cloudflare is not asked without end, and only the first answer is news", async () => {
    const { state, turnstile, call } = setup(Array.from({ length: 6 }, () => "misconfigured"));
    const answers = await Promise.all(Array.from({ length: 3 }, () => turnstile.verify("token", {})));
    expect(answers.map((answer) => !answer.ok && answer.repeated === true)).toEqual([false, true, true]);
    await call(2);
    expect(await turnstile.verify("token", {})).toEqual({
      ok: false,
      reason: "misconfigured",
      errorCodes: [],
      retryable: false,
      repeated: true,
      latencyMs: 0,
    });
    await call(500);
    expect(state.asked).toBe(5);
    // One may try again every 30 s; it is still no news.
    state.now += 30_000;
    expect(await turnstile.verify("token", {})).toMatchObject({ reason: "misconfigured", repeated: true });
    expect([await call(), state.asked]).toEqual(["misconfigured", 6]);
    state.now += 30_000;
    expect([await call(3), state.asked]).toEqual(["ok", 9]);
  });

  it("is misconfigured, never unavailable, where both were said since the last good answer: else a wrong secret gave degraded sessions", async () => {
    const { call } = setup(["unavailable", "misconfigured", "timeout", "unavailable", "timeout"]);
    await call(5);
    expect(await call()).toBe("misconfigured");
    const { call: again, turnstile } = setup(["misconfigured", "ok", "misconfigured", ...down(5)]);
    await again(2);
    expect(await turnstile.verify("token", {})).not.toHaveProperty("repeated");
    const { call: other } = setup(["misconfigured", "invalid", ...down(5)]);
    await other(7);
    expect(await other()).toBe("unavailable");
  });

  it("refuses impossible options", () => {
    const { turnstile } = setup();
    expect(() => withBreaker(turnstile, { failures: 0 })).toThrow(RangeError);
    expect(() => withBreaker(turnstile, { openFor: 0.5 })).toThrow(RangeError);
  });
});
