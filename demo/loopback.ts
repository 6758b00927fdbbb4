/** Whether a request came from this very machine. */

const NAMES = ["localhost", "127.0.0.1"];

/**
 * From this machine, to its own name. Both have to hold: the Host header is a client's text, so that on `HOST=0.0.0.0` anybody in the network may write
 * `localhost`; and a page of somebody else's, opened on this machine, may have its name lead here.
 *
 * @param second what the runtime passes beside the request: it knows the connection's other end
 */
export function isLoopback(request: Request, second: unknown): boolean {
  const peer = peerOf(request, second).replace(/^::ffff:/i, "");
  return NAMES.includes(new URL(request.url).hostname) && (peer === "::1" || /^127(\.\d{1,3}){3}$/.test(peer));
}

/** The connection's other end: as `toNode` tells it, Bun's server, Deno's info, or in workerd the header that it sets itself. */
function peerOf(request: Request, second: unknown): string {
  const agent: unknown = Reflect.get(Object(Reflect.get(globalThis, "navigator")), "userAgent");
  if (agent === "Cloudflare-Workers") return request.headers.get("cf-connecting-ip") ?? "";
  const { peer, remoteAddr, requestIP } = Object(second);
  const address: unknown = typeof requestIP === "function" ? requestIP.call(second, request)?.address : (peer ?? remoteAddr?.hostname);
  return typeof address === "string" ? address : "";
}
