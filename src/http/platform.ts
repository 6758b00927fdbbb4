import { UNIX_PEER } from "./trusted-peers.ts";
import type { Platform } from "./types.ts";

/**
 * What the arguments of `fetch` beyond the request say: `(env, ctx)` of Workers, the server of Bun, the info of Deno, `{ peer }` of the node adapter.
 *
 * `workers` (where `CF-Connecting-IP` is the platform's own word) needs proof of the runtime, which no request can bring and no look-alike platform
 * with the same arguments has: its user agent, or `request.cf`.
 */
export function detectPlatform(request: Request, second?: unknown, third?: unknown): Platform {
  const waiter = hasMethod(third, "waitUntil") ? third : hasMethod(second, "waitUntil") ? second : undefined;
  const waitUntil = (promise: Promise<unknown>): void => {
    // A rejection here must not end the process; whoever hands over work reports its failure.
    const settled = promise.catch(() => undefined);
    if (waiter) waiter.waitUntil(settled);
  };
  const of = (kind: Platform["kind"], peer?: string, env?: unknown): Platform => ({ kind, env, peer, waitUntil });
  if (onWorkers(request)) return of("workers", request.headers.get("cf-connecting-ip") ?? undefined, second);
  if (hasMethod(second, "requestIP")) return of("bun", bunPeer(second, second.requestIP(request)));
  const given: { remoteAddr?: unknown; peer?: unknown } = Object(second);
  if ("remoteAddr" in given) return of("deno", denoPeer(given.remoteAddr));
  if ("peer" in given && third === undefined) return of("node", field(given, "peer"));
  return of("unknown", undefined, second);
}

/** A Bun server on a Unix socket has its path for an address. `requestIP` alone is null for a connection that is over, too. */
function bunPeer(server: unknown, remote: unknown): string | undefined {
  return field(remote, "address") ?? (field(server, "address") && UNIX_PEER);
}

/** Deno says itself that a connection came through a Unix socket, and has no hostname then. */
function denoPeer(remote: unknown): string | undefined {
  return field(remote, "transport") === "unix" ? UNIX_PEER : field(remote, "hostname");
}

/** Whether this is Workers, or a request that came through them. */
export function onWorkers(request?: Request): boolean {
  const { cf }: { cf?: unknown } = Object(request);
  return field(Reflect.get(globalThis, "navigator"), "userAgent") === "Cloudflare-Workers" || (cf !== null && typeof cf === "object");
}

function hasMethod<Name extends string>(value: unknown, name: Name): value is Record<Name, (argument: unknown) => unknown> {
  return typeof Reflect.get(Object(value), name) === "function";
}

function field(value: unknown, name: string): string | undefined {
  const text: unknown = Reflect.get(Object(value), name);
  return typeof text === "string" ? text : undefined;
}
