import { expect, it } from "vitest";
import { EMULATOR_SECRET } from "../../src/emulator/index.ts";
import { createGate } from "../../src/gate/index.ts";
import type { Gate, GateOptions } from "../../src/gate/types.ts";
import { memoryBoard, scores } from "../../src/scores/index.ts";
import { memoryStore } from "../../src/store/index.ts";
import { closedAfterEach, type DrivenBrowser, describeBrowsers } from "../helpers/browsers.ts";
import { type ClientPage, type ClientSetup, openClientPage } from "../helpers/client-page.ts";

interface AtGate {
  site: ClientPage;
  sent: string[];
  errors: unknown[];
}

interface Setup extends ClientSetup {
  /** What stands between the page and the gate: it may change a request, or answer it. */
  through?(request: Request): Request | Response;
}

/** A page whose `client` has a real gate behind it; what was sent to it, and the codes that it refused with. */
async function openAtGate(
  browser: DrivenBrowser,
  options: (site: string) => Partial<GateOptions>,
  { through = (request) => request, ...setup }: Setup,
): Promise<AtGate> {
  const sent: string[] = [];
  const errors: unknown[] = [];
  // Before the page solves a challenge. A store that begins after a solve cannot know what was spent of it, and refuses it.
  const store = memoryStore();
  const site = await openClientPage(browser, {
    ...setup,
    gate: (emulator) => {
      let gate: Gate | undefined;
      const make = (origin: string): Gate =>
        createGate({
          secrets: "a signing secret of the tests, at least 32 bytes",
          turnstile: {
            secret: EMULATOR_SECRET,
            allowedHostnames: ["localhost"],
            allowTestKeys: true,
            siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
          },
          fetch: (input, init) => emulator.fetch(input instanceof Request ? input : String(input), init),
          clientIp: () => "203.0.113.7",
          store,
          features: [
            scores({ board: memoryBoard(), boards: { main: { names: "typed" }, strict: { require: "commitment", names: "typed" } } }),
          ],
          onError: (error) => errors.push(error),
          ...options(origin),
        });
      return async (arrived) => {
        const request = through(arrived);
        if (request instanceof Response) return request;
        gate ??= make(`http://localhost:${new URL(request.url).port}`);
        const answer = await gate.fetch(request);
        const credential = ["authorization", "x-gatepass-session", "x-turnstile-token"].find((name) => request.headers.has(name)) ?? "none";
        sent.push(`${request.method} ${new URL(request.url).pathname} ${credential} ${answer.status}`);
        return answer;
      };
    },
  });
  await site.run("window.client = createClient(options);");
  return { site, sent, errors };
}

describeBrowsers("the client and a real gate", (browser) => {
  const opened = closedAfterEach<ClientPage>();
  const visit = async (
    options: Partial<GateOptions> | ((site: string) => Partial<GateOptions>) = {},
    setup: Setup = {},
  ): Promise<AtGate> => {
    const result = await openAtGate(browser(), typeof options === "function" ? options : () => options, setup);
    opened(result.site);
    return result;
  };

  it("a score qualifies, is submitted under its name, and is on the board; a second session is made when the first is used up", async () => {
    const { site, sent, errors } = await visit({ session: { uses: 2 } });
    const result = await site.run(`
      await client.start();
      const qualified = await client.qualifies(100);
      const first = await client.submitScore({ score: 100, name: "Ada" });
      await client.submitScore({ score: 200, name: "Ada" });
      const third = await client.submitScore({ score: 300, name: "Ada" });
      const { scores, me } = await client.scores();
      return [qualified, first.rank, third.best, scores.map(({ name, score }) => [name, score]), me?.score];`);
    expect(result).toEqual([true, 1, true, [["Ada", 300]], 300]);
    expect(sent).toEqual([
      "POST /api/session none 200",
      "GET /api/scores authorization 200",
      "POST /api/scores authorization 201",
      "POST /api/scores authorization 201",
      "POST /api/scores authorization 401",
      "POST /api/session none 200",
      "POST /api/scores authorization 201",
      "GET /api/scores authorization 200",
    ]);
    expect([errors, site.thrown]).toEqual([[], []]);
  });

  it("a board that takes signed scores only gets one", async () => {
    const { site, sent } = await visit();
    expect(await site.run('return (await client.submitScore({ score: 7, name: "Ada", board: "strict" })).rank;')).toBe(1);
    const commitment = await site.run<string>('return client.commit({ score: 9, board: "strict" });');
    expect(commitment.split(".").length).toBe(3);
    expect(await site.run(`return (await client.submitScore({ score: 9, name: "Bob", commitment: "${commitment}" })).best;`)).toBe(true);
    expect(sent.filter((line) => line.includes("commitments"))).toEqual(Array(2).fill("POST /api/commitments authorization 200"));
  });

  it("a gate without a signing secret takes a fresh token with each write", async () => {
    const { site, sent, errors } = await visit({ secrets: [], features: [scores({ board: memoryBoard() })] });
    expect(
      await site.run("await client.start(); await client.submitScore({ score: 1 }); return (await client.submitScore({ score: 2 })).best;"),
    ).toBe(true);
    expect(sent).toEqual([
      "POST /api/session none 404",
      "POST /api/scores x-turnstile-token 201",
      "POST /api/scores x-turnstile-token 201",
    ]);
    expect(errors).toEqual([]);
  });

  it("a gate that runs dry is sent no credential", async () => {
    const { site, sent } = await visit({ mode: "off" });
    expect(await site.run("return (await client.submitScore({ score: 1 })).rank;")).toBe(1);
    expect(sent).toEqual(["POST /api/session none 200", "POST /api/scores none 201"]);
  });

  it("an error of the gate is typed, with its code and field", async () => {
    const { site } = await visit();
    const cause = await site.run(
      'return client.submitScore({ score: 1e15, name: "Ada" }).catch((error) => [error.code, error.cause.status, error.cause.code]);',
    );
    expect(cause).toEqual(["ERR_CLIENT_REFUSED", 422, "SCORE_INVALID"]);
  });

  it("an edge that strips Authorization: the session in its own header, one challenge for all writes", async () => {
    const { site, sent } = await visit(
      {},
      {
        through: (request) => {
          const headers = new Headers(request.headers);
          headers.delete("authorization");
          return new Request(request, { headers });
        },
      },
    );
    await site.run('window.client = createClient({ ...options, sessionHeader: "x-gatepass-session" });');
    await site.run('for (const score of [1, 2]) await client.submitScore({ score, name: "Ada" });');
    expect(sent).toEqual(["POST /api/session none 200", ...Array(2).fill("POST /api/scores x-gatepass-session 201")]);
    expect(site.emulator.control.counts().challenges).toBe(1);
  });

  it("a site behind HTTP Basic, where the browser fills Authorization: the session in its own header", async () => {
    const basic = `Basic ${Buffer.from("staging:secret").toString("base64")}`;
    const closed = (request: Request): Response | undefined =>
      request.headers.get("authorization") === basic
        ? undefined
        : new Response("Who are you?", { status: 401, headers: { "www-authenticate": 'Basic realm="staging"' } });
    const { site, sent } = await visit({}, { wall: closed, credentials: "staging:secret" });
    await site.run('window.client = createClient({ ...options, sessionHeader: "x-gatepass-session" });');
    await site.run('for (const score of [1, 2]) await client.submitScore({ score, name: "Ada" });');
    expect(sent).toEqual(["POST /api/session authorization 200", ...Array(2).fill("POST /api/scores authorization 201")]);
    expect(site.emulator.control.counts().challenges).toBe(1);
  });

  it("a gate on another origin: headers that tracing adds to every fetch, and one of the application's, are let through", async () => {
    const { site, sent, errors } = await visit((origin) => ({ allowedOrigins: [origin] }), { policy: () => "" });
    const gate = site.site.replace("localhost", "127.0.0.1");
    // As OpenTelemetry, Sentry and Datadog do it: `fetch` is wrapped, for every request.
    await site.run(`const send = window.fetch;
      window.fetch = (input, init) => {
        const request = new Request(input, init);
        request.headers.set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        request.headers.set("baggage", "sentry-environment=production");
        return send(request);
      };
      window.client = createClient({ ...options, baseUrl: "${gate}/api" });`);
    expect(await site.run('return (await client.submitScore({ score: 5, name: "Ada" })).rank;')).toBe(1);
    const own = `return (await client.fetch("${gate}/api/scores", { method: "POST", headers: { "content-type": "application/json", "x-game-version": "3" }, body: '{"score":6,"name":"Ada"}' })).status;`;
    expect(await site.run(own)).toBe(201);
    expect(sent.filter((line) => line.startsWith("POST"))).toEqual([
      "POST /api/session none 200",
      "POST /api/scores authorization 201",
      "POST /api/scores authorization 201",
    ]);
    expect(sent.filter((line) => line.startsWith("OPTIONS")).every((line) => line.endsWith(" 204"))).toBe(true);
    expect([errors, site.thrown]).toEqual([[], []]);
  });

  it("a page of a foreign origin is still refused before anything is sent, and the client cannot tell that from no network", async () => {
    const { site, sent } = await visit({}, { policy: () => "" });
    const gate = site.site.replace("localhost", "127.0.0.1");
    await site.run(`window.client = createClient({ ...options, baseUrl: "${gate}/api" });`);
    expect(await site.run("return client.submitScore({ score: 5 }).catch(({ code }) => code);")).toBe("ERR_CLIENT_OFFLINE");
    expect(sent).toEqual(["OPTIONS /api/session none 403"]);
  });
});
