import { assertKeys, assertOneOf } from "../util/assertions.ts";
import { CLOUDFLARE_RANGES, canonicalIp, type Ip, ipKey, ipPrefix, ipPrefixText, parseHostPort, parseIp } from "../util/ip.ts";
import { type Trusts, trustedPeers } from "./trusted-peers.ts";
import type { ClientIpOption, Platform, RequestInfo } from "./types.ts";

/** The address of a client, in the forms that are needed; each is undefined when unknown. */
export type ClientAddress = Pick<RequestInfo, "address" | "ip" | "ipPrefix" | "ipPrefixText">;

/**
 * Cloudflare gives this address to every request from a Worker to another zone. It counts as unknown, since all Workers
 * share it.
 */
const WORKER_TO_WORKER = "2a06:98c0:3600::103";

/**
 * Creates the function that finds a client's address.
 *
 * @throws {TypeError} an invalid option, a proxy that is not a CIDR, or a range that covers every address
 */
export function clientAddress(option: ClientIpOption | undefined): (request: Request, platform: Platform) => ClientAddress {
  const find = finder(option);
  return (request, platform) => {
    const found = find(request, platform) ?? "";
    const address = canonicalIp(found) ?? WORKER_TO_WORKER;
    // "" is not an address: every part becomes undefined.
    const from = address === WORKER_TO_WORKER ? "" : found;
    return { address: from ? address : undefined, ip: ipKey(from), ipPrefix: ipPrefix(from), ipPrefixText: ipPrefixText(from) };
  };
}

/** Milliseconds. */
const HOUR = 3_600_000;

/**
 * Detects a deployment in which every client has the same address: a proxy is not configured, and all clients share one
 * counter.
 *
 * The function returns true, at most once an hour, when all requests of an hour had one address, and they named 10
 * different clients in forwarding headers or got 50 players. A household or an office does not reach these numbers.
 * Players on a page of localhost do not count, unless `published`.
 *
 * @param clock milliseconds since the epoch
 * @param published whether the gate has a public URL, so that localhost is only the proxy's view
 */
export function watchSingleAddress(
  clock: () => number,
  published = false,
): (request: Request, address: string | undefined, player?: string) => boolean {
  const forwarded = new Set<string>();
  const players = new Set<string>();
  /** The only address of this hour; empty once there was a second one, or it was reported. */
  let only = "";
  let until = 0;
  return ({ headers, url }, address, player) => {
    const now = clock();
    if (!address) return false;
    if (now >= until) {
      until = now + HOUR;
      only = address;
      forwarded.clear();
      players.clear();
    }
    if (only !== address) only = "";
    if (!only) return false;
    const from = headers.get("x-forwarded-for") ?? headers.get("forwarded") ?? headers.get("cf-connecting-ip");
    if (from) forwarded.add(from.slice(0, 100));
    if (player && (published || !/^https?:\/\/([^/]+\.)?(localhost|127[.\d]+|\[::1])[:/]/.test(url))) players.add(player);
    if (forwarded.size < 10 && players.size < 50) return false;
    only = "";
    until = now + HOUR;
    return true;
  };
}

type Finder = (request: Request, platform: Platform) => Ip | null;

const peerOf: Finder = (_request, { peer = "" }) => parseIp(peer);

function finder(option: ClientIpOption | undefined): Finder {
  // On Workers the peer is what the platform put into CF-Connecting-IP, so the default is the peer everywhere.
  if (option === undefined || option === "socket") return peerOf;
  if (option === "cloudflare") return behind(CLOUDFLARE_RANGES, (request) => one(request.headers.get("cf-connecting-ip")));
  if (typeof option === "function") return (request, { peer }) => parseIp(String(option(request, { peer })));
  if (typeof option === "object" && option !== null) {
    assertKeys("clientIp", option, "header" in option ? ["header"] : ["trustedProxies", "source"]);
    if ("trustedProxies" in option) return proxied(option.trustedProxies, option.source);
    if ("header" in option && typeof option.header === "string" && /^[\w-]+$/.test(option.header))
      return (request) => one(request.headers.get(option.header));
  }
  throw invalid('expected "socket", "cloudflare", { trustedProxies }, { header } or a function');
}

/** The address in a header with a single entry. A list is refused: the client may have written a part of it. */
function one(text: string | null): Ip | null {
  const found = parseHostPort(text?.trim() ?? "");
  return found && parseIp(found.host);
}

/** The client that a trusted peer names; else the peer itself. A client that connects directly may write any header. */
function behind(proxies: readonly string[], told: (request: Request, peer: Ip | null, trusts: Trusts) => Ip | null): Finder {
  const trusts = trustedPeers("clientIp.trustedProxies", proxies);
  return (request, platform) => {
    const peer = peerOf(request, platform);
    return trusts(platform.peer) ? told(request, peer, trusts) : peer;
  };
}

function proxied(proxies: readonly string[], source: string = "x-forwarded-for"): Finder {
  if (proxies?.length === 0) throw invalid('"trustedProxies" is empty');
  assertOneOf("clientIp.source", source, ["x-forwarded-for", "forwarded"]);
  return behind(proxies, (request, peer, trusts) => {
    const header = request.headers.get(source);
    let client: Ip | null = peer;
    // Read from the right: our own proxies append their entries last, and the client may have written the first ones. A
    // malformed entry comes from a trusted proxy that does not know its client. Then the client is unknown; the next
    // entry might be forged.
    for (const entry of header === null ? [] : splitFromRight(header)) {
      const hop = source === "forwarded" ? forwardedFor(entry) : entry;
      client = one(hop);
      // A proxy whose peer is a Unix socket (nginx behind nginx) appends "unix:". It counts as a peer through a Unix
      // socket.
      if (!trusts(client ?? hop?.trim())) break;
    }
    return client;
  });
}

function invalid(why: string): TypeError {
  return new TypeError(`Invalid "clientIp": ${why}`);
}

/**
 * The elements of a list, last first. Quotes are matched from the right too: an unclosed quote of the client cannot
 * hide the elements after it.
 */
function* splitFromRight(list: string): Generator<string> {
  let end = list.length;
  let quoted = false;
  for (let i = end - 1; i >= 0; i--) {
    if (list[i] === '"') quoted = !quoted;
    else if (list[i] === "," && !quoted) {
      yield list.slice(i + 1, end);
      end = i;
    }
  }
  yield list.slice(0, end);
}

/** The `for` of one element of RFC 7239; null when it has none, two, or does not parse. */
function forwardedFor(element: string): string | null {
  const pair = /\s*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;=]+))\s*(;|$)/y;
  let found: string | null = null;
  while (pair.lastIndex < element.length) {
    const match = pair.exec(element);
    if (!match) return null;
    if (match[1]?.toLowerCase() !== "for") continue;
    if (found !== null) return null;
    found = match[2] ?? match[3] ?? "";
  }
  return found;
}
