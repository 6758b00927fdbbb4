// Run by Bun and by Deno, with a port.
import { createApp, type Handler, ROUTES } from "./app.ts";
import { webHandler } from "./web.ts";

/** The part of the two runtimes that is used. */
interface Runtime {
  serve(options: object, handler?: unknown): unknown;
}
declare const Bun: Runtime | undefined;
declare const Deno: Runtime | undefined;

const [hostname, port] = ["127.0.0.1", Number(process.argv[2])];
const app = createApp();
const handler = webHandler(app);
/** Bun's own router is asked before `fetch`. What is meant for another one is handed on. */
const native =
  (answer: Handler): Handler =>
  async (request, server) =>
    (request.headers.get("x-router") === "bun" ? answer : handler)(request, server);

if (typeof Bun === "object") {
  const routes = Object.fromEntries(ROUTES.map(([name, path]) => [name === "payment" ? "/api/payment/:id" : path, native(app.on(name))]));
  Bun.serve({ hostname, port, routes, fetch: native(app.missing) });
} else if (typeof Deno === "object") {
  Deno.serve({ hostname, port, onListen: () => undefined }, handler);
}
