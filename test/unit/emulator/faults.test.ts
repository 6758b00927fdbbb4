import { describe, expect, it } from "vitest";
import { createTurnstileEmulator, EMULATOR_SECRET, type Fault, type TurnstileEmulator } from "../../../src/emulator/index.ts";
import { createTurnstile, type Turnstile, type TurnstileOptions, type TurnstileResult } from "../../../src/turnstile/index.ts";
import { serve } from "../../helpers/serve.ts";

/** The verifier against the emulator, through a real server: what a redirect, a stalled body and a cut connection are like differs from mocks. */
async function withEmulator<T>(faults: Fault[], test: (emulator: TurnstileEmulator, url: string) => Promise<T>): Promise<T> {
  const emulator = createTurnstileEmulator({ faults });
  const served = await serve((request) => emulator.fetch(request));
  try {
    return await test(emulator, `${served.url}/turnstile/v0/siteverify`);
  } finally {
    await served.close();
  }
}

// Generous where an answer is expected, so that a busy machine is no failure.
const make = (siteverifyUrl: string, options: Partial<TurnstileOptions> = {}): Turnstile =>
  createTurnstile({
    secret: EMULATOR_SECRET,
    allowedHostnames: ["game.example"],
    allowTestKeys: true,
    siteverifyUrl,
    timeoutMs: 10_000,
    ...options,
  });
const mint = (emulator: TurnstileEmulator): string => emulator.control.mint({ action: "score_submit", hostname: "game.example" });

function run(faults: Fault[], options?: Partial<TurnstileOptions>): Promise<{ said: string; asked: number }> {
  return withEmulator(faults, async (emulator, url) => {
    const result = await make(url, options).verify(mint(emulator), { action: "score_submit" });
    return { said: result.ok ? "ok" : result.reason, asked: emulator.control.counts().siteverify };
  });
}

describe.concurrent("siteverify's faults and what the verifier makes of them", () => {
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
    ["an answer that comes too late, the token being spent", { kind: "delay", ms: 5000 }],
    ["no answer", { kind: "hang" }],
    ["no answer after the token was spent", { kind: "hang", spend: true }],
  ])("%s once: the retry with the same idempotency key is accepted; for good: refused", async (_, fault) => {
    const silent = fault.kind === "hang" || fault.kind === "delay";
    const options = silent ? { timeoutMs: 1000 } : {};
    expect(await run([fault], options)).toEqual({ said: "ok", asked: 2 });
    expect(await run([{ ...fault, times: 9 }], options)).toEqual({ said: silent ? "timeout" : "unavailable", asked: 2 });
  });

  it("without the retry a token that was spent for nothing is lost: the fault is real", async () => {
    expect((await run([{ kind: "drop" }], { retries: 0 })).said).toBe("unavailable");
    const result = await withEmulator([{ kind: "drop" }], async (emulator, url) => {
      const token = mint(emulator);
      await make(url, { retries: 0 }).verify(token, {});
      return make(url).verify(token, {});
    });
    expect(result).toMatchObject({ reason: "expired_or_spent" });
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
    const said = await withEmulator([{ kind: "fail", code: "bad-request", times: 2 }], async (emulator, url) => {
      const results: TurnstileResult[] = [];
      for (let i = 0; i < 3; i++) results.push(await make(url).verify(mint(emulator), {}));
      return results.map((result) => (result.ok ? "ok" : result.reason));
    });
    expect(said).toEqual(["misconfigured", "misconfigured", "ok"]);
  });

  it("a delay is a delay", async () => {
    expect(await run([{ kind: "delay", ms: 30 }])).toEqual({ said: "ok", asked: 1 });
  });
});

describe("a gate that does not allow test keys", () => {
  it("refuses what the emulator vouches for", async () => {
    const emulator = createTurnstileEmulator();
    const turnstile = createTurnstile({ secret: EMULATOR_SECRET, allowedHostnames: ["game.example"], fetch: emulator.fetch });
    expect(await turnstile.verify(mint(emulator), {})).toMatchObject({ ok: false, reason: "test_key" });
  });
});
