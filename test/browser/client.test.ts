import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { type ClientPage, type ClientSetup, openClientPage } from "../helpers/client-page.ts";

let browser: Browser;
const open: ClientPage[] = [];

async function visit(setup?: ClientSetup): Promise<ClientPage> {
  const visited = await openClientPage(browser, setup);
  open.push(visited);
  return visited;
}

/** A page whose `window.client` was made with `more` options; `window.states` are the states it went through. */
async function withClient(more = "", setup?: ClientSetup): Promise<ClientPage> {
  const site = await visit(setup);
  await site.run(
    `window.states = []; window.client = createClient({ ...options, onState: (state) => window.states.push(state), ${more} });`,
  );
  return site;
}

const code = (call: string): string => `return ${call}.then(() => "no error", (error) => error.code);`;

describeBrowser("the client in a browser", () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((page) => page.close()));
  });
  afterAll(() => browser?.close());

  it("a score gets onto the board under a strict policy: nonce, Trusted Types, no inline style, no eval", async () => {
    const site = await withClient();
    expect(await site.run("return client.submitScore({ score: 12 });")).toEqual({ id: "r1", rank: 1, best: true });
    expect(site.api.calls("POST /scores")).toMatchObject([{ credential: "s1", body: { score: 12 } }]);
    expect(await site.run("return [client.state, window.states];")).toEqual(["ready", ["loading", "ready"]]);
    expect(site.said).toEqual([]);
    expect(site.thrown).toEqual([]);
  });

  it("users.md 1, 2, 3: 100 overlapping session() and token(): one challenge for the session, one per token, no token twice, no warning", async () => {
    const site = await withClient();
    const result = await site.run<{ sessions: string[]; tokens: string[]; refused: string[] }>(`
      const sessions = [], tokens = [], refused = [];
      await Promise.all(Array.from({ length: 100 }, (_, i) => [
        client.session().then((one) => sessions.push(one)),
        client.token().then((one) => tokens.push(one), (error) => refused.push(error.code)),
      ]).flat());
      return { sessions, tokens, refused };`);
    expect(new Set(result.sessions)).toEqual(new Set(["s1"]));
    expect(result.sessions.length).toBe(100);
    expect(site.api.calls("POST /session").length).toBe(1);
    expect(new Set(result.tokens).size).toBe(result.tokens.length);
    expect(result.tokens.length).toBe(7);
    expect(result.refused).toEqual(Array(93).fill("ERR_CLIENT_BUSY"));
    expect(site.emulator.control.counts()).toMatchObject({ challenges: 8, tokens: 8, scripts: 1 });
    expect(site.said).toEqual([]);
    expect(site.thrown).toEqual([]);
  });
});
