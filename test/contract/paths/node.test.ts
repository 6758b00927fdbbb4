import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { serve } from "@hono/node-server";
import express from "express";
import fastify, { type FastifyServerOptions } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toNode } from "../../../adapters/node.ts";
import { describeWith } from "../../helpers/backends.ts";
import { hasNginx, type Nginx, startNginx } from "../../helpers/nginx.ts";
import { type App, createApp, type Handler, PROTECTED, plainMasks, plainRoute, ROUTES } from "./app.ts";
import { attack, buy, honest, SEED, send, spellings } from "./attack.ts";
import { webHandler } from "./web.ts";

const COUNT = 500;
const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function portOf(server: Server): Promise<number> {
  servers.push(server);
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("No port");
  return address.port;
}

/** Express with the guard in each route; what the router alone reaches is said before the adapter sees it. */
function expressApp(app: App, settings: express.RouterOptions = {}): RequestListener {
  const router = express.Router(settings);
  for (const [name, path] of ROUTES) {
    const guarded = toNode(app.on(name));
    const handler: express.RequestHandler = (request, response, next) =>
      request.headers["x-bare"] ? void response.json({ reached: name }) : guarded(request, response, next);
    if (name === "payment") router.all("/api/payment/:id", handler);
    else if (name === "admin") router.use("/api/admin", handler);
    else router.all(path.replace("*", "*rest"), handler);
  }
  return express().use(buyer(app)).use(router).use(nobody);
}

/** Express with the guard before all routes, in `handle`. */
function expressBehind(app: App): RequestListener {
  const front: Handler = async (request, ...platform) => {
    const admission = await app.gate.protect(request, {}, ...platform);
    return admission.ok ? Response.json({ reached: "front" }) : admission.response;
  };
  const handle = async (request: Request, second?: unknown): Promise<Response | null> => {
    const admission = await app.gate.protect(request, {}, second);
    return admission.ok ? null : admission.response;
  };
  const guard = toNode({ fetch: front, handle });
  const behind = express().use(buyer(app));
  behind.use((request, response, next) => (request.headers["x-bare"] ? next() : guard(request, response, next)));
  for (const [name, path] of ROUTES) {
    const handler: express.RequestHandler = (_request, response) => void response.json({ reached: name });
    if (name === "admin") behind.use("/api/admin", handler);
    else behind.all(name === "payment" ? "/api/payment/:id" : path.replace("*", "*rest"), handler);
  }
  return behind.use(nobody);
}

const nobody: express.RequestHandler = (_request, response) => void response.json({ reached: null });
const buyer = (app: App): express.RequestHandler => {
  const sell = toNode(app.buy);
  return (request, response, next) => (request.headers["x-router"] === "buy" ? sell(request, response) : next());
};

/** A handler of node:http that reads the path as most do: resolved against some base, which takes `//host/path` for another host's. */
function plainApp(app: App): RequestListener {
  const sell = toNode(app.buy);
  return (request, response) => {
    const url = URL.canParse(request.url ?? "/", "http://base.example") ? new URL(request.url ?? "/", "http://base.example") : undefined;
    const path = url?.pathname ?? "";
    const found = ROUTES.find(([, pattern]) => (pattern.endsWith("/*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern));
    if (request.headers["x-router"] === "buy") sell(request, response);
    else if (found && !request.headers["x-bare"]) toNode(app.on(found[0]))(request, response);
    else response.setHeader("content-type", "application/json").end(JSON.stringify({ reached: found?.[0] ?? null }));
  };
}

async function fastifyApp(app: App, options: FastifyServerOptions = {}): Promise<Server> {
  const instance = fastify(options);
  const sell = toNode(app.buy);
  instance.addHook("onRequest", async (request, reply) => {
    if (request.headers["x-router"] === "buy") sell(request, reply);
  });
  for (const [name, path] of ROUTES) {
    const guarded = toNode(app.on(name));
    instance.all(name === "payment" ? "/api/payment/:id" : path, (request, reply) => {
      if (request.headers["x-bare"]) reply.send({ reached: name });
      else guarded(request, reply);
    });
  }
  instance.setNotFoundHandler((_request, reply) => reply.send({ reached: null }));
  await instance.ready();
  return instance.server;
}

const LOOSE = { caseSensitive: false, ignoreDuplicateSlashes: true, ignoreTrailingSlash: true, useSemicolonDelimiter: true };

describe.each<[string, () => Promise<Server>]>([
  ["Express, the guard in each route", async () => createServer(expressApp(createApp()))],
  ["Express, to the letter", async () => createServer(expressApp(createApp(), { caseSensitive: true, strict: true }))],
  ["Express, the guard before all routes", async () => createServer(expressBehind(createApp()))],
  ["A handler of node:http", async () => createServer(plainApp(createApp()))],
  ["Fastify", async () => fastifyApp(createApp())],
  ["Fastify, as loose as it can be", async () => fastifyApp(createApp(), { routerOptions: LOOSE })],
])("%s", (_name, make) => {
  let port = 0;
  let token = "";
  beforeAll(async () => {
    port = await portOf(await make());
    token = await buy(port);
  });

  it("no spelling gets to a protected route past its policy", { timeout: 300_000 }, () => attack(port, spellings(COUNT), token));
  it("honest paths are asked for a challenge", () => honest(port));
});

describe.each<[string, () => Promise<number>]>([
  [
    "Hono under its own server",
    async () => {
      const handler = webHandler(createApp());
      const server = serve({ fetch: (request: Request) => handler(request), port: 0, hostname: "127.0.0.1" });
      await once(server, "listening");
      if (!("closeAllConnections" in server)) throw new Error("No server of HTTP/1");
      return portOf(server);
    },
  ],
  ["Hono under the adapter", () => portOf(createServer(toNode(webHandler(createApp()))))],
])("%s", (_name, make) => {
  const routers = ["hono", "hono-loose"];
  let port = 0;
  beforeAll(async () => {
    port = await make();
  });

  it("no spelling gets to a protected route past its policy", { timeout: 300_000 }, async () =>
    attack(port, spellings(COUNT), await buy(port), routers),
  );
  it("honest paths are asked for a challenge", () => honest(port, routers));
});

it("no handler without a framework is reached past the policy, however it reads paths", { timeout: 300_000 }, async () => {
  // In the process, with the URL as it comes: a guard's answer depends on the request alone, so that thousands of handlers can be tried.
  const app = createApp();
  const guarded = app.on("any");
  const { app_clearance_token: token } = await (await app.buy()).json();
  const masks = plainMasks(200, SEED);
  let reached = 0;
  for (const { target } of spellings(3000)) {
    const url = /^https?:/i.test(target) ? target : `http://game.example${target}`;
    const mask = masks.find((one) => PROTECTED.includes(plainRoute(url, one) ?? ""));
    if (mask === undefined) continue;
    reached++;
    const request = new Request("http://game.example/", {
      method: "POST",
      headers: { "x-device-id": "phone-1", "x-app-clearance": token },
    });
    Object.defineProperty(request, "url", { value: url });
    const answer = await guarded(request);
    const { error } = await answer.json();
    expect([url, mask, plainRoute(url, mask), ["PATH_AMBIGUOUS", "TURNSTILE_REQUIRED"].includes(error)]).toEqual([
      url,
      mask,
      expect.anything(),
      true,
    ]);
  }
  expect(reached).toBeGreaterThan(1000);
});

describeWith("nginx", hasNginx())("behind nginx", () => {
  let nginx: Nginx;
  /** How nginx hands a request on: as it came, as it understood it, or by rules of its own for free paths. */
  const ways = ["as-it-came", "normalised", "by-location"];
  const upstreams = [
    ["Express", () => createServer(expressApp(createApp()))],
    ["Fastify", () => fastifyApp(createApp())],
    ["Hono", () => createServer(toNode(webHandler(createApp())))],
  ] as const;
  const ports: number[] = [];
  let token: string[] = [];

  beforeAll(async () => {
    for (const [, make] of upstreams) ports.push(await portOf(await make()));
    token = await Promise.all(ports.map(buy));
    nginx = await startNginx((listen) =>
      ports
        .map((port) => {
          const up = `http://127.0.0.1:${port}`;
          const server = (name: string, ...locations: string[]): string =>
            `server { listen 127.0.0.1:${listen}; server_name ${name}.${port}; ${locations.join(" ")} }`;
          return [
            server("as-it-came", `location / { proxy_pass ${up}; }`),
            server("normalised", `location / { proxy_pass ${up}/; }`),
            server(
              "by-location",
              `location /public { proxy_pass ${up}; }`,
              `location /api/ { proxy_pass ${up}/api/; }`,
              `location / { proxy_pass ${up}; }`,
            ),
          ].join("\n");
        })
        .join("\n"),
    );
  });
  afterAll(() => nginx?.stop());

  it.each(upstreams.map(([name], i) => [name, i] as const))(
    "no spelling gets to a protected route of %s",
    { timeout: 300_000 },
    async (_name, i) => {
      for (const way of ways) {
        // The name of the server is the Host: nginx hands on its own.
        const all = spellings(COUNT).map(({ target }) => ({ target, host: `${way}.${ports[i]}` }));
        await attack(nginx.port, all, token[i] ?? "", ["hono"], 10);
      }
      const plain = { target: "/api/payment/42", host: `as-it-came.${ports[i]}` };
      expect(await send(nginx.port, plain)).toMatchObject({ status: 403, error: "TURNSTILE_REQUIRED" });
    },
  );
});
