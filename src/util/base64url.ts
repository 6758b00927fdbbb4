/** Base64url without padding (RFC 4648, section 5). */
export function encodeBase64url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_");
}

/**
 * The bytes of canonical base64url, else null: no padding, no other characters, no unused bit set.
 * One byte string has exactly one spelling, so a decoded value may be compared, counted or cached by its text.
 */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[\w-]*$/.test(text) || !isCanonical(text)) return null;
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (byte) => byte.charCodeAt(0));
}

/** Whether base64url has a whole length and no unused bit set in its last character: a lax decoder reads several spellings as one text. */
export function isCanonical(text: string, start = 0, end: number = text.length): boolean {
  const rest = (end - start) % 4;
  return rest === 0 || (rest > 1 && (rest === 2 ? "AQgw" : "AEIMQUYcgkosw048").includes(text.charAt(end - 1)));
}
