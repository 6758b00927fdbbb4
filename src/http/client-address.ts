import type { ClientIpOption, Platform, RequestInfo } from "./types.ts";

/** Where a request comes from, every part undefined when unknown. */
export type ClientAddress = Pick<RequestInfo, "address" | "ip" | "ipPrefix" | "ipPrefixText">;

/**
 * Makes the function that tells a client's address.
 *
 * @throws {TypeError} an option that is none, a proxy that is no CIDR, or one that trusts everybody
 */
export function clientAddress(option: ClientIpOption | undefined): (request: Request, platform: Platform) => ClientAddress {
  void option;
  return () => ({ address: undefined, ip: undefined, ipPrefix: undefined, ipPrefixText: undefined });
}

/**
 * Watches for a deployment in which every client has one address (a proxy that was not configured: one bucket for all).
 * The function returns true once: when many requests came from one address and said that they were forwarded for several.
 */
export function watchSingleAddress(): (request: Request, address: string | undefined) => boolean {
  return () => false;
}
