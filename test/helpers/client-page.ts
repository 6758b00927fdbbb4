import { build } from "esbuild";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { createTurnstileEmulator, EMULATOR_SITEKEY, type EmulatorOptions, type TurnstileEmulator } from "../../src/emulator/index.ts";
import { type ClientServer, clientServer } from "./client-server.ts";
import { type Served, serve } from "./serve.ts";
import { root } from "./sources.ts";

/** A page with the client, a gate behind it and the emulator on another origin. */
export interface ClientPage {
  page: Page;
  context: BrowserContext;
  emulator: TurnstileEmulator;
  api: ClientServer;
  /** Origin of the page. */
  site: string;
  /** Options of a client that works here, as JSON. */
  options: Record<string, unknown>;
  /** What the console said, warnings and errors. */
  said: string[];
  /** Errors that nobody caught. */
  thrown: string[];
  /** Runs the body of an async function in the page: `options`, `createClient`, and `client` (when it was made) are there. */
  run<T>(body: string): Promise<T>;
  /** Waits for what `expression` becomes true in the page. */
  until(expression: string): Promise<void>;
  close(): Promise<void>;
}

/** The strictest policy that the client promises to work under. */
export const STRICT = (emulator: string): string =>
  `default-src 'none'; script-src 'nonce-n1' 'strict-dynamic'; connect-src 'self'; frame-src ${emulator}; style-src 'none'; require-trusted-types-for 'script'; trusted-types gatepass`;

export interface ClientSetup extends EmulatorOptions {
  policy?: (emulator: string) => string;
  fakeTime?: boolean;
  sitekey?: string;
  /** Markup of the page, with the classic script in it; default: that alone. */
  body?(emulator: string): string;
  /** A real gate in the scripted one's place. */
  gate?(emulator: TurnstileEmulator): (request: Request) => Promise<Response>;
  /** Serves these paths of the page's origin itself. */
  route?(request: Request): Response | undefined;
}

let bundled: Promise<string> | undefined;

/** The classic script, from its sources. */
export function classicScript(): Promise<string> {
  bundled ??= build({ entryPoints: [`${root}src/client/global.ts`], bundle: true, format: "iife", target: "es2022", write: false }).then(
    ({ outputFiles }) => outputFiles[0]?.text ?? "",
  );
  return bundled;
}

export async function openClientPage(browser: Browser, setup: ClientSetup = {}): Promise<ClientPage> {
  const { policy = STRICT, fakeTime, sitekey = EMULATOR_SITEKEY, body, gate, route, ...emulated } = setup;
  const emulator = createTurnstileEmulator(emulated);
  const provider = await serve((request) => emulator.fetch(request));
  const api = clientServer((token) => redeem(emulator, `${sitekey}_SECRET`, token));
  const code = await classicScript();
  const script = body?.(provider.url) ?? '<script nonce="n1" src="/client.js"></script>';
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><body>${script}</body></html>`;
  const answer = gate?.(emulator) ?? api.handle;
  const site = await serve((request) => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/api")) return answer(request);
    if (pathname === "/client.js") return new Response(code, { headers: { "content-type": "text/javascript" } });
    return (
      route?.(request) ??
      new Response(html, { headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": policy(provider.url) } })
    );
  });
  const context = await browser.newContext();
  const page = await context.newPage();
  const [said, thrown]: [string[], string[]] = [[], []];
  page.on("console", (message) => ["warning", "error"].includes(message.type()) && said.push(message.text()));
  page.on("pageerror", (error) => thrown.push(error.message));
  if (fakeTime) await page.clock.install();
  const address = site.url.replace("127.0.0.1", "localhost");
  await page.goto(address);
  const options = { sitekey, scriptUrl: `${provider.url}/turnstile/v0/api.js`, nonce: "n1" };
  const run = <T>(text: string): Promise<T> =>
    // Evaluated by the debugger, not by the page: its policy forbids `eval`.
    page.evaluate<T>(
      `(async (options) => { const { createClient } = window.gatepass; const { client } = window; ${text} })(${JSON.stringify(options)})`,
    );
  return {
    page,
    context,
    emulator,
    api,
    site: address,
    options,
    said,
    thrown,
    run,
    until: async (expression) => {
      for (const start = Date.now(); Date.now() - start < 10_000; await new Promise((resolve) => setTimeout(resolve, 20))) {
        // Between two documents there is none to ask.
        if (await page.evaluate(expression).catch(() => false)) return;
      }
      throw new Error(`It never came to "${expression}": ${JSON.stringify({ said, thrown })}`);
    },
    close: async () => {
      await context.close();
      await Promise.all([provider, site].map((served: Served) => served.close()));
    },
  };
}

async function redeem(emulator: TurnstileEmulator, secret: string, response: string): Promise<boolean> {
  const answer = await emulator.fetch("https://emulator.example/turnstile/v0/siteverify", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ secret, response }),
  });
  const { success } = await answer.json();
  return success === true;
}
