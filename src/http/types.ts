/** What the platform tells about a request. */
export interface RequestInfo {
  /** Canonical client address, undefined when unknown. */
  address: string | undefined;
  /** Key for `ip` limits: an IPv4 address or an IPv6 /64. */
  ip: string | undefined;
  /** Key for `ip-prefix` limits: /24 or /48. */
  ipPrefix: string | undefined;
  /** The prefix as text for events, e.g. `203.0.113.0/24`. */
  ipPrefixText: string | undefined;
  /** The request came through Cloudflare, so its CF headers and `request.cf` can be trusted. */
  edge?: boolean;
  /** Keeps the request alive for work after the answer. */
  waitUntil(promise: Promise<unknown>): void;
}

/** The argument of `new Headers`. (Its usual name, `HeadersInit`, is only in the types of browsers.) */
export type HeaderFields = ConstructorParameters<typeof Headers>[0];

/** The second argument of a `clientIp` function. */
export interface PeerInfo {
  /**
   * The connection's peer as text: an address, or `unix:` for a Unix socket. Undefined where the platform does not tell
   * it.
   */
  peer: string | undefined;
}

/**
 * Where a client's address comes from. Default `"socket"`.
 *
 * - `"socket"`: the connection's peer; on Workers the platform's `CF-Connecting-IP`. No other header counts
 * - `"cloudflare"`: `CF-Connecting-IP`, on Workers, or where the peer is in Cloudflare's ranges; else the peer
 * - `{ trustedProxies }`: CIDRs, and `unix:` for the Unix socket that the server listens on; the rightmost untrusted
 *   entry of `source` (default `X-Forwarded-For`), where the peer is trusted; else the peer
 * - `{ header }`: one address in a header that your proxy always overwrites (behind a tunnel: `cf-connecting-ip`)
 * - a function: returns the address as text; any other text counts as unknown
 */
export type ClientIpOption =
  | "socket"
  | "cloudflare"
  | { trustedProxies: readonly string[]; source?: "x-forwarded-for" | "forwarded" }
  | { header: string }
  | ((request: Request, info: PeerInfo) => string | undefined);

/** What the arguments `second` and `third` of `gate.fetch` tell. */
export interface Platform {
  kind: "workers" | "bun" | "deno" | "node" | "unknown";
  env: unknown;
  peer: string | undefined;
  waitUntil(promise: Promise<unknown>): void;
}

/** Whether a request came through Cloudflare, see `requireCloudflare`. */
export type OriginGuard = (request: Request, platform: Platform) => boolean | Promise<boolean>;
