import { type Ip, inCidr, parseCidr, parseIp } from "../util/ip.ts";

/**
 * Stands for the peer of a connection through a Unix socket, which has no address: in `Platform.peer`, and in lists of
 * trusted peers.
 */
export const UNIX_PEER = "unix:";

/** Whether a peer is trusted: by its parsed address, or by the platform's text. */
export type Trusts = (peer: Ip | string | undefined) => boolean;

/**
 * @param list CIDRs, and `unix:` for a Unix socket
 * @throws {TypeError} naming `option`: not a list, an entry that is neither, a range that covers every address
 */
export function trustedPeers(option: string, list: readonly string[]): Trusts {
  if (!Array.isArray(list)) throw new TypeError(`Invalid "${option}": expected a list of CIDRs`);
  const trusted = list.map((entry) => {
    if (entry === UNIX_PEER) return UNIX_PEER;
    const range = parseCidr(String(entry));
    // A range of 0 bits covers every address: then any client's headers would count.
    if (!range?.bits) throw new TypeError(`Invalid "${option}": "${entry}" is no CIDR (nor "unix:"), or is everybody`);
    return range;
  });
  return (peer = "") => {
    const ip = typeof peer === "string" ? parseIp(peer) : peer;
    return trusted.some((one) => (one === UNIX_PEER ? peer === one : ip && inCidr(ip, one)));
  };
}
