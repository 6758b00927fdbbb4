import { HEADER } from "../protocol.ts";
import { jsonResponse, refusalResponse, withHeaders } from "./refusal.ts";

/** Options of {@link createCors}. */
export interface CorsOptions {
  /** Exact origins besides the gate's own, e.g. `https://game.example`. Default none. */
  allowedOrigins?: readonly string[] | undefined;
  /**
   * The origin under which browsers reach the gate. Needed where a proxy changes the request's host. Default: the
   * request's own origin.
   */
  publicUrl?: string | undefined;
}

/** The outcome of checking a request's `Origin`. */
export interface OriginCheck {
  /** The header as sent; null when there was none. */
  origin: string | null;
  /**
   * There is no Origin, or it is the gate's own or on the list. A write that is not allowed is answered 403
   * `ORIGIN_NOT_ALLOWED`.
   */
  allowed: boolean;
}

/**
 * Cross-origin rules of a gate. Pages send credentials in headers of their own, so neither `Allow-Credentials` nor a
 * wildcard is ever sent.
 */
export interface Cors {
  check(request: Request): OriginCheck;
  /** The answer to a preflight (204, or 403 to a foreign origin); null when the request is none. */
  preflight(request: Request, methods: readonly string[]): Response | null;
  /**
   * Adds `Vary: Origin` and, for an allowed origin, the CORS headers. The same response, or a copy where its headers
   * cannot change.
   */
  apply(response: Response, request: Request): Response;
}

const REQUEST_HEADERS = ["authorization", "content-type", ...Object.values(HEADER), "x-app-clearance"];
/**
 * Characters of the longest `Access-Control-Request-Headers` that is read. A longer list is ignored: no page needs it.
 */
const MAX_ASKED = 2048;

/** @throws {TypeError} an entry that is not an origin (a path, a wildcard, `null`), a bad `publicUrl` */
export function createCors(options: CorsOptions = {}): Cors {
  const list = new Set((options.allowedOrigins ?? []).map(exactOrigin));
  const publicHost = options.publicUrl === undefined ? undefined : parse(options.publicUrl);
  if (publicHost === null) throw new TypeError(`Invalid "publicUrl": "${options.publicUrl}"`);

  const check = (request: Request): OriginCheck => {
    const origin = request.headers.get("origin");
    return { origin, allowed: origin === null || list.has(origin) || isOwn(origin, request.url) };
  };

  const isOwn = (origin: string, here: string): boolean => {
    // The fast path for nearly every page: the request's own scheme, host and port to the letter, without parsing two
    // URLs.
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
 * Our own header names, and those that an allowed page asks for: a tracing SDK adds `traceparent`, a guarded route may
 * have a header of its own. A header's name gives a page no rights. The list is text of the client's: only valid names
 * (RFC 9110) are sent back, and never the wildcard.
 */
function headerNames(asked: string): string[] {
  const names = asked.length > MAX_ASKED ? [] : asked.toLowerCase().split(",");
  const valid = names.map((name) => name.trim()).filter((name) => /^[\w!#$%&'+.^`|~-]+$/.test(name));
  return [...new Set([...REQUEST_HEADERS, ...valid])];
}

/**
 * Whether host and port agree. An https origin matches an http request, since a proxy may end TLS. An http origin does
 * not match an https request: anybody on the network can change an http page.
 */
function sameHost(origin: URL, us: URL | null | undefined): boolean {
  return us?.host === origin.host && (us.protocol === "http:" || origin.protocol === "https:");
}

function parse(text: string): URL | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url && /^https?:$/.test(url.protocol) ? url : null;
}

/** Parses an origin in the exact spelling that browsers send; null for anything else (`null`, a path, a list). */
function exact(origin: string): URL | null {
  const url = parse(origin);
  return url?.origin === origin && !origin.includes("*") ? url : null;
}

function exactOrigin(origin: string): string {
  // WebViews have schemes of their own, e.g. capacitor://localhost.
  if (typeof origin !== "string" || !(exact(origin) || /^(?!https?:)[a-z][a-z\d+.-]*:\/\/[a-z\d.-]+(:\d+)?$/.test(origin))) {
    throw new TypeError(`Invalid "allowedOrigins": write "${origin}" as browsers send it, e.g. "https://game.example"`);
  }
  return origin;
}
