/** What the platform tells of a request, whichever platform it is. */
export interface RequestInfo {
  /** Canonical client address, undefined when unknown. */
  address: string | undefined;
  /** Key for `ip` limits: an IPv4 address or an IPv6 /64. */
  ip: string | undefined;
  /** Key for `ip-prefix` limits and events: /24 or /48. */
  ipPrefix: string | undefined;
  /** Extends the request's life for work after the answer. */
  waitUntil(promise: Promise<unknown>): void;
}

/** What an address function of the application sees. */
export interface PeerInfo {
  /** The socket's peer, as text, where the platform tells. */
  peer: string | undefined;
}

/** Where a client's address comes from. Default: the peer's address; on Workers `cloudflare`. */
export type ClientIpOption =
  | "socket"
  | "cloudflare"
  | { trustedProxies: readonly string[] }
  | { header: string }
  | ((request: Request, info: PeerInfo) => string | undefined);

/** What `second` and `third` of `gate.fetch` come down to. */
export interface Platform {
  kind: "workers" | "bun" | "deno" | "node" | "unknown";
  env: unknown;
  peer: string | undefined;
  waitUntil(promise: Promise<unknown>): void;
}
