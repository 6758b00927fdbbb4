import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTurnstileEmulator, EMULATOR_SECRET, type Fault } from "../../../src/emulator/index.ts";
import { createTurnstile, type TurnstileOptions } from "../../../src/turnstile/index.ts";
import { type Served, serve } from "../../helpers/serve.ts";

// The verifier against the emulator, through a real server: what a redirect, a stalled body and a cut connection are like differs from mocks.
const emulator = createTurnstileEmulator();
let served: Served;
beforeAll(async () => {
  served = await serve((request) => emulator.fetch(request));
});
afterAll(() => served.close());

const make = (options: Partial<TurnstileOptions> = {}) =>
  createTurnstile({
    secret: EMULATOR_SECRET,
    allowedHostnames: ["game.example"],
    allowTestKeys: true,
    siteverifyUrl: `${served.url}/turnstile/v0/siteverify`,
    timeoutMs: 150,
    ...options,
  });
const mint = (): string => emulator.control.mint({ action: "score_submit", hostname: "game.example" });

async function run(faults: Fault[], options?: Partial<TurnstileOptions>) {
  emulator.control.clear();
  for (const fault of faults) emulator.control.fault(fault);
  const before = emulator.control.counts().siteverify;
  const result = await make(options).verify(mint(), { action: "score_submit" });
  return { said: result.ok ? "ok" : result.reason, asked: emulator.control.counts().siteverify - before };
}

describe("siteverify's faults and what the verifier makes of them", () => {
  it("without a fault", async () => {
    expect(await run([])).toEqual({ said: "ok", asked: 1 });
  });

  it.each<[string, Fault]>([
    ["internal-error", { kind: "fail" }],
    ["5xx", { kind: "status" }],
    ["5xx after the token was spent", { kind: "status", status: 502, spend: true }],
    ["a web page", { kind: "html" }],
    ["a web page after the token was spent", { kind: "html", spend: true }],
    ["an answer that breaks off after the token was spent", { kind: "drop" }],
    ["an answer that comes too late, the token being spent", { kind: "delay", ms: 400 }],
    ["no answer", { kind: "hang" }],
    ["no answer after the token was spent", { kind: "hang", spend: true }],
  ])("%s once: the retry with the same idempotency key is accepted; for good: refused", async (_, fault) => {
    expect(await run([fault])).toEqual({ said: "ok", asked: 2 });
    const { said, asked } = await run([{ ...fault, times: 9 }]);
    expect(["timeout", "unavailable"]).toContain(said);
    expect(asked).toBe(2);
  });

  it("without the retry a token that was spent for nothing is lost: the fault is real", async () => {
    expect((await run([{ kind: "drop" }], { retries: 0 })).said).toBe("unavailable");
    emulator.control.clear();
    emulator.control.fault({ kind: "drop" });
    const token = mint();
    await make({ retries: 0 }).verify(token, {});
    expect(await make().verify(token, {})).toMatchObject({ reason: "expired_or_spent" });
  });

  it("a redirect is not followed, not even to a place that accepts everything", async () => {
    expect(await run([{ kind: "redirect", times: 9 }])).toEqual({ said: "unavailable", asked: 1 });
    expect(await run([{ kind: "redirect", to: "https://evil.example/", times: 9 }])).toEqual({ said: "unavailable", asked: 1 });
  });

  it("an oversized answer is not read, valid as it is", async () => {
    expect(await run([{ kind: "oversized", times: 9 }])).toEqual({ said: "unavailable", asked: 1 });
    expect(await run([{ kind: "oversized", bytes: 1000 }])).toEqual({ said: "ok", asked: 1 });
  });

  it("an error code for the next n", async () => {
    expect(await run([{ kind: "fail", code: "bad-request", times: 2 }])).toEqual({ said: "misconfigured", asked: 1 });
    expect((await make().verify(mint(), {})).ok).toBe(false);
    expect((await make().verify(mint(), {})).ok).toBe(true);
  });

  it("a delay is a delay", async () => {
    expect(await run([{ kind: "delay", ms: 30 }])).toEqual({ said: "ok", asked: 1 });
  });
});

describe("a gate that does not allow test keys", () => {
  it("refuses what the emulator vouches for", async () => {
    const turnstile = createTurnstile({ secret: EMULATOR_SECRET, allowedHostnames: ["game.example"], fetch: emulator.fetch });
    expect(await turnstile.verify(mint(), {})).toMatchObject({ ok: false, reason: "test_key" });
  });
});
