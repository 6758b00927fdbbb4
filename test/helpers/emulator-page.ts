import type { Browser, BrowserContext, Frame, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { createTurnstileEmulator, EMULATOR_SECRET, type EmulatorOptions, type TurnstileEmulator } from "../../src/emulator/index.ts";
import { launchBrowser } from "./browser.ts";
import { type Served, serve } from "./serve.ts";

/** A page of one origin that embeds the emulator of another. */
export interface EmulatorPage {
  page: Page;
  emulator: TurnstileEmulator;
  /** What the console said, warnings and errors. */
  said: string[];
  /** Messages of errors that nobody caught. */
  thrown: string[];
  /** Renders into `#a` (or `into`) with every callback recorded; the id. */
  render(params?: Record<string, unknown>, into?: string): Promise<string>;
  /** Calls a method of `turnstile` in the page: what it returned (null for nothing), or the code of the TurnstileError it threw. */
  call(method: string, ...args: unknown[]): Promise<unknown>;
  /** Whether the emulator said something with `part` in it. */
  warned(part: string): boolean;
  /** What siteverify says of a token. */
  verify(token: unknown): Promise<Record<string, unknown>>;
  /** What the callbacks were called with so far: `["callback", token, false]`. */
  calls(): Promise<unknown[][]>;
  /** Waits until the callback `name` was called `times` (1) times; the arguments of the last call. */
  called(name: string, times?: number): Promise<unknown[]>;
  /** The challenge frame that is there. */
  frame(): Promise<Frame>;
  close(): Promise<void>;
}

/** How the page is built. */
export interface PageSetup extends EmulatorOptions {
  /** Query of the script, default `?render=explicit`. */
  query?: string;
  /** Attributes of the script's tag. */
  tag?: string;
  body?: string;
  head?: string;
  /** Default: a strict policy with Trusted Types, as a careful site has it. */
  policy?: (emulator: string) => string;
  /** Hostname of the page, default `localhost`. */
  hostname?: string;
  /** The page and the emulator on one origin. */
  sameOrigin?: boolean;
  /** Installs Playwright's clock before the page loads. */
  fakeTime?: boolean;
}

const strict = (emulator: string): string =>
  `default-src 'none'; script-src 'nonce-n1' ${emulator}; frame-src ${emulator}; style-src 'none'; require-trusted-types-for 'script'`;

/** Pages for the tests of a suite, in one browser, each closed after its test. `once`: one page for all tests that leave nothing behind. */
export function emulatorPages(): { visit(setup?: PageSetup): Promise<EmulatorPage>; once(): Promise<EmulatorPage> } {
  let browser: Browser;
  let context: BrowserContext;
  let shared: EmulatorPage | undefined;
  const open: EmulatorPage[] = [];
  beforeAll(async () => {
    browser = await launchBrowser();
    context = await browser.newContext();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((page) => page.close()));
  });
  afterAll(async () => {
    await shared?.close();
    await browser?.close();
  });
  return {
    visit: async (setup) => {
      const page = await openEmulatorPage(setup?.fakeTime ? browser : context, setup);
      open.push(page);
      return page;
    },
    once: async () => {
      shared ??= await openEmulatorPage(context);
      return shared;
    },
  };
}

/** `opener`: a browser for a context of the page's own (fake time is a context's), or a context. */
export async function openEmulatorPage(opener: { newPage(): Promise<Page> }, setup: PageSetup = {}): Promise<EmulatorPage> {
  const {
    query = "?render=explicit",
    tag = "",
    body = "",
    head = "",
    policy = strict,
    hostname = "localhost",
    fakeTime,
    sameOrigin,
    ...options
  } = setup;
  const emulator = createTurnstileEmulator(options);
  const provider = await serve((request) => emulator.fetch(request));
  const source = sameOrigin ? "" : provider.url;
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title>${head}
<script src="${source}/turnstile/v0/api.js${query}" ${tag}></script>
<body><div id="a"></div><div id="b"></div>${body}</body></html>`;
  const headers = { "content-type": "text/html; charset=utf-8", "content-security-policy": policy(source || "'self'") };
  const site = await serve((request) => {
    const ours = sameOrigin && new URL(request.url).pathname.startsWith("/turnstile/");
    return ours ? emulator.fetch(request) : new Response(html, { headers });
  });
  const page = await opener.newPage();
  const [said, thrown]: [string[], string[]] = [[], []];
  page.on("console", (message) => ["warning", "error"].includes(message.type()) && said.push(message.text()));
  page.on("pageerror", (error) => thrown.push(error.message));
  if (fakeTime) await page.clock.install();
  await page.addInitScript(RECORD);
  await page.goto(site.url.replace("127.0.0.1", hostname));
  return {
    page,
    emulator,
    said,
    thrown,
    render: (params = {}, into = "#a") => page.evaluate(RENDER, { into, params }),
    call: (method, ...args) => page.evaluate(CALL, { method, args }),
    warned: (part) => said.some((line) => line.startsWith("[Turnstile emulator] ") && line.includes(part)),
    verify: async (response) => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ secret: EMULATOR_SECRET, response });
      return (await emulator.fetch("https://emulator.example/turnstile/v0/siteverify", { method: "POST", headers, body })).json();
    },
    calls: () => recorded(page),
    called: async (name, times = 1) => {
      // Asked from here: the page's policy forbids what waitForFunction does, and its clock may stand still.
      for (const start = Date.now(); Date.now() - start < 10_000; await new Promise((resolve) => setTimeout(resolve, 20))) {
        const calls = (await recorded(page)).filter((call) => call[0] === name);
        if (calls.length >= times) return calls.at(-1)?.slice(1) ?? [];
      }
      throw new Error(`"${name}" was not called ${times} times: ${JSON.stringify({ calls: await recorded(page), said, thrown })}`);
    },
    frame: () => challengeFrame(page),
    close: async () => {
      await page.close();
      await Promise.all([provider, site].map((served: Served) => served.close()));
    },
  };
}

function recorded(page: Page): Promise<unknown[][]> {
  return page.evaluate<unknown[][]>("window.recorded");
}

/** The challenge frame of a page, however deep its shadow: Playwright knows frames, not closed roots. */
export async function challengeFrame(page: Page): Promise<Frame> {
  const found = (): Frame | undefined => page.frames().find((frame) => frame.url().includes("/turnstile/v0/frame?"));
  for (let i = 0; found() === undefined && i < 200; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  const frame = found();
  if (frame === undefined) throw new Error("No challenge frame came");
  return frame;
}

const RECORD = `window.recorded = [];
window.record = (name, result) => (...values) => { window.recorded.push([name, ...values]); return result; };`;

const CALL = ({ method, args }: { method: string; args: unknown[] }): unknown => {
  try {
    return Reflect.get(window, "turnstile")[method](...args) ?? null;
  } catch (error) {
    return error instanceof Error && error.name === "TurnstileError" && "code" in error ? error.code : String(error);
  }
};

const RENDER = (asked: { into: string; params: Record<string, unknown> }): string => {
  const record: (name: string, result?: unknown) => unknown = Reflect.get(window, "record");
  const names = ["callback", "expired-callback", "timeout-callback", "before-interactive-callback", "after-interactive-callback"];
  const callbacks = Object.fromEntries(names.map((name) => [name, record(name)]));
  const params = { sitekey: "0x4EMULATORINVISIBLE", ...callbacks, "error-callback": record("error-callback", true), ...asked.params };
  // Null leaves a callback out: functions and undefined do not survive the way into the page.
  for (const [name, value] of Object.entries(params)) if (value === null) Reflect.deleteProperty(params, name);
  return Reflect.get(window, "turnstile").render(asked.into, params);
};
