import { describe, expect, it } from "vitest";
import { EMULATOR_SECRET } from "../../src/emulator/index.ts";
import type { SecurityEvent } from "../../src/events/types.ts";
import { createGate } from "../../src/gate/index.ts";
import type { Operator } from "../../src/scores/board.ts";
import { memoryBoard, scores } from "../../src/scores/index.ts";
import { memoryStore } from "../../src/store/index.ts";
import { closedAfterEach, type DrivenBrowser, describeBrowsers } from "../helpers/browsers.ts";
import { type ClientPage, openClientPage } from "../helpers/client-page.ts";
import { type LosingRelay, startLosingRelay } from "../helpers/losing-relay.ts";

interface Visit {
  site: ClientPage;
  relay: LosingRelay;
  /** What reached the gate: method, path, status, and the call's name. */
  sent: string[];
  keys: (string | null)[];
  events: SecurityEvent[];
}

/** A page whose `client` talks to a real gate through a relay that loses answers. */
async function openAtRelay(browser: DrivenBrowser, operator: Operator, worker: string): Promise<Visit> {
  const [sent, keys, events]: [string[], (string | null)[], SecurityEvent[]] = [[], [], []];
  const site = await openClientPage(browser, {
    policy: () => "",
    body: () => '<script src="/client.js"></script>',
    route: (request) =>
      new URL(request.url).pathname === "/worker.js" ? new Response(worker, { headers: { "content-type": "text/javascript" } }) : undefined,
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
        session: { uses: 4 },
        features: [scores({ board: memoryBoard(), boards: { main: { operator }, strict: { operator, require: "commitment" } } })],
        onEvent: (event) => events.push(event),
      });
      return async (request) => {
        const answer = await gate.fetch(request);
        if (request.method !== "GET") {
          sent.push(`${request.method} ${new URL(request.url).pathname} ${answer.status}`);
          keys.push(request.headers.get("idempotency-key"));
        }
        return answer;
      };
    },
  });
  const relay = await startLosingRelay(Number(new URL(site.site).port));
  await site.page.goto(relay.url);
  await site.run("window.client = createClient(options); await window.client.start();");
  // Connections that were used before: on a new one the browser would report the loss instead of sending again.
  await site.run("await client.scores(); await client.scores({ period: 'day' });");
  sent.length = keys.length = 0;
  return { site, relay, sent, keys, events };
}

const count = ({ events }: Visit, type: string): number => events.filter((event) => event.type === type).length;

describeBrowsers("a browser that sends a request again", (browser) => {
  const opened = closedAfterEach<{ close(): unknown }>();
  const visit = async (operator: Operator, worker = ""): Promise<Visit> => {
    const at = await openAtRelay(browser(), operator, worker);
    opened(at.site);
    opened(at.relay);
    return at;
  };

  describe.each(["sum", "best"] as const)("on a %s board", (operator) => {
    it("a lost answer: two requests, one score, one use, one event, and the caller gets its receipt", async () => {
      const at = await visit(operator);
      at.relay.lose("POST /api/scores");
      const receipt = await at.site.run("return client.submitScore({ score: 10 });");
      expect(receipt).toEqual({ id: expect.any(String), rank: 1, best: true });
      expect(at.sent).toEqual(["POST /api/scores 201", "POST /api/scores 200"]);
      expect(at.keys[0]).toMatch(/^"[\w-]{16,64}"$/);
      expect(at.keys[1]).toBe(at.keys[0]);
      expect(await at.site.run("return (await client.scores()).scores.map(({ score }) => score);")).toEqual([10]);
      expect(count(at, "score_accepted")).toBe(1);
      // Of four uses one is gone.
      await at.site.run("for (const score of [1, 1, 1]) await client.submitScore({ score });");
      expect(count(at, "session_issued")).toBe(1);
      // Each call has a name of its own.
      expect(new Set(at.keys).size).toBe(4);
    });

    it("a lost commitment and a lost submission of it: one of each", async () => {
      const at = await visit(operator);
      at.relay.lose("POST /api/commitments");
      const commitment = await at.site.run<string>('return client.commit({ score: 10, board: "strict" });');
      at.relay.lose("POST /api/scores");
      await at.site.run(`return client.submitScore({ score: 10, commitment: "${commitment}" });`);
      expect(at.sent).toEqual(["POST /api/commitments 200", "POST /api/commitments 200", "POST /api/scores 201", "POST /api/scores 200"]);
      expect(await at.site.run('return (await client.scores({ board: "strict" })).scores.map(({ score }) => score);')).toEqual([10]);
      expect([count(at, "score_committed"), count(at, "score_accepted")]).toEqual([1, 1]);
    });

    it("a service worker that sends each request twice", async () => {
      const twice = `self.addEventListener("activate", (event) => event.waitUntil(clients.claim()));
        self.addEventListener("fetch", (event) => {
          if (event.request.method === "POST") event.respondWith(fetch(event.request.clone()).then(() => fetch(event.request)));
        });`;
      const at = await visit(operator, twice);
      await at.site.run(
        `const ready = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
         await navigator.serviceWorker.register("/worker.js"); await ready;`,
      );
      at.sent.length = 0;
      await at.site.run("await client.submitScore({ score: 10 });");
      expect(at.sent).toEqual(["POST /api/scores 201", "POST /api/scores 200"]);
      expect(await at.site.run("return (await client.scores()).scores.map(({ score }) => score);")).toEqual([10]);
      expect(count(at, "score_accepted")).toBe(1);
    });
  });
});
