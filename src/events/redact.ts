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
      .replace(/\b[0-9]x[\w-]{28,}/g, "[secret]")
      .replace(/XXXX\.DUMMY\.TOKEN\.XXXX|\b[0-9]\.[\w-]{20,}(\.[\w-]+)*/g, "[token]")
      // Three segments are a JWS; and nothing that an event may say is as long as 64 characters in one piece.
      .replace(/[\w-]{8,}\.[\w-]{8,}\.[\w-]{16,}|[\w.~+/=-]{64,}/g, "[token]")
      .replace(/[\da-f:]*:[\da-f:]*:[\da-f:.]*(%[\w.-]+)?(\/\d{1,3})?|\b\d{1,3}(\.\d{1,3}){3}(\/\d{1,2})?(?!\d)/gi, hideAddress)
  );
}

function hideAddress(found: string): string {
  const [address = "", bits] = found.split("/");
  const ip = parseIp(address) ?? parseIp(address.replace(/[.:]+$/, ""));
  if (!ip) return found;
  return bits !== undefined && Number(bits) <= (ip.version === 4 ? 24 : 48) && isPrefix(ip.bytes, Number(bits)) ? found : "[address]";
}

/** Whether everything behind the prefix is zero: `203.0.113.7/24` still names one address. */
function isPrefix(bytes: Uint8Array, bits: number): boolean {
  return bytes.every((byte, i) => ((byte << Math.min(8, Math.max(0, bits - i * 8))) & 0xff) === 0);
}
