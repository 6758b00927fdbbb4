import { expect, it } from "vitest";
import { EMULATOR_SITEKEY } from "../../src/emulator/index.ts";
import { describeBrowser } from "../helpers/browser.ts";
import { type EmulatorPage, emulatorPages } from "../helpers/emulator-page.ts";

const MANAGED = "0x4EMULATORMANAGED";
const box = async (site: EmulatorPage): Promise<[number, number] | undefined> => {
  const found = await (await (await site.frame()).frameElement()).boundingBox();
  return found ? [found.width, found.height] : undefined;
};
const input = (site: EmulatorPage, selector: string): Promise<string> => site.page.locator(selector).inputValue();
const inline = (code: string): string => `<script nonce="n1">${code}</script>`;

/** What was seen in the real script, row by row. */
describeBrowser("the emulator's api.js, as the real script behaves", () => {
  const { visit } = emulatorPages();

  it('an element with id="turnstile" makes the script dead: it warns, naming the element, and never sets the API', async () => {
    const body = `<div id="turnstile"></div><div class="cf-turnstile" data-sitekey="${EMULATOR_SITEKEY}"></div>`;
    const site = await visit({
      query: "?onload=loaded",
      tag: "defer",
      body,
      head: inline('window.loaded = () => window.recorded.push(["loaded"])'),
    });
    // The callback of the tag's query is called all the same.
    await site.called("loaded");
    await expect.poll(() => site.warned('id="turnstile"')).toBe(true);
    expect(await site.page.evaluate("[window.turnstile instanceof HTMLElement, window.turnstile.render === undefined]")).toEqual([
      true,
      true,
    ]);
    expect([site.page.frames().length, site.emulator.control.counts().frames, site.thrown]).toEqual([1, 0, []]);
  });

  it("whatever is under the name turnstile counts as the script: undefined too", async () => {
    const site = await visit({ head: inline("window.turnstile = undefined") });
    await expect.poll(() => site.warned("twice")).toBe(true);
    expect(await site.page.evaluate("typeof window.turnstile")).toBe("undefined");
  });

  it('size: "invisible" is fine for an invisible widget, and throws 2817 on window for a visible one, which then does nothing', async () => {
    const site = await visit();
    await site.render({ size: "invisible" });
    expect(await site.verify((await site.called("callback"))[0])).toMatchObject({ success: true });
    expect(site.thrown).toEqual([]);
    await site.render({ size: "invisible", sitekey: MANAGED }, "#b");
    await expect.poll(() => site.thrown.join()).toContain("2817");
    expect((await site.calls()).length).toBe(1);
    expect(site.emulator.control.counts().challenges).toBe(1);
  });

  it("a wrong data-* value warns and the default is used; an empty one does the same in silence", async () => {
    const names = [
      "theme",
      "size",
      "retry",
      "retry-interval",
      "expiry-interval",
      "execution",
      "appearance",
      "refresh-expired",
      "refresh-timeout",
      "language",
    ];
    const element = (id: string, value: string): string =>
      `<div class="cf-turnstile" id="${id}" data-sitekey="${MANAGED}" ${names.map((name) => `data-${name}="${value}"`).join(" ")}></div>`;
    const wrong = await visit({ query: "", body: element("c", "?") });
    await expect.poll(() => input(wrong, "#c input")).not.toBe("");
    for (const name of names) expect(wrong.warned(`data-${name}:`), name).toBe(true);
    expect(await box(wrong)).toEqual([300, 65]);
    const empty = await visit({ query: "", body: element("c", "") });
    await expect.poll(() => input(empty, "#c input")).not.toBe("");
    expect([empty.said, empty.thrown]).toEqual([[], []]);
    expect(await box(empty)).toEqual([300, 65]);
  });

  it("a right data-* value is used", async () => {
    const site = await visit({
      query: "",
      body: `<div class="cf-turnstile" id="c" data-sitekey="${MANAGED}" data-size="compact" data-language="pt_BR"></div>`,
    });
    await expect.poll(() => input(site, "#c input")).not.toBe("");
    expect([await box(site), site.said]).toEqual([[150, 140], []]);
  });

  it("a parameter that is given as undefined wins over data-*", async () => {
    const site = await visit({ body: `<div id="c" data-sitekey="${MANAGED}" data-size="compact"></div>` });
    await site.page.evaluate(
      `window.turnstile.render("#c", { sitekey: "${MANAGED}", size: undefined, callback: window.record("callback") })`,
    );
    await site.called("callback");
    expect(await box(site)).toEqual([300, 65]);
  });

  it("an onload function that is defined late is looked for once more after 1 s", async () => {
    const late = await visit({ query: "?onload=late", fakeTime: true });
    await expect.poll(() => late.said.filter((line) => line.includes('"late"')).length).toBe(1);
    await late.page.evaluate('window.late = window.record("late")');
    await late.page.clock.runFor(1000);
    await late.called("late");
    const never = await visit({ query: "?onload=never", fakeTime: true });
    await expect.poll(() => never.said.filter((line) => line.includes('"never"')).length).toBe(1);
    await never.page.clock.runFor(1000);
    await expect.poll(() => never.said.filter((line) => line.includes('"never"')).length).toBe(2);
    await never.page.evaluate('window.never = window.record("never")');
    await never.page.clock.runFor(10_000);
    expect(await never.calls()).toEqual([]);
  });

  it("?compat=recaptcha offers grecaptcha, renders .g-recaptcha and fills its field", async () => {
    const body = `<div class="g-recaptcha" id="c" data-sitekey="${EMULATOR_SITEKEY}" data-callback="done"></div>${inline('window.done = window.record("done")')}`;
    const site = await visit({ query: "?compat=recaptcha", body });
    const [token] = await site.called("done");
    expect(await site.page.evaluate("window.grecaptcha === window.turnstile")).toBe(true);
    expect([await input(site, '#c [name="g-recaptcha-response"]'), await input(site, '#c [name="cf-turnstile-response"]')]).toEqual([
      token,
      token,
    ]);
    await site.call("reset");
    expect(await input(site, '#c [name="g-recaptcha-response"]')).toBe("");
    expect(site.said).toEqual([]);
  });

  it("without compat there is none of that; another value, or a grecaptcha that is there, only warns", async () => {
    const body = `<div class="g-recaptcha" id="c" data-sitekey="${EMULATOR_SITEKEY}"></div>`;
    for (const [query, head, part] of [
      ["", "", ""],
      ["?compat=hcaptcha", "", '"hcaptcha"'],
      ["?compat=recaptcha", inline("window.grecaptcha = { theirs: true }"), "grecaptcha"],
    ] as const) {
      const site = await visit({ query, head, body });
      await site.render();
      await site.called("callback");
      expect(await site.page.locator("input").evaluateAll((all) => all.map((one) => (one as HTMLInputElement).name))).toEqual([
        "cf-turnstile-response",
      ]);
      expect(await site.page.evaluate("window.grecaptcha?.render")).toBe(undefined);
      expect(part === "" ? site.said : [site.warned(part)]).toEqual(part === "" ? [] : [true]);
    }
  });

  it(".cf-challenge is rendered like .cf-turnstile", async () => {
    const site = await visit({ query: "", body: `<div class="cf-challenge" id="c" data-sitekey="${EMULATOR_SITEKEY}"></div>` });
    await expect.poll(() => input(site, "#c input")).not.toBe("");
  });

  it("an explicit render over an implicit widget replaces it", async () => {
    const body = `<div class="cf-turnstile" id="c" data-sitekey="${EMULATOR_SITEKEY}" data-callback="first"></div>${inline('window.first = window.record("first")')}`;
    const site = await visit({ query: "", body });
    const [old] = await site.called("first");
    await site.render({ action: "second" }, "#c");
    const [token] = await site.called("callback");
    expect(await site.verify(token)).toMatchObject({ success: true, action: "second" });
    expect([token === old, await site.page.locator("#c > div").count(), await input(site, "#c input")]).toEqual([false, 1, token]);
    expect((await site.calls()).map(([name]) => name)).toEqual(["first", "callback"]);
    expect(site.said).toEqual([]);
  });

  it("an explicit render that throws leaves the implicit widget in place", async () => {
    const site = await visit({ query: "", body: `<div class="cf-turnstile" id="c" data-sitekey="${EMULATOR_SITEKEY}"></div>` });
    await expect.poll(() => input(site, "#c input")).not.toBe("");
    expect(await site.call("render", "#c", { sitekey: EMULATOR_SITEKEY, theme: "blue" })).toBe(3591);
    expect(await input(site, "#c input")).not.toBe("");
  });

  it("an explicit render over an explicit widget takes the new callbacks, or throws 3618 when other parameters differ", async () => {
    const site = await visit();
    const id = await site.render({ execution: "execute" });
    const again = (params: string): Promise<unknown> =>
      site.page.evaluate(
        `{ const { turnstile, record } = window; try { turnstile.render("#a", { sitekey: "${EMULATOR_SITEKEY}", ${params} }) } catch (error) { error.code } }`,
      );
    for (const params of [
      'theme: "dark"',
      'execution: "render"',
      'size: "compact"',
      'sitekey: "0x4EMULATORMANAGED"',
      "tabindex: 5",
      '"retry-interval": 9000',
    ]) {
      expect([params, await again(params)]).toEqual([params, 3618]);
    }
    expect(await again('execution: "execute", theme: "auto", action: "second", callback: record("second")')).toBe(id);
    expect(site.warned(id)).toBe(true);
    await site.call("execute", id);
    expect(await site.verify((await site.called("second"))[0])).toMatchObject({ success: true, action: "second" });
    expect((await site.calls()).map(([name]) => name)).toEqual(["second"]);
    expect(await site.page.locator("#a > div").count()).toBe(1);
  });

  it("ready() with something that is no function throws 3841", async () => {
    const site = await visit();
    for (const value of [null, "later", 5, {}]) expect(await site.call("ready", value)).toBe(3841);
    await site.page.evaluate('window.turnstile.ready(window.record("ready"))');
    await site.called("ready");
  });

  it("expiry-interval is when a token counts as expired on the page", async () => {
    const site = await visit();
    await site.render({ "expiry-interval": 50, "refresh-expired": "never" });
    const [token] = await site.called("callback");
    expect(await site.called("expired-callback")).toEqual([token]);
    expect(await site.call("isExpired")).toBe(true);
  });

  it("a callback that is a text fails with a TypeError when it is called, and not before", async () => {
    const site = await visit();
    await site.render({ callback: "done", "expired-callback": "gone" });
    await expect.poll(() => site.thrown.length).toBe(1);
    expect(site.thrown[0]).toMatch(/callback.*string/i);
    expect(await site.call("getResponse")).toMatch(/^0\./);
  });

  it.each(["en_US", "en-us", "fil", "pt_BR", ""])("language %j is one", async (language) => {
    const site = await visit();
    await site.render({ language });
    await site.called("callback");
    expect(site.said).toEqual([]);
  });

  it("an empty data-response-field-name is ignored", async () => {
    const site = await visit({
      query: "",
      body: `<div class="cf-turnstile" id="c" data-sitekey="${EMULATOR_SITEKEY}" data-response-field-name=""></div>`,
    });
    await expect.poll(() => input(site, '#c [name="cf-turnstile-response"]')).not.toBe("");
  });

  it("an interactive time-out with refresh-timeout auto also calls after-interactive-callback; with never it does not", async () => {
    const again = await visit({ faults: [{ kind: "interaction", timeout: 30 }] });
    await again.render({ sitekey: MANAGED });
    await again.called("callback");
    expect((await again.calls()).map(([name]) => name)).toEqual([
      "before-interactive-callback",
      "timeout-callback",
      "after-interactive-callback",
      "callback",
    ]);
    const never = await visit({ faults: [{ kind: "interaction", timeout: 30 }] });
    await never.render({ sitekey: MANAGED, "refresh-timeout": "never" });
    await never.called("timeout-callback");
    expect((await never.calls()).map(([name]) => name)).toEqual(["before-interactive-callback", "timeout-callback"]);
  });

  it.each([300_030, 300_031])('%i is retried at once even with retry: "never", unless error-callback returned true', async (code) => {
    const site = await visit({ faults: [{ kind: "error", code }] });
    await site.page.evaluate(
      `window.turnstile.render("#a", { sitekey: "${EMULATOR_SITEKEY}", retry: "never", callback: window.record("callback"), "error-callback": window.record("error-callback") })`,
    );
    expect(await site.called("error-callback")).toEqual([String(code)]);
    await site.called("callback");
    const silent = await visit({ fakeTime: true, faults: [{ kind: "error", code }] });
    await silent.render({ retry: "never" });
    await silent.called("error-callback");
    await silent.page.clock.runFor(60_000);
    expect(silent.emulator.control.counts().challenges).toBe(1);
  });

  it.each([300_030, 300_031])("%i is retried at once with retry: auto, whatever retry-interval says", async (code) => {
    const site = await visit({ faults: [{ kind: "error", code }] });
    await site.render({ "retry-interval": 800_000 });
    await site.called("error-callback");
    await site.called("callback");
  });

  it("api.js leads to a versioned path on the same host, by a redirect that keeps the query", async () => {
    const seen: string[] = [];
    const site = await visit({ query: "?render=explicit&onload=late" });
    site.page.on("request", (request) => seen.push(new URL(request.url()).pathname + new URL(request.url()).search));
    await site.page.reload();
    await expect
      .poll(() => seen.find((path) => path.includes("/g/")))
      .toMatch(/^\/turnstile\/v0\/g\/[0-9a-f]{12}\/api\.js\?render=explicit&onload=late$/);
    expect(seen).toContain("/turnstile/v0/api.js?render=explicit&onload=late");
    await site.render();
    await site.called("callback");
  });
});
