import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { clearance } from "../../src/clearance/index.ts";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY, type TurnstileEmulator } from "../../src/emulator/index.ts";
import { createGate } from "../../src/gate/index.ts";
import type { ChallengeAnswer } from "../../src/protocol.ts";
import { memoryStore } from "../../src/store/index.ts";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { challengeFrame } from "../helpers/emulator-page.ts";
import { serve } from "../helpers/serve.ts";

let browser: Browser;
const ends: (() => Promise<unknown>)[] = [];

interface Backend {
  site: string;
  emulator: TurnstileEmulator;
  /** A protected call, as a native HTTP client makes it. */
  call(headers?: Record<string, string>): Promise<Response>;
  challenge(): Promise<ChallengeAnswer>;
  pageOf(challenge: ChallengeAnswer): string;
}

async function backend(bridgeOrigins: readonly string[] = [], sitekey = EMULATOR_SITEKEY, clock = Date.now): Promise<Backend> {
  const emulator = createTurnstileEmulator();
  const provider = await serve((request) => emulator.fetch(request));
  // As a name: no answer of ours may hold an address.
  const challenges = provider.url.replace("127.0.0.1", "localhost");
  const gate = createGate({
    secrets: "a signing secret of the tests, at least 32 bytes",
    turnstile: {
      secret: `${sitekey}_SECRET`,
      sitekey,
      allowedHostnames: ["localhost"],
      allowTestKeys: true,
      siteverifyUrl: `${challenges}/turnstile/v0/siteverify`,
    },
    clock,
    clientIp: () => "203.0.113.7",
    store: memoryStore(),
    features: [
      clearance({
        policy: { always_require_clearance: [{ path: "/v1/otp", max_uses: 1 }] },
        bridgeOrigins,
        scriptUrl: `${challenges}/turnstile/v0/api.js`,
      }),
    ],
  });
  const handler = gate.guard(() => Response.json({ sent: true }));
  const site = await serve(async (request) => (await gate.handle(request)) ?? handler(request));
  ends.push(
    () => provider.close(),
    () => site.close(),
  );
  const address = site.url.replace("127.0.0.1", "localhost");
  const call: Backend["call"] = (headers = {}) =>
    fetch(`${address}/v1/otp`, {
      method: "POST",
      headers: { "x-device-id": "phone-1", "x-app-version": "1.0", "x-request-id": "req-1", ...headers },
    });
  return {
    site: address,
    emulator,
    call,
    challenge: async () => (await call()).json(),
    pageOf: ({ challenge_id }) => `${address}/mobile-turnstile?challenge_id=${encodeURIComponent(challenge_id)}`,
  };
}

/** How it came, and what was said. */
type Told = [form: string, message: { type: string; token: string }];

/** Opens the page with what a WebView injects, and what it was told. */
async function webview(
  url: string,
  inject: string,
  size = { width: 360, height: 640 },
): Promise<{ page: Page; told(): Promise<Told[]>; said: string[] }> {
  const context = await browser.newContext({ viewport: size });
  ends.push(() => context.close());
  const page = await context.newPage();
  const said: string[] = [];
  page.on("console", (message) => ["warning", "error"].includes(message.type()) && said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  await page.addInitScript(`window.told = []; ${inject}`);
  await page.goto(url);
  return { page, told: () => page.evaluate("window.told"), said };
}

const BRIDGES = {
  Android: 'window.AndroidBridge = { postMessage: (text) => told.push(["text", JSON.parse(text)]) };',
  iOS: 'window.webkit = { messageHandlers: { turnstile: { postMessage: (message) => told.push(["object", message]) } } };',
  "React Native": 'window.ReactNativeWebView = { postMessage: (text) => told.push(["text", JSON.parse(text)]) };',
  Flutter: "window.flutter_inappwebview = { callHandler: (name, message) => told.push([name, message]) };",
  "Flutter, late": `window.flutter_inappwebview = {};
    setTimeout(() => { flutter_inappwebview.callHandler = (name, message) => told.push([name, message]); dispatchEvent(new Event("flutterInAppWebViewPlatformReady")); }, 3000);`,
};

const until = async <T>(read: () => Promise<T | undefined>): Promise<T> => {
  for (const start = Date.now(); Date.now() - start < 15_000; await new Promise((resolve) => setTimeout(resolve, 30))) {
    const value = await read();
    if (value !== undefined && value !== null) return value;
  }
  throw new Error("It never came to that");
};

describeBrowser("the WebView page", () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  afterAll(() => browser?.close());

  it.each(Object.entries(BRIDGES))("%s: the whole flow as a native client has it", async (name, inject) => {
    const { site, call, challenge, pageOf } = await backend();
    const asked = await challenge();
    const { told, said } = await webview(pageOf(asked), inject, name === "Android" ? { width: 1, height: 1 } : undefined);
    const [form, message] = await until<Told>(async () => (await told())[0]);
    expect([form, message.type]).toEqual([
      name.startsWith("Flutter") ? "turnstile" : name === "iOS" ? "object" : "text",
      "TURNSTILE_SUCCESS",
    ]);
    const verified = await fetch(`${site}/api/security/turnstile/verify`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        challenge_id: asked.challenge_id,
        turnstile_token: message.token,
        original_request_id: asked.original_request_id,
        device_id: "phone-1",
        app_version: "1.0",
      }),
    });
    const { app_clearance_token } = await verified.json();
    expect(verified.status).toBe(200);
    expect((await call({ "x-app-clearance": app_clearance_token })).status).toBe(200);
    // Again under its own id it is a replay; under another one the clearance is used up.
    expect((await call({ "x-app-clearance": app_clearance_token })).status).toBe(409);
    expect((await call({ "x-app-clearance": app_clearance_token, "x-request-id": "req-2" })).status).toBe(403);
    expect(said).toEqual([]);
  });

  it("a parent frame hears it only when its origin is known, and no other may frame the page", async () => {
    const parent = await serve((request) => {
      const frame = new URL(request.url).searchParams.get("frame") ?? "";
      return new Response(
        `<script>window.told = []; onmessage = ({ data, origin }) => told.push([data.type, origin]);</script><iframe src="${frame}"></iframe>`,
        {
          headers: { "content-type": "text/html" },
        },
      );
    });
    ends.push(() => parent.close());
    const top = parent.url.replace("127.0.0.1", "localhost");
    const known = await backend([top]);
    const open = async (url: string, frame: string): Promise<Page> =>
      (await webview(`${url}/?frame=${encodeURIComponent(frame)}`, "")).page;
    const page = await open(top, known.pageOf(await known.challenge()));
    expect(await until(async () => (await page.evaluate<unknown[]>("told"))[0])).toEqual(["TURNSTILE_SUCCESS", known.site]);
    const unknown = await backend();
    const other = await webview(`${top}/?frame=${encodeURIComponent(unknown.pageOf(await unknown.challenge()))}`, "");
    await until(async () => other.said.find((text) => /frame/i.test(text)));
    expect(await other.told()).toEqual([]);
  });

  it("tells errors by Turnstile's number or by kind, and tries again when asked to", async () => {
    const { emulator, challenge, pageOf } = await backend();
    emulator.control.fault({ kind: "error", code: 300030, times: 2 });
    const { page, told } = await webview(pageOf(await challenge()), BRIDGES["React Native"]);
    expect(await until(async () => (await told())[0])).toEqual(["text", { type: "TURNSTILE_ERROR", error: "300030" }]);
    const retry = page.getByRole("button", { name: "Try again" });
    await retry.click();
    expect(await until(async () => (await told())[1])).toMatchObject(["text", { type: "TURNSTILE_SUCCESS" }]);
    expect(await retry.isHidden()).toBe(true);
  });

  it("a person who does not answer in time is told of as a timeout, in words on the page as well", async () => {
    const { emulator, challenge, pageOf } = await backend([], "0x4EMULATORMANAGED");
    emulator.control.fault({ kind: "interaction", timeout: 300 });
    const { page, told } = await webview(pageOf(await challenge()), BRIDGES.Android);
    expect(await until<Told>(async () => (await told())[0])).toEqual(["text", { type: "TURNSTILE_ERROR", error: "timeout" }]);
    expect(await page.getByRole("status").textContent()).toBe("The check took too long");
    expect(await page.getByRole("button", { name: "Try again" }).isVisible()).toBe(true);
  });

  it("a script that is blocked is told as such, and native code can ask for another try", async () => {
    const { emulator, challenge, pageOf } = await backend();
    emulator.control.fault({ kind: "block-script" });
    const { page, told } = await webview(pageOf(await challenge()), BRIDGES.Android);
    expect(await until(async () => (await told())[0])).toEqual(["text", { type: "TURNSTILE_ERROR", error: "blocked" }]);
    await page.evaluate("gatepassRetry()");
    expect(await until(async () => (await told())[1])).toMatchObject(["text", { type: "TURNSTILE_SUCCESS" }]);
  });

  it("looks at home in the dark and in the light, with a box that a person can tick", async () => {
    const { emulator, challenge, pageOf } = await backend([], "0x4EMULATORMANAGED");
    for (const scheme of ["light", "dark"] as const) {
      emulator.control.fault({ kind: "interaction" });
      const { page, told } = await webview("about:blank", BRIDGES.Android);
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(pageOf(await challenge()));
      const frame = await challengeFrame(page);
      await frame.locator("input[type=checkbox]").waitFor();
      await page.screenshot({ path: `test/output/mobile-${scheme}.png` });
      await frame.locator("input[type=checkbox]").click();
      expect(await until(async () => (await told())[0])).toMatchObject(["text", { type: "TURNSTILE_SUCCESS" }]);
    }
  });

  it("a challenge that is over is not tried again: the app has to ask for a new one", async () => {
    const { emulator, challenge, pageOf } = await backend();
    emulator.control.fault({ kind: "error", code: 300030, times: 2 });
    const asked = await challenge();
    // As if the page had been open for five minutes.
    const { page, told } = await webview(
      pageOf(asked),
      `${BRIDGES.Android} const now = performance.now.bind(performance); performance.now = () => now() + (window.late ?? 0);`,
    );
    await page.evaluate("window.late = 301_000");
    expect(await until(async () => (await told())[0])).toEqual(["text", { type: "TURNSTILE_ERROR", error: "300030" }]);
    expect(await page.getByRole("button", { name: "Try again" }).isHidden()).toBe(true);
  });

  it("a challenge that is over when the page comes up is told as such, and nothing is tried", async () => {
    let late = 0;
    const { challenge, pageOf, emulator } = await backend([], EMULATOR_SITEKEY, () => Date.now() + late);
    const asked = await challenge();
    late = 306_000;
    expect((await fetch(pageOf(asked))).status).toBe(403);
    const { page, told } = await webview(pageOf(asked), BRIDGES.Android);
    expect(await until<Told>(async () => (await told())[0])).toEqual(["text", { type: "TURNSTILE_EXPIRED" }]);
    expect(await page.getByRole("status").textContent()).toBe("The check has expired");
    expect(await page.getByRole("button").count()).toBe(0);
    await page.evaluate("gatepassRetry()");
    expect(await until<Told>(async () => (await told())[1])).toEqual(["text", { type: "TURNSTILE_EXPIRED" }]);
    expect(emulator.control.counts().siteverify).toBe(0);
  });

  it("is nobody's page without a challenge of ours, has a strict policy and no secret", async () => {
    const { site, challenge, pageOf } = await backend(["https://app.example"]);
    for (const id of ["", "chal_x.y.z", "x".repeat(5000)]) {
      const answer = await fetch(`${site}/mobile-turnstile?challenge_id=${id}`);
      expect([answer.status, await answer.json()]).toEqual([403, { error: "SECURITY_VERIFICATION_FAILED" }]);
    }
    const [first, second] = [await fetch(pageOf(await challenge())), await fetch(pageOf(await challenge()))];
    const policy = first.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^default-src 'none'; script-src 'nonce-[\w-]{22}' http:\/\/localhost:\d+; style-src 'nonce-/);
    expect(policy).toContain("frame-ancestors https://app.example");
    expect(policy).not.toContain("unsafe");
    expect(second.headers.get("content-security-policy")).not.toBe(policy);
    expect([first.headers.get("cache-control"), first.headers.get("referrer-policy")]).toEqual(["no-store", "strict-origin"]);
    const html = await first.text();
    expect(html).not.toContain(EMULATOR_SECRET);
    expect(html).not.toContain("signing secret");
  });
});
