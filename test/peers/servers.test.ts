import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { captcha } from "better-auth/plugins";
import { validateTurnstileToken } from "next-turnstile";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createTurnstileEmulator, EMULATOR_SECRET } from "../../src/emulator/index.ts";

const ENDPOINT = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

interface Auth {
  handler(request: Request): Promise<Response>;
}

/** Both call the global `fetch`: what goes to Cloudflare goes to the emulator. */
function emulated(): ReturnType<typeof createTurnstileEmulator> {
  const emulator = createTurnstileEmulator();
  vi.stubGlobal("fetch", (input: string | URL | Request, init?: RequestInit) => {
    const url = input instanceof Request ? input.url : String(input);
    if (!url.startsWith(ENDPOINT)) throw new TypeError(`Nothing else is to be fetched: ${url}`);
    return emulator.fetch(input, init);
  });
  return emulator;
}
afterEach(() => void vi.unstubAllGlobals());

describe("better-auth's captcha plugin on the emulator's siteverify", () => {
  const auth = (options: object): Auth =>
    betterAuth({
      baseURL: "http://localhost:3000",
      secret: "a secret of the tests that is long enough, by far",
      database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
      emailAndPassword: { enabled: true },
      logger: { disabled: true },
      rateLimit: { enabled: false },
      telemetry: { enabled: false },
      plugins: [captcha({ provider: "cloudflare-turnstile", secretKey: EMULATOR_SECRET, ...options })],
    });
  const signUp = (to: Auth, headers: Record<string, string>): Promise<Response> =>
    to.handler(
      new Request("http://localhost:3000/api/auth/sign-up/email", {
        method: "POST",
        headers: { "content-type": "application/json", "x-forwarded-for": "203.0.113.9", origin: "http://localhost:3000", ...headers },
        body: JSON.stringify({ name: "Ada", email: `ada-${Math.random()}@example.com`, password: "correct horse battery staple" }),
      }),
    );

  it("lets a solved challenge pass once", async () => {
    const { control } = emulated();
    const server = auth({ expectedAction: "signup", allowedHostnames: ["localhost"] });
    const token = control.mint({ action: "signup" });
    expect((await signUp(server, { "x-captcha-response": token })).status).toBe(200);
    expect((await signUp(server, { "x-captcha-response": token })).status).toBe(403);
    expect((await signUp(server, {})).status).toBe(400);
    expect(control.counts().siteverify).toBe(2);
  });

  it("refuses another action, another hostname, and what was never a token", async () => {
    const { control } = emulated();
    const server = auth({ expectedAction: "signup", allowedHostnames: ["localhost"] });
    for (const token of [control.mint({ action: "login" }), control.mint({ action: "signup", hostname: "evil.example" }), "made up"]) {
      expect((await signUp(server, { "x-captcha-response": token })).status).toBe(403);
    }
  });

  it("fails closed when siteverify is broken", async () => {
    const { control } = emulated();
    const server = auth({});
    for (const fault of [{ kind: "status", status: 503 }, { kind: "html" }, { kind: "fail" }] as const) {
      control.fault(fault);
      expect((await signUp(server, { "x-captcha-response": control.mint() })).status).toBeGreaterThanOrEqual(400);
    }
  });
});

describe("next-turnstile's server half on the emulator's siteverify", () => {
  it("validates a token, with an address and an idempotency key", async () => {
    const { control } = emulated();
    const token = control.mint({ action: "contact", cdata: "abc" });
    const idempotencyKey = crypto.randomUUID();
    const ask = (): ReturnType<typeof validateTurnstileToken> =>
      validateTurnstileToken({ token, secretKey: EMULATOR_SECRET, remoteip: "203.0.113.9", idempotencyKey });
    expect(await ask()).toMatchObject({ success: true, action: "contact", cdata: "abc", hostname: "localhost" });
    expect(await ask()).toMatchObject({ success: true });
    expect(await validateTurnstileToken({ token, secretKey: EMULATOR_SECRET })).toMatchObject({
      success: false,
      "error-codes": ["timeout-or-duplicate"],
    });
  });

  it("its sandbox knows Cloudflare's test secrets", async () => {
    emulated();
    const ask = (sandbox: "pass" | "fail" | "error"): ReturnType<typeof validateTurnstileToken> =>
      validateTurnstileToken({ token: "XXXX.DUMMY.TOKEN.XXXX", secretKey: "unused", sandbox });
    expect(await ask("pass")).toMatchObject({ success: true });
    expect(await ask("fail")).toMatchObject({ success: false, "error-codes": ["invalid-input-response"] });
    expect(await ask("error")).toMatchObject({ success: false, "error-codes": ["timeout-or-duplicate"] });
  });
});
