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

import { methods } from "../src/util/options.ts";
import { type NodeRequest, type NodeResponse, peerOf, REWRITTEN, targetOf, toRequest } from "./_node-request.ts";

export type { NodeRequest, NodeResponse } from "./_node-request.ts";

/** The methods of a gate that are served. */
export interface NodeGate {
  fetch(request: Request, second?: unknown): Promise<Response>;
  handle(request: Request, second?: unknown): Promise<Response | null>;
}

/** A handler of requests, as `gate.guard` returns it. */
export type NodeHandler = (request: Request, second?: unknown) => Promise<Response>;

/** Fastify's request or reply, which contains Node's. */
export interface FastifyLike<Raw> {
  raw: Raw;
  body?: unknown;
  hijack?(): unknown;
}

/**
 * Bytes of an unread body that are still received and dropped. If the connection were closed at once, the client would
 * not get the answer.
 */
const LINGER_BYTES = 1 << 20;
/** Milliseconds for the same. */
const LINGER_MS = 1000;

/**
 * The handler of a gate, or of a function that `gate.guard` returned. With a third argument (Express, Connect), paths
 * that are not the gate's go on to `next`; otherwise they are answered 404.
 *
 * A path with a dot segment, a backslash, a control character or a fragment is answered 404 and never goes on to
 * `next`. A URL parser would change it, so the gate would check one path and a router would serve another.
 *
 * The body is streamed. Where a parser has read it before (Express's `json()` mounted first, Fastify), `rawBody` is
 * used, else `body`. Mount the gate first if you can, so that its own size limits apply.
 *
 * An error of the handler goes to `next`, or else to `console.error` with an answer of 500. An `AbortError` after the
 * client disconnected is dropped.
 *
 * The client's address is the socket's peer, unless the gate's `clientIp` is set. If the server listens on a Unix
 * socket, the peer is `unix:`, which `clientIp: { trustedProxies: ["unix:"] }` trusts.
 */
export function toNode(
  served: NodeGate | NodeHandler,
): (
  request: NodeRequest | FastifyLike<NodeRequest>,
  response: NodeResponse | FastifyLike<NodeResponse>,
  next?: (error?: unknown) => void,
) => void {
  if (typeof served !== "function") methods("fetch", "handle")("gate", served);
  const gate = typeof served === "function" ? { fetch: served, handle: served } : served;
  return (request, response, next) => {
    const req = "raw" in request ? request.raw : request;
    const res = "raw" in response ? response.raw : response;
    if ("raw" in response) response.hijack?.();
    serve(gate, req, res, request.body, next).catch((error: unknown) => {
      // The client disconnected, and the request's signal aborted the handler's work. This is no error, and there is
      // nobody to answer.
      if (res.destroyed && !res.writableEnded && isAbort(error)) return;
      if (next && !res.headersSent) {
        next(error);
        return;
      }
      // A handler's own error; those that a gate catches go to its `onError`. Without this line it would be lost.
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
  // Do not pass such a path to `next`: the handlers behind rely on the guard in `handle`, which has not seen it.
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
  res.setHeader("cdn-cache-control", "no-store");
  res.end(new TextEncoder().encode(JSON.stringify({ error })));
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
    // In one piece, so that Node can set the Content-Length.
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

/**
 * Receives and drops the rest of an unread body, up to a limit. Then the connection is closed: an endless upload must
 * not occupy the server.
 */
function linger(req: NodeRequest, res: NodeResponse): void {
  // A request without a connection (Fastify's inject) has no `complete`, but its stream ends.
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
  return typeof error === "object" && error !== null && "name" in error && error.name === "AbortError";
}

function ignore(): void {}
