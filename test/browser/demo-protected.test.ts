import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { buildDemo, type RunningDemo, startDemo } from "../helpers/demo.ts";
import { root } from "../helpers/sources.ts";

const DESKTOP: BrowserContextOptions = { viewport: { width: 1440, height: 900 }, colorScheme: "dark" };
const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** As `expect.poll`, with patience for a busy machine. */
const soon = <T>(read: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(read, { timeout: 10_000 });

describeBrowser("the demo's protected API", () => {
  const folder = mkdtempSync(`${tmpdir()}/ember-ring-`);
  let browser: Browser;
  let demo: RunningDemo;

  beforeAll(async () => {
    buildDemo();
    demo = await startDemo("node", { DEMO_DB: `${folder}/board.sqlite` });
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await demo?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The page, and everything that it complained about. A refusal is none: the browser itself prints each. */
  async function open(options: BrowserContextOptions = DESKTOP): Promise<{ page: Page; complaints: string[] }> {
    const page = await (await browser.newContext(options)).newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (/error|warning/.test(message.type()) && !/status of (401|403|409|429)/.test(message.text())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(`${demo.url}/protected`);
    await page.waitForSelector('[data-preview="payment"]:not(:empty)');
    return { page, complaints };
  }
  const shoot = async (page: Page, name: string): Promise<void> => {
    await page.screenshot({ path: `${root}test/output/protected-${name}.png` });
  };

  /** Sends a form, and says what came of it. */
  async function send(page: Page, route: string): Promise<{ decision: string; steps: string[] }> {
    const form = page.locator(`form[data-route="${route}"]`);
    await form.locator("button").click();
    await form.and(page.locator(":not([aria-busy])")).waitFor();
    return {
      decision: (await page.getAttribute("#decision", "data-decision")) ?? "",
      steps: await page.locator("#steps li").allInnerTexts(),
    };
  }
  const set = (page: Page, signal: string, value: number): Promise<void> => page.locator(`#signal-${signal}`).fill(String(value));
  const chip = async (page: Page, route: string): Promise<string> => (await page.textContent(`[data-preview="${route}"]`)) ?? "";
  const reasons = (page: Page): Promise<string[]> => page.locator("#reasons li").allInnerTexts();
  const flat = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/\s+/g, " "));
  const held = async (page: Page): Promise<string[]> =>
    flat(await page.locator("#held li").allInnerTexts()).map((line) => line.replace(/ \d+:\d\d$/, ""));

  const challenged = (method: string, path: string, status: number): string[] => [
    `${method} ${path} 403 TURNSTILE_REQUIRED`,
    "The challenge was solved in the page",
    "POST /api/security/turnstile/verify 200",
    `${method} ${path} X-App-Clearance ${status}`,
  ];

  it("log-in goes through while it is harmless, and six wrong passwords later asks for a challenge", async () => {
    const { page, complaints } = await open();
    expect(await chip(page, "login")).toBe("allow · 20");
    const first = await send(page, "login");
    expect([first.decision, flat(first.steps)]).toEqual(["allow", ["POST /api/auth/login 200"]]);
    expect(flat(await reasons(page))).toEqual(["Sensitive path +20"]);
    await page.fill("input[name=password]", "wrong");
    for (let guess = 1; guess <= 6; guess++)
      expect(flat((await send(page, "login")).steps)).toEqual(["POST /api/auth/login 401 LOGIN_FAILED"]);
    await page.fill("input[name=password]", "ember");
    const seventh = await send(page, "login");
    expect([seventh.decision, flat(seventh.steps)]).toEqual(["challenge", challenged("POST", "/api/auth/login", 200)]);
    // The gate counted them by itself: the controls are at rest.
    expect(flat(await reasons(page))).toEqual(["Sensitive path +20", "Failed log-ins +40"]);
    expect(await held(page)).toEqual(["/api/auth/login 4 of 5"]);
    const eighth = await send(page, "login");
    expect([eighth.decision, flat(eighth.steps)]).toEqual(["cleared", ["POST /api/auth/login X-App-Clearance 200"]]);
    expect(await held(page)).toEqual(["/api/auth/login 3 of 5"]);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("a one-time code takes a clearance of one use each time; its limits and its risk end it", async () => {
    const { page, complaints } = await open();
    for (let code = 1; code <= 2; code++) {
      const { decision, steps } = await send(page, "otp");
      expect([decision, flat(steps)]).toEqual(["challenge", challenged("POST", "/api/otp/request", 202)]);
      expect(await held(page)).toEqual([]);
    }
    expect(await page.textContent("#answer")).toContain("No message is really sent");
    expect(await page.textContent("#challenge-action")).toBe("otp_request");
    expect(await page.textContent("#challenge-cdata")).toMatch(/^[\w-]{22}$/);
    expect(await page.textContent("#challenge-expires")).toMatch(/^(5:00|4:5\d)$/);
    expect((await send(page, "otp")).decision).toBe("challenge");
    const fourth = await send(page, "otp");
    expect([fourth.decision, flat(fourth.steps)]).toEqual(["deny", ["POST /api/otp/request 403 REQUEST_DENIED"]]);
    expect(flat(await reasons(page))).toEqual(["Sensitive path +30", "Codes asked for +50"]);
    // Another device with another number is somebody else.
    await page.click("#stranger");
    expect((await send(page, "otp")).decision).toBe("challenge");
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("search: one control after the other turns allow into count, challenge and deny, as the card foretold", async () => {
    const { page, complaints } = await open();
    const expected = [
      ["allow · 0", "allow", "GET /api/search 200"],
      ["count · 30", "limit", "GET /api/search 200"],
      ["challenge · 55", "challenge", "GET /api/search 403 TURNSTILE_REQUIRED"],
      ["deny · 95", "deny", "GET /api/search X-App-Clearance 403 REQUEST_DENIED"],
    ] as const;
    const turns = [() => undefined, () => set(page, "botScore", 12), () => page.check("#signal-badIp"), () => set(page, "failedLogins", 9)];
    for (const [i, [foretold, decided, first]] of expected.entries()) {
      await turns[i]?.();
      await soon(() => chip(page, "search")).toBe(foretold);
      const { decision, steps } = await send(page, "search");
      expect([decision, flat(steps)[0]]).toEqual([decided, first]);
      await page.waitForTimeout(450);
      await shoot(page, `desktop-${decided}`);
    }
    expect(flat(await reasons(page))).toEqual(["Bot score +30", "Known bad address +25", "Failed log-ins +40"]);
    expect(await page.getAttribute("#meter", "aria-label")).toBe("Risk 95 of 100");
    // A discount does not carry anybody below a denial; without the failures it does.
    await page.check("#signal-attestation");
    expect((await send(page, "search")).decision).toBe("deny");
    await set(page, "failedLogins", 0);
    expect((await send(page, "search")).decision).toBe("allow");
    await page.click("#rest");
    await soon(() => chip(page, "search")).toBe("allow · 0");
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("a payment takes a fresh clearance of one use; at a high risk the application is to ask for more", async () => {
    const { page, complaints } = await open();
    for (let payment = 1; payment <= 2; payment++) {
      const { decision, steps } = await send(page, "payment");
      expect([decision, flat(steps)]).toEqual(["challenge", challenged("POST", "/api/payment/charge", 201)]);
      expect(await held(page)).toEqual([]);
    }
    await page.check("#signal-honeypot");
    const third = await send(page, "payment");
    expect([third.decision, flat(third.steps)]).toEqual(["step_up", ["POST /api/payment/charge 403 STEP_UP_REQUIRED"]]);
    expect(await page.textContent("#word")).toBe("Asked for more");
    const events = await page.locator("#log code").allInnerTexts();
    expect(events).toEqual(["high_risk_api_blocked"]);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("the policy is edited in place: what is wrong is said, what it would do is shown, and applying it does it, for this page alone", async () => {
    const { page, complaints } = await open();
    const other = await open();
    const would = async (): Promise<string[]> => flat(await page.locator("#would tr").allInnerTexts());
    expect((await would())[2]).toBe("GET /api/search risk-based 0 allow");
    await page.fill("#policy-text", '{ "risk_based": [{ "path": "/api/search", "tll": 900 }] }');
    await page.waitForSelector("#policy-text[aria-invalid=true]");
    expect(await page.textContent("#policy-problem")).toContain("risk_based.0");
    expect(await page.isDisabled("#policy-apply")).toBe(true);
    await page.fill(
      "#policy-text",
      '{ "always_require_clearance": [{ "path": "/api/search", "max_uses": 2 }, { "path": "/api/payment/*", "when": "large" }] }',
    );
    await expect
      .poll(would)
      .toEqual([
        "POST /api/auth/login no entry 20 allow",
        "POST /api/otp/request no entry 30 count",
        "GET /api/search always 0 challenge 2 uses, 15 min",
        "POST /api/payment/charge no entry 30 count",
      ]);
    await page.fill("input[name=amount]", "500");
    await soon(async () => (await would())[3]).toBe("POST /api/payment/charge always 30 challenge 20 uses, 15 min");
    expect(await page.textContent("#policy-state")).toBe("edited, not applied");
    expect((await send(page, "search")).decision).toBe("allow");
    await page.click("#policy-apply");
    await soon(() => page.textContent("#policy-state")).toBe("in force");
    const search = await send(page, "search");
    expect([search.decision, flat(search.steps)]).toEqual(["challenge", challenged("GET", "/api/search", 200)]);
    expect(await held(page)).toEqual(["/api/search 1 of 2"]);
    await send(page, "search");
    expect(await held(page)).toEqual([]);
    expect((await send(page, "search")).steps).toHaveLength(4);
    await page.fill("input[name=amount]", "100");
    expect((await send(page, "payment")).decision).toBe("limit");
    await page.fill("input[name=amount]", "101");
    expect((await send(page, "payment")).decision).toBe("challenge");
    await page.locator("#policy").scrollIntoViewIfNeeded();
    await shoot(page, "desktop-policy");
    // The other page has the demo's own policy still, and so has this one again.
    expect((await send(other.page, "search")).decision).toBe("allow");
    // What the text alone cannot tell is said by the gate.
    await page.fill("#policy-text", '{ "risk_based": [{ "path": "/api/search", "limits": ["unheard-of"] }] }');
    await page.click("#policy-apply");
    await soon(() => page.textContent("#policy-problem")).toContain('unknown limit "unheard-of"');
    expect((await send(page, "search")).decision).toBe("cleared");
    await page.click("#policy-back");
    await soon(() => page.textContent("#policy-state")).toBe("in force");
    // What was issued on looser terms (20 uses) is nothing to stricter ones (one use).
    expect((await send(page, "payment")).decision).toBe("challenge");
    await page.click("#stranger");
    expect((await send(page, "payment")).decision).toBe("challenge");
    expect((await send(page, "search")).decision).toBe("allow");
    expect([...complaints.filter((text) => !text.includes("422")), ...other.complaints]).toEqual([]);
    await page.context().close();
    await other.page.context().close();
  });

  it("max_uses: 1 of a clearance in hand: the same bytes again are a replay, and a stranger who overhears it gets nothing", async () => {
    const { page } = await open();
    const sent: { headers: Record<string, string>; body: string }[] = [];
    page.on("request", (request) => {
      if (request.url().endsWith("/api/payment/charge") && request.headers()["x-app-clearance"])
        sent.push({ headers: request.headers(), body: request.postData() ?? "" });
    });
    await send(page, "payment");
    expect(sent).toHaveLength(1);
    const [{ headers, body } = { headers: {}, body: "" }] = sent;
    const again = async (more: Record<string, string>): Promise<[number, string]> => {
      const answer = await fetch(`${demo.url}/api/payment/charge`, {
        method: "POST",
        headers: {
          "x-app-clearance": headers["x-app-clearance"] ?? "",
          "x-device-id": headers["x-device-id"] ?? "",
          "content-type": "application/json",
          ...more,
        },
        body,
      });
      return [answer.status, Object(await answer.json()).error];
    };
    expect(await again({})).toEqual([403, "CLEARANCE_EXPIRED"]);
    expect(await again({ "x-device-id": "another" })).toEqual([403, "TURNSTILE_REQUIRED"]);
    await page.context().close();
  });

  it("by keyboard alone, without motion where it is unwelcome, and in the light of day", async () => {
    const keys = await open({ ...DESKTOP, reducedMotion: "reduce" });
    const reached: string[] = [];
    for (let tab = 0; tab < 40; tab++) {
      await keys.page.keyboard.press("Tab");
      reached.push(
        await keys.page.evaluate(
          () =>
            document.activeElement?.id || document.activeElement?.getAttribute("name") || document.activeElement?.textContent?.trim() || "",
        ),
      );
    }
    expect(reached[0]).toBe("Skip to the requests");
    expect(reached).toEqual(
      expect.arrayContaining([
        "account",
        "phone",
        "q",
        "amount",
        "Search",
        "signal-botScore",
        "signal-badIp",
        "stranger",
        "policy-text",
        "policy-apply",
      ]),
    );
    await keys.page.focus("#signal-botScore");
    await keys.page.keyboard.press("Home");
    await keys.page.focus("#signal-badIp");
    await keys.page.keyboard.press("Space");
    await keys.page.focus("input[name=q]");
    await keys.page.keyboard.press("Enter");
    await keys.page.waitForSelector('#decision[data-decision="challenge"]');
    expect(await keys.page.textContent("#live")).toBe("Asked for a challenge. It was passed, and the request went through. Risk 55.");
    expect(await keys.page.evaluate(() => getComputedStyle(document.querySelector("#needle") ?? document.body).transitionDuration)).toBe(
      "0s",
    );
    expect(keys.complaints).toEqual([]);
    await keys.page.context().close();

    const day = await open({ ...DESKTOP, colorScheme: "light" });
    await set(day.page, "botScore", 12);
    await day.page.check("#signal-badIp");
    await send(day.page, "search");
    await day.page.waitForTimeout(450);
    await shoot(day.page, "desktop-light");
    await day.page.context().close();
  });

  it.each(["dark", "light"] as const)("on a phone, %s", async (colorScheme) => {
    const { page, complaints } = await open({ ...PHONE, colorScheme });
    await shoot(page, `phone-${colorScheme}`);
    await page.locator("form[data-route=payment] button").tap();
    await page.waitForSelector('#decision[data-decision="challenge"]');
    // It is brought into view.
    await soon(() => page.evaluate(() => document.querySelector("#decision")?.getBoundingClientRect().top ?? 0)).toBeLessThan(400);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    await page.waitForTimeout(600);
    await shoot(page, `phone-${colorScheme}-outcome`);
    await page.locator("#signals").scrollIntoViewIfNeeded();
    await page.locator("#stranger").scrollIntoViewIfNeeded();
    await shoot(page, `phone-${colorScheme}-signals`);
    await page.locator(".would").scrollIntoViewIfNeeded();
    await shoot(page, `phone-${colorScheme}-policy`);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("a challenge that cannot come up is told, and the next try works", async () => {
    const { page } = await open();
    await page.route("**/turnstile/**", (route) => route.abort());
    const { decision, steps } = await send(page, "otp");
    expect([decision, flat(steps)]).toEqual(["challenge", ["POST /api/otp/request 403 TURNSTILE_REQUIRED"]]);
    expect(await page.textContent("#what")).toContain("could not load");
    expect(await page.getAttribute("#gate", "data-state")).toBe("trouble");
    await page.unroute("**/turnstile/**");
    expect((await send(page, "otp")).steps).toHaveLength(4);
    await page.context().close();
  });

  it("signals, policy and log of a page are for this machine's own name, and for a page that asks with its own header", async () => {
    const { request } = await import("node:http");
    const { port } = new URL(demo.url);
    const ask = (
      host: string,
      path: string,
      method = "GET",
      headers: Record<string, string> = {},
      body = "",
    ): Promise<[number | undefined, string]> =>
      new Promise((resolve, reject) => {
        const asked = request({ port, host: "127.0.0.1", path, method, headers: { host, ...headers } }, (answer) => {
          let text = "";
          answer.on("data", (chunk) => (text += chunk)).on("end", () => resolve([answer.statusCode, text]));
        });
        asked.on("error", reject).end(body);
      });
    const page = { "x-demo-page": "a-page-of-the-tests" };
    const harmless = { ...page, "x-demo-signals": '{"botScore":1,"badIp":true,"honeypot":true}', "x-device-id": "d1" };
    const here = `localhost:${port}`;
    expect(await ask(here, "/api/search?q=rock", "GET", harmless)).toEqual([403, '{"error":"REQUEST_DENIED"}']);
    expect((await ask("ember.example", "/api/search?q=rock", "GET", harmless))[0]).toBe(200);
    expect((await ask(here, "/protected/log", "GET", page))[1]).toContain("high_risk_api_blocked");
    for (const [host, headers] of [
      ["ember.example", page],
      [here, {}],
    ] as const) {
      expect((await ask(host, "/protected/log", "GET", headers))[0]).toBe(404);
      expect((await ask(host, "/protected/policy", "PUT", headers, "{}"))[0]).toBe(405);
    }
    expect(await ask(here, "/protected/policy", "PUT", page, "no json")).toEqual([422, expect.stringContaining("error")]);
    expect((await ask(here, "/protected/policy", "PUT", page, `"${"x".repeat(70_000)}"`))[0]).toBe(413);
    // Nobody answers the preflight of a page elsewhere.
    const preflight = {
      origin: "https://evil.example",
      "access-control-request-method": "PUT",
      "access-control-request-headers": "x-demo-page",
    };
    expect((await ask(here, "/protected/policy", "OPTIONS", preflight))[0]).toBe(405);
  });

  it("in production the same policy holds, and nothing of the page's own counts", async () => {
    const production = await startDemo("node", {
      DEMO_DB: `${folder}/production.sqlite`,
      TURNSTILE_SECRET_KEY: "0x4AAAAAAAa_secret_of_the_tests",
      TURNSTILE_SITE_KEY: "0x4AAAAAAAsitekey",
      SESSION_SIGNING_SECRET: "a signing secret of the tests that is 32 bytes or longer",
      PUBLIC_HOSTNAMES: "localhost",
    });
    try {
      const headers = { "x-demo-page": "a-page-of-the-tests", "x-demo-signals": '{"botScore":1,"badIp":true,"honeypot":true}' };
      const send = (path: string, init: RequestInit = {}): Promise<Response> => fetch(production.url + path, { headers, ...init });
      expect((await send("/api/search?q=rock")).status).toBe(200);
      expect((await send("/protected/log")).status).toBe(404);
      expect((await send("/protected/policy", { method: "PUT", body: "{}" })).status).toBe(405);
      const otp = await send("/api/otp/request", { method: "POST", body: '{"phone":"+447700900000"}' });
      expect([otp.status, await otp.json()]).toEqual([
        403,
        expect.objectContaining({ error: "TURNSTILE_REQUIRED", action: "otp_request", max_uses: 1, sitekey: "0x4AAAAAAAsitekey" }),
      ]);
      const page = await (await browser.newContext(DESKTOP)).newPage();
      await page.goto(`${production.url}/protected`);
      await page.waitForSelector('[data-preview="payment"]:not(:empty)');
      expect([await page.isVisible("#signals"), await page.isVisible("#policy-apply"), await page.isVisible("#policy-text")]).toEqual([
        false,
        false,
        true,
      ]);
      expect((await send("/api/search")).headers.get("x-demo-page")).toBeNull();
      const { decision, steps } = await (async () => {
        await page.click("form[data-route=search] button");
        await page.waitForSelector("#told:not([hidden])");
        return { decision: await page.getAttribute("#decision", "data-decision"), steps: await page.locator("#steps li").allInnerTexts() };
      })();
      expect([decision, flat(steps), await page.isVisible("#log-box")]).toEqual(["allow", ["GET /api/search 200"], false]);
      await shoot(page, "production");
      await page.context().close();
    } finally {
      await production.stop();
    }
  });
});
