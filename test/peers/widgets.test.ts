import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EMULATOR_SITEKEY } from "../../src/emulator/index.ts";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { type Served, serve } from "../helpers/serve.ts";
import { bundlePage, type Stead, standIn } from "./cloudflare.ts";

const MANAGED = "0x4EMULATORMANAGED";

/** What each library can be asked for besides; cData is not passed on by those that have `null`. */
const LIBRARIES: [name: string, page: string, cdata: string][] = [
  ["@marsidev/react-turnstile", "marsidev.jsx", "abc"],
  ["react-turnstile", "react-turnstile.jsx", "abc"],
  ["next-turnstile", "next-turnstile.jsx", ""],
  ["vue-turnstile", "vue-turnstile.js", ""],
  ["svelte-turnstile", "svelte-turnstile.js", "abc"],
];

interface Site {
  page: Page;
  said: string[];
  /** The arguments of the calls of one callback so far. */
  calls(name: string): Promise<unknown[][]>;
}

describeBrowser("libraries for Turnstile on the emulator", () => {
  let stead: Stead;
  let browser: Browser;
  const open: { page: Page; site: Served }[] = [];

  beforeAll(async () => {
    stead = await standIn();
    browser = await launchBrowser(stead.args);
  });
  afterEach(async () => {
    stead.emulator.control.clear();
    for (const { page, site } of open.splice(0)) {
      await page.close();
      await site.close();
    }
  });
  afterAll(async () => {
    await browser?.close();
    stead?.close();
  });

  async function visit(file: string, sitekey: string = EMULATOR_SITEKEY, options: Record<string, unknown> = {}): Promise<Site> {
    const code = await bundlePage(file);
    const setup = `window.setup = ${JSON.stringify({ sitekey, options })}; window.recorded = [];
window.record = (name) => (...values) => void window.recorded.push([name, ...values.map((value) => (typeof value === "object" ? null : value))]);`;
    const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><form><div id="page"></div></form><script>${setup}</script><script src="/page.js"></script>`;
    const site = await serve((request) => {
      const script = new URL(request.url).pathname === "/page.js";
      return new Response(script ? code : html, { headers: { "content-type": script ? "text/javascript" : "text/html; charset=utf-8" } });
    });
    const page = await browser.newPage();
    open.push({ page, site });
    const said: string[] = [];
    page.on("console", (message) => ["warning", "error"].includes(message.type()) && said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    await page.goto(site.url.replace("127.0.0.1", "localhost"));
    const calls = async (name: string): Promise<unknown[][]> => {
      const all = await page.evaluate<unknown[][]>("window.recorded");
      return all.filter(([called]) => called === name).map((call) => call.slice(1));
    };
    return { page, said, calls };
  }

  const verify = async (response: unknown, sitekey: string = EMULATOR_SITEKEY): Promise<unknown> => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ secret: `${sitekey}_SECRET`, response });
    return (
      await stead.emulator.fetch("https://challenges.cloudflare.com/turnstile/v0/siteverify", { method: "POST", headers, body })
    ).json();
  };
  const tokens = async (site: Site, count: number): Promise<unknown[]> => {
    await expect.poll(() => site.calls("token"), { timeout: 15_000 }).toHaveLength(count);
    return (await site.calls("token")).map(([token]) => token);
  };

  describe.each(LIBRARIES)("%s", (_name, file, cdata) => {
    it("gets a token that siteverify takes, another one after a reset, and leaves nothing behind", async () => {
      const site = await visit(file);
      const [first] = await tokens(site, 1);
      expect(await verify(first)).toMatchObject({ success: true, action: "login", cdata, hostname: "localhost" });
      expect(await site.page.locator('[name="cf-turnstile-response"]').inputValue()).toBe(first);
      await site.page.evaluate("window.again()");
      const [, second] = await tokens(site, 2);
      expect(second).not.toBe(first);
      expect(await site.page.evaluate("window.response()")).toBe(second);
      expect(await verify(second)).toMatchObject({ success: true });
      await site.page.evaluate("window.leave()");
      await expect.poll(() => site.page.frames().length).toBe(1);
      expect(await site.page.locator('[name="cf-turnstile-response"]').count()).toBe(0);
      expect(site.said).toEqual([]);
    });

    it("shows a box to a person, compact and dark, and hears of it", async () => {
      stead.emulator.control.fault({ kind: "interaction" });
      const site = await visit(file, MANAGED, { size: "compact", theme: "dark", appearance: "interaction-only" });
      await expect.poll(() => site.calls("before")).toHaveLength(1);
      const frame = site.page.frames().find((one) => one.url().includes("/turnstile/v0/frame?"));
      await frame?.locator("input").click();
      const [token] = await tokens(site, 1);
      expect(await verify(token, MANAGED)).toMatchObject({ success: true, metadata: { interactive: true } });
      expect(await site.calls("after")).toHaveLength(1);
    });

    it("hears of an error, and its retry comes through", async () => {
      stead.emulator.control.fault({ kind: "error", code: 300_030 });
      const site = await visit(file);
      await expect.poll(() => site.calls("error")).toHaveLength(1);
      expect(await verify((await tokens(site, 1))[0])).toMatchObject({ success: true });
    });
  });

  it('react-turnstile with size "invisible" gets a token of an invisible widget', async () => {
    const site = await visit("react-turnstile.jsx", EMULATOR_SITEKEY, { size: "invisible" });
    expect(await verify((await tokens(site, 1))[0])).toMatchObject({ success: true, action: "login" });
    expect(site.said).toEqual([]);
  });
});
