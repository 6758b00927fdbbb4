import { encodeBase64url } from "./base64url.ts";
import { hex } from "./bytes.ts";

/** `size` (0..65536) bytes of the system's cryptographic randomness. */
export function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(size));
}

let pool: Uint8Array<ArrayBuffer> | undefined;
let used = 0;

/** `size` random bytes, taken from a kilobyte at a time: asking the system costs as much as all the rest of an id. What was given out is wiped. */
export function pooledBytes(size: number): Uint8Array<ArrayBuffer> {
  if (!pool || used + size > pool.length) {
    if (size > 64) return randomBytes(size);
    pool = randomBytes(1024);
    used = 0;
  }
  const bytes = pool.slice(used, used + size);
  pool.fill(0, used, used + size);
  used += size;
  return bytes;
}

/** A random id: 16 bytes, 22 characters of base64url. */
export function randomId(random: (bytes: number) => Uint8Array = pooledBytes): string {
  return encodeBase64url(random(16));
}

/** The first 16 bytes in the shape of a version 4 UUID (RFC 9562): what Cloudflare takes as idempotency key. */
export function uuidFromBytes(bytes: Uint8Array): string {
  if (bytes.length < 16) throw new RangeError("Cannot make a UUID of so few bytes");
  // The version is a 4; of the variant's digit two bits are fixed.
  const fixed = bytes.slice(0, 16).map((byte, i) => (i === 6 ? (byte & 15) | 64 : i === 8 ? (byte & 63) | 128 : byte));
  return hex(fixed).replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
