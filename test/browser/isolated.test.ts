import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { toNode } from "../../adapters/node.ts";
import { createTurnstileEmulator, EMULATOR_SITEKEY, type TurnstileEmulator } from "../../src/emulator/index.ts";
import { createGate } from "../../src/gate/index.ts";
import { memoryBoard, scores } from "../../src/scores/index.ts";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { classicScript } from "../helpers/client-page.ts";

let browser: Browser;
const servers: Server[] = [];

async function listen(handler: (request: Request) => Promise<Response>): Promise<string> {
  const server = createServer(toNode(handler)).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const address = server.address();
  return `http://localhost:${typeof address === "object" && address ? address.port : 0}`;
}

interface Site {
  page: Page;
  emulator: TurnstileEmulator;
  said: string[];
}

/** A game's page with threads: isolated by its headers, with a gate behind it. The emulator is on another origin, under `toNode`. */
async function visit(coep: string, sitekey: string = EMULATOR_SITEKEY): Promise<Site> {
  const emulator = createTurnstileEmulator();
  // Another host, not only another port: of another site a frame needs more permission.
  const provider = (await listen((request) => emulator.fetch(request))).replace("localhost", "127.0.0.1");
  const gate = createGate({
    secrets: "a signing secret of the tests, at least 32 bytes",
    turnstile: { secret: `${sitekey}_SECRET`, allowedHostnames: ["localhost"], allowTestKeys: true },
    fetch: (input, init) => emulator.fetch(input instanceof Request ? input : String(input), init),
    clientIp: () => "203.0.113.7",
    features: [scores({ board: memoryBoard() })],
  });
  const code = classicScript();
  const html = `<!doctype html><html lang="en"><title>game</title><script data-sitekey="${sitekey}" data-script-url="${provider}/turnstile/v0/api.js">${code.replaceAll("</script", "<\\/script")}</script>`;
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": coep,
  };
  const site = await listen(async (request) => (await gate.handle(request)) ?? new Response(html, { headers }));
  const page = await browser.newPage();
  const said: string[] = [];
  page.on("console", (message) => ["warning", "error"].includes(message.type()) && said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  await page.goto(site);
  return { page, emulator, said };
}

describeBrowser("a page that is isolated", () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });
  afterAll(() => browser?.close());

  it.each(["require-corp", "credentialless"])("COEP %s: crossOriginIsolated is true, and a score is submitted", async (coep) => {
    const { page, said } = await visit(coep);
    const found = await page.evaluate(async () => {
      const memory = new SharedArrayBuffer(8);
      const { rank } = await Reflect.get(window, "gatepass").submitScore({ score: 10 });
      return [crossOriginIsolated, memory.byteLength, rank];
    });
    expect(found).toEqual([true, 8, 1]);
    expect(said).toEqual([]);
  });

  it("a visible widget's frame is shown there, too", async () => {
    const { page } = await visit("require-corp", "0x4EMULATORMANAGED");
    expect(await page.evaluate(async () => (await Reflect.get(window, "gatepass").submitScore({ score: 10 })).rank)).toBe(1);
  });

  it("toNode around the emulator prints nothing when a frame goes away in the middle of a challenge", async () => {
    const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);
    try {
      const { page, emulator } = await visit("require-corp");
      for (const kind of ["slow"] as const) emulator.control.fault({ kind, ms: 60_000, times: 2 });
      for (let i = 1; i <= 2; i++) {
        await page.evaluate(
          () =>
            void Reflect.get(window, "gatepass")
              .start()
              .catch(() => undefined),
        );
        await expect.poll(() => emulator.control.counts().challenges).toBe(i);
        await page.reload();
      }
      // The next answer goes over the same server, after it has noticed that the others went away.
      await page.evaluate(async () => void (await Reflect.get(window, "gatepass").submitScore({ score: 10 })));
      expect(printed.mock.calls).toEqual([]);
    } finally {
      printed.mockRestore();
    }
  });
});
