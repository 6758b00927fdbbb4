import { assertKeys, assertString } from "../util/assertions.ts";
import { timingSafeEqual, utf8 } from "../util/bytes.ts";
import { CLOUDFLARE_RANGES } from "../util/ip.ts";
import { trustedPeers } from "./trusted-peers.ts";
import type { OriginGuard } from "./types.ts";

/** Options of {@link requireCloudflare}. With several options, a request has to meet one of them. */
export interface RequireCloudflareOptions {
  /**
   * The peer is in one of these CIDRs. Default, when no other option is given: Cloudflare's published ranges. They
   * prove that a request came through Cloudflare, but not through your zone: any customer's zone can point at your
   * address. A tunnel, `secret` or `mtls` prove more. `unix:` stands for the Unix socket that the server listens on;
   * let only your tunnel open it.
   */
  ranges?: readonly string[] | "cloudflare";
  /**
   * A header that a Transform Rule of your zone sets, and its value of at least 32 characters; several values while you
   * change it.
   */
  secret?: { header: string; value: string | readonly string[] };
  /**
   * A header by which your own proxy confirms Cloudflare's client certificate. It only counts from peers in `proxies`
   * (CIDRs, `unix:`).
   */
  mtls?: { header: string; value: string; proxies: readonly string[] };
}

/**
 * Refuses requests that bypassed Cloudflare, for `createGate({ origin })`. Cloudflare's headers then count for the
 * other requests. On Workers every request comes through Cloudflare, so all of them pass.
 *
 * @throws {TypeError} {RangeError} an invalid or unknown option, an empty list, an entry that is not a CIDR, a secret
 * of less than 32 characters
 *
 * @example
 * ```ts
 * import { requireCloudflare } from "gatepass";
 * const origin = requireCloudflare({ secret: { header: "x-origin-secret", value: "0123456789abcdef0123456789abcdef" } });
 * const platform = { kind: "node", env: undefined, peer: "203.0.113.9", waitUntil: () => undefined } as const;
 * console.assert(!origin(new Request("https://game.example/", { headers: { "x-origin-secret": "guess" } }), platform));
 * ```
 */
export function requireCloudflare(options: RequireCloudflareOptions = {}): OriginGuard {
  assertKeys("requireCloudflare", options, ["ranges", "secret", "mtls"]);
  const { secret, mtls } = options;
  if (secret !== undefined) assertKeys("secret", secret, ["header", "value"]);
  if (mtls !== undefined) assertKeys("mtls", mtls, ["header", "value", "proxies"]);
  const given = options.ranges ?? (secret || mtls ? [] : "cloudflare");
  const list = given === "cloudflare" ? CLOUDFLARE_RANGES : given;
  const inRanges = trustedPeers("ranges", list);
  const secrets = secret ? [secret.value].flat().map((value) => textOf("secret.value", value, 32)) : [];
  if (secret) assertHeader("secret.header", secret.header);
  if (mtls) assertHeader("mtls.header", mtls.header);
  const expected = mtls && textOf("mtls.value", mtls.value, 1);
  const isProxy = trustedPeers("mtls.proxies", mtls?.proxies ?? []);
  if (mtls && mtls.proxies.length === 0) throw new TypeError('Invalid "mtls.proxies": without them anybody could write the header');
  if (secret && secrets.length === 0) throw new TypeError('Invalid "secret.value": expected one secret or more');
  // An empty list would refuse everybody, which would only show after deployment.
  if (!secret && !mtls && list.length === 0) throw new TypeError('Invalid "ranges": an empty list lets nobody in');

  return ({ headers }, { kind, peer }) => {
    if (kind === "workers") return true;
    if (inRanges(peer)) return true;
    // Compare with every secret, in constant time: the time must not tell which secret matched, or how much of it.
    let right = false;
    const told = secret && utf8(headers.get(secret.header) ?? "");
    if (told) for (const value of secrets) right = timingSafeEqual(told, value) || right;
    const verified = mtls && expected && isProxy(peer) && timingSafeEqual(utf8(headers.get(mtls.header) ?? ""), expected);
    return right || verified === true;
  };
}

function textOf(name: string, value: unknown, min: number): Uint8Array {
  assertString(name, value, min, 1024);
  return utf8(value);
}

function assertHeader(name: string, header: unknown): void {
  assertString(name, header);
  if (!/^[\w-]{1,64}$/.test(header)) throw new TypeError(`Invalid "${name}": expected the name of a header`);
}
