import { type Cidr, type Ip, inCidr, parseCidr, parseIp } from "../util/ip.ts";

/** The peer of a connection through a Unix socket, which has no address: what an adapter says that knows it, and what a list of peers may name. */
export const UNIX_PEER = "unix:";

/** Peers whose word counts. */
export interface TrustedPeers {
  /** Whether an address is in one of the ranges. */
  has(ip: Ip): boolean;
  /** Whether a peer, as the platform tells it, is in one of the ranges, or a Unix socket that the list names. */
  trusts(peer: string | undefined): boolean;
}

/**
 * @param list CIDRs, and `unix:` for a Unix socket
 * @throws {TypeError} naming `option`: no list, an entry that is neither, a range that is everybody
 */
export function trustedPeers(option: string, list: readonly string[]): TrustedPeers {
  if (!Array.isArray(list)) throw new TypeError(`Invalid "${option}": expected a list of CIDRs`);
  const ranges: Cidr[] = [];
  for (const entry of list) if (entry !== UNIX_PEER) ranges.push(cidr(option, String(entry)));
  const unix = list.includes(UNIX_PEER);
  const has = (ip: Ip): boolean => ranges.some((range) => inCidr(ip, range));
  return {
    has,
    trusts(peer = "") {
      if (peer === UNIX_PEER) return unix;
      const ip = parseIp(peer);
      return ip !== null && has(ip);
    },
  };
}

function cidr(option: string, text: string): Cidr {
  const range = parseCidr(text);
  if (!range) throw new TypeError(`Invalid "${option}": "${text}" is no CIDR, nor "${UNIX_PEER}"`);
  if (range.bits === 0) throw new TypeError(`Invalid "${option}": "${text}" trusts everybody, and with it every header`);
  return range;
}
