import { readFileSync } from "node:fs";
import { createTurnstileEmulator, EMULATOR_SITEKEY, type EmulatorOptions, type TurnstileEmulator } from "../../src/emulator/index.ts";
import type { DrivenBrowser, DrivenPage } from "./browsers.ts";
import { type ClientServer, clientServer } from "./client-server.ts";
import { FAKE_CLOCK } from "./fake-clock.ts";
import { type Served, serve } from "./serve.ts";
import { root } from "./sources.ts";

/** A page with the client, a gate behind it and the emulator on another origin. */
export interface ClientPage {
  page: DrivenPage;
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
  /** With `fakeTime`: lets the page's own clock run for so many milliseconds. */
  runFor(ms: number): Promise<void>;
  /** Clicks in the middle of the element that an expression gives, with a real mouse: on what is on top there. */
  click(expression: string): Promise<void>;
  close(): Promise<void>;
}

/** The strictest policy that the client promises to work under. */
export const STRICT = (emulator: string): string =>
  `default-src 'none'; script-src 'nonce-n1' 'strict-dynamic'; connect-src 'self'; frame-src ${emulator}; style-src 'none'; require-trusted-types-for 'script'; trusted-types gatepass`;

/** The client's layer, and the label that it goes by. */
export const LAYER = "document.querySelector('[role=alertdialog]')";

/** Whether the layer can be seen: an expression for the page. */
export const SHOWN = `(() => { const layer = ${LAYER}; return !!layer && getComputedStyle(layer).visibility === "visible" && layer.getClientRects().length > 0; })()`;

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
  /** Answers in the place of everything on the page's origin, as a wall of HTTP Basic does, until it gives nothing; and what opens it. */
  wall?(request: Request): Response | undefined;
  credentials?: string;
  /** What the emulator waits for, before it answers a request. */
  before?(request: Request): Promise<unknown> | undefined;
  /** Runs in the page before any other script. */
  script?: string;
  /** Hostname of the page, default `localhost`. */
  hostname?: string;
}

/** The classic script, as it is built. */
export function classicScript(): string {
  return readFileSync(`${root}dist/client.global.js`, "utf8");
}

export async function openClientPage(browser: DrivenBrowser, setup: ClientSetup = {}): Promise<ClientPage> {
  const {
    policy = STRICT,
    fakeTime,
    sitekey = EMULATOR_SITEKEY,
    body,
    gate,
    route,
    before,
    wall,
    credentials,
    script = "",
    hostname = "localhost",
    ...emulated
  } = setup;
  const emulator = createTurnstileEmulator(emulated);
  const provider = await serve(async (request) => {
    await before?.(request);
    return emulator.fetch(request);
  });
  const api = clientServer((token) => redeem(emulator, `${sitekey}_SECRET`, token));
  const code = classicScript();
  const markup = body?.(provider.url) ?? '<script nonce="n1" src="/client.js"></script>';
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><body>${markup}</body></html>`;
  const answer = gate?.(emulator) ?? api.handle;
  // A browser that does not know Trusted Types passes over what the policy says of them.
  const sent = browser.old ? policy(provider.url).replace(/(require-)?trusted-types[^;]*(;|$)/g, "") : policy(provider.url);
  const site = await serve((request) => {
    const closed = wall?.(request);
    if (closed) return closed;
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/api")) return answer(request);
    if (pathname === "/client.js") return new Response(code, { headers: { "content-type": "text/javascript" } });
    return (
      route?.(request) ?? new Response(html, { headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": sent } })
    );
  });
  const page = await browser.newPage(script, fakeTime ? FAKE_CLOCK : "");
  const { said, thrown } = page;
  const address = site.url.replace("127.0.0.1", hostname);
  // The browser keeps what opens the wall; a page whose own address holds it could not name any other by its path alone.
  if (credentials) await page.goto(address.replace("//", `//${credentials}@`));
  await page.goto(address);
  const options = { sitekey, scriptUrl: `${provider.url}/turnstile/v0/api.js`, nonce: "n1" };
  return {
    page,
    emulator,
    api,
    site: address,
    options,
    said,
    thrown,
    run: (text) =>
      page.evaluate(
        `(async (options) => { const { createClient } = window.gatepass; const { client } = window; ${text} })(${JSON.stringify(options)})`,
      ),
    until: async (expression) => {
      for (const start = Date.now(); Date.now() - start < 20_000; await new Promise((resolve) => setTimeout(resolve, 20))) {
        // Between two documents there is none to ask.
        if (await page.evaluate(expression).catch(() => false)) return;
      }
      throw new Error(`It never came to "${expression}": ${JSON.stringify({ said, thrown })}`);
    },
    runFor: (ms) => page.evaluate(`clock.runFor(${ms})`),
    click: async (expression) => {
      const [x, y] = await page.evaluate<[number, number]>(
        `(() => { const { left, top, width, height } = (${expression}).getBoundingClientRect(); return [left + width / 2, top + height / 2]; })()`,
      );
      await page.click(x, y);
    },
    close: async () => {
      await page.close();
      await Promise.all([provider, site].map((served: Served) => served.close()));
    },
  };
}

/** A person ticks the box of the client that asks: again, where a click came before the frame had its size. All of its frame can be clicked. */
export async function tickBox(site: ClientPage): Promise<void> {
  for (let i = 0; i < 60 && (await site.page.evaluate("client.state === 'interactive'")); i++) {
    await site.click(`${LAYER}.querySelector(":scope > div > div > div")`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
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
