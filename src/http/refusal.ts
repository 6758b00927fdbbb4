import { type PublicCode, STATUS } from "../protocol.ts";
import type { HeaderFields } from "./types.ts";

/** What a refusal may say besides its code. */
export interface RefusalExtra {
  /** Which fields are wrong; only sent with 422. */
  details?: unknown;
  /** Seconds, rounded up; sent with 429 and 503. Default 1 and 5. */
  retryAfter?: number | undefined;
  headers?: HeaderFields | undefined;
  /** Methods of a 405. */
  allow?: readonly string[];
  /** Further members of the body. */
  body?: Record<string, unknown>;
}

/**
 * Thrown to refuse a request; the gate answers with {@link refusalResponse}. Not an Error: a bad body must not cost the
 * work of a stack trace.
 */
export class Refusal {
  readonly code: PublicCode;
  readonly extra: RefusalExtra;

  constructor(code: PublicCode, extra: RefusalExtra = {}) {
    this.code = code;
    this.extra = extra;
  }
}

/**
 * The complete answer to a refused request: `{ error: CODE }` and nothing internal. 401 names the authentication
 * scheme, 405 the allowed methods, 429 and 503 the wait. The wait is `retryAfter` or up to 10 % longer, at random:
 * otherwise all refused clients would come back at the same moment.
 */
export function refusalResponse(code: PublicCode, extra: RefusalExtra = {}, random: () => number = Math.random): Response {
  const status = STATUS[code];
  const headers = new Headers(extra.headers);
  const body: Record<string, unknown> = { error: code, ...extra.body };
  if (status === 401)
    headers.set("www-authenticate", code === "SESSION_MISSING" || code === "UNAUTHORIZED" ? "Bearer" : 'Bearer error="invalid_token"');
  if (extra.allow) headers.set("allow", extra.allow.join(", "));
  if (extra.details !== undefined && status === 422) body["details"] = extra.details;
  if (status === 429 || status === 503) {
    const wait = Math.max(1, Math.ceil(extra.retryAfter ?? (status === 503 ? 5 : 1)));
    const jittered = wait + Math.floor(wait * 0.1 * random());
    headers.set("retry-after", String(jittered));
    body[code === "SECURITY_VERIFICATION_LIMITED" ? "retry_after_seconds" : "retryAfter"] = jittered;
  }
  return jsonResponse(status, body, headers);
}

/** A JSON answer. It has `no-store` unless `headers` has a Cache-Control, and no body for 204 or `undefined`. */
export function jsonResponse(status: number, body: unknown, headers?: HeaderFields): Response {
  const empty = body === undefined || status === 204;
  const response = new Response(empty ? null : JSON.stringify(body), headers ? { status, headers } : { status });
  const all = response.headers;
  if (!all.has("cache-control")) {
    all.set("cache-control", "no-store");
    all.set("cdn-cache-control", "no-store");
  }
  if (!empty) {
    all.set("content-type", "application/json");
    all.set("x-content-type-options", "nosniff");
  }
  return response;
}

/** Sets headers on a response, or on a copy if its headers are immutable (a redirect, a fetched answer). */
export function withHeaders(response: Response, headers: Iterable<readonly [string, string]>): Response {
  const set = (to: Response): Response => {
    for (const [name, value] of headers) to.headers.set(name, value);
    return to;
  };
  try {
    return set(response);
  } catch {
    return set(new Response(response.body, response));
  }
}
