import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { EMULATOR_SECRET } from "../../src/emulator/index.ts";
import { createGate } from "../../src/gate/index.ts";
import type { GateOptions } from "../../src/gate/types.ts";
import { memoryBoard, scores } from "../../src/scores/index.ts";
import { memoryStore } from "../../src/store/index.ts";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { type ClientPage, openClientPage } from "../helpers/client-page.ts";

let browser: Browser;
const open: ClientPage[] = [];

/** A page whose `client` has a real gate behind it; what was sent to it, and the codes that it refused with. */
async function visit(options: Partial<GateOptions> = {}): Promise<{ site: ClientPage; sent: string[]; errors: unknown[] }> {
  const sent: string[] = [];
  const errors: unknown[] = [];
  const site = await openClientPage(browser, {
    gate: (emulator) => {
      const gate = createGate({
        secrets: "a signing secret of the tests, at least 32 bytes",
        turnstile: {
          secret: EMULATOR_SECRET,
          allowedHostnames: ["localhost"],
          allowTestKeys: true,
          siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
        },
        fetch: (input, init) => emulator.fetch(input instanceof Request ? input : String(input), init),
        clientIp: () => "203.0.113.7",
        store: memoryStore(),
        features: [
          scores({ board: memoryBoard(), boards: { main: { names: "typed" }, strict: { require: "commitment", names: "typed" } } }),
        ],
        onError: (error) => errors.push(error),
        ...options,
      });
      return async (request) => {
        const answer = await gate.fetch(request);
        const credential = ["authorization", "x-gatepass-session", "x-turnstile-token"].find((name) => request.headers.has(name)) ?? "none";
        sent.push(`${request.method} ${new URL(request.url).pathname} ${credential} ${answer.status}`);
        return answer;
      };
    },
  });
  open.push(site);
  await site.run("window.client = createClient(options);");
  return { site, sent, errors };
}

describeBrowser("the client and a real gate", () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((page) => page.close()));
  });
  afterAll(() => browser?.close());

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
});
