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
export const CLOUDFLARE_RANGES: readonly string[] = (
  "173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20 188.114.96.0/20 " +
  "197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13 131.0.72.0/22 " +
  "2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29 2c0f:f248::/32"
).split(" ");

/**
 * Reads an IPv4 or IPv6 address, strictly: no leading zeros, no white space, no port, no brackets (see {@link parseHostPort}).
 * A zone id is dropped; `::ffff:a.b.c.d` and `64:ff9b::/96` are the IPv4 address they carry. Null for anything else.
 */
export function parseIp(text: string): Ip | null {
  const raw = parseRaw(text);
  return raw && carriesV4(raw.bytes) ? { version: 4, bytes: raw.bytes.slice(12) } : raw;
}

/** The host and port of `a.b.c.d`, `a.b.c.d:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; null for anything else. The host is not checked. */
export function parseHostPort(text: string): { host: string; port?: number } | null {
  const match = /^(?:\[([^[\]]*)\]|([^[\]:]*))(?::(\d{1,5}))?$/.exec(text);
  if (!match) return /^[^[\]]*:[^[\]]*:[^[\]]*$/.test(text) ? { host: text } : null;
  const host = match[1] ?? match[2];
  if (!host || (match[1] !== undefined && !host.includes(":"))) return null;
  if (match[3] === undefined) return { host };
  const port = Number(match[3]);
  return port > 65_535 ? null : { host, port };
}

/** The one spelling of an address (RFC 5952); null when it is none. */
export function canonicalIp(address: string | Ip): string | null {
  const ip = read(address);
  return ip && formatIp(ip);
}

/** Key for `ip` limits: an IPv4 address dotted, an IPv6 /64 as 16 hex digits; undefined when it is no address. */
export function ipKey(address: string | Ip): string | undefined {
  const ip = read(address);
  if (!ip) return undefined;
  return ip.version === 4 ? ip.bytes.join(".") : hex(ip.bytes, 8);
}

/** Key for `ip-prefix` limits: an IPv4 /24 as `a.b.c`, an IPv6 /48 as 12 hex digits; undefined when it is no address. */
export function ipPrefix(address: string | Ip): string | undefined {
  const ip = read(address);
  if (!ip) return undefined;
  return ip.version === 4 ? ip.bytes.slice(0, 3).join(".") : hex(ip.bytes, 6);
}

/** The prefix for people and events: `203.0.113.0/24` or `2001:db8:1::/48`; undefined when it is no address. */
export function ipPrefixText(address: string | Ip): string | undefined {
  const ip = read(address);
  if (!ip) return undefined;
  const kept = ip.version === 4 ? 3 : 6;
  return `${formatIp({ version: ip.version, bytes: ip.bytes.map((byte, i) => (i < kept ? byte : 0)) })}/${kept * 8}`;
}

/** Reads `address/bits`, or an address alone (all its bits); null when it is neither. Bits behind the prefix do not count. */
export function parseCidr(text: string): Cidr | null {
  const [address = "", length, ...rest] = text.split("/");
  const raw = parseRaw(address);
  if (!raw || rest.length > 0 || address.includes("%") || (length !== undefined && !/^(0|[1-9]\d{0,2})$/.test(length))) return null;
  const bits = length === undefined ? raw.bytes.length * 8 : Number(length);
  if (bits > raw.bytes.length * 8) return null;
  return carriesV4(raw.bytes) && bits >= 96 ? { version: 4, bytes: raw.bytes.slice(12), bits: bits - 96 } : { ...raw, bits };
}

/** Whether an address lies in a range. */
export function inCidr(ip: Ip, cidr: Cidr): boolean {
  if (ip.version !== cidr.version) return false;
  return cidr.bytes.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, cidr.bits - i * 8));
    return ((byte ^ (ip.bytes[i] ?? 0)) & (0xff << (8 - bits)) & 0xff) === 0;
  });
}

function read(address: string | Ip): Ip | null {
  return typeof address === "string" ? parseIp(address) : address;
}

function parseRaw(text: string): Ip | null {
  if (text.length > 100) return null;
  const v4 = parseV4(text);
  return v4 ? { version: 4, bytes: v4 } : parseV6(text);
}

function parseV4(text: string): Uint8Array | null {
  // A leading zero is refused: some readers take 010 as octal 8, others as 10.
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return null;
  const parts = text.split(".").map(Number);
  return parts.some((part) => part > 255) ? null : Uint8Array.from(parts);
}

function parseV6(text: string): Ip | null {
  let address = text.replace(/%[\w.~-]+$/, "");
  const dotted = /:(\d[\d.]*)$/.exec(address)?.[1];
  if (dotted?.includes(".")) {
    const v4 = parseV4(dotted);
    if (!v4) return null;
    const tail = hex(v4, 4);
    address = `${address.slice(0, -dotted.length)}${tail.slice(0, 4)}:${tail.slice(4)}`;
  }
  const [left = "", right, ...more] = address.split("::");
  const head = groups(left);
  const tail = groups(right ?? "");
  const missing = 8 - (head?.length ?? 0) - (tail?.length ?? 0);
  if (!head || !tail || more.length > 0 || (right === undefined ? missing !== 0 : missing < 1)) return null;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return { version: 6, bytes: Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff])) };
}

function groups(text: string): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  return parts.every((part) => /^[\da-fA-F]{1,4}$/.test(part)) ? parts.map((part) => Number.parseInt(part, 16)) : null;
}

function carriesV4(bytes: Uint8Array): boolean {
  const head = hex(bytes, 12);
  return bytes.length === 16 && (head === "00000000000000000000ffff" || head === "0064ff9b0000000000000000");
}

function hex(bytes: Uint8Array, length: number): string {
  let text = "";
  for (const byte of bytes.subarray(0, length)) text += byte.toString(16).padStart(2, "0");
  return text;
}

function formatIp({ version, bytes }: Ip): string {
  if (version === 4) return bytes.join(".");
  const parts: string[] = [];
  for (let i = 0; i < 16; i += 2) parts.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  const text = parts.join(":");
  // RFC 5952: the longest run of two or more zero groups, the first of equals.
  let longest = "";
  for (const [run] of text.matchAll(/(?<![\da-f])0(?::0)+(?![\da-f])/g)) if (run.length > longest.length) longest = run;
  return longest ? text.replace(new RegExp(`(?:^|:)\\b${longest}\\b(?::|$)`), "::") : text;
}
