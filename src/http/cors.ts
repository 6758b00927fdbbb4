/** Options of {@link createCors}. */
export interface CorsOptions {
  /** Exact origins, e.g. `https://game.example`. */
  allowedOrigins?: readonly string[] | undefined;
  /** The origin under which browsers reach us. */
  publicUrl?: string | undefined;
}

/** What a request's Origin means. */
export interface OriginCheck {
  /** The header as sent; null when there was none. */
  origin: string | null;
  /** No Origin, our own, or on the list. A write that is not allowed is 403 ORIGIN_NOT_ALLOWED. */
  allowed: boolean;
  own: boolean;
}

/** Cross-origin rules of a gate. */
export interface Cors {
  check(request: Request): OriginCheck;
  /** The answer to a preflight; null when the request is none. */
  preflight(request: Request, methods: readonly string[]): Response | null;
  /** Adds `Vary: Origin` and, for an allowed origin, the CORS headers. The same response, or a copy where its headers cannot change. */
  apply(response: Response, request: Request): Response;
}

/** @throws {TypeError} an origin that is none (a path, a wildcard, `null`), a bad `publicUrl` */
export function createCors(options: CorsOptions = {}): Cors {
  void options;
  return { check: () => ({ origin: null, allowed: true, own: false }), preflight: () => null, apply: (response) => response };
}
