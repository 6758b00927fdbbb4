/** Turns a request of node:http into a `Request`. */

/** The part of `http.IncomingMessage` (HTTP/2's compatibility request, Express's request) that is used. */
export interface NodeRequest {
  method?: string | undefined;
  url?: string | undefined;
  /** Express: the path before a router was mounted. */
  originalUrl?: string;
  /** The parsed body, after a body parser (Express, Fastify). */
  body?: unknown;
  /** The body's bytes, where a platform keeps them besides the parsed body. */
  rawBody?: unknown;
  /** Names and values in turn, as received. Empty where a platform (a wrapper for Lambda) only sets `headers`. */
  rawHeaders?: string[];
  /** Values by lower-case name; a list where lines cannot be joined. Only read where `rawHeaders` is empty. */
  headers?: Readonly<Record<string, string | string[] | undefined>>;
  httpVersionMajor: number;
  complete: boolean;
  destroyed: boolean;
  readableDidRead: boolean;
  readableEnded?: boolean;
  /** Absent on platforms without sockets. */
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

/**
 * The request for `fetch`. Null: it must be refused (an invalid Host, two of them, or a method that `Request` does not
 * allow).
 */
export function toRequest(req: NodeRequest, res: NodeResponse, parsed: unknown): Request | null {
  const headers = new Headers();
  const hosts: string[] = [];
  for (const [name, value] of headerLines(req)) {
    if (/^(host|:authority)$/i.test(name)) hosts.push(value);
    // A Lambda wrapper may add a second Content-Length, which it counted itself: the last one wins. On a connection,
    // Node refuses a second one.
    if (/^content-length$/i.test(name)) headers.set(name, value);
    // Header by header: a second X-Forwarded-For, which a proxy added, must stay behind the first one.
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

/** The header lines as received; on a platform without lines, the headers by name. */
function* headerLines({ rawHeaders = [], headers = {} }: NodeRequest): Generator<[name: string, value: string]> {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) yield [rawHeaders[i] ?? "", String(rawHeaders[i + 1])];
  if (rawHeaders.length > 0) return;
  for (const [name, value] of Object.entries(headers)) for (const line of [value ?? []].flat()) yield [name, String(line)];
}

/**
 * The peer's address, or `unix:` where the server listens on a Unix socket (or a named pipe). A missing address does
 * not prove a Unix socket: a connection that has ended has none either, and must not pass for the trusted proxy. The
 * server's own address does: for a Unix socket it is a path.
 */
export function peerOf(given: NodeRequest["socket"]): string | undefined {
  const socket: object = Object(given);
  const server: unknown = Reflect.get(socket, "server");
  const address = text(socket, "remoteAddress");
  const listensOnPath =
    isObject(server) && "address" in server && typeof server.address === "function" && typeof server.address() === "string";
  return address ?? (listensOnPath ? "unix:" : undefined);
}

/**
 * Matches a path that the URL parser would change: `/open/%2e%2e/api/scores`, `/api\\scores`, one with a tab in it. The
 * attack: a proxy in front applies its rules to the path as it is written, and the gate would serve another one. So
 * such a path is refused, whatever is served.
 */
export const REWRITTEN: RegExp = /^[^?]*?(?:[\\#\t\n\r]|\/(?:\.|%2e){1,2}(?:[/?]|$))/i;

export function targetOf(req: NodeRequest): string {
  return req.originalUrl ?? req.url ?? "/";
}

/**
 * The URL of a request, null if it is invalid. Host and target are text of the client: the host must not contain a path
 * or a user.
 */
function urlOf(req: NodeRequest, hosts: readonly string[]): string | null {
  const target = targetOf(req);
  const scheme = Reflect.get(Object(req.socket), "encrypted") === true ? "https" : "http";
  // Absolute form (RFC 9112, 3.2.2): it names the host, and the Host header does not count.
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
  // A parser has read the body. The decoded body has another length and no content coding.
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

/**
 * The body as a stream, one chunk for each read. Nothing is read before the first pull, so a `next` handler can still
 * read the whole body.
 */
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

function text(from: object, name: string): string | undefined {
  const value: unknown = Reflect.get(from, name);
  return typeof value === "string" ? value : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
