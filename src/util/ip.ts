import { hex } from "./bytes.ts";

/** IP addresses as keys: one spelling per address, so that nobody gets a second bucket by writing an address another way. */

/** An address: 4 or 16 bytes. */
export interface Ip {
  version: 4 | 6;
  bytes: Uint8Array;
}

/** A range of addresses: `bits` leading bits of `bytes` count. */
export interface Cidr extends Ip {
  bits: number;
}

/** Cloudflare's edge: https://www.cloudflare.com/ips-v4 and /ips-v6. A stale list can only withhold trust. */
export const CLOUDFLARE_RANGES: readonly string[] = /* @__PURE__ */ (
  "173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20 188.114.96.0/20 " +
  "197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13 131.0.72.0/22 " +
  "2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29 2c0f:f248::/32"
).split(" ");

/** Characters of the longest text that is looked at. */
const MAX_TEXT = 100;

/**
 * Reads an IPv4 or IPv6 address, strictly: no leading zeros, no white space, no port, no brackets (see {@link parseHostPort}).
 * A zone id is dropped; `::ffff:a.b.c.d` and `64:ff9b::/96` are the IPv4 address they carry. Null for anything else.
 */
export function parseIp(text: string): Ip | null {
  const raw = parseRaw(text);
  return raw && carriesV4(raw) ? { version: 4, bytes: raw.bytes.slice(12) } : raw;
}

/** The host and port of `a.b.c.d`, `a.b.c.d:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; null for anything else. The host is not checked. */
export function parseHostPort(text: string): { host: string; port?: number } | null {
  // Length before pattern: a header of colons would take the square of its length, or worse.
  if (text.length > MAX_TEXT) return null;
  const [, bracketed, bare, digits] = /^(?:\[([^[\]]*:[^[\]]*)\]|([^[\]:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? bare ?? (/^[^[\]]*:[^[\]]*:[^[\]]*$/.test(text) ? text : undefined);
  const port = Number(digits ?? 0);
  return host === undefined || port > 65_535 ? null : { host, ...(digits && { port }) };
}

/** The one spelling of an address (RFC 5952); null when it is none. */
export function canonicalIp(address: string | Ip): string | null {
  const ip = read(address);
  return ip && formatIp(ip);
}

/** Key for `ip` limits: an IPv4 address dotted, an IPv6 /64 as 16 hex digits; undefined when it is no address. */
export function ipKey(address: string | Ip): string | undefined {
  return leading(address, 4, 8);
}

/** Key for `ip-prefix` limits: an IPv4 /24 as `a.b.c`, an IPv6 /48 as 12 hex digits; undefined when it is no address. */
export function ipPrefix(address: string | Ip): string | undefined {
  return leading(address, 3, 6);
}

/** The prefix for people and events: `203.0.113.0/24` or `2001:db8:1::/48`; undefined when it is no address. */
export function ipPrefixText(address: string | Ip): string | undefined {
  const prefix = ipPrefix(address);
  return prefix && (prefix.includes(".") ? `${prefix}.0/24` : `${inUrl(`${prefix.replace(/.{4}/g, "$&:")}:`)}/48`);
}

/** Reads `address/bits`, or an address alone (all its bits); null when it is neither. Bits behind the prefix do not count. */
export function parseCidr(text: string): Cidr | null {
  const [, address = "", length] = /^([^/%]+)(?:\/(\d|[1-9]\d{1,2}))?$/.exec(text) ?? [];
  const raw = parseRaw(address);
  if (!raw) return null;
  const all = raw.bytes.length * 8;
  const bits = length === undefined ? all : Number(length);
  if (bits > all) return null;
  return bits >= 96 && carriesV4(raw) ? { version: 4, bytes: raw.bytes.slice(12), bits: bits - 96 } : { ...raw, bits };
}

/** Whether an address lies in a range. */
export function inCidr(ip: Ip, { version, bytes, bits }: Cidr): boolean {
  const outside = (byte: number, i: number): number => (byte ^ (ip.bytes[i] ?? 0)) >> (8 - Math.min(8, Math.max(0, bits - i * 8)));
  return ip.version === version && !bytes.some(outside);
}

function read(address: string | Ip): Ip | null {
  return typeof address === "string" ? parseIp(address) : address;
}

function leading(address: string | Ip, v4: number, v6: number): string | undefined {
  const ip = read(address);
  if (!ip) return undefined;
  return ip.version === 4 ? ip.bytes.slice(0, v4).join(".") : hex(ip.bytes.slice(0, v6));
}

function parseRaw(text: string): Ip | null {
  if (text.length > MAX_TEXT) return null;
  // What is not written back as it was read is no address: some readers take 010 as octal 8, others as 10.
  const v4 = new Uint8Array(text.split(".").map(Number));
  return v4.length === 4 && v4.join(".") === text ? { version: 4, bytes: v4 } : parseV6(text);
}

/** The platform's URL parser reads IPv6 and spells it as RFC 5952 does. */
function parseV6(text: string): Ip | null {
  const address = text.replace(/%[\w.~-]+$/, "");
  if (!/^[\da-f:.]+$/i.test(address) || !URL.canParse(`http://[${address}]`)) return null;
  const short = inUrl(address);
  // As many colons as eight groups have; an empty group is zero.
  const groups = short.replace("::", ":".repeat(10 - short.split(":").length)).split(":");
  return { version: 6, bytes: Uint8Array.from(groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16)])) };
}

function inUrl(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

function carriesV4({ bytes }: Ip): boolean {
  return /^(0{20}ffff|0064ff9b0{16})/.test(hex(bytes));
}

function formatIp({ version, bytes }: Ip): string {
  return version === 4 ? bytes.join(".") : inUrl(hex(bytes).replace(/.{4}(?=.)/g, "$&:"));
}
