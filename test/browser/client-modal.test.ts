import { expect, it } from "vitest";
import { closedAfterEach, describeBrowsers } from "../helpers/browsers.ts";
import { type ClientPage, LAYER, openClientPage, SHOWN, tickBox } from "../helpers/client-page.ts";

/** What a page may show above everything else: markup, and the script that opens it. */
const COVERS: Record<string, { markup: string; open: string }> = {
  "a modal <dialog>": {
    markup: '<dialog id="cover"><p>Paused</p><button>Resume</button></dialog>',
    open: "document.querySelector('#cover').showModal();",
  },
  "a modal of Radix's kind: nothing else takes the pointer": {
    markup: '<div id="cover"><button>Resume</button></div>',
    open: `document.body.style.pointerEvents = "none";
      document.querySelector("#cover").style.cssText = "position:fixed;inset:0;z-index:2147483647;pointer-events:auto;background:#ddd";
      for (const one of document.body.children) if (one.id !== "cover") one.setAttribute("aria-hidden", "true");`,
  },
  "a modal whose siblings are inert": {
    markup: '<div id="cover"><button>Resume</button></div>',
    open: `for (const one of document.body.children) if (one.id !== "cover") one.setAttribute("inert", "");
      document.querySelector("#cover").style.cssText = "position:fixed;inset:0;z-index:2147483647";`,
  },
  "a full-screen game": {
    markup: '<div id="cover"><button>Resume</button></div>',
    open: "await window.fullscreen.call(document.querySelector('#cover'));",
  },
};
/** Phones have no full screen for elements, so the oldest supported browsers lack it: the test keeps it for itself. */
const KEEP = "window.fullscreen = Element.prototype.requestFullscreen;";

/** Whether a click in the middle of the layer would land in it: an expression for the page. */
const REACHABLE = `(() => { const layer = ${LAYER}; const { left, top, width, height } = layer.getBoundingClientRect();
  return layer.contains(document.elementFromPoint(left + width / 2, top + height / 2)); })()`;

describeBrowsers("a person is asked", (browser) => {
  const opened = closedAfterEach<ClientPage>();

  /** A page whose next challenge asks a person; `window.pending` is the session that waits for it, once `ask` was called. */
  const visit = async (markup = ""): Promise<ClientPage> => {
    const body = (): string => `<button id="before">Play</button>${markup}<script nonce="n1" src="/client.js"></script>`;
    const site = opened(
      await openClientPage(browser(), { sitekey: "0x4EMULATORMANAGED", body, script: KEEP, policy: (emulator) => `frame-src ${emulator}` }),
    );
    await site.run("window.states = []; window.client = createClient({ ...options, onState: (state) => window.states.push(state) });");
    site.emulator.control.fault({ kind: "interaction" });
    return site;
  };
  const ask = (site: ClientPage): Promise<void> => site.run("window.pending = client.session(); window.pending.catch(() => {});");

  for (const [name, { markup, open }] of Object.entries(COVERS)) {
    it(`while the page shows ${name}: the box is above it, and a click gives a session`, async () => {
      const site = await visit(markup);
      await site.run(`document.querySelector("#before").focus(); ${open}`);
      await ask(site);
      await site.until("client.state === 'interactive'");
      await site.until(REACHABLE);
      await tickBox(site);
      expect(await site.run("return window.pending;")).toBe("s1");
      expect(await site.page.evaluate(SHOWN)).toBe(false);
      expect([site.said, site.thrown]).toEqual([[], []]);
    });

    it(`and then the page shows ${name}: the box comes above it again, and its frame is the same`, async () => {
      const site = await visit(markup);
      // The layer is there already when the page looks for what to mark.
      await ask(site);
      await site.until("client.state === 'interactive'");
      await site.run(open);
      await site.until(REACHABLE);
      expect(site.emulator.control.counts()).toMatchObject({ frames: 1 });
      await tickBox(site);
      expect(await site.run("return window.pending;")).toBe("s1");
      expect(site.emulator.control.counts()).toMatchObject({ tokens: 1 });
      expect([site.said, site.thrown]).toEqual([[], []]);
    });
  }

  it("keys go to the box; Escape closes it and nothing else, the call says so, and the focus is where it was", async () => {
    const site = await visit('<dialog id="cover"><button id="inside">Resume</button></dialog>');
    await site.run("document.querySelector('#cover').showModal(); document.querySelector('#inside').focus();");
    await ask(site);
    await site.until(SHOWN);
    expect(await site.page.evaluate(`${LAYER}.contains(document.activeElement)`)).toBe(true);
    // A key that comes before the person has done anything is not meant for it.
    await site.page.press("Escape");
    expect(await site.run("return window.pending.catch((error) => [error.code, error.cause]);")).toEqual(["ERR_CLIENT_ABORTED", "closed"]);
    expect(await site.page.evaluate(SHOWN)).toBe(false);
    expect(await site.page.evaluate("[document.activeElement.id, document.querySelector('#cover').open]")).toEqual(["inside", true]);
    // The next call asks again.
    site.emulator.control.fault({ kind: "interaction" });
    await ask(site);
    await site.until(SHOWN);
    await tickBox(site);
    expect(await site.run("return window.pending;")).toBe("s1");
    expect(await site.page.evaluate("document.activeElement.id")).toBe("inside");
  });

  it("in the page's own container there is no modal: the page decides what is above it", async () => {
    const site = await visit('<div id="place"></div>');
    await site.run("window.client = createClient({ ...options, container: '#place' });");
    await ask(site);
    await site.until(SHOWN);
    expect(await site.page.evaluate(`[${LAYER}.parentNode.id, ${LAYER}.open, ${LAYER}.textContent]`)).toEqual(["place", false, ""]);
    await tickBox(site);
    expect(await site.run("return window.pending;")).toBe("s1");
  });

  it("two clients that ask at the same time take turns", async () => {
    const site = await visit();
    site.emulator.control.fault({ kind: "interaction" });
    await site.run(`window.other = createClient({ ...options, label: "Second" });
      window.done = [];
      for (const one of [client, other]) one.token().then(() => window.done.push(1));`);
    await site.until("client.state === 'interactive' && other.state === 'interactive'");
    for (let i = 0; i < 60 && (await site.page.evaluate<number>("window.done.length")) < 2; i++) {
      await site.click(`[...document.querySelectorAll("dialog[open] > div:last-of-type")].at(-1) ?? document.body`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect(await site.page.evaluate("window.done.length")).toBe(2);
  });
});
