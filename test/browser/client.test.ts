import { expect, it } from "vitest";
import { closedAfterEach, describeBrowsers } from "../helpers/browsers.ts";
import { type ClientPage, type ClientSetup, LAYER, openClientPage, SHOWN, STRICT, tickBox } from "../helpers/client-page.ts";
import { refusal } from "../helpers/client-server.ts";
import { serve } from "../helpers/serve.ts";

const code = (call: string): string => `return ${call}.then(() => "no error", (error) => error.code);`;

describeBrowsers("the client in a browser", (browser, { name, old }) => {
  const opened = closedAfterEach<ClientPage>();
  const visit = async (setup?: ClientSetup): Promise<ClientPage> => opened(await openClientPage(browser(), setup));
  /** A page whose `window.client` was made with `more` options; `window.states` are the states it went through. */
  const withClient = async (more = "", setup?: ClientSetup): Promise<ClientPage> => {
    const site = await visit(setup);
    await site.run(
      `window.states = []; window.client = createClient({ ...options, onState: (state) => window.states.push(state), ${more} });`,
    );
    return site;
  };

  it("a score gets onto the board under a strict policy: nonce, Trusted Types, no inline style, no eval", async () => {
    const site = await withClient();
    expect(await site.run("return client.submitScore({ score: 12 });")).toEqual({ id: "r1", rank: 1, best: true });
    expect(site.api.calls("POST /scores")).toMatchObject([{ credential: "s1", body: { score: 12 } }]);
    expect(await site.run("return [client.state, window.states];")).toEqual(["ready", ["loading", "ready"]]);
    expect(site.said).toEqual([]);
    expect(site.thrown).toEqual([]);
  });

  if (old)
    it("what is newer than the oldest supported browsers is not there", async () => {
      const site = await visit();
      const gone = [
        "AbortSignal.any",
        "AbortSignal.timeout",
        "URL.canParse",
        "Response.json",
        "Promise.withResolvers",
        "Array.prototype.findLast",
      ];
      const types = [...gone, "window.trustedTypes", "Element.prototype.requestFullscreen", "HTMLElement.prototype.showPopover"].map(
        (name) => `typeof ${name}`,
      );
      expect(await site.run(`return [${types.join()}, "ariaLabel" in document.body, "inert" in document.body];`)).toEqual([
        ...types.map(() => "undefined"),
        false,
        false,
      ]);
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

  it("users.md 4: hold: no challenge and no refresh while a game runs, and then at once", async () => {
    const site = await withClient("", { fakeTime: true });
    await site.run("await client.start(); window.release = client.hold(); window.second = client.hold();");
    expect(site.emulator.control.counts().challenges).toBe(1);
    await site.runFor(400_000);
    await site.run("window.pending = client.session().then((token) => (window.got = token));");
    await site.run("await client.fetch('/api/scores');");
    await site.run("window.release(); window.release();");
    await site.runFor(60_000);
    expect(site.emulator.control.counts().challenges).toBe(1);
    // A read goes on without a session: nothing was asked of anybody.
    expect(site.api.calls("GET /scores")).toMatchObject([{ credential: "" }]);
    await site.run("window.second();");
    await drive(site, "window.got === 's2'");
    expect(site.emulator.control.counts().challenges).toBe(2);
    expect(site.said).toEqual([]);
  });

  it("users.md 4: a person who is asked meanwhile sees the box after the game, labelled, and not before", async () => {
    const site = await withClient("", { sitekey: MANAGED });
    site.emulator.control.fault({ kind: "interaction" });
    await site.run("window.pending = client.session(); await 0;");
    await site.until("client.state === 'interactive'");
    expect(await site.page.evaluate(SHOWN)).toBe(true);
    expect(await site.page.evaluate(`[${LAYER}.getAttribute("aria-label"), ${LAYER}.textContent]`)).toEqual([
      "Security check",
      "Security check",
    ]);
    await site.run("window.release = client.hold();");
    expect(await site.page.evaluate(SHOWN)).toBe(false);
    await site.run("window.release();");
    expect(await site.page.evaluate(SHOWN)).toBe(true);
    await tickBox(site);
    expect(await site.run("return window.pending;")).toBe("s1");
    expect(await site.page.evaluate(SHOWN)).toBe(false);
    expect(await site.run("return window.states;")).toEqual(["loading", "interactive", "loading", "ready"]);
    expect(site.said).toEqual([]);
  });

  it("users.md 4: a session is refreshed 45 s before it dies, while visible", async () => {
    const site = await withClient("", { fakeTime: true });
    await site.run("await client.start();");
    await site.runFor(253_000);
    expect(site.emulator.control.counts().challenges).toBe(1);
    await site.runFor(3_000);
    await drive(site, () => site.api.sessions.length === 2);
    await drive(site, "client.session().then((token) => (window.token = token)), window.token === 's2'");
    expect(site.api.sessions).toEqual(["s1", "s2"]);
    expect(site.said).toEqual([]);
  });

  it("users.md 5: a hidden tab refreshes nothing and never sends what has expired", async () => {
    const site = await withClient("", { fakeTime: true });
    await site.run("await client.start();");
    await show(site, false);
    await site.runFor(400_000);
    expect(site.emulator.control.counts().challenges).toBe(1);
    await show(site, true);
    await site.runFor(1_000);
    // Just in time: the next write makes one.
    expect(site.emulator.control.counts().challenges).toBe(1);
    await site.run("client.submitScore({ score: 3 }).then(() => (window.done = true));");
    await drive(site, "window.done === true");
    expect(site.api.calls("POST /scores")).toMatchObject([{ credential: "s2" }]);
  });

  it("users.md 5: after sleep, when one clock stood still, the other tells that the session is over", async () => {
    const site = await withClient();
    await site.run("await client.start();");
    // The wall clock jumps, `performance.now` does not: what a device does that sleeps.
    await site.run("const now = Date.now; Date.now = () => now() + 3_600_000;");
    expect(await site.run("return client.session();")).toBe("s2");
    // The wall clock was set back: the other one tells.
    await site.run(
      "const now = Date.now; Date.now = () => now() - 7_200_000; const mono = performance.now.bind(performance); performance.now = () => mono() + 400_000;",
    );
    expect(await site.run("return client.session();")).toBe("s3");
  });

  it("users.md 5: the back-forward cache: what was under way starts anew when the page is back", async () => {
    const site = await visit({ route: elsewhere });
    await site.run("window.client = createClient(options); await window.client.start();");
    // Firefox keeps no page that waits for an answer.
    site.emulator.control.fault(name === "Firefox" ? { kind: "interaction" } : { kind: "slow", ms: 60_000 });
    await site.run(
      "client.token().then((token) => (window.token = token)); addEventListener('pageshow', ({ persisted }) => (window.persisted = persisted));",
    );
    await challenged(site, 2);
    // Frames, and the spare, are gone with the page.
    await site.run("addEventListener('pagehide', () => (window.slots = document.querySelectorAll('[role=alertdialog] > div').length));");
    await site.run("location.href = '/elsewhere';");
    await site.until("document.title === 'elsewhere'");
    await site.page.evaluate("history.back()");
    await site.until("document.title === 'page' && !!window.token");
    expect(await site.run("return [window.persisted, window.slots, window.token.length > 10];")).toEqual([true, 0, true]);
    expect(site.emulator.control.counts().challenges).toBe(3);
    expect(site.said).toEqual([]);
  });

  it("users.md 5: offline is said once a request has failed, and online again works", async () => {
    const site = await withClient("watchdogMs: 1500");
    await site.page.setOffline(true);
    expect(await site.run(code("client.token()"))).toBe("ERR_CLIENT_OFFLINE");
    await site.page.setOffline(false);
    await site.run("await client.token();");
    await site.page.setOffline(true);
    expect(await site.run(code("client.submitScore({ score: 1 })"))).toBe("ERR_CLIENT_OFFLINE");
    await site.page.setOffline(false);
    expect(await site.run("return client.submitScore({ score: 1 });")).toMatchObject({ rank: 1 });
  });

  it("users.md 6: a refresh submits nothing again", async () => {
    const site = await withClient("", { fakeTime: true });
    await site.run("client.submitScore({ score: 1 }).then(() => (window.done = true));");
    await drive(site, "window.done === true");
    await site.runFor(260_000);
    await drive(site, () => site.api.sessions.length === 2);
    expect(site.api.calls("POST /session").length).toBe(2);
    expect(site.api.calls("POST /scores").length).toBe(1);
  });

  it("users.md 7: mounted, unmounted and mounted again (React's strict mode), two clients: one script, one render each", async () => {
    const site = await visit();
    const tokens = await site.run<string[]>(`
      const first = createClient(options); first.start().catch(() => {}); first.close();
      const [second, third] = [createClient(options), createClient(options)];
      const tokens = await Promise.all([second.token(), third.token(), second.token()]);
      second.close();
      tokens.push(await third.token());
      return tokens;`);
    expect(new Set(tokens).size).toBe(4);
    expect(site.emulator.control.counts()).toMatchObject({ scripts: 1, challenges: 4 });
    expect(site.said).toEqual([]);
    expect(site.thrown).toEqual([]);
  });

  it("users.md 7: the script that the page has loaded itself is used, not loaded again", async () => {
    const site = await visit({ policy: (emulator) => `script-src 'nonce-n1' ${emulator}` });
    await site.run(`const tag = document.createElement("script");
      tag.src = options.scriptUrl + "?render=explicit";
      await new Promise((resolve) => { tag.onload = resolve; document.head.append(tag); });
      window.client = createClient(options);
      await window.client.token();
      window.client.close();`);
    expect(site.emulator.control.counts().scripts).toBe(1);
    expect(await site.run("return document.scripts.length;")).toBe(2);
    expect(site.said).toEqual([]);
  });

  it("users.md 8: a script that fails is said, and can be retried", async () => {
    const site = await withClient();
    site.emulator.control.fault({ kind: "block-script" });
    expect(await site.run(code("client.session()"))).toBe("ERR_CLIENT_SCRIPT");
    expect(await site.run("return [client.state, document.scripts.length];")).toEqual(["blocked", 1]);
    expect(await site.run("return client.session();")).toBe("s1");
    expect(await site.run("return client.state;")).toBe("ready");
    // One that is blocked by the page's own policy.
    const other = await withClient("nonce: 'other'", { policy: (emulator) => STRICT(emulator).replace(" 'strict-dynamic'", "") });
    expect(await other.run(code("client.token()"))).toBe("ERR_CLIENT_SCRIPT");
  });

  // Elsewhere nobody asks for a policy.
  if (!old) {
    it("a policy that does not allow ours by name is said, with its reason", async () => {
      const site = await withClient("", {
        policy: (emulator) => STRICT(emulator).replace("trusted-types gatepass", "trusted-types other"),
      });
      expect(await site.run("return client.token().catch((error) => [error.code, error.cause.name]);")).toEqual([
        "ERR_CLIENT_CONFIG",
        "TypeError",
      ]);
    });
  }

  it("users.md 8: a frame that is blocked, by the network or by the page's policy, is told apart and can be retried", async () => {
    const site = await withClient("watchdogMs: 600");
    site.emulator.control.fault({ kind: "block-frame" });
    expect(await site.run(code("client.token()"))).toBe("ERR_CLIENT_BLOCKED");
    expect(await site.run("return client.state;")).toBe("blocked");
    expect(await site.run("return (await client.token()).length;")).toBeGreaterThan(10);
    const other = await withClient("watchdogMs: 600", {
      policy: (emulator) => STRICT(emulator).replace(/frame-src [^;]+/, "frame-src 'none'"),
    });
    expect(await other.run(code("client.token()"))).toBe("ERR_CLIENT_BLOCKED");
  });

  it("a slow challenge is alive, and not taken for a blocked frame", async () => {
    const site = await withClient("watchdogMs: 700");
    site.emulator.control.fault({ kind: "slow", ms: 1_500 });
    expect(await site.run("return (await client.token()).length;")).toBeGreaterThan(10);
  });

  it("the families of Turnstile's errors, after one widget or two, and the next call works", async () => {
    const site = await withClient("", { fakeTime: true });
    const families: [number, string, number][] = [
      [300030, "ERR_CLIENT_CHALLENGE", 2],
      [600010, "ERR_CLIENT_CHALLENGE", 2],
      [110600, "ERR_CLIENT_TIMEOUT", 2],
      [110620, "ERR_CLIENT_TIMEOUT", 1],
      [100001, "ERR_CLIENT_CHALLENGE", 1],
      [105001, "ERR_CLIENT_CONFIG", 1],
      [110100, "ERR_CLIENT_CONFIG", 1],
      [110200, "ERR_CLIENT_CONFIG", 1],
      [110420, "ERR_CLIENT_CONFIG", 1],
      [110430, "ERR_CLIENT_CONFIG", 1],
      [400020, "ERR_CLIENT_CONFIG", 1],
      [400070, "ERR_CLIENT_CONFIG", 1],
      [110500, "ERR_CLIENT_UNSUPPORTED", 1],
      [200100, "ERR_CLIENT_CHALLENGE", 1],
      [200500, "ERR_CLIENT_BLOCKED", 1],
    ];
    for (const [number, expected, widgets] of families) {
      const before = site.emulator.control.counts().challenges;
      site.emulator.control.fault({ kind: "error", code: number, repeat: 2, times: 2 });
      await site.run("window.error = undefined; client.token().catch((error) => (window.error = [error.code, error.cause, error.name]));");
      await drive(site, "window.error");
      expect(await site.run("return [...window.error, client.state];")).toEqual([
        expected,
        String(number),
        "GatepassError",
        expected === "ERR_CLIENT_BLOCKED" ? "blocked" : "failed",
      ]);
      expect([number, site.emulator.control.counts().challenges - before]).toEqual([number, widgets]);
      site.emulator.control.clear();
    }
    await site.run("client.token().then((token) => (window.token = token));");
    await drive(site, "window.token");
    expect(site.said).toEqual([]);
    expect(site.thrown).toEqual([]);
  });

  it("one error of the retryable kind is mended by one new widget", async () => {
    const site = await withClient();
    site.emulator.control.fault({ kind: "error", code: 300030 });
    expect(await site.run("return (await client.token()).length;")).toBeGreaterThan(10);
    expect(site.said).toEqual([]);
  });

  it("an unsupported browser and a person who does not come are told", async () => {
    const site = await withClient();
    site.emulator.control.fault({ kind: "unsupported" });
    expect(await site.run(code("client.token()"))).toBe("ERR_CLIENT_UNSUPPORTED");
    site.emulator.control.fault({ kind: "interaction", timeout: 300 });
    expect(await site.run(code("client.token()"))).toBe("ERR_CLIENT_TIMEOUT");
    expect(await site.page.evaluate(SHOWN)).toBe(false);
    expect(await site.run("return client.state;")).toBe("failed");
    expect(site.said).toEqual([]);
  });

  it("users.md 9: without sessions, or with the exchange down, each write takes a fresh token", async () => {
    const site = await withClient();
    site.api.next("POST /session", () => refusal(503, "UNAVAILABLE", { "retry-after": "5" }));
    await site.run("await client.submitScore({ score: 1 });");
    expect(site.api.calls("POST /scores")).toMatchObject([{ credential: "fresh" }]);
    await site.run("await client.submitScore({ score: 2 });");
    expect(site.api.calls("POST /scores")).toMatchObject([{ credential: "fresh" }, { credential: "s1" }]);
    expect(site.said.filter((line) => !line.includes("503"))).toEqual([]);
  });

  it("an abort ends one challenge, the others go on", async () => {
    const site = await withClient();
    site.emulator.control.fault({ kind: "slow", ms: 60_000 });
    await site.run(`const [running, waiting] = (window.aborts = [new AbortController(), new AbortController()]);
      const all = [client.token({ signal: running.signal }), client.token({ signal: waiting.signal }), client.token(), client.token({ signal: AbortSignal.abort() })];
      window.outcome = Promise.allSettled(all);`);
    await challenged(site, 1);
    const outcome = await site.run(`window.aborts[1].abort();
      window.aborts[0].abort("enough");
      return (await window.outcome).map(({ status, reason }) => [status, reason?.code ?? "", reason?.cause === "enough"]);`);
    expect(outcome).toEqual([
      ["rejected", "ERR_CLIENT_ABORTED", true],
      ["rejected", "ERR_CLIENT_ABORTED", false],
      ["fulfilled", "", false],
      ["rejected", "ERR_CLIENT_ABORTED", false],
    ]);
    expect(site.said).toEqual([]);
  });

  it.each([
    ["started", "await client.start();"],
    ["loading", ""],
    ["under way", "await new Promise((resolve) => setTimeout(resolve, 300));"],
    ["held", "await client.start(); client.hold(); pending.push(client.token({ action: 'other' }), client.token());"],
    ["asking a person", "while (client.state !== 'interactive') await new Promise((resolve) => setTimeout(resolve, 20));"],
  ])("close() leaves no timer, listener, node or pending promise behind: %s", async (name, doing) => {
    const site = await visit();
    await site.run(COUNT);
    if (name === "asking a person") site.emulator.control.fault({ kind: "interaction" });
    if (name === "under way") site.emulator.control.fault({ kind: "slow", ms: 10_000 });
    site.api.next("POST /x", () => new Promise(() => {}));
    await site.run("window.before = document.documentElement.outerHTML; window.client = createClient(options);");
    const left = await site.run<unknown>(`
      const pending = [client.token(), client.fetch("/api/x", { method: "POST" }), client.token({ signal: new AbortController().signal })];
      for (const one of pending) one.catch(() => {});
      ${doing}
      client.close();
      client.close();
      const timers = [...window.timers.values()];
      const same = document.documentElement.outerHTML === window.before;
      await 0; // What hangs on a signal of the caller's ends with the promise that it was for.
      await new Promise((resolve) => setTimeout(resolve));
      const at = { timers, listeners: [...window.listeners.values()], same };
      const settled = await Promise.race([Promise.allSettled(pending), new Promise((resolve) => setTimeout(resolve, 1000))]);
      const codes = settled.filter(({ status }) => status === "rejected").map(({ reason }) => reason.code);
      const later = await client.session().catch((error) => error.code);
      return { ...at, others: codes.filter((one) => one !== "ERR_CLIENT_CLOSED"), closed: codes.length > 0, later, state: client.state };`);
    expect(left).toEqual({ timers: [], listeners: [], same: true, others: [], closed: true, later: "ERR_CLIENT_CLOSED", state: "closed" });
    expect(site.said).toEqual([]);
    expect(site.thrown).toEqual([]);
  });

  it("an exception in onState reaches the page, not the challenge", async () => {
    const site = await visit();
    await site.run("window.client = createClient({ ...options, onState() { throw new Error('of the page'); } });");
    expect(await site.run("return (await client.token()).length;")).toBeGreaterThan(10);
    expect(new Set(site.thrown)).toEqual(new Set(["of the page"]));
  });

  it("the classic script: its tag says what the client is, `gatepass` is the client", async () => {
    const tag = (emulator: string): string =>
      `<div id="here"></div><div id="gatepass"></div><script nonce="n1" src="/client.js" data-cfasync="false" data-sitekey="0x4EMULATORINVISIBLE" data-start data-container="#here" data-script-url="${emulator}/turnstile/v0/api.js"></script><script nonce="n1" src="/client.js"></script>`;
    const site = await visit({ body: tag });
    await site.until("window.gatepass.state === 'ready'");
    expect(await site.run("return window.gatepass.submitScore({ score: 9 });")).toMatchObject({ rank: 1 });
    expect(site.api.calls("POST /scores")).toMatchObject([{ credential: "s1" }]);
    expect(await site.run("return [typeof createClient, document.querySelectorAll('#here [role=alertdialog]').length];")).toEqual([
      "function",
      1,
    ]);
    expect(site.said).toEqual([]);
  });

  it("nothing is stored by itself: no cookie, no storage, no database", async () => {
    const site = await withClient();
    await site.run("await client.submitScore({ score: 1 });");
    expect(
      await site.run(
        "return [document.cookie, localStorage.length, sessionStorage.length, (await indexedDB.databases?.())?.length ?? 0, (await caches.keys()).length];",
      ),
    ).toEqual(["", 0, 0, 0, 0]);
  });

  it("a <base> that somebody injected leads neither the exchange nor a score to another origin", async () => {
    const site = await withClient("", { policy: () => "" });
    const foreign: string[] = [];
    const evil = await serve((request) => {
      foreign.push(request.url);
      return Response.json({}, { headers: { "access-control-allow-origin": "*", "access-control-allow-headers": "*" } });
    });
    await site.run(`const base = document.createElement("base"); base.href = "${evil.url}/"; document.head.append(base);`);
    expect(await site.run("return [document.baseURI, (await client.submitScore({ score: 1 })).rank];")).toEqual([`${evil.url}/`, 1]);
    await evil.close();
    expect(site.api.calls("POST /session")).toHaveLength(1);
    expect(foreign).toEqual([]);
  });

  it("the session goes to our origins only, and never along a redirect", async () => {
    const site = await withClient("", { policy: () => "", route: elsewhere });
    const foreign = site.site.replace("localhost", "127.0.0.1");
    seen.length = 0;
    await site.run(`await client.start();
      await client.fetch("${foreign}/echo", { method: "POST", body: "x", mode: "no-cors" });
      window.redirected = await client.fetch("/redirect", { method: "POST" }).then(() => "followed", (error) => error.code + " " + error.message);
      window.followed = (await client.fetch("${foreign}/redirect", { method: "POST", mode: "no-cors" })).type;`);
    const [redirected, followed] = await site.run<string[]>("return [window.redirected, window.followed];");
    expect([redirected, followed]).toEqual([expect.stringMatching(/^ERR_CLIENT_REDIRECT .*\/redirect$/), "opaque"]);
    expect(seen).toEqual([
      ["/echo", null],
      ["/redirect", "Bearer s1"],
      ["/redirect", null],
      ["/echo", null],
    ]);
  });
});

/** Sitekey of a widget that can show itself. */
const MANAGED = "0x4EMULATORMANAGED";
const seen: [string, string | null][] = [];

/** Paths of the page's origin besides the gate. */
function elsewhere(request: Request): Response | undefined {
  const { pathname } = new URL(request.url);
  if (pathname === "/elsewhere")
    return new Response("<!doctype html><title>elsewhere</title>", { headers: { "content-type": "text/html" } });
  if (pathname !== "/echo" && pathname !== "/redirect") return undefined;
  seen.push([pathname, request.headers.get("authorization")]);
  return pathname === "/echo" ? new Response("ok") : new Response(null, { status: 307, headers: { location: "/echo" } });
}

/** Lets the page's own clock run, in small steps, until something is true: frames answer in real time. */
async function drive(site: ClientPage, until: string | (() => boolean)): Promise<void> {
  for (const start = Date.now(); Date.now() - start < 15_000; await new Promise((resolve) => setTimeout(resolve, 10))) {
    await site.runFor(50);
    if (typeof until === "string" ? await site.page.evaluate(`!!(${until})`) : until()) return;
  }
  throw new Error(`It never came to "${until}": ${JSON.stringify({ said: site.said, state: await site.run("return window.states;") })}`);
}

/** Until the emulator has begun so many challenges. */
async function challenged(site: ClientPage, count: number): Promise<void> {
  for (let i = 0; site.emulator.control.counts().challenges < count && i < 500; i++)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

/** What a tab does that is hidden or shown. */
async function show(site: ClientPage, visible: boolean): Promise<void> {
  await site.run(`Object.defineProperty(document, "hidden", { value: ${!visible}, configurable: true });
    Object.defineProperty(document, "visibilityState", { value: "${visible ? "visible" : "hidden"}", configurable: true });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));`);
}

/** Keeps what is set and not cleared by code of the page that is not the emulator's, with where it was set. */
const COUNT = `
  const ours = () => { const { stack } = new Error(); return stack.includes("api.js") ? "" : stack; };
  window.timers = new Map();
  const [set, clear] = [window.setTimeout, window.clearTimeout];
  window.setTimeout = (task, ms, ...rest) => {
    const id = set((...args) => { window.timers.delete(id); task(...args); }, ms, ...rest);
    if (ours().includes("client.js")) window.timers.set(id, ours());
    return id;
  };
  window.clearTimeout = (id) => { window.timers.delete(id); clear(id); };
  window.listeners = new Map();
  const { addEventListener: add, removeEventListener: remove } = EventTarget.prototype;
  const keys = new WeakMap();
  const number = (one) => { if (!keys.has(one)) keys.set(one, Math.random()); return keys.get(one); };
  const key = (target, type, task) => [number(target), type, number(task)].join();
  EventTarget.prototype.addEventListener = function (type, task, options) {
    const target = this ?? window;
    const name = key(target, type, task);
    // A script's tag is gone with its listeners.
    if (ours().includes("client.js") && !(target instanceof HTMLScriptElement)) window.listeners.set(name, ours());
    if (options?.signal) add.call(options.signal, "abort", () => window.listeners.delete(name));
    return add.call(target, type, task, options);
  };
  EventTarget.prototype.removeEventListener = function (type, task, options) {
    const target = this ?? window;
    window.listeners.delete(key(target, type, task));
    return remove.call(target, type, task, options);
  };`;
