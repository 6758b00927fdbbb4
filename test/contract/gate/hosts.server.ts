// `bun hosts.server.ts` and `deno serve hosts.server.ts`: a guarded handler and a gate's own routes, with a rule that reads the request's address.
import { createGate } from "../../../src/gate/index.ts";

const gate = createGate({
  secrets: "a signing secret of the tests, at least 32 bytes",
  turnstile: { secret: "secret-of-the-tests", allowedHostnames: ["game.example"] },
  mode: "monitor",
  features: [
    () => ({
      name: "guestbook",
      limits: { guestbook: [{ name: "path", limit: 1000, window: 60, by: (request) => new URL(request.url).pathname }] },
      routes: [{ method: "GET", path: "/here", handle: async (ctx) => ctx.respond(200, { path: ctx.url.pathname }) }],
    }),
  ],
});
const guarded = gate.guard((request) => Response.json({ path: new URL(request.url).pathname }), { limits: ["guestbook"] });

// With a port of its own choice, which both runtimes print.
export default {
  port: 0,
  hostname: "127.0.0.1",
  fetch: async (request: Request, info: unknown): Promise<Response> => (await gate.handle(request, info)) ?? guarded(request, info),
};
