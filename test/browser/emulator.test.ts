import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { EMULATOR_SECRET } from "../../src/emulator/index.ts";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { type EmulatorPage, openEmulatorPage, type PageSetup } from "../helpers/emulator-page.ts";

let browser: Browser;
const open: EmulatorPage[] = [];

async function visit(setup?: PageSetup): Promise<EmulatorPage> {
  const visited = await openEmulatorPage(browser, setup);
  open.push(visited);
  return visited;
}

async function verify({ emulator }: EmulatorPage, response: unknown): Promise<Record<string, unknown>> {
  const answer = await emulator.fetch("https://emulator.example/turnstile/v0/siteverify", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ secret: EMULATOR_SECRET, response }),
  });
  return answer.json();
}

describeBrowser("the emulator in a browser", () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((page) => page.close()));
  });
  afterAll(() => browser?.close());

  it("render: an id, then a token that siteverify takes with action, cdata and the page's hostname", async () => {
    const site = await visit();
    const id = await site.render({ action: "score_submit", cData: "abc" });
    expect(id).toMatch(/^cf-chl-widget-[a-z0-9]{5}$/);
    const [token, preClearance] = await site.called("callback");
    expect(preClearance).toBe(false);
    expect(await verify(site, token)).toMatchObject({ success: true, action: "score_submit", cdata: "abc", hostname: "localhost" });
    expect(site.said).toEqual([]);
    expect(site.thrown).toEqual([]);
  });
});
