import { describe, expect, it, vi } from "vitest";
import { createTurnstile, SITEVERIFY_URL, type TurnstileOptions, type TurnstileResult } from "../../../src/turnstile/index.ts";

const NOW = Date.UTC(2026, 9, 1, 12);
const TOKEN = "0.tOkEn_of-a.real~look";
const SECRET = "0x4AAAAAAA-our_secret";
const good = {
  success: true,
  challenge_ts: "2026-10-01T11:59:50.000Z",
  hostname: "game.example",
  "error-codes": [],
  action: "score_submit",
  cdata: "",
  metadata: { interactive: false },
};
type Step = Response | Error | object | ((init: RequestInit) => Response | Promise<Response>);

/** A Turnstile whose provider gives these answers in turn (the last for ever), and what it was asked. */
function setup(steps: Step[], options: Partial<TurnstileOptions> = {}) {
  const asked: { url: string; init: RequestInit; body: Record<string, unknown> }[] = [];
  const fetch = vi.fn(async (url: unknown, init: RequestInit = {}) => {
    asked.push({ url: String(url), init, body: JSON.parse(String(init.body)) });
    const step = steps[Math.min(asked.length, steps.length) - 1];
    if (step instanceof Error) throw step;
    if (step instanceof Response) return step.clone();
    return typeof step === "function" ? step(init) : Response.json(step);
  });
  const turnstile = createTurnstile({ secret: SECRET, allowedHostnames: ["game.example"], clock: () => NOW, fetch, ...options });
  return { turnstile, asked };
}
const failure = (...codes: string[]): object => ({ success: false, "error-codes": codes, messages: [] });
const reason = (result: TurnstileResult): string => (result.ok ? "ok" : result.reason);

describe("what is asked", () => {
  it("a JSON body with secret, response, remoteip and a fresh UUIDv4, to Cloudflare, no redirect followed", async () => {
    const { turnstile, asked } = setup([good]);
    await turnstile.verify(TOKEN, { remoteip: "203.0.113.9" });
    await turnstile.verify(TOKEN, {});
    expect(asked[0]?.url).toBe(SITEVERIFY_URL);
    expect(asked[0]?.init).toMatchObject({ method: "POST", redirect: "manual", headers: { "content-type": "application/json" } });
    expect(Object.keys(asked[0]?.body ?? {})).toEqual(["secret", "response", "remoteip", "idempotency_key"]);
    expect(asked[0]?.body).toMatchObject({ secret: SECRET, response: TOKEN, remoteip: "203.0.113.9" });
    expect(asked[0]?.body["idempotency_key"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(asked[1]?.body["idempotency_key"]).not.toBe(asked[0]?.body["idempotency_key"]);
    expect(asked[1]?.body).not.toHaveProperty("remoteip");
  });

  it("a given idempotency key is used as it is; random bytes can be injected", async () => {
    const { turnstile, asked } = setup([good], { random: (size) => new Uint8Array(size).fill(0xff) });
    await turnstile.verify(TOKEN, { idempotencyKey: "11111111-2222-4333-8444-555555555555" });
    await turnstile.verify(TOKEN, {});
    expect(asked.map(({ body }) => body["idempotency_key"])).toEqual([
      "11111111-2222-4333-8444-555555555555",
      "ffffffff-ffff-4fff-bfff-ffffffffffff",
    ]);
  });

  it.each([
    ["missing", ""],
    ["missing", undefined],
    ["missing", 5],
    ["malformed", "a".repeat(2049)],
    ["malformed", "a".repeat(10_000_000)],
    ["malformed", "to ken"],
    ["malformed", "token\r\nx"],
    ["malformed", "tökén"],
    ["malformed", '"},{"secret"'],
    ["malformed", "token\n"],
  ])("nobody is asked about junk: %s", async (expected, token) => {
    const { turnstile, asked } = setup([good]);
    const result = await Reflect.apply(turnstile.verify, undefined, [token]);
    expect(result).toMatchObject({ ok: false, reason: expected, errorCodes: [], retryable: false });
    expect(asked).toEqual([]);
  });

  it("2048 characters are a token", async () => {
    const { turnstile } = setup([good]);
    expect(reason(await turnstile.verify("a".repeat(2048), {}))).toBe("ok");
  });
});

describe("what is accepted", () => {
  it("tells hostname, action, cdata, time, ephemeral id and interaction", async () => {
    const { turnstile } = setup([{ ...good, cdata: "abc", metadata: { ephemeral_id: "x:9f78", interactive: true } }]);
    expect(await turnstile.verify(TOKEN, { action: "score_submit", cdata: "abc" })).toEqual({
      ok: true,
      hostname: "game.example",
      action: "score_submit",
      cdata: "abc",
      challengeAt: NOW - 10_000,
      ephemeralId: "x:9f78",
      interactive: true,
      testKey: false,
      latencyMs: 0,
    });
  });

  it("action and cdata may be absent when nothing is expected", async () => {
    const { action: _, cdata: __, metadata: ___, ...bare } = good;
    const { turnstile } = setup([bare]);
    expect(await turnstile.verify(TOKEN, { cdata: "" })).toMatchObject({ ok: true, action: "", cdata: "" });
    expect(reason(await turnstile.verify(TOKEN, { action: "score_submit" }))).toBe("action_mismatch");
  });

  it("compares the action without regard to case and gives back our spelling", async () => {
    const { turnstile } = setup([{ ...good, action: "Score_SUBMIT" }]);
    expect(await turnstile.verify(TOKEN, { action: ["login", "score_submit"] })).toMatchObject({ ok: true, action: "score_submit" });
    expect(reason(await turnstile.verify(TOKEN, { action: ["login", "score"] }))).toBe("action_mismatch");
    expect(reason(await turnstile.verify(TOKEN, { action: [] }))).toBe("action_mismatch");
  });

  it.each([
    ["evil.example", "hostname_mismatch"],
    ["sub.game.example", "hostname_mismatch"],
    ["game.example.evil.example", "hostname_mismatch"],
    ["", "hostname_mismatch"],
    [undefined, "hostname_mismatch"],
    ["GAME.example", "ok"],
  ])("a token of another site's page is refused: hostname %s", async (hostname, expected) => {
    const { turnstile } = setup([{ ...good, hostname }]);
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe(expected);
  });

  it("the cdata must be exact, and empty when that is asked", async () => {
    const { turnstile } = setup([{ ...good, cdata: "Abc" }]);
    expect(reason(await turnstile.verify(TOKEN, { cdata: "abc" }))).toBe("cdata_mismatch");
    expect(reason(await turnstile.verify(TOKEN, { cdata: "" }))).toBe("cdata_mismatch");
    expect(reason(await turnstile.verify(TOKEN, { cdata: "Abc" }))).toBe("ok");
  });

  it.each([
    [305_000, {}, "ok"],
    [305_001, {}, "too_old"],
    [60_000, { maxAge: 60 }, "ok"],
    [60_001, { maxAge: 60 }, "too_old"],
  ])("the age counts from the solve: %i ms with %j", async (age, options, expected) => {
    const { turnstile } = setup([{ ...good, challenge_ts: new Date(NOW - age).toISOString() }], options);
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe(expected);
  });

  it.each([undefined, "", "yesterday", 5])("an answer that does not say when is not believed: %s", async (challenge_ts) => {
    const { turnstile } = setup([{ ...good, challenge_ts }]);
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("unavailable");
  });

  it.each(["true", 1, {}, null])("success is true, not something like it: %j", async (success) => {
    const { turnstile } = setup([{ ...good, success }]);
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("unavailable");
  });
});

describe("what is refused", () => {
  it.each([
    ["missing-input-secret", "misconfigured", 1],
    ["invalid-input-secret", "misconfigured", 1],
    ["missing-input-response", "missing", 1],
    ["invalid-input-response", "invalid", 1],
    ["timeout-or-duplicate", "expired_or_spent", 1],
    ["bad-request", "misconfigured", 1],
    ["invalid-idempotency-key", "misconfigured", 1],
    ["invalid-widget-id", "misconfigured", 1],
    ["invalid-parsed-secret", "misconfigured", 1],
    ["internal-error", "unavailable", 2],
    ["some-new-code", "invalid", 1],
  ])("%s is %s, after %i requests", async (code, expected, requests) => {
    for (const status of [200, 400, 403]) {
      const { turnstile, asked } = setup([Response.json(failure(code), { status })]);
      const result = await turnstile.verify(TOKEN, {});
      expect(result).toMatchObject({ ok: false, reason: expected, errorCodes: [code], retryable: expected === "unavailable" });
      expect(asked.length).toBe(requests);
    }
  });

  it("a failure without codes is the token's", async () => {
    const { turnstile } = setup([{ success: false }]);
    expect(await turnstile.verify(TOKEN, {})).toMatchObject({ reason: "invalid", errorCodes: [] });
  });

  it("an answer that quotes the token does not get it into the result", async () => {
    const { turnstile } = setup([{ ...failure(TOKEN, "invalid-input-response"), messages: [TOKEN], hostname: TOKEN }]);
    const result = await turnstile.verify(TOKEN, {});
    expect(JSON.stringify(result)).not.toContain(TOKEN);
    expect(result).toMatchObject({ errorCodes: ["invalid-input-response"] });
  });

  it("test keys and the emulator are refused unless allowed", async () => {
    for (const metadata of [{ result_with_testing_key: true }, { emulator: true }]) {
      const { turnstile } = setup([{ ...good, metadata }]);
      expect(reason(await turnstile.verify(TOKEN, {}))).toBe("test_key");
    }
    const { turnstile } = setup([{ ...good, hostname: "example.com", action: undefined, metadata: { result_with_testing_key: true } }], {
      allowTestKeys: true,
    });
    expect(await turnstile.verify("XXXX.DUMMY.TOKEN.XXXX", { action: "score_submit", cdata: "abc" })).toMatchObject({
      ok: true,
      testKey: true,
    });
  });

  it("an allowed emulator's answer is checked as Cloudflare's own", async () => {
    const { turnstile } = setup([{ ...good, metadata: { emulator: true } }], { allowTestKeys: true });
    expect(await turnstile.verify(TOKEN, { action: "score_submit" })).toMatchObject({ ok: true, testKey: false });
    expect(reason(await turnstile.verify(TOKEN, { action: "login" }))).toBe("action_mismatch");
    expect(reason(await turnstile.verify(TOKEN, { cdata: "x" }))).toBe("cdata_mismatch");
    const other = setup([{ ...good, metadata: { emulator: true } }], { allowTestKeys: true, allowedHostnames: ["other.example"] });
    expect(reason(await other.turnstile.verify(TOKEN, {}))).toBe("hostname_mismatch");
  });
});

describe("a provider in trouble", () => {
  it.each<[string, Step]>([
    ["a network error", new TypeError("fetch failed")],
    ["a 503 page", new Response("<html>", { status: 503 })],
    ["a 500 that claims success", Response.json(good, { status: 500 })],
    ["internal-error", failure("internal-error")],
    ["a page instead of JSON", new Response("<html>")],
    ["half an answer", new Response('{"success":true,')],
    ["a list", new Response("[]")],
    ["nothing", new Response(null)],
  ])("%s: asked once more with the same idempotency key", async (_, step) => {
    const { turnstile, asked } = setup([step, good]);
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("ok");
    expect(asked.length).toBe(2);
    expect(asked[1]?.body).toEqual(asked[0]?.body);

    const down = setup([step]);
    expect(await down.turnstile.verify(TOKEN, {})).toMatchObject({ ok: false, reason: "unavailable", retryable: true });
    expect(down.asked.length).toBe(2);
    const patient = setup([step], { retries: 3 });
    await patient.turnstile.verify(TOKEN, {});
    expect(patient.asked.length).toBe(4);
    const hasty = setup([step], { retries: 0 });
    await hasty.turnstile.verify(TOKEN, {});
    expect(hasty.asked.length).toBe(1);
  });

  it("a provider that never answers costs timeoutMs an attempt, even with a fetch that does not look at its signal", async () => {
    const signals: (AbortSignal | null | undefined)[] = [];
    const { turnstile, asked } = setup(
      [
        ({ signal }) => {
          signals.push(signal);
          return new Promise<Response>(() => {});
        },
      ],
      { timeoutMs: 15 },
    );
    expect(await turnstile.verify(TOKEN, {})).toMatchObject({ ok: false, reason: "timeout", retryable: true });
    expect(asked.length).toBe(2);
    expect(asked[1]?.body).toEqual(asked[0]?.body);
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, true]);
  });

  it("the time covers the body: a header and then silence is a timeout", async () => {
    const stall = (): Response => new Response(new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode("{")) }));
    const { turnstile } = setup([stall], { timeoutMs: 15 });
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("timeout");
  });

  it.each([301, 302, 303, 307, 308])("a %i is not followed, not asked again, not believed", async (status) => {
    const headers = { location: "https://evil.example/", "content-type": "application/json" };
    const { turnstile, asked } = setup([new Response(JSON.stringify(good), { status, headers })]);
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("unavailable");
    expect(asked.length).toBe(1);
  });

  it("an answer that a fetch got by following a redirect after all is not believed", async () => {
    const followed = (): Response => Object.defineProperty(Response.json(good), "redirected", { value: true });
    const { turnstile } = setup([followed]);
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("unavailable");
  });

  it("an endless answer is cut off after 64 KiB", async () => {
    let pulled = 0;
    let aborted = 0;
    const endless = ({ signal }: RequestInit): Response => {
      signal?.addEventListener("abort", () => {
        aborted += 1;
      });
      const pull = (stream: ReadableStreamDefaultController<Uint8Array>): void => {
        pulled += 1;
        stream.enqueue(new Uint8Array(16_384).fill(32));
      };
      return new Response(new ReadableStream({ pull }));
    };
    const { turnstile, asked } = setup([endless]);
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("unavailable");
    expect({ aborted, requests: asked.length }).toEqual({ aborted: 1, requests: 1 });
    expect(pulled).toBeLessThan(8);
    const padded = setup([new Response(JSON.stringify({ padding: "x".repeat(65_536), ...good }))]);
    expect(reason(await padded.turnstile.verify(TOKEN, {}))).toBe("unavailable");
    const large = setup([new Response(JSON.stringify({ padding: "x".repeat(60_000), ...good }))]);
    expect(reason(await large.turnstile.verify(TOKEN, {}))).toBe("ok");
  });
});

describe("several secrets", () => {
  const list = ["0x4old-secret", "0x4new-secret"];
  const used = (asked: { body: Record<string, unknown> }[]): unknown[] => asked.map(({ body }) => body["secret"]);

  it("the next is tried when the first is unknown, with the same idempotency key", async () => {
    const { turnstile, asked } = setup([Response.json(failure("invalid-input-secret"), { status: 400 }), good], { secret: list });
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("ok");
    expect(used(asked)).toEqual(list);
    expect(asked[1]?.body["idempotency_key"]).toBe(asked[0]?.body["idempotency_key"]);
  });

  it.each(["timeout-or-duplicate", "invalid-input-response", "bad-request", "internal-error"])("not after %s", async (code) => {
    const { turnstile, asked } = setup([failure(code)], { secret: list });
    await turnstile.verify(TOKEN, {});
    expect(new Set(used(asked))).toEqual(new Set([list[0]]));
  });

  it("when none is known it is our configuration", async () => {
    const { turnstile, asked } = setup([failure("invalid-input-secret")], { secret: list });
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("misconfigured");
    expect(used(asked)).toEqual(list);
  });

  it("the retries are the call's, not each secret's", async () => {
    const unknown = failure("invalid-input-secret");
    const { turnstile, asked } = setup([failure("internal-error"), unknown, failure("internal-error")], { secret: list });
    expect(reason(await turnstile.verify(TOKEN, {}))).toBe("unavailable");
    expect(used(asked)).toEqual([list[0], list[0], list[1]]);
  });
});

describe("creation", () => {
  const base = { secret: SECRET, allowedHostnames: ["game.example"] };
  it.each<[string, Partial<TurnstileOptions>]>([
    ["no secret", { secret: [] }],
    ["an empty secret", { secret: "" }],
    ["white space in a secret", { secret: [SECRET, `${SECRET}\n`] }],
    ["no hostname", { allowedHostnames: [] }],
    ["a URL for a hostname", { allowedHostnames: ["https://game.example"] }],
    ["a port", { allowedHostnames: ["game.example:8080"] }],
    ["upper case", { allowedHostnames: ["Game.example"] }],
    ["a test secret that always passes", { secret: "1x0000000000000000000000000000000AA" }],
    ["a test secret in a list", { secret: [SECRET, "2x0000000000000000000000000000000AA"] }],
    ["a third test secret", { secret: "3x0000000000000000000000000000000AA" }],
    ["another siteverify", { siteverifyUrl: "https://evil.example/turnstile/v0/siteverify" }],
    ["http", { siteverifyUrl: SITEVERIFY_URL.replace("https", "http") }],
  ])("a TypeError: %s", (_, wrong) => {
    expect(() => createTurnstile({ ...base, ...wrong })).toThrow(TypeError);
  });

  it.each<[string, object, RegExp]>([
    ["a misspelt option", { maxage: 5 }, /"maxage": unknown/],
    ["an option of the gate's", { onUnavailable: "deny" }, /"onUnavailable": unknown/],
    ["a sitekey as the secret, which would refuse everybody", { secret: "0x4AAAAAAAC3DHQFLr1GavRN" }, /"secret".*no sitekey/],
    ["the sitekey of a test as the secret", { secret: "1x00000000000000000000AA", allowTestKeys: true }, /"secret".*no sitekey/],
    ["one key as both", { secret: "0x4AAAAAAA_key", sitekey: "0x4AAAAAAA_key" }, /"secret".*no sitekey/],
    ["a text that says false, and is true", { allowTestKeys: "false" }, /"allowTestKeys".*true or false/],
    ["a clock that is none", { clock: 5 }, /"clock"/],
    ["a fetch that is none", { fetch: "https://proxy.example" }, /"fetch"/],
    ["random numbers for bytes", { random: 4 }, /"random"/],
    ["a hostname that is no list: parts of it would be hostnames", { allowedHostnames: "game.example" }, /"allowedHostnames"/],
  ])("%s is refused, and named", (_, wrong, message) => {
    expect(() => Reflect.apply(createTurnstile, undefined, [{ ...base, ...wrong }])).toThrow(message);
    expect(() => Reflect.apply(createTurnstile, undefined, [{ ...base, ...wrong }])).toThrow(TypeError);
  });

  it("an expectation that is misspelt is refused: it would accept tokens of any action", async () => {
    const { turnstile, asked } = setup([good]);
    await expect(Reflect.apply(turnstile.verify, undefined, [TOKEN, { acton: "login" }])).rejects.toThrow(/"acton": unknown/);
    await expect(Reflect.apply(turnstile.verify, undefined, [TOKEN, "login"])).rejects.toThrow(TypeError);
    expect(asked).toEqual([]);
  });

  it("secrets never stand in a message", () => {
    for (const secret of ["1x0000000000000000000000000000000AA", "our secret with space"]) {
      expect(() => createTurnstile({ ...base, secret })).toThrow(expect.not.objectContaining({ message: expect.stringContaining(secret) }));
    }
  });

  it("undefined from an environment is refused, too", () => {
    const create = (secret: unknown): unknown => Reflect.apply(createTurnstile, undefined, [{ ...base, secret }]);
    expect(() => create(undefined)).toThrow(TypeError);
    expect(() => create([undefined])).toThrow(TypeError);
    expect(() => Reflect.apply(createTurnstile, undefined, [{ ...base, allowedHostnames: "game.example" }])).toThrow(TypeError);
  });

  it.each([{ maxAge: 0 }, { maxAge: Number.NaN }, { timeoutMs: 0 }, { timeoutMs: 1.5 }, { retries: -1 }, { retries: 6 }])(
    "a RangeError: %j",
    (wrong) => {
      expect(() => createTurnstile({ ...base, ...wrong })).toThrow(RangeError);
    },
  );

  it("with allowTestKeys test secrets, other providers and no hostnames are fine", () => {
    createTurnstile({
      secret: "1x0000000000000000000000000000000AA",
      allowedHostnames: [],
      siteverifyUrl: "http://127.0.0.1:8788/turnstile/v0/siteverify",
      allowTestKeys: true,
    });
  });
});
