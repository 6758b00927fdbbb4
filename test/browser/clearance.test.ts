import { build } from "esbuild";
import { expect, it } from "vitest";
import { clearance } from "../../src/clearance/index.ts";
import { EMULATOR_SECRET } from "../../src/emulator/index.ts";
import { createGate } from "../../src/gate/index.ts";
import { scores } from "../../src/scores/index.ts";
import { memoryBoard } from "../../src/scores/memory-board.ts";
import { memoryStore } from "../../src/store/index.ts";
import { closedAfterEach, type DrivenBrowser, describeBrowsers } from "../helpers/browsers.ts";
import { type ClientPage, type ClientSetup, openClientPage } from "../helpers/client-page.ts";
import { serve } from "../helpers/serve.ts";
import { root } from "../helpers/sources.ts";

interface Protected {
  site: ClientPage;
  /** What came in: method, path, whether with a clearance, status. */
  sent: string[];
  /** Bodies that the protected handler got. */
  bodies: string[];
  /** Answers that the gate gives instead of its own, by path. */
  instead: Map<string, () => Response>;
}

let bundled: Promise<string> | undefined;

/** The module as it is built, as a classic script. */
function clearanceScript(): Promise<string> {
  bundled ??= build({
    stdin: { contents: 'export * from "gatepass/client/clearance";', resolveDir: root },
    bundle: true,
    format: "iife",
    globalName: "clearance",
    write: false,
  }).then(({ outputFiles }) => outputFiles[0]?.text ?? "");
  return bundled;
}

/** A page whose `client` obeys a real gate's clearance policy. */
async function openProtected(browser: DrivenBrowser, setup: ClientSetup): Promise<Protected> {
  const script = await clearanceScript();
  const [sent, bodies]: [string[], string[]] = [[], []];
  const instead = new Map<string, () => Response>();
  const site = await openClientPage(browser, {
    ...setup,
    policy: () => "",
    body: () => '<script src="/client.js"></script><script src="/clearance.js"></script>',
    route: (request) =>
      new URL(request.url).pathname === "/clearance.js"
        ? new Response(script, { headers: { "content-type": "text/javascript" } })
        : undefined,
    gate: (emulator) => {
      const gate = createGate({
        secrets: "a signing secret of the tests, at least 32 bytes",
        turnstile: {
          secret: EMULATOR_SECRET,
          sitekey: "1x00000000000000000000AA",
          allowedHostnames: ["localhost", "phone.test"],
          allowTestKeys: true,
          siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
        },
        fetch: (input, init) => emulator.fetch(input instanceof Request ? input : String(input), init),
        clientIp: () => "203.0.113.7",
        store: memoryStore(),
        features: [
          scores({ board: memoryBoard() }),
          clearance({
            policy: {
              always_require_clearance: [
                { path: "/api/otp", max_uses: 1 },
                { path: "/api/many", max_uses: 100 },
                { path: "/api/ten", max_uses: 10 },
                { path: "/api/both", max_uses: 2 },
              ],
              never_require_clearance: ["/api/open"],
            },
          }),
        ],
      });
      const handler = gate.guard(async (request) => {
        bodies.push(`${request.headers.get("authorization") ?? "-"} ${await request.text()}`);
        return Response.json({ ok: true });
      });
      const both = gate.guard(() => Response.json({ ok: true }), { action: "score_submit" });
      return async (request) => {
        const { pathname } = new URL(request.url);
        const answer =
          instead.get(pathname)?.() ?? (await gate.handle(request)) ?? (await (/scored|both/.test(pathname) ? both : handler)(request));
        sent.push(`${request.method} ${pathname}${request.headers.has("x-app-clearance") ? " cleared" : ""} ${answer.status}`);
        return answer;
      };
    },
  });
  await site.run("window.client = clearance.withClearance(createClient(options));");
  return { site, sent, bodies, instead };
}

const VERIFIED = "POST /api/security/turnstile/verify 200";

describeBrowsers("withClearance and a real gate", (browser, { old }) => {
  const opened = closedAfterEach<ClientPage>();
  const visit = async (setup: ClientSetup = {}): Promise<Protected> => {
    const result = await openProtected(browser(), setup);
    opened(result.site);
    return result;
  };

  it("runs the challenge and retries once, with the same body and the application's Authorization", async () => {
    const { site, sent, bodies } = await visit();
    const status = await site.run(
      `return (await client.fetch("/api/otp", { method: "POST", body: "phone=1", headers: { authorization: "Bearer app" } })).status;`,
    );
    expect([status, sent, bodies]).toEqual([200, ["POST /api/otp 403", VERIFIED, "POST /api/otp cleared 200"], ["Bearer app phone=1"]]);
    expect([site.said.filter((text) => !text.includes("403")), site.thrown]).toEqual([[], []]);
  });

  it.each([301, 302, 303, 307, 308])(
    "a redirect (%i) to a foreign origin takes neither the device id nor a clearance along",
    async (status) => {
      const { site, instead } = await visit();
      const foreign: string[] = [];
      const elsewhere = await serve((request) => {
        foreign.push(request.method);
        return Response.json({}, { headers: { "access-control-allow-origin": "*", "access-control-allow-headers": "*" } });
      });
      instead.set("/api/open", () => new Response(null, { status, headers: { location: `${elsewhere.url}/x` } }));
      const outcome = await site.run('return client.fetch("/api/open", { method: "POST" }).then(() => "followed", (error) => error.code);');
      await elsewhere.close();
      expect([outcome, foreign]).toEqual(["ERR_CLIENT_REDIRECT", []]);
    },
  );

  it("50 parallel requests cost one challenge, and a clearance is used again while it lasts", async () => {
    const { site, sent } = await visit();
    const statuses = await site.run<number[]>(
      `return Promise.all(Array.from({ length: 50 }, () => client.fetch("/api/many", { method: "POST" }).then(({ status }) => status)));`,
    );
    expect(statuses).toEqual(Array(50).fill(200));
    expect(sent.filter((line) => line.includes("verify"))).toEqual([VERIFIED]);
    expect(sent.filter((line) => line === "POST /api/many cleared 200")).toHaveLength(50);
    expect(await site.run(`return (await client.fetch("/api/many", { method: "POST" })).status;`)).toBe(200);
    expect(sent.slice(-1)).toEqual(["POST /api/many cleared 200"]);
    expect(sent).toHaveLength(102);
  });

  it("at most max_uses of them share one: 25 requests at ten uses cost three", async () => {
    const { site, sent } = await visit();
    const statuses = await site.run<number[]>(
      `return Promise.all(Array.from({ length: 25 }, () => client.fetch("/api/ten", { method: "POST" }).then(({ status }) => status)));`,
    );
    expect(statuses).toEqual(Array(25).fill(200));
    expect(sent.filter((line) => line.includes("verify"))).toEqual(Array(3).fill(VERIFIED));
  });

  it("a gate that was turned off while the challenge was solved signs nothing: the request goes on without a clearance", async () => {
    const { site, sent, bodies, instead } = await visit();
    instead.set("/api/security/turnstile/verify", () => {
      instead.set("/api/otp", () => Response.json({ ok: true }));
      return Response.json({ dryRun: true });
    });
    expect(await site.run(`return (await client.fetch("/api/otp", { method: "POST", body: "phone=1" })).status;`)).toBe(200);
    expect(sent).toEqual(["POST /api/otp 403", VERIFIED, "POST /api/otp 200"]);
    expect([bodies, site.thrown]).toEqual([[], []]);
  });

  it("a server that always refuses sees two requests and one verification", async () => {
    const { site, sent, instead } = await visit();
    const body = await (await fetch(`${site.site}/api/otp`, { method: "POST" })).json();
    sent.length = 0;
    const refusal = (): Response => Response.json(body, { status: 403 });
    instead.set("/api/otp", refusal);
    // The challenge is another device's, so the verification is made up as well.
    instead.set("/api/security/turnstile/verify", () =>
      Response.json({ app_clearance_token: "t", expires_in: 300, scope: ["/api/otp"], max_uses: 1 }),
    );
    const failed = await site.run(
      `return client.fetch("/api/otp", { method: "POST" }).then(() => "resolved", ({ code, cause }) => [code, cause.status, cause.code]);`,
    );
    expect(failed).toEqual(["ERR_CLIENT_REFUSED", 403, "TURNSTILE_REQUIRED"]);
    expect(sent).toEqual(["POST /api/otp 403", VERIFIED, "POST /api/otp cleared 403"]);
  });

  it("a verification that is refused is the end, one whose answer is lost is sent again", async () => {
    const { site, sent, instead } = await visit();
    const limited = (): Response =>
      Response.json({ error: "SECURITY_VERIFICATION_LIMITED" }, { status: 429, headers: { "retry-after": "9" } });
    instead.set("/api/security/turnstile/verify", limited);
    const call = `return client.fetch("/api/otp", { method: "POST" }).then(({ status }) => status, ({ code, cause }) => [code, cause.code, cause.retryAfter]);`;
    expect(await site.run(call)).toEqual(["ERR_CLIENT_REFUSED", "SECURITY_VERIFICATION_LIMITED", 9]);
    expect(sent).toEqual(["POST /api/otp 403", "POST /api/security/turnstile/verify 429"]);
    sent.length = 0;
    instead.set("/api/security/turnstile/verify", () => {
      instead.clear();
      return Response.json({ error: "UNAVAILABLE" }, { status: 503 });
    });
    expect(await site.run(call)).toBe(200);
    expect(sent).toEqual(["POST /api/otp 403", "POST /api/security/turnstile/verify 503", VERIFIED, "POST /api/otp cleared 200"]);
  });

  it("a stream cannot be sent again, and says so; an open route takes it", async () => {
    const { site, sent } = await visit();
    // Chromium sends streams over HTTP/2 alone: what counts is that the client does not try twice.
    const failed = await site.run(`
      const send = async (request) => new Response(JSON.stringify({ error: "TURNSTILE_REQUIRED", challenge_id: "c", scope: ["/api/otp"] }), { status: 403 });
      const own = clearance.withClearance(client, { fetch: send });
      const body = new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("x")); c.close(); } });
      return own.fetch("/api/otp", { method: "POST", body, duplex: "half" }).then(() => "resolved", ({ code }) => code);`);
    expect([failed, sent]).toEqual(["ERR_CLIENT_UNSUPPORTED", []]);
  });

  it("two tabs have a clearance each", async () => {
    const { site, sent } = await visit();
    const other = await site.page.sibling();
    await other.goto(site.site);
    await other.evaluate(`window.client = clearance.withClearance(gatepass.createClient(${JSON.stringify(site.options)}))`);
    const call = `client.fetch("/api/many", { method: "POST" }).then(({ status }) => status)`;
    expect(await Promise.all([site.page.evaluate(call), other.evaluate(call)])).toEqual([200, 200]);
    expect(sent.filter((line) => line === VERIFIED)).toHaveLength(2);
  });

  it("gives nothing to another origin, nothing to a route that asks for nothing, and a session where one is asked for", async () => {
    const { site, sent } = await visit();
    expect(await site.run(`return (await client.fetch("/api/open")).status;`)).toBe(200);
    expect(await site.run(`return (await client.fetch("/api/scored", { method: "POST" })).status;`)).toBe(200);
    expect(sent.filter((line) => !line.includes("scored"))).toEqual(["GET /api/open 200", "POST /api/session 200"]);
    const foreign = await site.run<string[]>(`
      const seen = [];
      const own = clearance.withClearance(gatepass.createClient({ ...options, fetch: async (request) => (seen.push(...request.headers.keys()), new Response("{}")) }));
      await own.fetch("https://elsewhere.example/api/otp", { method: "POST" });
      return seen;`);
    expect(foreign.filter((name) => name.startsWith("x-"))).toEqual([]);
  });

  it("a route that wants a session and a clearance gets both, with one solve each", async () => {
    const { site, sent } = await visit();
    const call = `return (await client.fetch("/api/both", { method: "POST", body: "x" })).status;`;
    expect(await site.run(call)).toBe(200);
    expect(sent).toEqual(["POST /api/both 401", "POST /api/session 200", "POST /api/both 403", VERIFIED, "POST /api/both cleared 200"]);
  });

  it("a server whose clearances are of no use is asked for one, not without end", async () => {
    const { site, sent, instead } = await visit();
    for (const useless of [{ scope: ["/elsewhere"] }, { max_uses: 0 }, { expires_in: 0 }]) {
      sent.length = 0;
      const answer = { app_clearance_token: "t", expires_in: 300, scope: ["/api/otp"], max_uses: 1, ...useless };
      instead.set("/api/security/turnstile/verify", () => Response.json(answer));
      const code = await site.run(`return client.fetch("/api/otp", { method: "POST" }).then(() => "resolved", ({ code }) => code);`);
      expect([code, sent]).toEqual(["ERR_CLIENT_REFUSED", ["POST /api/otp 403", VERIFIED, "POST /api/otp cleared 403"]]);
    }
  });

  it("sends the same request id and device, and its own never over the application's", async () => {
    const { site } = await visit();
    const ids = await site.run<string[][]>(`
      const seen = [];
      const send = async (input, init) => {
        const request = new Request(input, init);
        if (request.url.endsWith("/otp")) seen.push([request.headers.get("x-request-id"), request.headers.get("x-device-id"), await request.clone().text()]);
        return fetch(request);
      };
      const own = clearance.withClearance(client, { fetch: send, deviceId: "kiosk-1" });
      await own.fetch("/api/otp", { method: "POST", body: "b", headers: { "x-request-id": "mine" } });
      return seen;`);
    expect(ids).toEqual([
      ["mine", "kiosk-1", "b"],
      ["mine", "kiosk-1", "b"],
    ]);
  });

  it("a clock that is years off, either way, changes nothing", async () => {
    const { site, sent } = await visit();
    for (const off of [-1, 1]) {
      const statuses = await site.run<number[]>(`
        const real = Date.now;
        Date.now = () => real() + ${off} * 2e11;
        const own = clearance.withClearance(client);
        const statuses = [];
        for (let i = 0; i < 3; i++) statuses.push((await own.fetch("/api/many", { method: "POST" })).status);
        Date.now = real;
        return statuses;`);
      expect(statuses).toEqual([200, 200, 200]);
    }
    expect(sent.filter((line) => line === VERIFIED)).toHaveLength(2);
  });

  it("a provider that stays down is an error with the time to come back, after two verifications", async () => {
    const { site, sent } = await visit();
    site.emulator.control.fault({ kind: "status", status: 503, times: 99 });
    const failed = await site.run(
      `return client.fetch("/api/otp", { method: "POST" }).then(() => "resolved", ({ code, cause }) => [code, cause.status, cause.code, cause.retryAfter > 0]);`,
    );
    expect(failed).toEqual(["ERR_CLIENT_REFUSED", 503, "UNAVAILABLE", true]);
    expect(sent.filter((line) => line.includes("verify"))).toHaveLength(2);
  });

  it("close() ends what is under way", async () => {
    const { site } = await visit();
    const code = await site.run(`
      const pending = client.fetch("/api/otp", { method: "POST" }).then(() => "resolved", ({ code }) => code);
      client.close();
      return [await pending, client.state, await client.fetch("/api/otp").catch(({ code }) => code)];`);
    expect(code).toEqual(["ERR_CLIENT_CLOSED", "closed", "ERR_CLIENT_CLOSED"]);
  });

  it("on plain http under a name of the local network, where there are no APIs of secure contexts", async () => {
    const { site, sent } = await visit({ hostname: "phone.test" });
    expect(await site.run("return [isSecureContext, typeof crypto.randomUUID];")).toEqual([false, "undefined"]);
    const names = await site.run<string[]>(`
      const seen = [];
      const own = clearance.withClearance(client, { fetch: (input, init) => {
        const request = new Request(input, init);
        if (request.url.endsWith("/otp")) seen.push(request.headers.get("x-request-id"), request.headers.get("x-device-id"));
        return fetch(request);
      } });
      await own.fetch("/api/otp", { method: "POST" });
      return seen;`);
    expect(sent).toEqual(["POST /api/otp 403", VERIFIED, "POST /api/otp cleared 200"]);
    expect(names.length).toBe(4);
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(name).toMatch(/^[\w.-]{8,64}$/);
  });

  it("every member of the caller's request survives the retry, and a redirect of a cleared request is told as such", async () => {
    const { site, instead } = await visit();
    const seen = await site.run<unknown[]>(`
      const seen = [];
      const own = clearance.withClearance(client, { fetch: (input, init) => {
        const request = input instanceof Request ? input : new Request(input, init);
        if (request.url.endsWith("/many")) seen.push(members(request));
        return fetch(request);
      } });
      const members = ({ referrerPolicy, cache, keepalive, credentials }) => [referrerPolicy, cache, keepalive, credentials];
      const init = { method: "POST", body: "x", referrerPolicy: "no-referrer", cache: "no-store", keepalive: true, credentials: "omit" };
      await own.fetch("/api/many", init);
      return [members(new Request("/api/many", init)), ...seen];`);
    expect(seen).toEqual(Array(3).fill(["no-referrer", "no-store", old ? null : true, "omit"]));
    await site.run(`await client.fetch("/api/many", { method: "POST" });`);
    instead.set("/api/many", () => new Response(null, { status: 307, headers: { location: "/api/ten" } }));
    const failed = await site.run(
      `return client.fetch("/api/many", { method: "POST" }).then(() => "", ({ code, message }) => code + " " + message);`,
    );
    expect(failed).toMatch(/^ERR_CLIENT_REDIRECT .*\/api\/many/);
  });

  it("every rejection has a code: no network, an abort, a call that cannot be", async () => {
    const { site } = await visit();
    expect(
      await site.run(`
        const own = clearance.withClearance(client, { fetch: () => Promise.reject(new TypeError("Failed to fetch")) });
        const hanging = clearance.withClearance(client, { fetch: () => new Promise(() => {}) });
        const abort = new AbortController();
        const calls = [
          own.fetch("/api/otp", { method: "POST" }),
          own.fetch("/api/otp", { method: "GET", body: "x" }),
          hanging.fetch("/api/otp", { method: "POST", signal: abort.signal }),
          client.fetch("/api/otp", { method: "POST", signal: abort.signal }),
        ];
        abort.abort();
        return (await Promise.allSettled(calls)).map(({ reason }) => reason?.code);`),
    ).toEqual(["ERR_CLIENT_OFFLINE", "ERR_CLIENT_CONFIG", "ERR_CLIENT_ABORTED", "ERR_CLIENT_ABORTED"]);
  });
});
