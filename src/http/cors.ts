import { HEADER } from "../protocol.ts";
import { jsonResponse, refusalResponse, withHeaders } from "./refusal.ts";

/** Options of {@link createCors}. */
export interface CorsOptions {
  /** Exact origins, e.g. `https://game.example`. Default none besides our own. */
  allowedOrigins?: readonly string[] | undefined;
  /** The origin under which browsers reach us, where the request's host does not tell. */
  publicUrl?: string | undefined;
}

/** What a request's Origin means. */
export interface OriginCheck {
  /** The header as sent; null when there was none. */
  origin: string | null;
  /** No Origin, our own, or on the list. A write that is not allowed is 403 ORIGIN_NOT_ALLOWED. */
  allowed: boolean;
}

/** Cross-origin rules of a gate. Credentials are headers that a page sets itself, so `Allow-Credentials` is never sent, nor a wildcard. */
export interface Cors {
  check(request: Request): OriginCheck;
  /** The answer to a preflight (204, or 403 to a foreign origin); null when the request is none. */
  preflight(request: Request, methods: readonly string[]): Response | null;
  /** Adds `Vary: Origin` and, for an allowed origin, the CORS headers. The same response, or a copy where its headers cannot change. */
  apply(response: Response, request: Request): Response;
}

const REQUEST_HEADERS = ["authorization", "content-type", ...Object.values(HEADER), "x-app-clearance"];
/** Characters of `Access-Control-Request-Headers` that are read at most. A longer list is ignored: no page needs it. */
const MAX_ASKED = 2048;

/** @throws {TypeError} an origin that is none (a path, a wildcard, `null`), a bad `publicUrl` */
export function createCors(options: CorsOptions = {}): Cors {
  const list = new Set((options.allowedOrigins ?? []).map(exactOrigin));
  const publicHost = options.publicUrl === undefined ? undefined : parse(options.publicUrl);
  if (publicHost === null) throw new TypeError(`Invalid "publicUrl": "${options.publicUrl}"`);

  const check = (request: Request): OriginCheck => {
    const origin = request.headers.get("origin");
    return { origin, allowed: origin === null || list.has(origin) || isOwn(origin, request.url) };
  };

  const isOwn = (origin: string, here: string): boolean => {
    // What nearly every page sends, without parsing two URLs a request: the request's own scheme, host and port, to the letter.
    if (here.startsWith(`${origin}/`) && /^https?:\/\/[a-z\d.-]+(:\d+)?$/.test(origin)) return true;
    const url = exact(origin);
    return url !== null && (sameHost(url, parse(here)) || sameHost(url, publicHost));
  };

  const apply = (response: Response, request: Request): Response => {
    const { origin, allowed } = check(request);
    const vary = response.headers.get("vary");
    const fields: [string, string][] = [["vary", vary ? `${vary}, Origin` : "Origin"]];
    if (vary && /(^|[\s,])(origin|\*)([\s,]|$)/i.test(vary)) fields.pop();
    if (origin !== null && allowed) {
      fields.push(["access-control-allow-origin", origin], ["access-control-expose-headers", "RateLimit, RateLimit-Policy, Retry-After"]);
    }
    return withHeaders(response, fields);
  };

  const preflight = (request: Request, methods: readonly string[]): Response | null => {
    if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method")) return null;
    const { origin, allowed } = check(request);
    if (origin === null) return null;
    if (!allowed) return apply(refusalResponse("ORIGIN_NOT_ALLOWED"), request);
    const headers = {
      "access-control-allow-methods": methods.join(", "),
      "access-control-allow-headers": headerNames(request.headers.get("access-control-request-headers") ?? "").join(", "),
      "access-control-max-age": "600",
      vary: "Access-Control-Request-Headers",
    };
    return apply(jsonResponse(204, undefined, headers), request);
  };

  return { check, preflight, apply };
}

/**
 * Our own header names, and those that an allowed page asks for: a tracing SDK adds `traceparent`, a guarded route has a header of its own.
 * A header's name gives a page no authority. The text is a stranger's: only names of RFC 9110 come back, and never the wildcard.
 */
function headerNames(asked: string): string[] {
  const names = asked.length > MAX_ASKED ? [] : asked.toLowerCase().split(",");
  const valid = names.map((name) => name.trim()).filter((name) => /^[\w!#$%&'+.^`|~-]+$/.test(name));
  return [...new Set([...REQUEST_HEADERS, ...valid])];
}

/** Host and port agree. TLS may end before us, so that https outside is http here; the other way round would be a page that anybody on the line wrote. */
function sameHost(origin: URL, us: URL | null | undefined): boolean {
  return us?.host === origin.host && (us.protocol === "http:" || origin.protocol === "https:");
}

function parse(text: string): URL | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url && /^https?:$/.test(url.protocol) ? url : null;
}

/** An origin in the one spelling that browsers send, and nothing else: no `null`, no path, no list. */
function exact(origin: string): URL | null {
  const url = parse(origin);
  return url?.origin === origin && !origin.includes("*") ? url : null;
}

function exactOrigin(origin: string): string {
  // Web views have schemes of their own, e.g. capacitor://localhost.
  if (typeof origin !== "string" || !(exact(origin) || /^(?!https?:)[a-z][a-z\d+.-]*:\/\/[a-z\d.-]+(:\d+)?$/.test(origin))) {
    throw new TypeError(`Invalid "allowedOrigins": write "${origin}" as browsers send it, e.g. "https://game.example"`);
  }
  return origin;
}
