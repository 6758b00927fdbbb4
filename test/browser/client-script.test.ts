import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { closedAfterEach, describeBrowsers } from "../helpers/browsers.ts";
import { type ClientPage, type ClientSetup, LAYER, openClientPage, SHOWN, tickBox } from "../helpers/client-page.ts";
import { root } from "../helpers/sources.ts";

const code = (call: string): string => `return ${call}.then(() => "no error", (error) => error.code);`;

/** A page with a widget and a tag of its own, as Cloudflare's guide has it. */
const OWN_TAG = (emulator: string): string =>
  `<div class="cf-turnstile" data-sitekey="0x4EMULATORINVISIBLE"></div><script nonce="n1" src="${emulator}/turnstile/v0/api.js" async defer></script><script nonce="n1" src="/client.js"></script>`;
/** How many tags of Turnstile's there are: an expression for the page. */
const TAGS = `document.querySelectorAll('script[src*="/turnstile/v0/api.js"]').length`;

let bundled: Promise<string> | undefined;

/** A second copy of the client, as another bundle brings it: `second.createClient`. */
function secondCopy(): Promise<string> {
  bundled ??= build({
    stdin: { contents: 'export * from "gatepass/client";', resolveDir: root },
    bundle: true,
    format: "iife",
    globalName: "second",
    write: false,
  }).then(({ outputFiles }) => outputFiles[0]?.text ?? "");
  return bundled;
}

/** A promise that a test fulfils. */
function latch(): { opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened: promise, open };
}

describeBrowsers("the client and Turnstile's script", (browser) => {
  const opened = closedAfterEach<ClientPage>();
  const visit = async (setup?: ClientSetup): Promise<ClientPage> => opened(await openClientPage(browser(), setup));
  const withClient = async (more = "", setup?: ClientSetup): Promise<ClientPage> => {
    const site = await visit(setup);
    await site.run(`window.client = createClient({ ...options, ${more} });`);
    return site;
  };

  describe("a page with a tag of its own", () => {
    it("that is still loading: it is waited for, there is one script, and the page's own widget renders", async () => {
      const answer = latch();
      const site = await withClient("", { body: OWN_TAG, before: ({ url }) => (url.includes("api.js") ? answer.opened : undefined) });
      await site.run("window.token = client.token();");
      expect(await site.page.evaluate(TAGS)).toBe(1);
      answer.open();
      expect(await site.run("return (await window.token).length;")).toBeGreaterThan(10);
      await site.until("document.querySelector('.cf-turnstile input')?.value.length > 10");
      expect([await site.page.evaluate(TAGS), site.emulator.control.counts().scripts]).toEqual([1, 1]);
      expect([site.said, site.thrown]).toEqual([[], []]);
    });

    it("that fails while it is waited for, or has failed before: the client's own takes its place", async () => {
      const answer = latch();
      const setup = { body: OWN_TAG, faults: [{ kind: "block-script" } as const] };
      const late = await withClient("", { ...setup, before: ({ url }) => (url.includes("api.js") ? answer.opened : undefined) });
      await late.run("window.token = client.token();");
      answer.open();
      expect(await late.run("return (await window.token).length;")).toBeGreaterThan(10);
      const early = await visit(setup);
      await early.until("document.readyState === 'complete'");
      const start = Date.now();
      expect(await early.run("window.client = createClient(options); return (await window.client.token()).length;")).toBeGreaterThan(10);
      // Not only after the 12 s in which a tag that is still loading may come up.
      expect(Date.now() - start).toBeLessThan(11_000);
      for (const site of [late, early]) {
        expect([await site.page.evaluate(TAGS), site.emulator.control.counts().scripts, site.thrown]).toEqual([2, 2, []]);
      }
    });

    it("that never answers: the client's own takes its place when its time is over", async () => {
      let first = true;
      const answer = latch();
      const site = await withClient("watchdogMs: 700", {
        body: OWN_TAG,
        before: ({ url }) => {
          const hangs = first && url.includes("api.js");
          if (hangs) first = false;
          return hangs ? answer.opened : undefined;
        },
      });
      expect(await site.run("return (await client.token()).length;")).toBeGreaterThan(10);
      answer.open();
    });
  });

  describe("two copies of the client in one page", () => {
    const open = async (setup: ClientSetup = {}): Promise<ClientPage> => {
      const copy = await secondCopy();
      return visit({
        body: () => '<script nonce="n1" src="/client.js"></script><script nonce="n1" src="/second.js"></script>',
        route: ({ url }) =>
          url.endsWith("/second.js") ? new Response(copy, { headers: { "content-type": "text/javascript" } }) : undefined,
        ...setup,
      });
    };
    const clients = "const one = createClient(options), two = second.createClient(options);";

    it("share one tag, and one policy of Trusted Types", async () => {
      const site = await open();
      const tokens = await site.run<string[]>(`${clients} return Promise.all([one.token(), two.token(), two.token(), one.token()]);`);
      expect(new Set(tokens).size).toBe(4);
      expect(site.emulator.control.counts().scripts).toBe(1);
      expect([site.said, site.thrown]).toEqual([[], []]);
    });

    it("share the policy also when the first tag came to nothing", async () => {
      const site = await open({ faults: [{ kind: "block-script" }] });
      expect(await site.run(`${clients} await one.token().catch(() => {}); return (await two.token()).length;`)).toBeGreaterThan(10);
      expect(site.thrown).toEqual([]);
    });

    it("one that is closed while the tag is loading does not take it from the other", async () => {
      const site = await open();
      const result = `${clients} const token = two.token(); one.token().catch(() => {}); const first = one.token().catch(() => {}); one.close(); return (await token).length;`;
      expect(await site.run(result)).toBeGreaterThan(10);
      expect(site.emulator.control.counts().scripts).toBe(1);
    });
  });

  it.each([
    ["an element", '<div id="turnstile"></div>'],
    ["a form with a field called render", '<form id="turnstile"><input name="render"></form>'],
    ["two elements", '<i id="turnstile"></i><i id="turnstile"></i>'],
  ])(
    '%s with id="turnstile", beside which Turnstile\'s script does nothing: the cause names it, and without it all is well',
    async (_what, markup) => {
      const site = await withClient("", { body: () => `${markup}<script nonce="n1" src="/client.js"></script>` });
      const [failed, cause] = await site.run<string[]>("return client.token().catch((error) => [error.code, error.cause]);");
      expect([failed, cause]).toEqual(["ERR_CLIENT_CONFIG", expect.stringMatching(/id="turnstile".*\[object \w+\]/)]);
      expect(await site.run("return client.state;")).toBe("failed");
      await site.run("for (const one of document.querySelectorAll('#turnstile')) one.remove();");
      expect(await site.run("return (await client.token()).length;")).toBeGreaterThan(10);
      expect([site.said, site.thrown]).toEqual([[], []]);
    },
  );

  describe("the page takes the layer or the widget away", () => {
    const WAYS: Record<string, string> = {
      "the layer": `${LAYER}.remove();`,
      "the widget's slot": `${LAYER}.querySelector(":scope > div").remove();`,
      "the body, for another": "document.body.replaceWith(document.createElement('body'));",
      "the body, and moves what was in it":
        "const fresh = document.createElement('body'); fresh.append(...document.body.childNodes); document.body.replaceWith(fresh);",
      "everything in the body": "document.body.innerHTML = '';",
    };
    /** From there until the token is there. */
    const WAIT = "return Promise.race([window.token.then(({ length }) => length), new Promise((resolve) => setTimeout(resolve, 10_000))]);";

    it.each(Object.entries(WAYS))("%s, during a challenge: noticed, and mended by one new widget", async (_what, way) => {
      const site = await withClient();
      site.emulator.control.fault({ kind: "slow", ms: 60_000 });
      await site.run("window.token = client.token(); window.other = client.token();");
      for (let i = 0; site.emulator.control.counts().challenges < 1 && i < 500; i++)
        await new Promise((resolve) => setTimeout(resolve, 20));
      // A policy of Trusted Types would not let the page write HTML either.
      await site.run(way.includes("innerHTML") ? "document.body.replaceChildren();" : way);
      expect(await site.run(WAIT)).toBeGreaterThan(10);
      expect(await site.run("return (await window.other).length;")).toBeGreaterThan(10);
      expect(site.emulator.control.counts().challenges).toBe(3);
    });

    it.each(Object.entries(WAYS))("%s, while a person is asked: asked again, in one new widget", async (_what, way) => {
      const site = await withClient("", { sitekey: "0x4EMULATORMANAGED", policy: (emulator) => `frame-src ${emulator}` });
      // A frame that was only moved asks once more by itself, before it is given up.
      site.emulator.control.fault({ kind: "interaction", times: 3 });
      await site.run("window.token = client.token();");
      await site.until(SHOWN);
      await site.run(`window.first = ${LAYER}.querySelector(":scope > div"); ${way}`);
      await site.until(
        `client.state === "interactive" && ${SHOWN} && ![null, window.first].includes(${LAYER}.querySelector(":scope > div"))`,
      );
      await tickBox(site);
      expect(await site.run(WAIT)).toBeGreaterThan(10);
      expect(site.emulator.control.counts().tokens).toBe(1);
    });

    it("again and again: an error that says so", async () => {
      const site = await withClient();
      site.emulator.control.fault({ kind: "slow", ms: 60_000, times: 9 });
      await site.run(`new MutationObserver(() => ${LAYER}?.remove()).observe(document.body, { childList: true });`);
      expect(await site.run("return client.token().catch((error) => [error.code, error.cause]);")).toEqual([
        "ERR_CLIENT_BLOCKED",
        "removed",
      ]);
    });
  });

  it.each(["block-frame", "unresponsive"] as const)(
    "a page that is hidden all the time, as a WebView may be, and %s: an error, and not a wait for ever",
    async (kind) => {
      const site = await withClient("watchdogMs: 600", {
        script: 'Object.defineProperty(Document.prototype, "hidden", { get: () => true });',
        faults: [{ kind, times: 9 }],
      });
      expect(await site.run(code("client.token()"))).toMatch(/^ERR_CLIENT_(BLOCKED|TIMEOUT)$/);
    },
  );

  describe("the classic script", () => {
    const tag = (attributes: string) => (): string => `<script nonce="n1" src="/client.js" ${attributes}></script>`;
    const CALLS = `const failed = [];
      for (const name of ["start", "token", "session", "fetch", "commit", "submitScore", "qualifies", "scores"])
        failed.push(await gatepass[name]({ score: 1 }).catch((error) => [gatepass.isGatepassError(error, "ERR_CLIENT_CONFIG"), error.cause.message]));
      gatepass.hold()();
      gatepass.close();
      return [failed.every(([right]) => right), failed[0][1], gatepass.state];`;

    it.each([
      [
        "the README's placeholder for a sitekey",
        'data-sitekey="0x4AAAAAAA..." data-start',
        /"data-sitekey" of the script tag.*sitekey of your Turnstile widget.*"0x4AAAAAAA\.\.\."/,
      ],
      ["an empty sitekey", 'data-sitekey=""', /"data-sitekey" of the script tag.*sitekey of your Turnstile widget/],
      ["another attribute that is wrong", 'data-sitekey="0x4EXAMPLE" data-theme="pink"', /"data-theme" of the script tag/],
      [
        "another attribute of two words",
        'data-sitekey="0x4EXAMPLE" data-session-header="cookie"',
        /"data-session-header" of the script tag/,
      ],
    ])("%s: every call says which attribute it is, and what belongs there; the console too", async (_what, attributes, expected) => {
      const site = await visit({ body: tag(attributes) });
      expect(await site.run(CALLS)).toEqual([true, expect.stringMatching(expected), "failed"]);
      expect(site.thrown).toEqual([expect.stringMatching(expected)]);
      // By hand it works.
      expect(await site.run("return (await createClient(options).token()).length;")).toBeGreaterThan(10);
    });

    it.each([
      ["without a sitekey", ""],
      ["with a misspelt one", 'data-site-key="0x4EXAMPLE" data-start'],
    ])("%s: nothing is said until a method is called", async (_what, attributes) => {
      const site = await visit({ body: tag(attributes) });
      expect(site.thrown).toEqual([]);
      expect(await site.run(CALLS)).toEqual([true, expect.stringMatching(/"data-sitekey" of the script tag/), "failed"]);
      expect([site.said, site.thrown]).toEqual([[], []]);
    });
  });
});
