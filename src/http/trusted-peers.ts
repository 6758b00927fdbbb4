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
  const trusted = list.map((entry) => {
    if (entry === UNIX_PEER) return UNIX_PEER;
    const range = parseCidr(String(entry));
    // A range of no bits is everybody: with it every header would count.
    if (!range?.bits) throw new TypeError(`Invalid "${option}": "${entry}" is no CIDR (nor "unix:"), or is everybody`);
    return range;
  });
  return (peer = "") => {
    const ip = typeof peer === "string" ? parseIp(peer) : peer;
    return trusted.some((one) => (one === UNIX_PEER ? peer === one : ip && inCidr(ip, one)));
  };
}
