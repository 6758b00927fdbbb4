import { Hono } from "hono";
import { type App, type Handler, plainRouter, ROUTES } from "./app.ts";

/**
 * The application under Hono and under handlers without a framework, for runtimes that serve `fetch`. Every request names the router that it is for in
 * `x-router`: `hono`, `hono-loose`, `plain-` and its steps, or `gate` for the gate's own routes.
 */
export function webHandler(app: App): Handler {
  const routers = new Map<string, Handler>([
    ["hono", honoRouter(app, true)],
    ["hono-loose", honoRouter(app, false)],
  ]);
  return async (request, ...platform) => {
    const name = request.headers.get("x-router") ?? "hono";
    if (name === "buy") return app.buy();
    if (name === "gate") return (await app.gate.handle(request, ...platform)) ?? app.missing(request);
    const router = routers.get(name) ?? plainRouter(app, Number(name.replace("plain-", "")));
    return router(request, ...platform);
  };
}

function honoRouter(app: App, strict: boolean): Handler {
  const hono = new Hono({ strict });
  for (const [name, path] of ROUTES) {
    const handler = app.on(name);
    hono.all(name === "payment" ? "/api/payment/:id" : path, (context) => handler(context.req.raw));
  }
  hono.notFound((context) => app.missing(context.req.raw));
  return async (request) => hono.fetch(request);
}
