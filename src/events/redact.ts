import { parseIp } from "../util/ip.ts";

/** Text that an event looks at, at most: the rest is dropped before anything is searched. */
const MAX_INPUT = 4096;

/**
 * Text without what an event must never hold: `secrets` (from 8 characters on), anything that looks like a signed token, a Turnstile token
 * or secret, and full addresses. Prefixes (`203.0.113.0/24`, `2001:db8::/48`) stay.
 */
export function redactText(text: string, secrets: readonly string[] = []): string {
  let clean = text.slice(0, MAX_INPUT);
  for (const secret of secrets) if (secret.length >= 8) clean = clean.replaceAll(secret, "[secret]");
  return (
    clean
      .replace(/[0-9]x[\w-]{28,}/g, "[secret]")
      // Three segments are a JWS; and nothing that an event may say is as long as 64 characters in one piece.
      .replace(/[\w-]{8,}\.[\w-]{8,}\.[\w-]{16,}|[\w.~+/=-]{64,}|XXXX\.DUMMY\.TOKEN\.XXXX|[0-9]\.[\w-]{20,}(\.[\w-]+)*/g, "[token]")
      .replace(/[\da-f]*:[\da-f]*:[\da-f:.]*(%[\w.-]+)?(\/\d{1,3})?|\d{1,3}(\.\d{1,3}){3}(\/\d{1,2})?/gi, hideAddress)
  );
}

function hideAddress(found: string): string {
  const [address = "", bits] = found.split("/");
  const ip = parseIp(address);
  if (ip && bits !== undefined && Number(bits) <= (ip.version === 4 ? 24 : 48) && isPrefix(ip.bytes, Number(bits))) return found;
  // What does not parse may be an address with something glued to it. A time or a line number has two colons.
  return !found.includes(":") || found.includes("::") || found.split(":").length > 6 ? "[address]" : found;
}

/** Whether everything behind the prefix is zero: `203.0.113.7/24` still names one address. */
function isPrefix(bytes: Uint8Array, bits: number): boolean {
  return bytes.every((byte, i) => ((byte << Math.min(8, Math.max(0, bits - i * 8))) & 0xff) === 0);
}
