import { UNIX_PEER } from "./trusted-peers.ts";
import type { Platform } from "./types.ts";

/**
 * Detects the platform by the arguments of `fetch` after the request: `(env, ctx)` on Workers, the server on Bun, the
 * info on Deno, `{ peer }` from the node adapter.
 *
 * On Workers the platform itself sets `CF-Connecting-IP`, so that header is trusted. Therefore `workers` needs a sign
 * that neither a request nor another platform with the same arguments can imitate: the runtime's user agent, or
 * `request.cf`.
 */
export function detectPlatform(request: Request, second?: unknown, third?: unknown): Platform {
  const waiter = hasMethod(third, "waitUntil") ? third : hasMethod(second, "waitUntil") ? second : undefined;
  const waitUntil = (promise: Promise<unknown>): void => {
    // A rejection must not end the process. The caller reports failures itself.
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

/**
 * On a Unix socket, Bun's `requestIP` is null and the server's address is a path. A connection that has ended also
 * gives null, so both are checked.
 */
function bunPeer(server: unknown, remote: unknown): string | undefined {
  return field(remote, "address") ?? (field(server, "address") && UNIX_PEER);
}

/** For a Unix socket Deno gives the transport `unix` and no hostname. */
function denoPeer(remote: unknown): string | undefined {
  return field(remote, "transport") === "unix" ? UNIX_PEER : field(remote, "hostname");
}

/** Whether this runtime is Workers, or the request comes from them (it has `cf`). */
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
