/** One small page driver for the client's suite, so that it is one suite for several browsers: Chromium over CDP, a stock Firefox over WebDriver BiDi. */
import { existsSync } from "node:fs";
import puppeteer, { type BrowserContext, type Page } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { QUIET } from "./browser.ts";
import { withoutNewerApis } from "./newer-apis.ts";

/** A page of a browser. */
export interface DrivenPage {
  goto(url: string): Promise<void>;
  /** Evaluates an expression in the page, past its Content-Security-Policy; waits for a promise. */
  evaluate<T>(expression: string): Promise<T>;
  /** A real click, in pixels of the viewport: it lands on what is on top there, also inside of frames. */
  click(x: number, y: number): Promise<void>;
  /** A real key, to what has the focus. */
  press(key: "Escape" | "Tab" | "Space"): Promise<void>;
  setOffline(offline: boolean): Promise<void>;
  /** Another tab of the same visitor. */
  sibling(): Promise<DrivenPage>;
  /** What the console said, warnings and errors, the policy's included. */
  said: string[];
  /** Messages of errors that nobody caught. */
  thrown: string[];
  close(): Promise<void>;
}

/** A browser that runs. */
export interface DrivenBrowser {
  name: "Chromium" | "Firefox";
  /** Whether it has only what the oldest supported browsers have. */
  old: boolean;
  /** A page of a new visitor. `scripts` run in each of its documents before any other. */
  newPage(...scripts: string[]): Promise<DrivenPage>;
  close(): Promise<void>;
}

interface Candidate extends Pick<DrivenBrowser, "name" | "old"> {
  label: string;
  /** Where it is; another one by the environment variable `variable`. */
  path: string;
  variable: string;
}

const chromium = { name: "Chromium", path: process.env["CHROMIUM"] ?? "/usr/bin/chromium", variable: "CHROMIUM" } as const;
const CANDIDATES: readonly Candidate[] = [
  { ...chromium, label: "Chromium", old: false },
  { ...chromium, label: "Chromium with nothing newer than the oldest supported browsers", old: true },
  { name: "Firefox", label: "Firefox ESR", path: process.env["FIREFOX"] ?? "/usr/bin/firefox-esr", variable: "FIREFOX", old: false },
];

/** The suite, once in each browser. Without one of them it fails in CI and is skipped, loudly, elsewhere. */
export function describeBrowsers(
  name: string,
  suite: (browser: () => DrivenBrowser, about: Pick<DrivenBrowser, "name" | "old">) => void,
): void {
  for (const candidate of CANDIDATES) {
    const { label, path, variable } = candidate;
    if (!existsSync(path)) {
      const message = `No browser at "${path}" (set ${variable} to the path of one): "${name}" cannot run in ${label}`;
      if (process.env["CI"]) throw new Error(message);
      console.warn(`SKIPPED: ${message}`);
      describe.skip(`${name}: ${label}`, () => suite(notThere, candidate));
      continue;
    }
    describe(`${name}: ${label}`, () => {
      let browser: DrivenBrowser | undefined;
      beforeAll(async () => {
        browser = await launch(candidate);
      });
      afterAll(() => browser?.close());
      suite(() => browser ?? notThere(), candidate);
    });
  }
}

/** Keeps what the tests of a suite open, and closes it after each of them. */
export function closedAfterEach<T extends { close(): unknown }>(): (opened: T) => T {
  const open: T[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
  });
  return (opened) => {
    open.push(opened);
    return opened;
  };
}

function notThere(): never {
  throw new Error("The browser was not launched");
}

async function launch({ name, old, path }: Candidate): Promise<DrivenBrowser> {
  const browser = await (name === "Firefox"
    ? puppeteer.launch({ browser: "firefox", protocol: "webDriverBiDi", executablePath: path, extraPrefsFirefox: FIREFOX })
    : puppeteer.launch({ browser: "chrome", executablePath: path, args: CHROMIUM, ignoreDefaultArgs: ["--disable-back-forward-cache"] }));
  return {
    name,
    old,
    async newPage(...scripts) {
      const context = await browser.createBrowserContext();
      const page = await open(context, old ? [...scripts, withoutNewerApis()] : scripts);
      return { ...page, close: () => context.close() };
    },
    close: () => browser.close(),
  };
}

/** Phones nobody; `phone.test` is this machine under a name that browsers do not trust as they trust `localhost`. */
const CHROMIUM = [...QUIET, "--host-resolver-rules=MAP phone.test 127.0.0.1"];
const FIREFOX = { "network.dns.localDomains": "phone.test" };

async function open(context: BrowserContext, scripts: readonly string[]): Promise<DrivenPage> {
  const page = await context.newPage();
  const [said, thrown]: [string[], string[]] = [[], []];
  listen(page, said, thrown);
  for (const script of scripts) if (script) await page.evaluateOnNewDocument(script);
  return {
    said,
    thrown,
    // Not its load event: a test may hold back a script or a frame.
    goto: async (url) => void (await page.goto(url, { waitUntil: "domcontentloaded" })),
    evaluate: async <T>(expression: string) => (await page.evaluate(expression)) as T,
    click: (x, y) => page.mouse.click(x, y),
    press: (key) => page.keyboard.press(key),
    setOffline: (offline) => page.setOfflineMode(offline),
    sibling: () => open(context, scripts),
    close: () => page.close(),
  };
}

function listen(page: Page, said: string[], thrown: string[]): void {
  page.on("console", (message) => {
    if (["warn", "error"].includes(message.type())) said.push(message.text());
  });
  page.on("pageerror", (error) => {
    const message = (error instanceof Error ? error.message : String(error)).replace(/^Error: /, "");
    // Firefox tells what the policy blocked as if it were an error of a script; and it alone asks for an icon.
    if (!message.startsWith("Content-Security-Policy:")) thrown.push(message);
    else if (!message.includes("favicon.ico")) said.push(message);
  });
}
