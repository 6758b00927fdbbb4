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
  if (onWorkers(request)) {
    return { kind: "workers", env: second, peer: request.headers.get("cf-connecting-ip") ?? undefined, waitUntil };
  }
  if (hasMethod(second, "requestIP")) return { kind: "bun", env: undefined, peer: field(second.requestIP(request), "address"), waitUntil };
  if (isObject(second) && "remoteAddr" in second)
    return { kind: "deno", env: undefined, peer: field(second.remoteAddr, "hostname"), waitUntil };
  if (isObject(second) && "peer" in second && third === undefined) {
    return { kind: "node", env: undefined, peer: field(second, "peer"), waitUntil };
  }
  return { kind: "unknown", env: second, peer: undefined, waitUntil };
}

function onWorkers(request: Request): boolean {
  if (typeof navigator !== "undefined" && navigator.userAgent === "Cloudflare-Workers") return true;
  return "cf" in request && isObject(request.cf);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function hasMethod<Name extends string>(value: unknown, name: Name): value is Record<Name, (argument: unknown) => unknown> {
  return isObject(value) && typeof Reflect.get(value, name) === "function";
}

function field(value: unknown, name: string): string | undefined {
  const text = isObject(value) ? Reflect.get(value, name) : undefined;
  return typeof text === "string" ? text : undefined;
}
