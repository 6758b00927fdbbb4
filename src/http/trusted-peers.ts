import { type Ip, inCidr, parseCidr, parseIp } from "../util/ip.ts";

/** The peer of a connection through a Unix socket, which has no address: what an adapter says that knows it, and what a list of peers may name. */
export const UNIX_PEER = "unix:";

/** Whether the word of a peer counts: an address, or what the platform tells of the peer. */
export type Trusts = (peer: Ip | string | undefined) => boolean;

/**
 * @param list CIDRs, and `unix:` for a Unix socket
 * @throws {TypeError} naming `option`: no list, an entry that is neither, a range that is everybody
 */
export function trustedPeers(option: string, list: readonly string[]): Trusts {
  if (!Array.isArray(list)) throw new TypeError(`Invalid "${option}": expected a list of CIDRs`);
  const unix = list.includes(UNIX_PEER);
  const ranges = list
    .filter((entry) => entry !== UNIX_PEER)
    .map((entry) => {
      const range = parseCidr(String(entry));
      // A range of no bits is everybody: with it every header would count.
      if (!range?.bits) throw new TypeError(`Invalid "${option}": "${entry}" is no CIDR (nor "unix:"), or is everybody`);
      return range;
    });
  return (peer = "") => {
    if (peer === UNIX_PEER) return unix;
    const ip = typeof peer === "string" ? parseIp(peer) : peer;
    return ip !== null && ranges.some((range) => inCidr(ip, range));
  };
}
