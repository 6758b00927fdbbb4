import { describe, expect, it } from "vitest";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY, type EmulatorOptions } from "../../../src/emulator/index.ts";
import { SITEVERIFY_URL } from "../../../src/turnstile/index.ts";

const T0 = Date.UTC(2026, 9, 1, 12);
const KEY = "11111111-2222-4333-8444-555555555555";
const OTHER_KEY = "aaaaaaaa-2222-4333-8444-555555555555";

function setup(options: EmulatorOptions = {}) {
  const emulator = createTurnstileEmulator({ clock: () => T0, ...options });
  const post = async (init: RequestInit) => {
    const response = await emulator.fetch(SITEVERIFY_URL, { method: "POST", ...init });
    const body: Record<string, unknown> = await response.json();
    return { status: response.status, type: response.headers.get("content-type"), body };
  };
  const json = (fields: unknown) => post({ headers: { "content-type": "application/json" }, body: JSON.stringify(fields) });
  const verify = (response: unknown, more: object = {}) => json({ secret: EMULATOR_SECRET, response, ...more });
  return { ...emulator, post, json, verify };
}
const codes = ({ body }: { body: Record<string, unknown> }): unknown => body["error-codes"];

describe("siteverify of the emulator", () => {
  it("success: challenge_ts in ISO 8601 with ms and Z, hostname, no error codes, action and cdata as the widget set them", async () => {
    const { control, verify } = setup();
    const token = control.mint({
      action: "score_submit",
      cdata: "abc=",
      hostname: "game.example",
      ephemeralId: "x:9f78",
      interactive: true,
    });
    expect(await verify(token)).toEqual({
      status: 200,
      type: "application/json",
      body: {
        success: true,
        challenge_ts: "2026-10-01T12:00:00.000Z",
        hostname: "game.example",
        "error-codes": [],
        action: "score_submit",
        cdata: "abc=",
        metadata: { ephemeral_id: "x:9f78", interactive: true, emulator: true },
      },
    });
    expect((await verify(control.mint())).body).toMatchObject({ success: true, action: "", cdata: "", hostname: "localhost" });
  });

  it("takes JSON, urlencoded and multipart; the answer is always JSON", async () => {
    const { control, json, post } = setup();
    const fields = (): Record<string, string> => ({ secret: EMULATOR_SECRET, response: control.mint(), remoteip: "203.0.113.9" });
    const form = new FormData();
    for (const [name, value] of Object.entries(fields())) form.append(name, value);
    for (const answer of [await json(fields()), await post({ body: new URLSearchParams(fields()) }), await post({ body: form })]) {
      expect(answer).toMatchObject({ status: 200, type: "application/json", body: { success: true } });
    }
  });

  it("a token is at most 2048 characters, opaque and unguessable", async () => {
    const { control, verify } = setup();
    const tokens = new Set(Array.from({ length: 1000 }, () => control.mint({ action: "score_submit", hostname: "game.example" })));
    expect(tokens.size).toBe(1000);
    for (const token of tokens) {
      expect(token.length).toBeLessThanOrEqual(2048);
      expect(token).toMatch(/^[\w.-]+$/);
    }
    expect(codes(await verify("x".repeat(2049)))).toEqual(["invalid-input-response"]);
  });

  it("is spent by its first validation: then timeout-or-duplicate, with status 200", async () => {
    const { control, verify } = setup();
    const token = control.mint();
    expect((await verify(token)).body["success"]).toBe(true);
    expect(await verify(token)).toMatchObject({ status: 200, body: { success: false, "error-codes": ["timeout-or-duplicate"] } });
  });

  it("is spent once however many ask at the same moment", async () => {
    const { control, verify } = setup();
    const token = control.mint();
    const answers = await Promise.all(Array.from({ length: 100 }, () => verify(token)));
    expect(answers.filter(({ body }) => body["success"]).length).toBe(1);
  });

  it("the same idempotency key as the first validation succeeds again, with the same answer; another or none does not", async () => {
    const { control, verify } = setup();
    const token = control.mint({ action: "a" });
    const first = await verify(token, { idempotency_key: KEY });
    expect(await verify(token, { idempotency_key: KEY })).toEqual(first);
    expect(codes(await verify(token, { idempotency_key: OTHER_KEY }))).toEqual(["timeout-or-duplicate"]);
    expect(codes(await verify(token))).toEqual(["timeout-or-duplicate"]);
    expect((await verify(token, { idempotency_key: KEY })).body["success"]).toBe(true);
    const bare = control.mint();
    await verify(bare);
    expect(codes(await verify(bare, { idempotency_key: KEY }))).toEqual(["timeout-or-duplicate"]);
  });

  it("lives 300 s: then timeout-or-duplicate, even with the key of its first validation; forgotten later: invalid-input-response", async () => {
    const { control, verify } = setup();
    const [used, unused] = [control.mint(), control.mint()];
    await verify(used, { idempotency_key: KEY });
    control.advance(300_000);
    expect((await verify(used, { idempotency_key: KEY })).body["success"]).toBe(true);
    control.advance(1);
    expect(codes(await verify(used, { idempotency_key: KEY }))).toEqual(["timeout-or-duplicate"]);
    expect(codes(await verify(unused))).toEqual(["timeout-or-duplicate"]);
    control.advance(3_600_000);
    control.mint();
    expect(codes(await verify(unused))).toEqual(["invalid-input-response"]);
  });

  it.each([
    ["missing-input-secret", 400, { response: "x" }],
    ["missing-input-secret", 400, { secret: "", response: "x" }],
    ["invalid-input-secret", 400, { secret: "0x4NOBODY", response: "x" }],
    ["missing-input-response", 200, { secret: EMULATOR_SECRET }],
    ["missing-input-response", 200, { secret: EMULATOR_SECRET, response: "" }],
    ["invalid-input-response", 200, { secret: EMULATOR_SECRET, response: "0.forged" }],
    ["invalid-input-response", 200, { secret: EMULATOR_SECRET, response: "XXXX.DUMMY.TOKEN.XXXX" }],
    ["invalid-idempotency-key", 400, { secret: EMULATOR_SECRET, response: "x", idempotency_key: "1" }],
    ["bad-request", 400, { secret: 5, response: "x" }],
    ["bad-request", 400, []],
    ["bad-request", 400, "text"],
  ])("%s with status %i: %j", async (code, status, fields) => {
    const { json } = setup();
    expect(await json(fields)).toMatchObject({ status, type: "application/json", body: { success: false, "error-codes": [code] } });
  });

  it("bad-request for another method, another type, half a body and a huge one", async () => {
    const { fetch, post } = setup();
    expect((await fetch(SITEVERIFY_URL)).status).toBe(405);
    const headers = { "content-type": "application/json" };
    for (const init of [
      { body: "{}" },
      { headers, body: '{"secret":' },
      { headers, body: JSON.stringify({ secret: "x".repeat(70_000) }) },
    ]) {
      expect(codes(await post(init))).toEqual(["bad-request"]);
    }
  });

  it("an unknown secret or a bad idempotency key does not spend the token", async () => {
    const { control, json, verify } = setup();
    const token = control.mint();
    await json({ secret: "0x4NOBODY", response: token });
    await verify(token, { idempotency_key: "1" });
    expect((await verify(token)).body["success"]).toBe(true);
  });

  it("after a rotation both secrets are valid, and share the token's single use; another widget's is not", async () => {
    const widgets = [
      { sitekey: "0x4A", secrets: ["old", "new"] },
      { sitekey: "0x4B", secrets: ["other"] },
    ];
    const { control, json } = setup({ widgets });
    const verify = async (secret: string, response: string): Promise<unknown> => (await json({ secret, response })).body;
    const token = control.mint({ sitekey: "0x4A" });
    expect(await verify("other", token)).toMatchObject({ "error-codes": ["invalid-input-response"] });
    expect(await verify("new", token)).toMatchObject({ success: true });
    expect(await verify("old", token)).toMatchObject({ "error-codes": ["timeout-or-duplicate"] });
    expect(await verify("old", control.mint({ sitekey: "0x4A" }))).toMatchObject({ success: true });
  });

  it.each([
    ["1x0000000000000000000000000000000AA", true, []],
    ["2x0000000000000000000000000000000AA", false, ["invalid-input-response"]],
    ["3x0000000000000000000000000000000AA", false, ["timeout-or-duplicate"]],
  ])("test secret %s: its odd answer", async (secret, success, errors) => {
    const { json } = setup();
    // As often as one likes: the token is a constant.
    for (let i = 0; i < 2; i++) {
      const { body } = await json({ secret, response: "XXXX.DUMMY.TOKEN.XXXX" });
      expect(body).toMatchObject({ success, "error-codes": errors, metadata: { result_with_testing_key: true, emulator: true } });
      expect(body).not.toHaveProperty("action");
      expect(body).not.toHaveProperty("cdata");
      if (success) expect(body).toMatchObject({ hostname: "example.com", challenge_ts: "2026-10-01T12:00:00.000Z" });
    }
  });
});

describe("control", () => {
  it("refuses what no widget could have, unknown widgets, faults that do not exist and a clock that goes back", () => {
    const { control } = setup();
    expect(() => control.mint({ sitekey: "0x4NOBODY" })).toThrow(TypeError);
    expect(() => control.mint({ action: "score submit" })).toThrow(TypeError);
    expect(() => control.mint({ action: "a".repeat(33) })).toThrow(TypeError);
    expect(() => control.mint({ cdata: "a".repeat(256) })).toThrow(TypeError);
    expect(() => control.advance(-1)).toThrow(RangeError);
    const fault = (wrong: unknown): unknown => Reflect.apply(control.fault, undefined, [wrong]);
    for (const wrong of [
      { kind: "explode" },
      { kind: "delay" },
      { kind: "delay", ms: -1 },
      { kind: "delay", ms: "9" },
      { kind: "error" },
    ]) {
      expect(() => fault(wrong), JSON.stringify(wrong)).toThrow(TypeError);
    }
    expect(() => fault({ kind: "html", time: 3 })).toThrow(TypeError);
    expect(() => fault({ kind: "html", times: Number.NaN })).toThrow(TypeError);
    expect(() => setup({ faults: [{ kind: "delay", ms: Number.NaN }] })).toThrow(TypeError);
    const create = (options: unknown): unknown => Reflect.apply(createTurnstileEmulator, undefined, [options]);
    const widget = { sitekey: "0x4A", secrets: ["a"] };
    for (const widgets of [
      [],
      [widget, widget],
      [widget, { sitekey: "0x4B", secrets: ["a"] }],
      [{ ...widget, sitekey: "no key" }],
      [{ ...widget, mode: "visible" }],
      [{ ...widget, hostnames: ["http://localhost"] }],
      [{ ...widget, hostname: "localhost" }],
    ]) {
      expect(() => create({ widgets }), JSON.stringify(widgets)).toThrow(TypeError);
    }
    expect(() => create({ widget: [] })).toThrow(TypeError);
  });

  it("does over HTTP what it does in the process, counts what happened, and is closed to foreign pages", async () => {
    const { fetch, verify } = setup();
    const post = async (verb: string, body: unknown, type = "application/json") => {
      const init = { method: "POST", headers: { "content-type": type }, body: JSON.stringify(body) };
      const response = await fetch(`http://127.0.0.1:8788/turnstile/control/${verb}`, init);
      const answer: Record<string, unknown> = await response.json();
      return { status: response.status, answer };
    };
    const { answer } = await post("mint", { sitekey: EMULATOR_SITEKEY, action: "score_submit" });
    expect((await verify(answer["token"])).body).toMatchObject({ success: true, action: "score_submit" });
    expect(await post("advance", { ms: 1000 })).toEqual({ status: 200, answer: { now: T0 + 1000 } });
    expect((await post("fault", { kind: "fail", code: "bad-request", times: 2 })).status).toBe(200);
    expect(codes(await verify("x"))).toEqual(["bad-request"]);
    expect((await post("clear", {})).status).toBe(200);
    expect(codes(await verify("x"))).toEqual(["invalid-input-response"]);
    expect(await post("counts", {})).toEqual({ status: 200, answer: { scripts: 0, frames: 0, challenges: 0, tokens: 1, siteverify: 3 } });
    for (const [verb, body] of [
      ["mint", { sitekey: 5 }],
      ["mint", { side: "x" }],
      ["fault", {}],
      ["fault", { kind: "?" }],
      ["advance", {}],
      ["counts", []],
    ] as const) {
      expect((await post(verb, body)).status, verb).toBe(400);
    }
    expect((await post("explode", {})).status).toBe(404);
    // A form or text of another origin needs no permission of ours; JSON does, and gets none.
    expect((await post("mint", {}, "text/plain")).status).toBe(405);
    const preflight = await fetch("http://127.0.0.1:8788/turnstile/control/mint", { method: "OPTIONS" });
    expect(preflight.headers.get("access-control-allow-origin")).toBe(null);
  });

  it("does not store without bound", { timeout: 10_000 }, async () => {
    let calls = 0;
    const { control, verify } = setup({ random: (size) => new Uint8Array(new Uint32Array(size / 4).fill(calls++).buffer) });
    const first = control.mint();
    for (let i = 0; i < 20_000; i++) control.mint();
    expect(codes(await verify(first))).toEqual(["invalid-input-response"]);
    expect((await verify(control.mint())).body["success"]).toBe(true);
  });
});

describe("fields that are null", () => {
  it("count as absent: callers that do not know the address send remoteip: null", async () => {
    const { fetch, control } = setup();
    const ask = async (body: unknown): Promise<Record<string, unknown>> => {
      const headers = { "content-type": "application/json" };
      return (await fetch("http://127.0.0.1/turnstile/v0/siteverify", { method: "POST", headers, body: JSON.stringify(body) })).json();
    };
    const response = control.mint();
    expect(await ask({ secret: EMULATOR_SECRET, response, remoteip: null, idempotency_key: null })).toMatchObject({ success: true });
    expect(await ask({ secret: EMULATOR_SECRET, response: null })).toMatchObject({ "error-codes": ["missing-input-response"] });
    expect(await ask({ secret: null, response })).toMatchObject({ "error-codes": ["missing-input-secret"] });
    for (const remoteip of [5, {}, ["203.0.113.9"], true]) {
      expect(await ask({ secret: EMULATOR_SECRET, response: control.mint(), remoteip })).toMatchObject({ "error-codes": ["bad-request"] });
    }
  });
});

describe("paths", () => {
  it("foreign ones are 404, and a token is only handed to the emulator's own frame", async () => {
    const { fetch } = setup();
    expect((await fetch("http://127.0.0.1/")).status).toBe(404);
    expect((await fetch("http://127.0.0.1/turnstile/v1/api.js")).status).toBe(404);
    const ask = (headers: Record<string, string>): Promise<Response> =>
      fetch("http://127.0.0.1/turnstile/v0/challenge", {
        method: "POST",
        headers,
        body: JSON.stringify({ sitekey: EMULATOR_SITEKEY, action: "", cdata: "", origin: "http://localhost", ticked: false }),
      });
    expect((await ask({})).status).toBe(403);
    expect((await ask({ origin: "http://evil.example" })).status).toBe(403);
    expect(await (await ask({ origin: "http://127.0.0.1" })).json()).toMatchObject({ step: "token", life: 290_000 });
  });

  it("takes a Request with a server's own second argument", async () => {
    const { fetch } = setup();
    const request = new Request("http://127.0.0.1/turnstile/v0/api.js");
    for (const second of [{ requestIP: () => null }, { method: "POST" }, undefined])
      expect((await fetch(request, second)).status).toBe(302);
  });

  it("api.js leads to its version on the same host, with the query; other versions are 404", async () => {
    const { fetch } = setup();
    const answer = await fetch("http://127.0.0.1/turnstile/v0/api.js?render=explicit");
    const location = answer.headers.get("location") ?? "";
    expect([answer.status, answer.headers.get("cross-origin-resource-policy")]).toEqual([302, "cross-origin"]);
    expect(location).toMatch(/^\/turnstile\/v0\/g\/[0-9a-f]{12}\/api\.js\?render=explicit$/);
    const script = await fetch(`http://127.0.0.1${location}`);
    expect([script.status, script.headers.get("content-type")]).toEqual([200, "text/javascript; charset=utf-8"]);
    expect((await fetch("http://127.0.0.1/turnstile/v0/g/000000000000/api.js")).status).toBe(404);
  });
});
