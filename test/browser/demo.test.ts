import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { sqliteBoard } from "gatepass/adapters/sqlite";
import { periodsOf } from "gatepass/scores";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MAX_SCORE } from "../../demo/game/rules.ts";
import { describeWith, hasRedis } from "../helpers/backends.ts";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { buildDemo, type RunningDemo, readBoard, startDemo } from "../helpers/demo.ts";
import { startRedis, until } from "../helpers/redis.ts";
import { root } from "../helpers/sources.ts";

const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };
const NEIGHBOURS = ["Juno", "Marlow", "Ines", "Kit", "Ødegård", "Bram", "Tove", "Pip", "Otis", "Sable"];
const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

describeBrowser("Ember Ring in a browser", () => {
  const folder = mkdtempSync(`${tmpdir()}/ember-ring-`);
  const env = { DEMO_DB: `${folder}/board.sqlite` };
  let browser: Browser;
  let demo: RunningDemo;

  beforeAll(async () => {
    buildDemo();
    demo = await startDemo("node", env);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await demo?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const send = (path: string, init?: RequestInit): Promise<Response> => fetch(demo.url + path, init);
  const shoot = async (page: Page, name: string): Promise<void> => {
    await page.screenshot({ path: `${root}test/output/demo-${name}.png` });
  };

  /** Rows of other players, written into the file beside the running demo: through the gate they would share our address's limits. */
  async function seed(entries: readonly (readonly [name: string, score: number])[]): Promise<void> {
    const client = new DatabaseSync(env.DEMO_DB);
    const board = sqliteBoard(client);
    const at = Date.now();
    const rules = { periods: periodsOf(at), order: "desc", operator: "best", min: 0, max: MAX_SCORE } as const;
    for (const [name, score] of entries) {
      const entry = {
        board: "ember-ring",
        player: name,
        score,
        at,
        submission: `${name} ${score}`,
        level: "claimed",
        flags: [],
        name,
      } as const;
      await board.submit(entry, rules);
    }
    client.close();
  }

  /** A page, and everything that it complained about. */
  async function open(options: BrowserContextOptions, query = ""): Promise<{ page: Page; complaints: string[] }> {
    const page = await (await browser.newContext(options)).newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(`${demo.url}/${query}`);
    return { page, complaints };
  }

  const visible = (page: Page, selector: string): Promise<boolean> => page.locator(selector).isVisible();

  /** Presses keys until the run is over. */
  async function playOut(page: Page): Promise<void> {
    const keys = ["ArrowLeft", "ArrowRight", "Space", "KeyA", "KeyD", "ArrowDown"];
    for (let press = 0; !(await visible(page, "#screen-result")); press++) {
      await page.keyboard.press(keys[(press * 5) % keys.length] ?? "Space");
      await page.waitForTimeout(90);
    }
  }

  /** What an element said since: its new texts, or the names of its parts that lit up. However short, nothing is missed. */
  async function watch(page: Page, selector: string): Promise<() => Promise<string[]>> {
    const log = await page.evaluateHandle((watched) => {
      const said: string[] = [];
      const target = document.querySelector(watched);
      const observer = new MutationObserver((records) => {
        for (const { type, target: changed } of records) {
          if (type === "childList") said.push(changed.textContent ?? "");
          else if (changed instanceof Element && changed.classList.contains("hit"))
            said.push(changed.querySelector("b")?.textContent ?? "");
        }
      });
      if (target) observer.observe(target, { childList: true, subtree: true, attributeFilter: ["class"] });
      return said;
    }, selector);
    return () => log.jsonValue();
  }

  async function settled(page: Page): Promise<string> {
    await page.waitForFunction(() => !/^(Time!|)$/.test(document.querySelector("#result-title")?.textContent ?? ""), null, {
      timeout: 15_000,
    });
    return (await page.textContent("#result-title")) ?? "";
  }

  it("a blocked bot check is told kindly, the game plays all the same, and a later try brings the run to the board", async () => {
    const page = await (await browser.newContext(DESKTOP)).newPage();
    await page.route("**/turnstile/**", (route) => route.abort());
    await page.goto(`${demo.url}/?speed=20`);
    await page.waitForSelector('#gate[data-state="trouble"]', { timeout: 20_000 });
    expect(await visible(page, "#gate-retry")).toBe(true);
    await shoot(page, "blocked");
    await page.click("#play");
    await page.waitForSelector("#retry", { timeout: 20_000 });
    expect(await page.textContent("#verdict")).toContain("could not load");
    expect(await visible(page, "#name-form")).toBe(false);
    await page.unroute("**/turnstile/**");
    await page.click("#retry");
    await page.waitForSelector("#name-form", { timeout: 20_000 });
    expect(await page.textContent("#result-title")).toBe("You made the board!");
    expect(await page.getAttribute("#gate", "data-state")).toBe("ready");
    await page.context().close();
  }, 120_000);

  it("offline at the end, the score waits on the page until the network is back", async () => {
    const { page } = await open(DESKTOP, "?speed=20");
    await page.waitForSelector('#gate[data-state="ready"]');
    await page.click("#play");
    await page.waitForSelector("#screen-count", { state: "hidden" });
    await page.context().setOffline(true);
    await page.waitForSelector("#retry", { timeout: 20_000 });
    expect(await page.textContent("#verdict")).toContain("offline");
    expect(await page.textContent("#board-note")).toContain("cannot be read");
    await page.context().setOffline(false);
    await page.click("#retry");
    await page.waitForSelector("#name-form", { timeout: 20_000 });
    await page.context().close();
  }, 120_000);

  it("a whole run: start, countdown, play, result, a name, the board; and the score survives a restart", async () => {
    const { page, complaints } = await open(DESKTOP, "?speed=10");
    await page.waitForSelector('#gate[data-state="ready"]');
    await page.waitForTimeout(500);
    await shoot(page, "start");
    const counted = await watch(page, "#count");
    await page.click("#play");
    await page.waitForSelector("#screen-count", { state: "hidden" });
    expect(await counted()).toEqual(["3", "2", "1"]);
    await page.waitForFunction(() => Number(document.querySelector("#time")?.textContent) <= 50);
    await shoot(page, "play");
    await playOut(page);
    expect(await settled(page)).toBe("You made the board!");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("name");
    await shoot(page, "result");
    const score = Number((await page.textContent("#final"))?.replace(/\D/g, ""));
    expect(score).toBeGreaterThan(0);
    expect(await readBoard(send)).toEqual([]);

    await page.fill("#name", "Wren‮");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("#name-problem")?.textContent !== "");
    expect(await page.getAttribute("#name", "aria-invalid")).toBe("true");
    await page.fill("#name", "Wren");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#rows .me");
    expect(await page.textContent("#result-title")).toBe("Top of the board!");
    expect(await page.textContent("#rows .me .name")).toBe("Wrenyou");
    expect((await page.textContent("#rows .me .points"))?.replace(/\D/g, "")).toBe(String(score));
    expect(await readBoard(send)).toEqual([`Wren ${score}`]);
    await seed(
      NEIGHBOURS.slice(0, 8).map((name, index) => [name, index < 6 ? score + 270 * (6 - index) : Math.max(1, score - 100 * (index - 5))]),
    );
    for (const [tab, count] of [
      ["[data-period=all]", 9],
      ["[data-view=around]", 9],
      ["[data-period=today]", 9],
      ["[data-view=top]", 9],
    ] as const) {
      await page.click(`.board ${tab}`);
      await page.waitForFunction((rows) => document.querySelectorAll("#rows:not([aria-busy]) li").length === rows, count);
      expect(await page.textContent("#rows .me .rank")).toBe("7");
    }
    await shoot(page, "board");
    const expected = (await readBoard(send)).slice();
    expect(expected).toHaveLength(9);
    expect(complaints).toEqual([expect.stringContaining("422")]);
    // The next visit is the same player's.
    await page.reload();
    await page.waitForSelector("#rows .me");
    expect(await page.textContent("#rows .me .name")).toBe("Wrenyou");
    await page.context().close();

    await demo.stop();
    demo = await startDemo("node", env);
    expect(await readBoard(send)).toEqual(expected);
    const after = await open(DESKTOP);
    await after.page.waitForFunction(() => document.querySelectorAll("#rows li").length === 9);
    expect(await after.page.locator("#rows").textContent()).toContain("Wren");
    expect(after.complaints).toEqual([]);
    await after.page.context().close();
  }, 150_000);

  it("asks no name of a run that does not qualify, on a phone, by touch", async () => {
    await seed(NEIGHBOURS.map((name, index) => [name, 9120 - 510 * index]));
    const { page, complaints } = await open(PHONE, "?speed=12");
    await page.waitForSelector('#gate[data-state="ready"]');
    await page.waitForTimeout(1200);
    await shoot(page, "phone-start");
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    await page.tap("#play");
    await page.waitForSelector("#screen-count", { state: "hidden" });
    for (const [x, label] of [
      [60, "In"],
      [195, "Turn"],
      [330, "Out"],
    ] as const) {
      const hit = await watch(page, "#zones");
      await page.touchscreen.tap(x, 600);
      await expect.poll(hit).toEqual([label]);
    }
    await shoot(page, "phone-play");
    await page.waitForSelector("#screen-result", { timeout: 20_000 });
    expect(await settled(page)).toBe("Not this time");
    expect(await visible(page, "#name-form")).toBe(false);
    await expect.poll(() => page.textContent("#verdict")).toMatch(/more and today's board/);
    await shoot(page, "phone-result");
    expect(complaints).toEqual([]);
    await page.context().close();
  }, 120_000);

  it("the keys of either hand press the three buttons, and the picture is as sharp as the screen at any size", async () => {
    const { page } = await open({ viewport: { width: 700, height: 500 }, deviceScaleFactor: 1.5 });
    const sharp = (): Promise<boolean> =>
      page.evaluate(() => {
        const { width, height, clientWidth, clientHeight } = document.querySelector("canvas") ?? new HTMLCanvasElement();
        const ratio = window.devicePixelRatio;
        return clientWidth > 0 && width === Math.round(clientWidth * ratio) && height === Math.round(clientHeight * ratio);
      });
    await page.waitForFunction(() => document.querySelector("canvas")?.width);
    expect(await page.evaluate(() => window.devicePixelRatio)).toBe(1.5);
    await expect.poll(sharp).toBe(true);
    await page.setViewportSize({ width: 1111, height: 777 });
    await expect.poll(sharp).toBe(true);
    await page.click("#play");
    await page.waitForSelector("#screen-count", { state: "hidden" });
    for (const [key, label] of [
      ["ArrowLeft", "In"],
      ["KeyD", "Out"],
      ["Space", "Turn"],
      ["KeyA", "In"],
      ["ArrowRight", "Out"],
      ["ArrowDown", "Turn"],
    ] as const) {
      const hit = await watch(page, ".zones");
      await page.keyboard.press(key);
      await expect.poll(hit).toEqual([label]);
      await page.waitForTimeout(150);
    }
    await page.context().close();
  });

  it("a hidden tab ends the run, Escape does, and nothing is kept", async () => {
    const before = await readBoard(send);
    const { page } = await open(DESKTOP);
    await page.click("#play");
    await shoot(page, "countdown");
    await page.waitForSelector("#screen-count", { state: "hidden" });
    await page.evaluate(() => {
      Object.defineProperty(document, "visibilityState", { configurable: true, value: "hidden" });
      document.dispatchEvent(new Event("visibilitychange"));
      Object.defineProperty(document, "visibilityState", { configurable: true, value: "visible" });
    });
    expect(await page.textContent("#result-title")).toBe("The light went out");
    expect(await visible(page, "#final")).toBe(false);
    await page.click("#again");
    await page.keyboard.press("Escape");
    expect(await page.textContent("#result-title")).toBe("Run ended");
    expect(await visible(page, "#name-form")).toBe(false);
    expect(await readBoard(send)).toEqual(before);
    await page.context().close();
  });

  it("keeps still where motion is unwelcome, and stays within reach of the keyboard", async () => {
    const { page, complaints } = await open({ ...DESKTOP, reducedMotion: "reduce" });
    await page.waitForFunction(() => document.querySelector("canvas")?.width);
    await page.waitForTimeout(300);
    const picture = (): Promise<string> => page.evaluate(() => document.querySelector("canvas")?.toDataURL() ?? "");
    const first = await picture();
    await page.waitForTimeout(400);
    expect(await picture()).toBe(first);
    const reached: string[] = [];
    for (let tab = 0; tab < 9; tab++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim() || ""));
    }
    expect(reached).toEqual(expect.arrayContaining(["sound", "play", "Today", "All time", "Top ten", "Around me"]));
    await page.focus("#play");
    await page.keyboard.press("Space");
    expect(await visible(page, "#hud")).toBe(true);
    await page.keyboard.press("Escape");
    // Silent until somebody wants it otherwise, and then at the next visit too.
    expect(await page.getAttribute("#sound", "aria-pressed")).toBe("false");
    await page.click("#sound");
    await page.reload();
    expect(await page.getAttribute("#sound", "aria-pressed")).toBe("true");
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  describeWith("Redis", hasRedis())("with a store that is away", () => {
    it("says that the board rests, lets the game be played, and goes on when the store is back", async () => {
      const redis = await startRedis();
      await redis.stop();
      const other = await startDemo("node", { STORE: redis.url });
      try {
        const page = await browser.newPage(DESKTOP);
        await page.goto(other.url);
        await page.waitForSelector("#board-retry:not([hidden])");
        expect(await page.textContent("#board-note")).toBe(
          "The board cannot be read right now. The board is having a rest. Please try again shortly.",
        );
        await shoot(page, "store-away");
        await page.click("#play");
        await page.waitForSelector("#screen-count", { state: "hidden" });
        expect(await visible(page, "#hud")).toBe(true);
        await page.keyboard.press("Escape");
        await redis.start();
        await until("the demo has found its store", () => other.said().includes("answers\n"));
        await page.click("#board-retry");
        await page.waitForSelector("#board-retry", { state: "hidden" });
        expect(await page.textContent("#board-note")).toBe("Nobody has signed today. The first line could be yours.");
        await page.close();
      } finally {
        await other.stop();
        await redis.dispose();
      }
    }, 60_000);
  });
});
