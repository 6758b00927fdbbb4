/**
 * Serves a gate with node:http, Express, or Fastify.
 *
 * @example
 * ```ts
 * import { createGate } from "gatepass";
 * import { toNode } from "gatepass/adapters/node";
 * const gate = createGate({ mode: "off" });
 * const handler = toNode(gate);
 * // node:http   createServer(handler).listen(3000)
 * // Express     app.use(toNode(gate))               foreign paths go on to the next handler
 * // Fastify     fastify.all("/api/*", toNode(gate))
 * // your own    app.post("/guestbook", toNode(gate.guard(async () => new Response("thanks"))))
 * console.assert(typeof handler === "function");
 * ```
 *
 * @module
 */

/** The part of a gate that is served. */
export interface NodeGate {
  fetch(request: Request, second?: unknown): Promise<Response>;
  handle(request: Request, second?: unknown): Promise<Response | null>;
}

/** A handler of requests, as `gate.guard` makes them. */
export type NodeHandler = (request: Request, second?: unknown) => Promise<Response>;

/** The part of `http.IncomingMessage` (HTTP/2's compatibility request, Express's request) that is used. */
export interface NodeRequest {
  method?: string | undefined;
  url?: string | undefined;
  /** Express: the path before a router was mounted. */
  originalUrl?: string;
  /** What a body parser left: Express, Fastify. */
  body?: unknown;
  /** The bytes, where a platform keeps them beside the parsed body. */
  rawBody?: unknown;
  /** Names and values in turn, as they came. Empty where a platform (a Lambda's wrapper) only fills in `headers`. */
  rawHeaders?: string[];
  /** By lower-case name; a list where lines cannot be joined. Read only where `rawHeaders` is empty. */
  headers?: Readonly<Record<string, string | string[] | undefined>>;
  httpVersionMajor: number;
  complete: boolean;
  destroyed: boolean;
  readableDidRead: boolean;
  readableEnded?: boolean;
  /** Absent where a platform has none. */
  socket?: object | null;
  on(event: string, listener: (argument: Uint8Array) => void): unknown;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
}

/** The part of `http.ServerResponse` that is used. */
export interface NodeResponse {
  statusCode: number;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly destroyed: boolean;
  setHeader(name: string, value: string | string[]): unknown;
  write(chunk: Uint8Array): boolean;
  end(): unknown;
  end(chunk: Uint8Array): unknown;
  once(event: string, listener: () => void): unknown;
  destroy(): unknown;
}

/** Fastify's request and reply, which hold Node's. */
export interface FastifyLike<Raw> {
  raw: Raw;
  body?: unknown;
  hijack?(): unknown;
}

/** Bytes and milliseconds for which the rest of a refused body is still taken (and dropped): a connection closed at once would lose the answer. */
const LINGER_BYTES = 1 << 20;
const LINGER_MS = 1000;

/**
 * The handler. With a third argument (Express, Connect) paths that are not the gate's go on to `next`; otherwise they are 404.
 * What `gate.guard` gave can be served too, wherever the framework routes it.
 *
 * The body is streamed. Where a parser has read it before (Express's `json()` mounted first, Fastify), `rawBody`, else `body` is used:
 * mount the gate first when you can, so that its own caps apply.
 *
 * A handler that throws is given to `next`, or printed by `console.error` and answered 500; an `AbortError` after the client went away is neither.
 *
 * The client's address is the socket's peer unless `clientIp` says otherwise. Where the server listens on a Unix socket the peer is `unix:`, which
 * `clientIp: { trustedProxies: ["unix:"] }` trusts.
 */
export function toNode(
  served: NodeGate | NodeHandler,
): (
  request: NodeRequest | FastifyLike<NodeRequest>,
  response: NodeResponse | FastifyLike<NodeResponse>,
  next?: (error?: unknown) => void,
) => void {
  const gate = typeof served === "function" ? { fetch: served, handle: served } : served;
  return (request, response, next) => {
    const req = "raw" in request ? request.raw : request;
    const res = "raw" in response ? response.raw : response;
    if ("raw" in response) response.hijack?.();
    serve(gate, req, res, request.body, next).catch((error: unknown) => {
      // The client went away, and the handler's work for it was aborted by the request's signal: no error, and nobody to answer.
      if (res.destroyed && !res.writableEnded && isAbort(error)) return;
      if (next && !res.headersSent) {
        next(error);
        return;
      }
      // Nobody else would ever hear of it: it is the handler's own, what a gate catches goes to its `onError`.
      console.error(error);
      if (res.headersSent) res.destroy();
      else finish(res, 500, "INTERNAL");
    });
  };
}

async function serve(
  gate: NodeGate,
  req: NodeRequest,
  res: NodeResponse,
  parsed: unknown,
  next?: (error?: unknown) => void,
): Promise<void> {
  const rewritten = REWRITTEN.test(targetOf(req));
  // Never past a guard: whatever comes behind one counts on it.
  if (rewritten && next && gate.handle !== gate.fetch) return next();
  const request = rewritten ? null : toRequest(req, res, parsed);
  if (!request) {
    linger(req, res);
    if (rewritten) finish(res, 404, "NOT_FOUND");
    else finish(res, 400, "BODY_INVALID");
    return;
  }
  const peer = { peer: peerOf(req.socket) };
  const response = next ? await gate.handle(request, peer) : await gate.fetch(request, peer);
  if (!response) next?.();
  else await send(response, req, res);
}

function finish(res: NodeResponse, status: number, error: string): void {
  res.statusCode = status;
  res.setHeader("content-type", "application/json");
  res.setHeader("cache-control", "no-store");
  res.end(new TextEncoder().encode(JSON.stringify({ error })));
}

/** Null for what is no request to answer: a Host that is none, two of them, a method that fetch does not know. */
function toRequest(req: NodeRequest, res: NodeResponse, parsed: unknown): Request | null {
  const headers = new Headers();
  const hosts: string[] = [];
  for (const [name, value] of headerLines(req)) {
    if (/^(host|:authority)$/i.test(name)) hosts.push(value);
    // A Lambda's wrapper adds the length that it counted beside the client's. On a connection Node refuses a second one.
    if (/^content-length$/i.test(name)) headers.set(name, value);
    // Line by line: proxies that add a second X-Forwarded-For must be seen in their order.
    else if (!name.startsWith(":")) headers.append(name, value);
  }
  const url = urlOf(req, hosts);
  const method = req.method ?? "GET";
  if (!url || /^(trace|track|connect)$/i.test(method)) return null;
  const gone = new AbortController();
  res.once("close", () => {
    if (!res.writableEnded) gone.abort();
  });
  const init: RequestInit & { duplex?: "half" } = { method, headers, signal: gone.signal, duplex: "half" };
  const body = bodyOf(req, headers, parsed);
  return new Request(url, body === null || method === "GET" || method === "HEAD" ? init : { ...init, body });
}

/** The header lines as they came; of a platform that keeps no lines, the headers by name. */
function* headerLines({ rawHeaders = [], headers = {} }: NodeRequest): Generator<[name: string, value: string]> {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) yield [rawHeaders[i] ?? "", String(rawHeaders[i + 1])];
  if (rawHeaders.length > 0) return;
  for (const [name, value] of Object.entries(headers)) for (const line of [value ?? []].flat()) yield [name, String(line)];
}

/**
 * The peer's address; `unix:` where the server listens on a Unix socket (or a named pipe). That a connection has no address proves nothing: a client that
 * hung up has none either, and must not pass for the proxy. The server knows: a Unix socket's address is a path.
 */
function peerOf(given: NodeRequest["socket"]): string | undefined {
  const socket: object = Object(given);
  const server: unknown = Reflect.get(socket, "server");
  const address = text(socket, "remoteAddress");
  const listensOnPath =
    isObject(server) && "address" in server && typeof server.address === "function" && typeof server.address() === "string";
  return address ?? (listensOnPath ? "unix:" : undefined);
}

/**
 * A path that the URL parser would make another one of: `/open/%2e%2e/api/scores`, `/api\\scores`. A proxy in front read it as it stands, and let it
 * through by its rules for that path: so it is none of ours.
 */
const REWRITTEN = /^[^?]*?(?:[\\#]|\/(?:\.|%2e){1,2}(?:[/?]|$))/i;

function targetOf(req: NodeRequest): string {
  return req.originalUrl ?? req.url ?? "/";
}

/** The URL is text of the client: only a host goes between the slashes, never a path, a user or another host. */
function urlOf(req: NodeRequest, hosts: readonly string[]): string | null {
  const target = targetOf(req);
  const scheme = Reflect.get(Object(req.socket), "encrypted") === true ? "https" : "http";
  // Absolute form (RFC 9112, 3.2.2): what it names is the host, the header does not count.
  const [, absolute, path] = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target) ?? [undefined, undefined, target === "*" ? "/" : target];
  const host = absolute ?? hosts[0] ?? "localhost";
  if (hosts.length > 1 || !/^([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i.test(host)) return null;
  const url = `${scheme}://${host}${path?.startsWith("/") ? "" : "/"}${path}`;
  return (absolute !== undefined || target === "*" || target.startsWith("/")) && URL.canParse(url) ? url : null;
}

function bodyOf(req: NodeRequest, headers: Headers, parsed: unknown): BodyInit | null {
  const length = headers.get("content-length");
  if (length === "0" || (length === null && !headers.has("transfer-encoding") && req.httpVersionMajor < 2)) return null;
  if (!req.readableDidRead) return streamOf(req);
  // A parser was here. What it decoded has another length and no coding any more.
  headers.delete("content-length");
  headers.delete("content-encoding");
  const body = req.rawBody instanceof Uint8Array ? req.rawBody : parsed;
  if (body === undefined) throw new TypeError("Cannot read the body: it was read before, and is neither in body nor in rawBody");
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return new Uint8Array(body);
  if (!headers.get("content-type")?.startsWith("application/x-www-form-urlencoded")) return JSON.stringify(body);
  const pairs = Object.entries(Object(body)).flatMap(([name, value]) => [value].flat().map((one) => [name, String(one)]));
  return new URLSearchParams(pairs);
}

/** The body as it comes, one chunk for each read; nothing is touched before the first, so that a `next` handler still finds it whole. */
function streamOf(req: NodeRequest): ReadableStream<Uint8Array> {
  let started = false;
  let over = false;
  const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    started = true;
    const broken = (): void => {
      if (over) return;
      over = true;
      controller.error(new TypeError("The request broke off"));
    };
    req.on("data", (chunk) => {
      if (over) return;
      req.pause();
      controller.enqueue(chunk);
    });
    req.on("end", () => {
      if (over) return;
      over = true;
      controller.close();
    });
    req.on("error", broken);
    req.on("close", broken);
  };
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (!started && req.destroyed) controller.error(new TypeError("The request broke off"));
        else {
          if (!started) start(controller);
          req.resume();
        }
      },
      cancel() {
        over = true;
      },
    },
    { highWaterMark: 0 },
  );
}

async function send(response: Response, req: NodeRequest, res: NodeResponse): Promise<void> {
  res.statusCode = response.status;
  for (const [name, value] of response.headers) if (name !== "set-cookie") res.setHeader(name, value);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) res.setHeader("set-cookie", cookies);
  linger(req, res);
  if (!response.body || req.method === "HEAD") {
    response.body?.cancel().catch(ignore);
    res.end();
  } else if (response.headers.get("content-type")?.startsWith("application/json")) {
    // In one piece, so that it has a length.
    res.end(new Uint8Array(await response.arrayBuffer()));
  } else await pipe(response.body, res);
}

async function pipe(body: ReadableStream<Uint8Array>, res: NodeResponse): Promise<void> {
  const reader = body.getReader();
  let wake = ignore;
  res.once("close", () => {
    reader.cancel().catch(ignore);
    wake();
  });
  for (;;) {
    const { done, value } = await reader.read();
    if (done || res.destroyed) break;
    if (res.write(value)) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
      res.once("drain", resolve);
    });
  }
  res.end();
}

/** Takes and drops what is left of a body that nobody read, up to a bound: then the connection ends, and no upload occupies us for nothing. */
function linger(req: NodeRequest, res: NodeResponse): void {
  // What is no connection (Fastify's inject) has no `complete`; its stream ends all the same.
  const whole = (): boolean => req.complete || req.readableEnded === true;
  if (whole() || req.destroyed) return;
  let left = LINGER_BYTES;
  let timer: ReturnType<typeof setTimeout> | undefined;
  req.on("data", (chunk) => {
    left -= chunk.length;
    if (left < 0) req.pause();
    else req.resume();
  });
  res.once("finish", () => {
    if (!whole()) timer = setTimeout(() => whole() || req.destroy(), LINGER_MS);
  });
  req.on("close", () => clearTimeout(timer));
  req.on("error", ignore);
  req.resume();
}

function isAbort(error: unknown): boolean {
  return isObject(error) && "name" in error && error.name === "AbortError";
}

function text(from: object, name: string): string | undefined {
  const value: unknown = Reflect.get(from, name);
  return typeof value === "string" ? value : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function ignore(): void {}
