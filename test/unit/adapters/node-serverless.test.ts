import { createServer } from "node:http";
import { configure } from "@codegenie/serverless-express";
import express from "express";
import Fastify from "fastify";
import inject from "light-my-request";
import serverless from "serverless-http";
import { describe, expect, it } from "vitest";
import { toNode } from "../../../adapters/node.ts";
import { createTurnstileEmulator, EMULATOR_SECRET } from "../../../src/emulator/index.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { Gate } from "../../../src/gate/types.ts";
import { memoryBoard, scores } from "../../../src/scores/index.ts";

/** What a caller outside sends, and what it gets back. */
interface Call {
  method: string;
  path: string;
  headers: Record<string, string | string[]>;
  body?: string;
}
interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}
type Platform = (gate: Gate) => (call: Call) => Promise<Answer>;

const CLIENT = "203.0.113.7";

/** The event of a Lambda behind API Gateway: the REST API's (1.0), or the HTTP API's and the function URL's (2.0). */
const event = (version: "1.0" | "2.0", { method, path, headers, body }: Call, base64 = false): Record<string, unknown> => {
  const [pathname, query = ""] = path.split("?");
  const single = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join(",")]));
  const text = { body: body && base64 ? Buffer.from(body).toString("base64") : (body ?? ""), isBase64Encoded: base64 };
  if (version === "2.0") {
    const http = { method, path: pathname, sourceIp: CLIENT, protocol: "HTTP/1.1", userAgent: "test" };
    return { version, rawPath: pathname, rawQueryString: query, headers: single, requestContext: { http, stage: "$default" }, ...text };
  }
  return {
    version,
    httpMethod: method,
    path: pathname,
    resource: "/{proxy+}",
    // The gateway hands header names on as the client spelt them.
    headers: Object.fromEntries(
      Object.entries(single).map(([name, value]) => [name.replace(/\b[a-z]/g, (one) => one.toUpperCase()), value]),
    ),
    queryStringParameters: Object.fromEntries(new URLSearchParams(query)),
    requestContext: { identity: { sourceIp: CLIENT }, stage: "prod", requestId: "r1" },
    ...text,
  };
};

/** Of a Lambda's answer, whose header names and lists differ from library to library. */
function answerOf(result: unknown): Answer {
  const { statusCode, headers = {}, multiValueHeaders = {}, cookies, body, isBase64Encoded } = Object(result);
  const all: [string, unknown][] = [...Object.entries(headers), ...Object.entries(multiValueHeaders), ["set-cookie", cookies]];
  const text = isBase64Encoded ? Buffer.from(body, "base64").toString() : String(body ?? "");
  return { status: statusCode, headers: Object.fromEntries(all.map(([name, value]) => [name.toLowerCase(), value])), body: text };
}

const PLATFORMS: [string, Platform][] = [
  ...(["1.0", "2.0"] as const).flatMap((version): [string, Platform][] => [
    [
      `serverless-http, event ${version}`,
      (gate) => {
        const handler = serverless(createServer(toNode(gate)));
        return async (call) => answerOf(await handler(event(version, call), {}));
      },
    ],
    [
      `@codegenie/serverless-express, event ${version}`,
      (gate) => {
        const handler = configure({ app: toNode(gate) });
        return async (call) => answerOf(await handler(event(version, call), {}, () => undefined));
      },
    ],
    [
      `Express under serverless-http, event ${version}`,
      (gate) => {
        const handler = serverless(express().use(toNode(gate)));
        return async (call) => answerOf(await handler(event(version, call), {}));
      },
    ],
    [
      `Express with a body parser under @codegenie/serverless-express, event ${version}`,
      (gate) => {
        const handler = configure({ app: express().use(express.json(), toNode(gate)) });
        return async (call) => answerOf(await handler(event(version, call), {}, () => undefined));
      },
    ],
  ]),
  [
    "serverless-http, a body in base64",
    (gate) => {
      const handler = serverless(createServer(toNode(gate)));
      return async (call) => answerOf(await handler(event("2.0", call, true), {}));
    },
  ],
  [
    "Fastify's inject",
    (gate) => {
      const fastify = Fastify();
      fastify.all("/api/*", toNode(gate));
      return async ({ method, path, headers, body }) => {
        const options = { method: method as "POST", url: path, headers, remoteAddress: CLIENT };
        const answer = await fastify.inject(body === undefined ? options : { ...options, payload: body });
        return { status: answer.statusCode, headers: answer.headers, body: answer.body };
      };
    },
  ],
  [
    "light-my-request",
    (gate) =>
      async ({ method, path, headers, body }) => {
        const options = { method: method as "POST", url: path, headers, remoteAddress: CLIENT };
        const answer = await inject(toNode(gate), body === undefined ? options : { ...options, payload: body });
        return { status: answer.statusCode, headers: answer.headers, body: answer.body };
      },
  ],
];

describe.each(PLATFORMS)("toNode under %s", (_name, platform) => {
  const emulator = createTurnstileEmulator();
  const peers = new Set<string | undefined>();
  const forwarded: (string | null)[] = [];
  const gate = createGate({
    secrets: "a signing secret of the tests, at least 32 bytes",
    turnstile: { secret: EMULATOR_SECRET, allowedHostnames: ["localhost"], allowTestKeys: true },
    fetch: (input, init) => emulator.fetch(input instanceof Request ? input : String(input), init),
    clientIp(request, { peer }) {
      peers.add(peer);
      forwarded.push(request.headers.get("x-forwarded-for"));
      return peer;
    },
    features: [scores({ board: memoryBoard() })],
  });
  const call = platform(gate);
  const post = (path: string, body: unknown, headers: Record<string, string | string[]> = {}): Promise<Answer> => {
    const text = JSON.stringify(body);
    const length = String(Buffer.byteLength(text));
    return call({
      method: "POST",
      path,
      headers: { host: "game.example", "content-type": "application/json", "content-length": length, ...headers },
      body: text,
    });
  };
  const session = async (): Promise<string> => {
    const turnstileToken = emulator.control.mint({ action: "score_submit" });
    const { status, body } = await post("/api/session", { turnstileToken });
    expect([status, body]).toEqual([200, body]);
    return `Bearer ${JSON.parse(body).sessionToken}`;
  };

  it("a session, a score and the board, with headers, query and the client's address", async () => {
    const authorization = await session();
    expect(await post("/api/scores", { score: 10 }, { authorization, origin: "https://game.example" })).toMatchObject({ status: 201 });
    const board = await call({ method: "GET", path: "/api/scores?limit=5&period=all", headers: { host: "game.example", authorization } });
    expect([board.status, JSON.parse(board.body).me.score]).toEqual([200, 10]);
    expect(String(board.headers["ratelimit-policy"])).toContain("scores.read");
    expect([...peers]).toEqual([CLIENT]);
  });

  it("refuses what it refuses elsewhere: no session, a foreign origin, a type that is not JSON, another path", async () => {
    expect(await post("/api/scores", { score: 10 })).toMatchObject({ status: 401 });
    expect(await post("/api/scores", { score: 10 }, { origin: "https://evil.example" })).toMatchObject({ status: 403 });
    expect(await post("/api/scores", { score: 10 }, { authorization: await session(), "content-type": "text/plain" })).toMatchObject({
      status: 415,
    });
    expect(await call({ method: "GET", path: "/api/nothing", headers: { host: "game.example" } })).toMatchObject({ status: 404 });
  });

  it("refuses a body above the cap", async () => {
    expect(await post("/api/session", { turnstileToken: "x".repeat(9000) })).toMatchObject({ status: 413 });
  });

  it("keeps the order of a header that a client sent in two lines", async () => {
    forwarded.length = 0;
    await call({ method: "GET", path: "/api/scores", headers: { host: "game.example", "x-forwarded-for": ["1.1.1.1", "2.2.2.2"] } });
    expect(forwarded[0]?.replace(/\s/g, "")).toBe("1.1.1.1,2.2.2.2");
  });
});

describe("toNode under a wrapper that fills in little", () => {
  const told = toNode(async (request) => Response.json([request.url, [...request.headers], await request.text()]));
  /** A request with no raw lines, and with what `more` says. */
  const ask = (more: object): Promise<unknown> =>
    new Promise((resolve) => {
      const server = createServer((req, res) => told(Object.assign(Object.create(req), { rawHeaders: [], ...more }), res));
      server.listen(0, "127.0.0.1", async () => {
        const address = server.address();
        const port = typeof address === "object" && address ? address.port : 0;
        const answer = await fetch(`http://127.0.0.1:${port}/x`, { method: "POST", body: "hello" });
        resolve(answer.status === 200 ? await answer.json() : answer.status);
        server.close();
      });
    });

  it.each([
    ["values of other types", { headers: { host: "game.example", "content-length": 5, "x-flag": true, "x-none": undefined } }],
    ["no raw lines at all", { headers: { host: "game.example", "content-length": "5", "x-flag": "true" }, rawHeaders: undefined }],
  ])("takes %s", async (_what, more) => {
    expect(await ask(more)).toEqual([
      "http://game.example/x",
      [
        ["content-length", "5"],
        ["x-flag", "true"],
        ["host", "game.example"],
      ].sort(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
      "hello",
    ]);
  });

  it("takes a request without a socket, whose address is then unknown", async () => {
    const peers: unknown[] = [];
    const seen = toNode(async (request, second) => {
      peers.push(second);
      return Response.json(await request.json());
    });
    const nothing = (): void => undefined;
    const state = { complete: true, destroyed: false, readableDidRead: true, httpVersionMajor: 1 };
    const mock = { method: "POST", url: "/x", headers: { host: "game.example", "content-length": "11" }, body: { score: 7 }, ...state };
    const server = createServer((_req, res) => seen({ ...mock, on: nothing, pause: nothing, resume: nothing, destroy: nothing }, res));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const answer = await fetch(`http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/`);
    expect([answer.status, await answer.json(), peers]).toEqual([200, { score: 7 }, [{ peer: undefined }]]);
    server.close();
  });

  it("still refuses two hosts", async () => {
    expect(await ask({ headers: { host: ["a.example", "b.example"], "content-length": "5" } })).toBe(400);
  });
});
