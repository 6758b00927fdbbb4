import type { Frame } from "playwright-core";
import { describe, expect, it } from "vitest";
import { EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../src/emulator/index.ts";
import { describeBrowser } from "../helpers/browser.ts";
import { type EmulatorPage, emulatorPages } from "../helpers/emulator-page.ts";

const field = (site: EmulatorPage): Promise<string> => site.page.locator('#a input[name="cf-turnstile-response"]').inputValue();

describeBrowser("the emulator's api.js", () => {
  const { visit, once } = emulatorPages();

  describe("loading", () => {
    it("renders elements of class cf-turnstile by itself, by their data-* and with functions of the page by name", async () => {
      const body = `<form class="cf-turnstile" id="form" data-sitekey="0x4EMULATORINVISIBLE" data-action="login" data-cdata="abc" data-callback="done"></form>
        <script nonce="n1">window.done = window.record("done")</script>`;
      const site = await visit({ query: "", body });
      const [token] = await site.called("done");
      expect(await site.verify(token)).toMatchObject({ success: true, action: "login", cdata: "abc" });
      expect(await site.page.locator("#form input[type=hidden]").inputValue()).toBe(token);
    });

    it("one element with a bad parameter does not keep the others from rendering", async () => {
      const body = `<div class="cf-turnstile" data-sitekey="?"></div><div class="cf-turnstile" id="ok" data-sitekey="0x4EMULATORINVISIBLE"></div>`;
      const site = await visit({ query: "", body });
      await expect.poll(() => site.page.locator("#ok input[type=hidden]").inputValue()).not.toBe("");
      expect(site.thrown.join()).toContain("3589");
    });

    it("?render=explicit turns that off", async () => {
      const site = await visit({ body: `<div class="cf-turnstile" data-sitekey="0x4EMULATORINVISIBLE"></div>` });
      await site.render();
      await site.called("callback");
      expect(site.emulator.control.counts()).toMatchObject({ frames: 1, challenges: 1, tokens: 1 });
    });

    it("?onload=name is called after evaluation, asynchronously", async () => {
      const head = `<script nonce="n1">window.loaded = () => window.recorded.push(["loaded", document.currentScript, typeof window.turnstile])</script>`;
      const site = await visit({ query: "?render=explicit&onload=loaded", head });
      // Called within the script's evaluation, currentScript would be its tag.
      expect(await site.called("loaded")).toEqual([null, "object"]);
      const missing = await visit({ query: "?onload=nobody" });
      await expect.poll(() => missing.warned('"nobody"')).toBe(true);
    });

    it("unknown query parameters only warn", async () => {
      const site = await visit({ query: "?render=explicit&foo=1" });
      expect(site.warned('"foo"')).toBe(true);
      await site.render();
      await site.called("callback");
    });

    it.each(["async", "defer"])("ready() throws 3857 when the tag is %s", async (tag) => {
      const site = await visit({ tag });
      await expect.poll(() => site.page.evaluate("typeof window.turnstile")).toBe("object");
      expect(await site.call("ready")).toBe(3857);
    });

    it("ready() throws 3857 when the tag was inserted by script, and calls back when it is a plain tag", async () => {
      const insert = `<script nonce="n1">{ const plain = document.querySelector("script[src]"); const tag = document.createElement("script");
        plain.remove(); delete window.turnstile;
        tag.src = trustedTypes.createPolicy("p", { createScriptURL: (url) => url }).createScriptURL(plain.src); document.head.append(tag); }</script>`;
      const late = await visit({ body: insert });
      await expect.poll(() => late.page.evaluate("typeof window.turnstile")).toBe("object");
      expect(await late.call("ready")).toBe(3857);
      const plain = await visit({ body: `<script nonce="n1">window.turnstile.ready(window.record("ready"))</script>` });
      await plain.called("ready");
    });

    it("page and emulator may share one origin, as in development", async () => {
      const site = await visit({ sameOrigin: true });
      await site.render();
      expect(await site.verify((await site.called("callback"))[0])).toMatchObject({ success: true, hostname: "localhost" });
      expect([site.said, site.thrown]).toEqual([[], []]);
    });

    it("loaded twice: the second copy warns and leaves the first in place", async () => {
      const site = await visit({ body: `<script nonce="n1">window.first = window.turnstile</script>`, head: "" });
      await site.page.evaluate(
        (url) => {
          const policy: { createScriptURL(url: string): string } = Reflect.get(window, "trustedTypes").createPolicy("x", {
            createScriptURL: (text: string) => text,
          });
          const tag = document.createElement("script");
          tag.src = policy.createScriptURL(url);
          document.head.append(tag);
        },
        await site.page.evaluate<string>("document.querySelector('script[src]').src"),
      );
      await expect.poll(() => site.warned("twice")).toBe(true);
      expect(await site.page.evaluate("window.first === window.turnstile")).toBe(true);
    });

    it("replaces its own tag after an hour and keeps the widgets", async () => {
      const site = await visit({ fakeTime: true, body: `<script nonce="n1">window.tag = document.querySelector("script[src]")</script>` });
      const id = await site.render({ "refresh-expired": "never" });
      const [token] = await site.called("callback");
      await site.page.clock.fastForward(3_600_000);
      expect(await site.page.evaluate("[window.tag.isConnected, document.querySelectorAll('script[src]').length]")).toEqual([false, 1]);
      expect(await site.call("getResponse", id)).toBe(token);
      expect(site.emulator.control.counts().scripts).toBe(1);
      expect(site.said).toEqual([]);
    });

    it("works with a nonce and strict-dynamic instead of its origin in script-src", async () => {
      const site = await visit({ tag: 'nonce="n1"', policy: (url) => `script-src 'nonce-n1' 'strict-dynamic'; frame-src ${url}` });
      await site.render();
      await site.called("callback");
    });

    it("a script that cannot be loaded is an error of the tag, and may be had the next time", async () => {
      const site = await visit({ faults: [{ kind: "block-script" }] });
      expect(await site.page.evaluate("typeof window.turnstile")).toBe("undefined");
      await site.page.reload();
      expect(await site.page.evaluate("typeof window.turnstile")).toBe("object");
    });
  });

  describe("render", () => {
    it("gives an id, then a token that siteverify takes with action, cdata and the page's hostname, once", async () => {
      const site = await visit();
      const id = await site.render({ action: "score_submit", cData: "abc" });
      expect(id).toMatch(/^cf-chl-widget-[a-z0-9]{5}$/);
      const [token, preClearance] = await site.called("callback");
      expect(preClearance).toBe(false);
      expect(await site.verify(token)).toMatchObject({ success: true, action: "score_submit", cdata: "abc", hostname: "localhost" });
      expect(await site.verify(token)).toMatchObject({ success: false });
      expect(site.said).toEqual([]);
      expect(site.thrown).toEqual([]);
    });

    it("parameters win over data-*", async () => {
      const site = await visit({ body: `<div id="c" data-sitekey="0x4EMULATORINVISIBLE" data-action="element" data-cdata="kept"></div>` });
      await site.render({ action: "given" }, "#c");
      const [token] = await site.called("callback");
      expect(await site.verify(token)).toMatchObject({ action: "given", cdata: "kept" });
    });

    it.each([
      ["a selector that is none", "[", 3586],
      ["a selector that matches nothing", "#nobody", 3585],
      ["no element", 5, 3587],
      ["nothing", null, 3587],
    ])("%s: %j throws %i", async (_, container, code) => {
      const site = await visit();
      expect(await site.call("render", container, { sitekey: "0x4EMULATORINVISIBLE" })).toBe(code);
    });

    it("a second render into the same container warns and gives the id that is there", async () => {
      const site = await visit();
      const id = await site.render();
      expect(await site.render()).toBe(id);
      expect(site.warned(id)).toBe(true);
      expect(site.page.frames().length).toBe(2);
    });

    it("the DOM: container > wrapper > host with a closed root, and a hidden field that is empty from render on", async () => {
      const site = await visit();
      await site.render({ execution: "execute" });
      const shape = `[document.querySelector("#a > div > div").shadowRoot, document.querySelectorAll("#a > div > *").length, document.querySelector("#a iframe")]`;
      expect(await site.page.evaluate(shape)).toEqual([null, 2, null]);
      expect(await field(site)).toBe("");
      await site.call("execute", "#a");
      const [token] = await site.called("callback");
      expect(await field(site)).toBe(token);
      await site.render({ "response-field": false }, "#b");
      expect(await site.page.locator("#b input").count()).toBe(0);
      await site.call("remove", "#b");
      await site.render({ "response-field-name": "mine" }, "#b");
      expect(await site.page.locator('#b input[name="mine"]').count()).toBe(1);
    });

    it.each([
      ["sitekey", undefined, 3588],
      ["sitekey", 5, 3588],
      ["sitekey", "ab", 3589],
      ["sitekey", "with space", 3589],
      ["sitekey", "a".repeat(101), 3589],
      ["size", "huge", 3590],
      ["size", "", 3590],
      ["theme", "blue", 3591],
      ["retry", "sometimes", 3592],
      ["appearance", "hidden", 3600],
      ["execution", "later", 3601],
      ["retry-interval", 900_000, 3602],
      ["retry-interval", 0, 3602],
      ["retry-interval", "soon", 3602],
      ["refresh-expired", "yes", 3603],
      ["refresh-timeout", "yes", 3603],
      ["action", "a".repeat(33), 3604],
      ["action", "score submit", 3604],
      ["action", 5, 3604],
      ["action", null, 3604],
      ["cData", "a".repeat(256), 3605],
      ["cData", "a b", 3605],
      ["cData", null, 3605],
      ["expiry-interval", 0, 3602],
      ["expiry-interval", 360_000, 3602],
    ])("parameter %s: %j throws %i", async (name, value, code) => {
      const site = await once();
      expect(await site.call("render", "#a", { sitekey: "0x4EMULATORINVISIBLE", [name]: value })).toBe(code);
    });

    it("parameters at their limits are fine; a bad language or tabindex only warns", async () => {
      const site = await visit();
      const fine = {
        action: "A-z_9".padEnd(32, "x"),
        cData: "=".repeat(255),
        "retry-interval": 899_999,
        language: "pt-BR",
        theme: "dark",
        tabindex: 3,
      };
      await site.render({ ...fine, "feedback-enabled": false });
      await site.called("callback");
      expect(site.said).toEqual([]);
      await site.render({ language: "klingon", tabindex: "x" }, "#b");
      for (const part of ["language", "tabindex"]) expect(site.warned(part), part).toBe(true);
    });

    it.each([
      ["0x4EMULATORMANAGED", {}, 300, 65],
      ["0x4EMULATORNONINTERACTIVE", { size: "compact" }, 150, 140],
      ["0x4EMULATORMANAGED", { size: "flexible" }, 600, 65],
      ["0x4EMULATORINVISIBLE", {}, 1, 1],
      ["0x4EMULATORMANAGED", { appearance: "interaction-only" }, 1, 1],
    ])("size of %s with %j: %i x %i", async (sitekey, params, width, height) => {
      const site = await visit({ body: `<style nonce="n1">#a { width: 600px }</style>`, policy: () => "style-src 'nonce-n1'" });
      await site.render({ sitekey, ...params });
      await site.called("callback");
      const box = await (await (await site.frame()).frameElement()).boundingBox();
      expect(box).toMatchObject({ width, height });
      expect((box?.x ?? 0) < -1000).toBe(width === 1);
    });

    it("appearance execute: shown from execute on", async () => {
      const site = await visit();
      await site.render({ sitekey: "0x4EMULATORMANAGED", execution: "execute", appearance: "execute" });
      const width = async (): Promise<number | undefined> => (await (await (await site.frame()).frameElement()).boundingBox())?.width;
      expect(await width()).toBe(1);
      await site.call("execute", "#a");
      await site.called("callback");
      expect(await width()).toBe(300);
    });
  });

  describe("execute", () => {
    it("an execution: execute widget does nothing until then; before the frame is ready the call is queued", async () => {
      const site = await visit();
      const id = await site.render({ execution: "execute" });
      expect(await site.call("execute", id)).toBe(null);
      await site.called("callback");
      const waiting = await visit();
      await waiting.render({ execution: "execute" });
      await waiting.frame();
      await expect.poll(() => waiting.emulator.control.counts().frames).toBe(1);
      expect(waiting.emulator.control.counts().challenges).toBe(0);
    });

    it("on a widget that is executing: warns, does nothing, also right after render", async () => {
      const site = await visit();
      // In one task: on a quick machine the challenge would be over between two.
      await site.page.evaluate((sitekey) => {
        const api = Reflect.get(window, "turnstile");
        const id = api.render("#a", { sitekey });
        api.execute(id);
        api.execute(id);
      }, EMULATOR_SITEKEY);
      await expect.poll(() => site.emulator.control.counts().tokens).toBe(1);
      expect(site.said.filter((line) => line.includes("executing already")).length).toBe(2);
      expect(site.emulator.control.counts().challenges).toBe(1);
    });

    it("with a token already there: warns and calls back again, synchronously, with the old token", async () => {
      const site = await visit();
      const id = await site.render();
      const [token] = await site.called("callback");
      const counts = await site.page.evaluate((widget) => {
        const recorded: unknown[] = Reflect.get(window, "recorded");
        const before = recorded.length;
        Reflect.get(window, "turnstile").execute(widget);
        return recorded.length - before;
      }, id);
      expect(counts).toBe(1);
      expect(await site.called("callback", 2)).toEqual([token, false]);
      expect(site.warned("executed already")).toBe(true);
      expect(site.emulator.control.counts().tokens).toBe(1);
    });

    it("parameters that differ from those of render throw 3618, except action, cData and callbacks", async () => {
      const site = await visit();
      const id = await site.render({ execution: "execute", theme: "dark", action: "first" });
      expect(await site.call("execute", id, { theme: "light" })).toBe(3618);
      expect(await site.call("execute", id, { sitekey: "0x4EMULATORMANAGED" })).toBe(3618);
      expect(await site.call("execute", id, { "retry-interval": 5000 })).toBe(3618);
      expect(site.emulator.control.counts().challenges).toBe(0);
      expect(await site.call("execute", id, { theme: "dark", action: "second", cData: "c" })).toBe(null);
      const [token] = await site.called("callback");
      expect(await site.verify(token)).toMatchObject({ action: "second", cdata: "c" });
    });

    it("an unknown container throws 43521, with parameters but nowhere to render 43522", async () => {
      const site = await visit();
      expect(await site.call("execute", "cf-chl-widget-aaaaa")).toBe(43521);
      expect(await site.call("execute")).toBe(43521);
      expect(await site.call("execute", "#nobody", { sitekey: "0x4EMULATORINVISIBLE" })).toBe(43522);
    });
  });

  describe("reset, remove, getResponse, isExpired", () => {
    it("reset clears token and field and runs again by itself for execution: render", async () => {
      const site = await visit();
      const id = await site.render();
      const [first] = await site.called("callback");
      expect(await site.call("getResponse", id)).toBe(first);
      await site.call("reset", id);
      const [second] = await site.called("callback", 2);
      expect(second).not.toBe(first);
      expect([await site.call("getResponse", id), await field(site)]).toEqual([second, second]);
    });

    it("reset does not run again for execution: execute; execute after it is no warning", async () => {
      const site = await visit();
      const id = await site.render({ execution: "execute" });
      await site.call("execute", id);
      const [first] = await site.called("callback");
      await site.call("reset", id);
      expect([await site.call("getResponse", id), await field(site)]).toEqual([null, ""]);
      await site.frame();
      await expect.poll(() => site.emulator.control.counts().frames).toBe(2);
      expect(site.emulator.control.counts().challenges).toBe(1);
      await site.call("execute", id);
      expect((await site.called("callback", 2))[0]).not.toBe(first);
      expect(site.said).toEqual([]);
    });

    it("a reset in the middle: nothing of the challenge before is heard", async () => {
      const site = await visit({ faults: [{ kind: "slow", ms: 150 }] });
      const id = await site.render();
      await expect.poll(() => site.emulator.control.counts().challenges).toBe(1);
      await site.call("reset", id);
      await site.called("callback");
      await new Promise((resolve) => setTimeout(resolve, 250));
      expect((await site.calls()).length).toBe(1);
    });

    it("unknown widgets: reset throws 3329, getResponse and isExpired throw 43778, remove only warns", async () => {
      const site = await visit();
      expect(await site.call("reset", "#nobody")).toBe(3329);
      expect(await site.call("reset", "cf-chl-widget-aaaaa")).toBe(3329);
      expect(await site.call("getResponse", "#nobody")).toBe(43778);
      expect(await site.call("isExpired", "cf-chl-widget-aaaaa")).toBe(43778);
      expect(await site.call("getResponse")).toBe(43778);
      expect(await site.call("remove", "#nobody")).toBe(null);
      expect(site.warned("remove")).toBe(true);
    });

    it("remove takes every node away and calls nobody, in the middle of a challenge too", async () => {
      const site = await visit({ faults: [{ kind: "slow", ms: 100 }] });
      const id = await site.render();
      await expect.poll(() => site.emulator.control.counts().challenges).toBe(1);
      await site.call("remove", id);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(await site.calls()).toEqual([]);
      expect(await site.page.evaluate("document.querySelector('#a').childNodes.length")).toBe(0);
      expect(await site.call("getResponse", id)).toBe(43778);
      expect(await site.render()).not.toBe(id);
    });

    it("a container is an id, a selector or an element; omitted it is the newest widget", async () => {
      const site = await visit();
      const a = await site.render();
      const [first] = await site.called("callback");
      await site.render({}, "#b");
      const [second] = await site.called("callback", 2);
      expect([await site.call("getResponse", a), await site.call("getResponse", "#a")]).toEqual([first, first]);
      expect(await site.page.evaluate("window.turnstile.getResponse(document.querySelector('#a'))")).toBe(first);
      expect(await site.call("getResponse")).toBe(second);
    });

    it("a widget whose element left the document is dropped within about a second", async () => {
      const site = await visit();
      const id = await site.render();
      await site.called("callback");
      await site.page.evaluate("document.querySelector('#a').remove()");
      expect(await site.call("isExpired", id)).toBe(false);
      await expect.poll(() => site.call("isExpired", id), { timeout: 2000 }).toBe(43778);
    });
  });

  describe("whom it believes", () => {
    it.each([false, true])(
      "messages of anyone but the widget's own frame are ignored; page on the emulator's origin: %s",
      async (sameOrigin) => {
        const site = await visit({ sameOrigin, faults: [{ kind: "unresponsive" }] });
        const id = await site.render();
        await expect.poll(() => site.emulator.control.counts().challenges).toBe(1);
        await site.page.evaluate((widget) => {
          for (let run = 0; run < 5; run++) {
            window.postMessage({ mark: "gatepass-emulator", id: widget, run, event: "token", token: "forged", life: 1000 }, "*");
          }
        }, id);
        await site.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
        expect(await site.calls()).toEqual([]);
        expect(await site.call("getResponse", id)).toBe(null);
      },
    );

    it("nor is its frame once it shows another site; nor does the frame obey anyone but its page", async () => {
      const site = await visit({ policy: () => "script-src *" });
      const id = await site.render({ execution: "execute" });
      const frame = await site.frame();
      const from = (event: string): object => ({
        mark: "gatepass-emulator",
        id,
        run: 1,
        event,
        token: "forged",
        life: 1000,
        action: "",
        cdata: "",
      });
      await frame.evaluate((message) => window.postMessage(message, "*"), from("run"));
      await frame.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
      expect(site.emulator.control.counts().challenges).toBe(0);
      const elsewhere = `${site.page.url()}?elsewhere`;
      await frame.evaluate((url) => {
        window.location.href = url;
      }, elsewhere);
      const moved = (): Frame | undefined => site.page.frames().find((one) => one.url() === elsewhere);
      await expect.poll(() => moved() !== undefined).toBe(true);
      await moved()?.evaluate((message) => window.parent.postMessage(message, "*"), from("token"));
      await site.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
      expect(await site.calls()).toEqual([]);
      expect(await site.call("getResponse", id)).toBe(null);
    });

    it("a token that was on its way when the widget was reset is not heard", async () => {
      const head = `<script nonce="n1">addEventListener("message", ({ data }) => {
        if (data.event === "token" && !window.late) { window.late = data.token; window.turnstile.reset(); } })</script>`;
      const site = await visit({ head });
      await site.render();
      const [token] = await site.called("callback");
      expect(token).not.toBe(await site.page.evaluate("window.late"));
      expect((await site.calls()).length).toBe(1);
    });

    it("the token goes to the page that embeds the frame, and a page of a foreign hostname gets 110200", async () => {
      const widgets = [{ sitekey: "0x4HOME", secrets: [EMULATOR_SECRET], hostnames: ["localhost"] }];
      const home = await visit({ widgets });
      await home.render({ sitekey: "0x4HOME" });
      await home.called("callback");
      const sub = await visit({ widgets, hostname: "game.localhost" });
      await sub.render({ sitekey: "0x4HOME" });
      expect(await sub.verify((await sub.called("callback"))[0])).toMatchObject({ success: true, hostname: "game.localhost" });
      const foreign = await visit({ widgets, hostname: "127.0.0.1" });
      await foreign.render({ sitekey: "0x4HOME", retry: "never" });
      expect(await foreign.called("error-callback")).toEqual(["110200"]);
    });
  });
});
