import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createTurnstileEmulator, EMULATOR_SECRET } from "../../src/emulator/index.ts";
import { createGate } from "../../src/gate/index.ts";
import { memoryBoard, scores } from "../../src/scores/index.ts";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { type Served, serve } from "../helpers/serve.ts";

let browser: Browser;
const served: Served[] = [];

interface Site {
  page: Page;
  api: string;
  /** Mints a token and exchanges it from the page: the session. */
  session(): Promise<string>;
  /** Posts from the page: the status and the error code, or the name of the error that `fetch` rejected with. */
  post(path: string, headers: Record<string, string>, body?: unknown): Promise<unknown[]>;
}

/** A page of one origin and a gate of another, which allows the page's origin or, with `foreign`, does not. */
async function visit(foreign = false): Promise<Site> {
  const emulator = createTurnstileEmulator();
  const site = await serve(
    () => new Response("<!doctype html><html lang='en'><title>page</title>", { headers: { "content-type": "text/html" } }),
  );
  const origin = site.url.replace("127.0.0.1", "localhost");
  const gate = createGate({
    secrets: "a signing secret of the tests, at least 32 bytes",
    turnstile: { secret: EMULATOR_SECRET, allowedHostnames: ["localhost"], allowTestKeys: true },
    fetch: (input, init) => emulator.fetch(input instanceof Request ? input : String(input), init),
    clientIp: () => "203.0.113.7",
    allowedOrigins: foreign ? [] : [origin],
    features: [scores({ board: memoryBoard() })],
  });
  const guarded = gate.guard(async () => Response.json({ bought: true }), { action: "score_submit" });
  const api = await serve(async (request) => (await gate.handle(request)) ?? guarded(request));
  served.push(site, api);
  const page = await browser.newPage();
  await page.goto(origin);
  const post: Site["post"] = (path, headers, body = {}) =>
    page.evaluate(
      async ({ url, headers, body }) => {
        try {
          const type = { "content-type": "application/json" };
          const response = await fetch(url, { method: "POST", headers: { ...type, ...headers }, body: JSON.stringify(body) });
          return [response.status, await response.json()];
        } catch (error) {
          return [error instanceof Error ? error.name : "unknown"];
        }
      },
      { url: api.url + path, headers, body },
    );
  return {
    page,
    api: api.url,
    post,
    async session() {
      const turnstileToken = emulator.control.mint({ action: "score_submit" });
      const [, answer] = await post("/api/session", {}, { turnstileToken });
      return Object(answer).sessionToken;
    },
  };
}

/** What SDKs of OpenTelemetry, Sentry, Datadog and others add to requests, in any case. */
const TRACING = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", baggage: "a=b", "Sentry-Trace": "1-2-1" };

describeBrowser("a page and a gate of different origins", () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    await Promise.all(served.splice(0).map((one) => one.close()));
  });
  afterAll(() => browser?.close());

  it("requests that a tracing SDK added headers to reach the gate's routes and a guarded route", async () => {
    const site = await visit();
    const authorization = `Bearer ${await site.session()}`;
    expect(await site.post("/api/scores", { authorization, ...TRACING }, { score: 10 })).toMatchObject([201, { rank: 1 }]);
    expect(await site.post("/buy", { authorization, ...TRACING, "X-My-Route": "1" })).toEqual([200, { bought: true }]);
  });

  it("behind HTTP Basic the session goes in X-Gatepass-Session beside the site's own Authorization", async () => {
    const site = await visit();
    const headers = { authorization: `Basic ${btoa("staging:secret")}`, "X-Gatepass-Session": await site.session() };
    expect(await site.post("/api/scores", headers, { score: 10 })).toMatchObject([201, { rank: 1 }]);
    expect(await site.post("/buy", headers)).toEqual([200, { bought: true }]);
  });

  it("a foreign page is refused as before, whatever header names it asks for", async () => {
    const site = await visit(true);
    for (const headers of [{}, TRACING, { "x-gatepass-session": "s" }]) {
      expect(await site.post("/api/session", headers)).toEqual(["TypeError"]);
      expect(await site.post("/buy", headers)).toEqual(["TypeError"]);
    }
  });
});
