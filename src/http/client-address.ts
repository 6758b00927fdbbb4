import { assertKeys, assertOneOf } from "../util/assertions.ts";
import { CLOUDFLARE_RANGES, canonicalIp, type Ip, ipKey, ipPrefix, ipPrefixText, parseHostPort, parseIp } from "../util/ip.ts";
import { type Trusts, trustedPeers } from "./trusted-peers.ts";
import type { ClientIpOption, Platform, RequestInfo } from "./types.ts";

/** Where a request comes from, every part undefined when unknown. */
export type ClientAddress = Pick<RequestInfo, "address" | "ip" | "ipPrefix" | "ipPrefixText">;

/** Every request from a Worker to another zone carries this address: it tells nobody from anybody. */
const WORKER_TO_WORKER = "2a06:98c0:3600::103";

/**
 * Makes the function that tells a client's address.
 *
 * @throws {TypeError} an option that is none, a proxy that is no CIDR, or one that trusts everybody
 */
export function clientAddress(option: ClientIpOption | undefined): (request: Request, platform: Platform) => ClientAddress {
  const find = finder(option);
  return (request, platform) => {
    const found = find(request, platform) ?? "";
    const address = canonicalIp(found) ?? WORKER_TO_WORKER;
    // No text is an address of nobody: every part is undefined.
    const from = address === WORKER_TO_WORKER ? "" : found;
    return { address: from ? address : undefined, ip: ipKey(from), ipPrefix: ipPrefix(from), ipPrefixText: ipPrefixText(from) };
  };
}

const HOUR = 3_600_000;

/**
 * Watches for a deployment in which every client has one address (a proxy that was not configured: one bucket for all). The function returns true, once
 * an hour at most, when in an hour nobody came from a second address, and either 10 clients were forwarded for or 50 players came: more than a
 * household, an office or somebody at work on the page. Players at a page on this very machine do not count, unless it is `published`.
 *
 * @param clock milliseconds
 */
export function watchSingleAddress(
  clock: () => number,
  published = false,
): (request: Request, address: string | undefined, player?: string) => boolean {
  const forwarded = new Set<string>();
  const players = new Set<string>();
  /** Empty: there is nothing to find out in this hour. */
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

/** A single entry; a list means that somebody else's text is in there too. */
function one(text: string | null): Ip | null {
  const found = parseHostPort(text?.trim() ?? "");
  return found && parseIp(found.host);
}

/** The peer, unless it is trusted: whoever reaches us directly may write any header, so that only the word of a trusted peer counts. */
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
    // From the right: what our own proxies appended comes last, what the client made up comes first. A malformed entry was
    // appended by a trusted hop that does not know its client either: unknown, never the next (forgeable) entry.
    for (const entry of header === null ? [] : splitFromRight(header)) {
      const hop = source === "forwarded" ? forwardedFor(entry) : entry;
      client = one(hop);
      // A proxy whose own peer is a Unix socket (nginx behind nginx) appends "unix:". It is trusted like a peer of ours that is one.
      if (!trusts(client ?? hop?.trim())) break;
    }
    return client;
  });
}

function invalid(why: string): TypeError {
  return new TypeError(`Invalid "clientIp": ${why}`);
}

/** Elements of a list, last first. Quotes are matched from the right too, so that an open quote of the client swallows no element after it. */
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
