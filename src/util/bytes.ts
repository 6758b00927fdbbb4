const encoder = /* @__PURE__ */ new TextEncoder();
// `ignoreBOM` keeps a byte order mark in the text, where JSON.parse refuses it; the default would swallow it.
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** The text of valid UTF-8, else null. A byte order mark stays in the text. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** All parts, one after the other. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const part of parts) size += part.length;
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** `x` behind its length (u32, bytes), so that no two lists of parts make the same MAC input. */
export function lp(x: Uint8Array | string): Uint8Array<ArrayBuffer> {
  const bytes = typeof x === "string" ? utf8(x) : x;
  return concatBytes(u32be(bytes.length), bytes);
}

/** Two lower-case hexadecimal digits a byte. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (byte + 256).toString(16).slice(1);
  return text;
}

/** `value` (0..2^32-1) as four bytes, big end first. @throws {RangeError} anything else */
export function u32be(value: number): Uint8Array<ArrayBuffer> {
  return unsigned(value, 4);
}

/** `value` (0..2^48-1) as six bytes, big end first. @throws {RangeError} anything else */
export function u48be(value: number): Uint8Array<ArrayBuffer> {
  return unsigned(value, 6);
}

/** Whether two byte strings are equal, in a time that tells their lengths at most. */
export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

function unsigned(value: number, size: number): Uint8Array<ArrayBuffer> {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) throw new RangeError(`Cannot write ${value} in ${size} bytes`);
  const bytes = new Uint8Array(size);
  let rest = value;
  for (let i = size - 1; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}
