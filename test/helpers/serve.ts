import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";

/** A server that `serve` started. */
export interface Served {
  /** Origin, e.g. `http://127.0.0.1:40123`, without a slash at the end. */
  url: string;
  port: number;
  /** Stops it and cuts what is still connected. */
  close(): Promise<void>;
}

/** What a handler is told besides the request. */
export interface ServeInfo {
  remoteAddress: string | undefined;
}

/**
 * Serves a fetch handler with node:http on a loopback port (ephemeral unless given).
 * A handler that throws, or whose body breaks off, cuts the connection: the peer sees a network error.
 */
export async function serve(
  handler: (request: Request, info: ServeInfo) => Response | Promise<Response>,
  options: { port?: number; host?: string } = {},
): Promise<Served> {
  const host = options.host ?? "127.0.0.1";
  const server = createServer((incoming, outgoing) => {
    answer(handler, incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot serve: no port");
  return {
    url: `http://${host}:${address.port}`,
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  handler: (request: Request, info: ServeInfo) => Response | Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const abort = new AbortController();
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) abort.abort();
  });
  outgoing.on("error", () => {});
  const headers = new Headers();
  for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2) {
    headers.append(incoming.rawHeaders[at] ?? "", incoming.rawHeaders[at + 1] ?? "");
  }
  const method = incoming.method ?? "GET";
  const hasBody = method !== "GET" && method !== "HEAD";
  const request = new Request(new URL(incoming.url ?? "/", `http://${incoming.headers.host ?? "localhost"}`), {
    method,
    headers,
    signal: abort.signal,
    ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: "half" } : {}),
  });
  const response = await handler(request, { remoteAddress: incoming.socket.remoteAddress });
  outgoing.writeHead(response.status, [...response.headers].flat());
  outgoing.flushHeaders();
  if (response.body !== null) {
    for await (const chunk of response.body) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(chunk)) await new Promise((resume) => outgoing.once("drain", resume).once("close", resume));
    }
  }
  outgoing.end();
}
