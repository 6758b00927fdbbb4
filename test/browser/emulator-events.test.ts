import { describe, expect, it } from "vitest";
import { EMULATOR_SECRET } from "../../src/emulator/index.ts";
import { describeBrowser } from "../helpers/browser.ts";
import { type EmulatorPage, emulatorPages } from "../helpers/emulator-page.ts";

const names = async (site: EmulatorPage): Promise<unknown[]> => (await site.calls()).map(([name]) => name);
const field = (site: EmulatorPage): Promise<string> => site.page.locator('#a input[name="cf-turnstile-response"]').inputValue();
const width = async (site: EmulatorPage): Promise<number | undefined> =>
  (await (await (await site.frame()).frameElement()).boundingBox())?.width;

describeBrowser("the emulator's events", () => {
  const { visit } = emulatorPages();

  describe("errors", () => {
    it("with a callback: the code as text; an exact true silences the console, a truthy value does not", async () => {
      const site = await visit({ faults: [{ kind: "error", code: 300_010, times: 3 }] });
      await site.render({ retry: "never" });
      expect(await site.called("error-callback")).toEqual(["300010"]);
      expect(site.said).toEqual([]);
      await site.page.evaluate(() => {
        const turnstile = Reflect.get(window, "turnstile");
        turnstile.render("#b", { sitekey: "0x4EMULATORINVISIBLE", retry: "never", "error-callback": () => 1 });
      });
      await expect.poll(() => site.warned("300010")).toBe(true);
      expect(site.thrown).toEqual([]);
    });

    it("may be reported several times", async () => {
      const site = await visit({ faults: [{ kind: "error", code: 300_010, repeat: 3 }] });
      await site.render({ retry: "never" });
      await site.called("error-callback", 3);
    });

    it("retry auto: again after retry-interval and 2000 ms more, default 10 s, whatever the callback returned", async () => {
      for (const [params, delay] of [
        [{}, 10_000],
        [{ "retry-interval": 500 }, 2500],
      ] as const) {
        const site = await visit({ fakeTime: true, faults: [{ kind: "error", code: 300_010 }] });
        await site.render(params);
        await site.called("error-callback");
        await site.page.clock.pauseAt(await site.page.evaluate(() => Date.now() + 1000));
        await site.page.clock.runFor(delay - 2000);
        // Real time, in which a frame that came too early would show itself.
        await new Promise((resolve) => setTimeout(resolve, 150));
        expect(site.emulator.control.counts().frames).toBe(1);
        await site.page.clock.runFor(2000);
        await site.page.clock.resume();
        await site.called("callback");
        expect(site.emulator.control.counts().challenges).toBe(2);
      }
    });

    it("retry never, and 200100 in any case: no retry", async () => {
      for (const [params, code] of [
        [{ retry: "never" }, 300_010],
        [{}, 200_100],
      ] as const) {
        const site = await visit({ fakeTime: true, faults: [{ kind: "error", code }] });
        await site.render(params);
        await site.called("error-callback");
        await site.page.clock.runFor(30_000);
        expect(site.emulator.control.counts().frames).toBe(1);
      }
    });

    it("without a callback: a retry is scheduled and 3076 is thrown on window", async () => {
      const site = await visit({ fakeTime: true, faults: [{ kind: "error", code: 300_010 }] });
      await site.render({ "error-callback": null });
      await expect.poll(() => site.thrown.join()).toContain("3076");
      await site.page.clock.fastForward(10_000);
      await site.called("callback");
    });

    it("a reset, an execute or a remove ends the waiting for a retry", async () => {
      for (const method of ["reset", "execute", "remove"]) {
        const site = await visit({ fakeTime: true, faults: [{ kind: "error", code: 300_010 }] });
        const id = await site.render({ execution: "execute" });
        await site.call("execute", id);
        await site.called("error-callback");
        await site.call(method, id);
        if (method === "execute") await site.called("callback");
        await site.page.clock.runFor(30_000);
        expect(site.emulator.control.counts().frames, method).toBe(method === "reset" ? 2 : 1);
      }
    });

    it("an exception in callback propagates to window", async () => {
      const site = await visit();
      await site.page.evaluate(() => {
        const callback = (): never => {
          throw new Error("of the page's own");
        };
        Reflect.get(window, "turnstile").render("#a", { sitekey: "0x4EMULATORINVISIBLE", callback });
      });
      await expect.poll(() => site.thrown).toEqual(["of the page's own"]);
    });

    it.each([
      ["an unknown sitekey", { sitekey: "0x4NOBODY" }, "400020"],
      ["a disabled sitekey", { sitekey: "0x4OFF" }, "400070"],
      ["a hostname that is not the widget's", { sitekey: "0x4ELSEWHERE" }, "110200"],
      ["test sitekey that blocks", { sitekey: "2x00000000000000000000AB" }, "600010"],
      ["test sitekey that blocks invisibly", { sitekey: "2x00000000000000000000BB" }, "600010"],
    ])("%s gives %j %s", async (_, params, code) => {
      const widgets = [
        { sitekey: "0x4OFF", secrets: ["a"], disabled: true },
        { sitekey: "0x4ELSEWHERE", secrets: ["b"], hostnames: ["game.example"] },
      ];
      const site = await visit({ widgets });
      await site.render({ ...params, retry: "never" });
      expect(await site.called("error-callback")).toEqual([code]);
      expect(site.emulator.control.counts().tokens).toBe(0);
    });

    it("an unsupported browser: unsupported-callback, without one the error 110500", async () => {
      const site = await visit({ faults: [{ kind: "unsupported", times: 2 }] });
      await site.render({ retry: "never" });
      expect(await site.called("error-callback")).toEqual(["110500"]);
      await site.page.evaluate(() => {
        const callback = Reflect.get(window, "record")("unsupported-callback");
        Reflect.get(window, "turnstile").render("#b", { sitekey: "0x4EMULATORINVISIBLE", "unsupported-callback": callback });
      });
      await site.called("unsupported-callback");
    });

    it("a frame that stops answering raises 300030 after about 40 s; one that works on does not", async () => {
      const silent = await visit({ fakeTime: true, faults: [{ kind: "unresponsive" }] });
      await silent.render({ retry: "never" });
      await expect.poll(() => silent.emulator.control.counts().challenges).toBe(1);
      await silent.page.clock.runFor(30_000);
      expect(await names(silent)).toEqual([]);
      await silent.page.clock.runFor(15_000);
      expect(await silent.called("error-callback")).toEqual(["300030"]);
      const asking = await visit({ fakeTime: true, faults: [{ kind: "interaction" }] });
      await asking.render({ sitekey: "0x4EMULATORMANAGED" });
      await asking.called("before-interactive-callback");
      for (let i = 0; i < 6; i++) await asking.page.clock.runFor(10_000);
      expect(await names(asking)).toEqual(["before-interactive-callback"]);
    });

    it("a frame that the browser blocks raises nothing at all", async () => {
      const site = await visit({ fakeTime: true, faults: [{ kind: "block-frame" }] });
      await site.render();
      await expect.poll(() => site.emulator.control.counts().frames).toBe(1);
      await site.page.clock.runFor(120_000);
      expect(await site.calls()).toEqual([]);
      expect(site.thrown).toEqual([]);
      const policy = await visit({ policy: (url) => `script-src ${url}; frame-src 'none'` });
      await policy.render();
      expect(await policy.calls()).toEqual([]);
    });
  });

  describe("expiry", () => {
    it("after about 290 s: isExpired, expired-callback(token), then refresh-expired auto resets", async () => {
      const site = await visit({ fakeTime: true });
      const id = await site.render();
      const [token] = await site.called("callback");
      await site.page.clock.fastForward(285_000);
      expect([await site.call("isExpired", id), await names(site)]).toEqual([false, ["callback"]]);
      await site.page.clock.fastForward(6_000);
      expect(await site.called("expired-callback")).toEqual([token]);
      const [next] = await site.called("callback", 2);
      expect(next).not.toBe(token);
      expect(await site.call("isExpired", id)).toBe(false);
    });

    it("refresh-expired never: the old token is still returned until reset", async () => {
      const site = await visit({ faults: [{ kind: "expire" }] });
      const id = await site.render({ "refresh-expired": "never" });
      const [token] = await site.called("callback");
      await site.called("expired-callback");
      expect([await site.call("isExpired", id), await site.call("getResponse", id)]).toEqual([true, token]);
      const after = await site.page.evaluate((widget) => {
        const turnstile = Reflect.get(window, "turnstile");
        turnstile.reset(widget);
        return [turnstile.isExpired(widget), turnstile.getResponse(widget) ?? null];
      }, id);
      expect(after).toEqual([false, null]);
    });

    it("refresh-expired auto only clears a widget of execution: execute", async () => {
      const site = await visit({ faults: [{ kind: "expire", after: 30 }] });
      const id = await site.render({ execution: "execute" });
      await site.call("execute", id);
      await site.called("expired-callback");
      expect(await site.call("getResponse", id)).toBe(null);
      expect(site.emulator.control.counts().challenges).toBe(1);
    });
  });

  describe("interaction", () => {
    it("a person is asked in a visible box: before, tick, after, token; the answer says interactive", async () => {
      const site = await visit({ faults: [{ kind: "interaction" }] });
      await site.render({ sitekey: "0x4EMULATORMANAGED", appearance: "interaction-only" });
      await site.called("before-interactive-callback");
      expect(await width(site)).toBe(300);
      await (await site.frame()).getByRole("checkbox", { name: "I am a person" }).click();
      const [token] = await site.called("callback");
      expect(await names(site)).toEqual(["before-interactive-callback", "after-interactive-callback", "callback"]);
      expect(await width(site)).toBe(1);
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ secret: "0x4EMULATORMANAGED_SECRET", response: token });
      const answer = await site.emulator.fetch("http://e/turnstile/v0/siteverify", { method: "POST", headers, body });
      expect(await answer.json()).toMatchObject({ success: true, metadata: { interactive: true } });
      expect(site.emulator.control.counts().challenges).toBe(1);
    });

    it("the box can be reached and ticked by keyboard", async () => {
      const site = await visit({ faults: [{ kind: "interaction" }] });
      await site.render({ sitekey: "0x4EMULATORMANAGED" });
      await site.called("before-interactive-callback");
      // Focus goes where something can take it, once the frame shows its box; and from one process to another, which takes its time.
      const frame = await site.frame();
      await frame.locator("input").first().waitFor();
      await site.page.bringToFront();
      await site.page.keyboard.press("Tab");
      await expect.poll(() => frame.evaluate(() => document.hasFocus() && document.activeElement?.tagName)).toBe("INPUT");
      await site.page.keyboard.press("Space");
      await site.called("callback");
    });

    it("the widget that always asks, and test sitekey 3x...FF, ask", async () => {
      const site = await visit();
      for (const [sitekey, into] of [
        ["0x4EMULATORINTERACTIVE", "#a"],
        ["3x00000000000000000000FF", "#b"],
      ] as const) {
        await site.render({ sitekey }, into);
      }
      await site.called("before-interactive-callback", 2);
      expect(site.emulator.control.counts().tokens).toBe(0);
    });

    it("nobody ticks: field emptied, timeout-callback, refresh-timeout auto resets and asks anew; never does not", async () => {
      const again = await visit({ faults: [{ kind: "interaction", timeout: 30 }] });
      await again.render({ sitekey: "0x4EMULATORMANAGED" });
      await again.called("timeout-callback");
      await again.called("callback");
      expect(again.emulator.control.counts().challenges).toBe(2);
      const site = await visit({ faults: [{ kind: "interaction", timeout: 30 }] });
      await site.render({ sitekey: "0x4EMULATORMANAGED", "refresh-timeout": "never" });
      await site.called("timeout-callback");
      expect(await field(site)).toBe("");
      expect(site.emulator.control.counts()).toMatchObject({ frames: 1, challenges: 1 });
    });

    it("by default a person has two minutes", async () => {
      const site = await visit({ fakeTime: true, faults: [{ kind: "interaction" }] });
      await site.render({ sitekey: "0x4EMULATORMANAGED", "refresh-timeout": "never" });
      await site.called("before-interactive-callback");
      for (let i = 0; i < 11; i++) await site.page.clock.runFor(10_000);
      expect(await names(site)).toEqual(["before-interactive-callback"]);
      await site.page.clock.runFor(10_000);
      await site.called("timeout-callback");
    });
  });

  describe("test sitekeys", () => {
    it.each(["1x00000000000000000000AA", "1x00000000000000000000BB"])(
      "%s passes with the constant token, which no real secret takes",
      async (sitekey) => {
        const site = await visit();
        await site.render({ sitekey, action: "score_submit" });
        expect(await site.called("callback")).toEqual(["XXXX.DUMMY.TOKEN.XXXX", false]);
        expect(await width(site)).toBe(sitekey.endsWith("AA") ? 300 : 1);
        expect(await site.verify("XXXX.DUMMY.TOKEN.XXXX")).toMatchObject({ success: false });
      },
    );
  });

  it("many widgets on one page do not disturb each other", async () => {
    const widgets = [{ sitekey: "0x4MANY", secrets: [EMULATOR_SECRET], mode: "invisible" as const }];
    const site = await visit({ widgets, body: Array.from({ length: 20 }, (_, i) => `<div id="n${i}"></div>`).join("") });
    for (let i = 0; i < 20; i++) await site.render({ sitekey: "0x4MANY", action: `n${i}` }, `#n${i}`);
    await site.called("callback", 20);
    const tokens = (await site.calls()).map(([, token]) => token);
    const answers = await Promise.all(tokens.map((token) => site.verify(token)));
    expect(new Set(answers.map(({ action }) => action)).size).toBe(20);
    expect([site.said, site.thrown]).toEqual([[], []]);
  });
});
