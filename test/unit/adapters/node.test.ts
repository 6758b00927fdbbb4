import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { connect } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type NodeGate, toNode } from "../../../adapters/node.ts";
import { clientAddress, detectPlatform, jsonResponse, Refusal, readJson, refusalResponse } from "../../../src/http/index.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Listener = (req: IncomingMessage, res: ServerResponse) => void;

async function listen(listener: Listener): Promise<{ port: number; url: string }> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, url: `http://127.0.0.1:${address.port}` };
}

/** A gate that answers below /api with what it saw. */
function echo(options: { bodyTimeout?: number; seen?: (request: Request) => void } = {}): NodeGate {
  const handle = async (request: Request, second?: unknown): Promise<Response | null> => {
    options.seen?.(request);
    const { pathname, href } = new URL(request.url);
    if (!pathname.startsWith("/api")) return null;
    try {
      const body = request.method === "POST" ? await readJson(request, 8192, options.bodyTimeout ?? 1000) : null;
      const info = clientAddress({ trustedProxies: ["127.0.0.1"] })(request, detectPlatform(request, second));
      return jsonResponse(200, {
        method: request.method,
        href,
        body,
        address: info.address,
        forwarded: request.headers.get("x-forwarded-for"),
      });
    } catch (error) {
      if (error instanceof Refusal) return refusalResponse(error.code);
      throw error;
    }
  };
  return { handle, fetch: async (request, second) => (await handle(request, second)) ?? refusalResponse("NOT_FOUND") };
}

const answerWith = (make: (request: Request) => Response | Promise<Response>): NodeGate => ({
  fetch: async (request) => make(request),
  handle: async (request) => make(request),
});

/** What comes back for bytes on a socket, until the server closes it or `done` says that it is enough. */
function raw(
  port: number,
  text: string | Buffer,
  options: { end?: boolean; ms?: number; done?: (answer: string) => boolean } = {},
): Promise<{ answer: string; closed: boolean }> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(text);
      if (options.end) socket.end();
    });
    let answer = "";
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ answer, closed });
    };
    const timer = setTimeout(() => finish(false), options.ms ?? 4000);
    socket.on("data", (chunk) => {
      answer += chunk;
      if (options.done?.(answer)) finish(false);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => finish(true));
  });
}

const post = (body: string, more = ""): string =>
  `POST /api/x HTTP/1.1\r\nHost: game.example\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;

describe("toNode", () => {
  it("hands over method, URL, headers, body and peer, and gives the answer back", async () => {
    const { url } = await listen(toNode(echo()));
    const response = await fetch(`${url}/api/x?a=1&b=%20`, {
      method: "POST",
      body: JSON.stringify({ score: 7 }),
      headers: { "content-type": "application/json" },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).not.toBeNull();
    expect(await response.json()).toEqual({
      method: "POST",
      href: `${url}/api/x?a=1&b=%20`,
      body: { score: 7 },
      address: "127.0.0.1",
      forwarded: null,
    });
    expect((await fetch(`${url}/other`)).status).toBe(404);
  });

  it("keeps all lines of a header, in their order", async () => {
    const { port } = await listen(toNode(echo()));
    const { answer } = await raw(
      port,
      "GET /api/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.7\r\nConnection: close\r\n\r\n",
    );
    expect(answer).toContain('"address":"203.0.113.7"');
    expect(answer).toContain('"forwarded":"1.1.1.1, 203.0.113.7"');
  });

  it("passes on status, cookies, streams and bodies without one", async () => {
    const stream = (): ReadableStream<Uint8Array> => {
      let left = 300;
      return new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue(new Uint8Array(4096).fill(97));
          else controller.close();
        },
      });
    };
    const headers: [string, string][] = [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ];
    const { url } = await listen(
      toNode(
        answerWith((request) =>
          request.url.endsWith("stream") ? new Response(stream(), { status: 202 }) : new Response(null, { status: 204, headers }),
        ),
      ),
    );
    const empty = await fetch(`${url}/empty`);
    expect([empty.status, empty.headers.getSetCookie()]).toEqual([204, ["a=1", "b=2"]]);
    const long = await fetch(`${url}/stream`);
    expect([long.status, (await long.text()).length]).toEqual([202, 300 * 4096]);
    expect(await (await fetch(`${url}/stream`, { method: "HEAD" })).text()).toBe("");
  });

  it("stops a stream whose reader has gone, and tells the handler", async () => {
    let cancelled = false;
    let aborted = false;
    const { url } = await listen(
      toNode(
        answerWith((request) => {
          request.signal.addEventListener("abort", () => {
            aborted = true;
          });
          return new Response(
            new ReadableStream({
              async pull(controller) {
                await new Promise((resolve) => setTimeout(resolve, 5));
                controller.enqueue(new Uint8Array(16));
              },
              cancel() {
                cancelled = true;
              },
            }),
          );
        }),
      ),
    );
    const client = httpRequest(`${url}/`, (incoming) => incoming.once("data", () => client.destroy()));
    client.on("error", () => undefined);
    client.end();
    await expect.poll(() => [cancelled, aborted]).toEqual([true, true]);
  });

  it("answers an error of ours with a bare 500, or leaves it to `next`", async () => {
    const error = new Error("secret detail");
    const broken = answerWith(() => Promise.reject(error));
    const { url } = await listen(toNode(broken));
    const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([500, '{"error":"INTERNAL"}']);
    expect(printed.mock.calls).toEqual([[error]]);
    printed.mockClear();
    let given: unknown;
    const other = await listen((req, res) =>
      toNode(broken)(req, res, (error) => {
        given = error;
        res.end();
      }),
    );
    await fetch(other.url);
    expect(String(given)).toContain("secret detail");
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
  });

  it("prints nothing, and tells no next handler, when a client went away and the work for it was aborted", async () => {
    const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);
    let called = 0;
    const next = vi.fn();
    const handle = toNode(
      answerWith(async (request) => {
        called += 1;
        // As a fetch to a backend that was given the request's signal.
        return new Promise((_resolve, reject) => request.signal.addEventListener("abort", () => reject(request.signal.reason)));
      }),
    );
    for (const more of [[], [next]]) {
      const { port } = await listen((req, res) => handle(req, res, ...more));
      const before = called;
      const socket = connect(port, "127.0.0.1", () => socket.write("GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n"));
      socket.on("error", () => undefined);
      await expect.poll(() => called).toBe(before + 1);
      socket.destroy();
    }
    // An abort that is not the client's is the handler's own error.
    const { url } = await listen(toNode(answerWith(() => Promise.reject(new DOMException("theirs", "AbortError")))));
    expect((await fetch(`${url}/api/x`)).status).toBe(500);
    expect(printed.mock.calls.map(([error]) => String(error))).toEqual(["AbortError: theirs"]);
    expect(next).not.toHaveBeenCalled();
    printed.mockRestore();
  });

  it("ends the connection when a stream of ours breaks in the middle: half an answer must not look whole", async () => {
    const { url } = await listen(
      toNode(
        answerWith(() => {
          let first = true;
          return new Response(
            new ReadableStream({
              pull(controller) {
                if (first) controller.enqueue(new Uint8Array(16));
                else controller.error(new Error("broken"));
                first = false;
              },
            }),
          );
        }),
      ),
    );
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
  });
});

describe("under Express", () => {
  it("leaves foreign paths to the next handler, their body untouched", async () => {
    const handler = toNode(echo());
    const { url } = await listen((req, res) =>
      handler(req, res, async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of req) chunks.push(chunk);
        res.end(`next: ${Buffer.concat(chunks)}`);
      }),
    );
    expect(await (await fetch(`${url}/other`, { method: "POST", body: "x".repeat(100_000) })).text()).toBe(`next: ${"x".repeat(100_000)}`);
    expect((await fetch(`${url}/api/x`)).status).toBe(200);
  });

  /** As body-parser does it: reads all, leaves `body`. */
  const parsing = (gate: NodeGate, parse: (bytes: Buffer) => unknown, where = "body"): Listener => {
    return async (req, res) => {
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk);
      Reflect.set(req, where, parse(Buffer.concat(chunks)));
      toNode(gate)(req, res);
    };
  };
  const send = async (listener: Listener, type = "application/json", body = '{"a":[1,"ü"]}'): Promise<Response> => {
    const { url } = await listen(listener);
    return fetch(`${url}/api/x`, { method: "POST", body, headers: { "content-type": type } });
  };

  it("takes a body that a parser has read, as object, text, bytes or rawBody", async () => {
    for (const [parse, where] of [
      [(bytes: Buffer) => JSON.parse(bytes.toString()), "body"],
      [(bytes: Buffer) => bytes.toString(), "body"],
      [(bytes: Buffer) => bytes, "body"],
      [(bytes: Buffer) => bytes, "rawBody"],
    ] as const) {
      const response = await send(parsing(echo(), parse, where));
      expect([response.status, Object(await response.json()).body]).toEqual([200, { a: [1, "ü"] }]);
    }
  });

  it("drops the length of what was read, which is not the length of what is written", async () => {
    const listener = parsing(
      answerWith((request) => jsonResponse(200, { length: request.headers.get("content-length") })),
      (bytes) => JSON.parse(bytes.toString()),
    );
    expect(await (await send(listener, "application/json", `${" ".repeat(9000)}{}`)).json()).toEqual({ length: null });
  });

  it("counts such a body too, and writes a parsed form as a form", async () => {
    expect(
      (
        await send(
          parsing(echo(), (bytes) => JSON.parse(bytes.toString())),
          "application/json",
          `"${"x".repeat(9000)}"`,
        )
      ).status,
    ).toBe(413);
    const form = parsing(
      answerWith(async (request) => new Response(await request.text())),
      (bytes) => ({ ...Object.fromEntries(new URLSearchParams(bytes.toString())), many: ["1", "2"] }),
    );
    expect(await (await send(form, "application/x-www-form-urlencoded", "name=a%26b")).text()).toBe("name=a%26b&many=1&many=2");
  });

  it("says so when a body was read and is nowhere", async () => {
    let given: unknown;
    const { url } = await listen(async (req, res) => {
      for await (const _ of req);
      toNode(echo())(req, res, (error) => {
        given = error;
        res.end();
      });
    });
    await fetch(`${url}/api/x`, { method: "POST", body: "{}" });
    expect(given).toBeInstanceOf(TypeError);
  });

  it("sees the whole path where a router was mounted", async () => {
    const { url } = await listen((req, res) => {
      Reflect.set(req, "originalUrl", req.url);
      req.url = "/x";
      toNode(echo())(req, res);
    });
    expect(Object(await (await fetch(`${url}/api/x`)).json()).href).toBe(`${url}/api/x`);
  });
});

it("serves Fastify's request and reply", async () => {
  let hijacked = 0;
  const { url } = await listen(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    toNode(echo())({ raw: req, body: JSON.parse(Buffer.concat(chunks).toString()) }, { raw: res, hijack: () => void hijacked++ });
  });
  const response = await fetch(`${url}/api/x`, { method: "POST", body: '{"a":1}', headers: { "content-type": "application/json" } });
  expect([Object(await response.json()).body, hijacked]).toEqual([{ a: 1 }, 1]);
});

it("serves HTTP/2 as well", async () => {
  const server = createHttp2Server((req, res) => toNode(echo())(req, res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const session = connectHttp2(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`);
  const ask = async (path: string, body?: string): Promise<string> => {
    const headers = { ":path": path, ...(body !== undefined && { ":method": "POST", "content-type": "application/json" }) };
    const stream = session.request(headers, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    let text = "";
    for await (const chunk of stream) text += chunk;
    return text;
  };
  const host = `127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  expect(JSON.parse(await ask("/api/x?a=1"))).toMatchObject({ href: `http://${host}/api/x?a=1`, address: "127.0.0.1" });
  expect(JSON.parse(await ask("/api/x", '{"a":1}'))).toMatchObject({ body: { a: 1 } });
  expect(await ask("/api/x", "x".repeat(9000))).toBe('{"error":"BODY_TOO_LARGE"}');
  session.destroy();
  server.close();
});

describe("hostile requests on a raw socket", () => {
  it("half a body, then silence for good: 400 to nobody, no crash, and the next request works", async () => {
    const { port, url } = await listen(toNode(echo()));
    await raw(port, post('{"a":1}').slice(0, -3), { end: true, ms: 300 });
    const socket = connect(port, "127.0.0.1");
    socket.write(post('{"a":1}').slice(0, -3), () => setTimeout(() => socket.resetAndDestroy(), 20));
    await new Promise((resolve) => socket.on("close", resolve));
    expect((await fetch(`${url}/api/x`)).status).toBe(200);
  });

  it("a body that stalls: 400 in time, and the connection ends", async () => {
    const { port } = await listen(toNode(echo({ bodyTimeout: 50 })));
    const { answer, closed } = await raw(port, post('{"a":1}').slice(0, -3), { ms: 3500 });
    expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*\{"error":"BODY_INVALID"\}$/);
    expect(closed).toBe(true);
  });

  it("9 kB, declared or chunked: 413, and the answer arrives", async () => {
    const { port, url } = await listen(toNode(echo()));
    const done = (answer: string): boolean => answer.includes("BODY_TOO_LARGE");
    expect((await raw(port, post("x".repeat(9000)), { done })).answer).toContain("413");
    const chunked = `POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${`1000\r\n${"x".repeat(4096)}\r\n`.repeat(3)}0\r\n\r\n`;
    expect((await raw(port, chunked, { done })).answer).toContain("413");
    for (const size of [9000, 500_000]) {
      expect(
        (await fetch(`${url}/api/x`, { method: "POST", body: "x".repeat(size), headers: { "content-type": "application/json" } })).status,
      ).toBe(413);
    }
  });

  it("an upload without end: taken up to a bound, then cut off", async () => {
    const { port } = await listen(toNode(echo()));
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.write("POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n");
    const chunk = Buffer.alloc(65_536, 120);
    let sent = 0;
    const push = (): void => {
      if (socket.destroyed) return;
      sent += chunk.length;
      if (socket.write(chunk)) setImmediate(push);
    };
    socket.on("drain", push);
    push();
    await closed;
    // What the kernel buffers on both ends comes on top of the bound.
    expect(sent).toBeLessThan(20_000_000);
  });

  it("keeps a connection alive when the refused body came whole", async () => {
    const { port } = await listen(toNode(echo()));
    const text = `${post('{"a":1}', "X-First: 1\r\n").replace("application/json", "text/plain")}GET /api/second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const { answer } = await raw(port, text);
    expect(answer).toContain("415");
    expect(answer).toContain("/api/second");
  });

  it.each([
    "",
    "a b",
    "evil.example/path",
    "user@evil.example",
    "evil.example#",
    "evil.example?x=",
    "[::1",
    "a,b",
    "evil.example:99999999",
    "..%2f",
    "ex\u00e4mple",
  ])("a bad Host %j: 400", async (host) => {
    let seen = 0;
    const { port } = await listen(toNode(echo({ seen: () => void seen++ })));
    const { answer } = await raw(port, `GET /api/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(answer.startsWith("HTTP/1.1 400")).toBe(true);
    expect(seen).toBe(0);
  });

  it("two Hosts: 400", async () => {
    const { port } = await listen(toNode(echo()));
    expect((await raw(port, "GET /api/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n")).answer).toContain("HTTP/1.1 400");
  });

  it("the absolute form names the host itself; a path never does", async () => {
    const { port } = await listen(toNode(echo()));
    const get = async (target: string, host = "game.example"): Promise<string> =>
      (await raw(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).answer;
    expect(await get("http://other.example/api/x?q=1")).toContain('"href":"http://other.example/api/x?q=1"');
    expect(await get("HTTP://other.example:8080/api")).toContain('"href":"http://other.example:8080/api"');
    for (const bad of ["http://user:pass@other.example/api/x", "http:///api/x", "ftp://other.example/api/x", "http://[::1/api"])
      expect(await get(bad), bad).toContain("HTTP/1.1 400");
    for (const foreign of ["//evil.example/api/x", "/\\evil.example/api/x", "/@evil.example/api/x", "/.evil.example/api", "*"])
      expect(await get(foreign), foreign).toMatch(/HTTP\/1\.1 40[04]/);
    expect(await get("/../../api/x")).toContain("HTTP/1.1 404");
    expect(await get("/api/x", "game.example:8443")).toContain('"href":"http://game.example:8443/api/x"');
    expect(await get("/api/x", "[::1]:80")).toContain('"href":"http://[::1]/api/x"');
  });

  it("methods that fetch does not know, and requests without a Host", async () => {
    const { port } = await listen(toNode(echo()));
    expect((await raw(port, "TRACE /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).answer).toContain("HTTP/1.1 400");
    expect((await raw(port, "GET /api/x HTTP/1.0\r\n\r\n")).answer).toContain('"href":"http://localhost/api/x"');
    expect((await raw(port, "PROPFIND /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).answer).toContain('"method":"PROPFIND"');
  });
});

describe("a path that a URL parser makes another one of", () => {
  const targets = [
    "/x/../guarded",
    "/x/%2e%2e/guarded",
    "/x/%2E./guarded",
    "/x/.%2e/guarded",
    "/./guarded",
    "/guarded/.",
    "/guarded/%2e",
    "/x/..",
    "/x/..?q",
    "/guarded\\",
    "/x\\..\\guarded",
    "\\guarded",
    "/guarded#",
    "/x#/guarded",
    "http://game.example/x/../guarded",
    "http://game.example\\guarded",
    "/guar\tded",
  ];

  it.each([
    ["a gate", false],
    ["a guard that lives in handle", true],
  ])("goes past nothing that is served: %s", async (_name, own) => {
    const seen: string[] = [];
    const guard: NodeGate["handle"] = async (request) => {
      seen.push(request.url);
      return own ? refusalResponse("REQUEST_DENIED") : null;
    };
    const fetch: NodeGate["fetch"] = async (request) => (await guard(request)) ?? refusalResponse("NOT_FOUND");
    const passed: (string | undefined)[] = [];
    const handler = toNode({ fetch, handle: guard });
    const behind = await listen((req, res) =>
      handler(req, res, () => {
        passed.push(req.url);
        res.end("behind the guard");
      }),
    );
    const alone = await listen(toNode({ fetch, handle: guard }));
    for (const target of targets) {
      for (const { port } of [behind, alone]) {
        const { answer } = await raw(port, `GET ${target} HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n\r\n`);
        expect([target, answer.slice(0, 12)]).toEqual([target, expect.stringMatching(/^HTTP\/1\.1 40[04]$/)]);
      }
    }
    expect([passed, seen]).toEqual([[], []]);
    // Every other path does go on.
    await raw(behind.port, "GET /x/..y/.z/...?../# HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n\r\n");
    expect(seen).toEqual(["http://game.example/x/..y/.z/...?../#"]);
    expect(passed).toEqual(own ? [] : ["/x/..y/.z/...?../#"]);
  });

  it("is told from every other by what a URL parser does (property)", async () => {
    const { port } = await listen(toNode(answerWith((request) => Response.json({ path: new URL(request.url).pathname }))));
    const pieces = ["/", "a", ".", "..", "%2e", "%2E", "\\", "#", "%", "%2f", ";", "~", "{", '"', "|", "^", "%00", "\t"];
    let seed = 7;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    let reached = 0;
    for (let i = 0; i < 400; i++) {
      const target = `/${Array.from({ length: next(6) }, () => pieces[next(pieces.length)]).join("")}`;
      const { answer } = await raw(port, `GET ${target} HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n\r\n`);
      if (!answer.startsWith("HTTP/1.1 200")) continue;
      reached++;
      const { path } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
      // The parser only encoded it.
      expect([target, decodeSafe(path)]).toEqual([target, decodeSafe(target)]);
    }
    expect(reached).toBeGreaterThan(20);
  });
});

/** Each valid encoding of one byte taken off. */
function decodeSafe(text: string): string {
  return text.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

describe("a handler of one's own", () => {
  it("is served as it is, with the peer's address, and never goes on to the next", async () => {
    const handler = toNode(async (request, second) => Response.json({ url: request.url, peer: detectPlatform(request, second).peer }));
    const { url } = await listen((req, res) => handler(req, res, () => res.end("next")));
    const answer = await fetch(`${url}/guestbook`);
    expect(await answer.json()).toEqual({ url: `${url}/guestbook`, peer: "127.0.0.1" });
  });
});
