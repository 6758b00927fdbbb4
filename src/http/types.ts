/** What the platform tells of a request, whichever platform it is. */
export interface RequestInfo {
  /** Canonical client address, undefined when unknown. */
  address: string | undefined;
  /** Key for `ip` limits: an IPv4 address or an IPv6 /64. */
  ip: string | undefined;
  /** Key for `ip-prefix` limits: /24 or /48. */
  ipPrefix: string | undefined;
  /** The prefix as events say it, e.g. `203.0.113.0/24`. */
  ipPrefixText: string | undefined;
  /** It came through Cloudflare, so that its CF headers and `request.cf` may be believed. */
  edge?: boolean;
  /** Extends the request's life for work after the answer. */
  waitUntil(promise: Promise<unknown>): void;
}

/** What headers are made of; not by its usual name, which only the types of browsers know. */
export type HeaderFields = ConstructorParameters<typeof Headers>[0];

/** What an address function of the application sees. */
export interface PeerInfo {
  /** The socket's peer, as text, where the platform tells: an address, or `unix:` where the server listens on a Unix socket. */
  peer: string | undefined;
}

/**
 * Where a client's address comes from. Default: the peer's address; on Workers `cloudflare`.
 *
 * - `"socket"`: the peer; no header counts
 * - `"cloudflare"`: `CF-Connecting-IP`, on Workers, or where the peer is in Cloudflare's ranges; else the peer
 * - `{ trustedProxies }`: CIDRs, and `unix:` for the Unix socket that the server listens on; the rightmost untrusted entry of `source` (default
 *   `X-Forwarded-For`), where the peer is trusted; else the peer
 * - `{ header }`: one address in a header that your proxy always overwrites (behind a tunnel: `cf-connecting-ip`)
 * - a function: the address as text; what is not an address is unknown
 */
export type ClientIpOption =
  | "socket"
  | "cloudflare"
  | { trustedProxies: readonly string[]; source?: "x-forwarded-for" | "forwarded" }
  | { header: string }
  | ((request: Request, info: PeerInfo) => string | undefined);

/** What `second` and `third` of `gate.fetch` come down to. */
export interface Platform {
  kind: "workers" | "bun" | "deno" | "node" | "unknown";
  env: unknown;
  peer: string | undefined;
  waitUntil(promise: Promise<unknown>): void;
}

/** Whether a request came the way that it has to: see `requireCloudflare`. */
export type OriginGuard = (request: Request, platform: Platform) => boolean | Promise<boolean>;
