import type { ConfigProblem } from "../errors.ts";
import { assertKeys } from "../util/assertions.ts";
import { decodeUtf8, utf8 } from "../util/bytes.ts";
import { type HmacKey, importHmacKey } from "../util/hmac.ts";
import type { Secret } from "./types.ts";

/**
 * One secret of a ring, and its HMAC key once it was imported. The key is a value, not a promise: on Workers a promise
 * belongs to one request.
 */
export interface RingKey {
  kid: string | undefined;
  secret: Uint8Array<ArrayBuffer>;
  hmac?: HmacKey;
}

/** At least one secret. */
export type Ring = [RingKey, ...RingKey[]];

const MIN_BYTES = 32;
/** Characters of the longest `kid`. */
const MAX_KID = 128;

/**
 * Checks secrets and copies them. The first signs, all verify.
 *
 * @throws {TypeError} no secret, or not text or bytes
 * @throws {RangeError} under 32 bytes, white space at an end, text that is no Unicode, a `kid` twice or not of 1..128
 * characters
 */
export function parseRing(secrets: Secret | readonly Secret[]): Ring {
  const [first, ...others] = listOf(secrets).map(parseSecret);
  if (first === undefined) throw new TypeError('Invalid "secrets": expected at least one');
  const ring: Ring = [first, ...others];
  const kids = ring.flatMap(({ kid }) => kid ?? []);
  if (new Set(kids).size < kids.length) throw new RangeError('Invalid "secrets": two have the same kid');
  return ring;
}

/** The HMAC key of a ring's secret, imported once. */
export async function hmacKey(entry: RingKey): Promise<HmacKey> {
  entry.hmac ??= await importHmacKey(entry.secret);
  return entry.hmac;
}

/**
 * A warning for each secret that looks as if a person had made it up. It only finds obvious cases: a secret without a
 * warning may still be weak.
 *
 * @throws {TypeError | RangeError} as `createTokens`
 *
 * @example
 * ```ts
 * import { weakSecrets } from "gatepass/tokens";
 * console.assert(weakSecrets("correct horse battery staple, twice").length === 1);
 * console.assert(weakSecrets(crypto.getRandomValues(new Uint8Array(32))).length === 0);
 * ```
 */
export function weakSecrets(secrets: Secret | readonly Secret[]): ConfigProblem[] {
  return listOf(secrets).flatMap((secret, i) => {
    if (!looksGuessable(parseSecret(secret).secret)) return [];
    const message = `Signing secret ${i + 1} looks guessable`;
    return { code: "GP106", severity: "warning", message, fix: "Make one with: npx gatepass secret" };
  });
}

function listOf(secrets: Secret | readonly Secret[]): readonly Secret[] {
  return isList(secrets) ? secrets : [secrets];
}

function isList(secrets: Secret | readonly Secret[]): secrets is readonly Secret[] {
  return Array.isArray(secrets);
}

function parseSecret(given: Secret): RingKey {
  const named = typeof given === "object" && given !== null && "secret" in given;
  if (named) assertKeys("secrets", given, ["kid", "secret"]);
  const kid = named ? given.kid : undefined;
  if (named && (typeof kid !== "string" || kid === "" || kid.length > MAX_KID)) {
    throw new RangeError(`Invalid "kid": expected 1 to ${MAX_KID} characters`);
  }
  return { kid, secret: bytesOf(named ? given.secret : given) };
}

function bytesOf(secret: string | Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof secret !== "string" && !(secret instanceof Uint8Array)) throw new TypeError('Invalid "secrets": expected text or bytes');
  const bytes = typeof secret === "string" ? bytesOfText(secret) : new Uint8Array(secret);
  if (bytes.length < MIN_BYTES) throw new RangeError(`Invalid "secrets": expected at least ${MIN_BYTES} bytes, got ${bytes.length}`);
  return bytes;
}

function bytesOfText(secret: string): Uint8Array<ArrayBuffer> {
  // A shell or a file may leave a newline at the end. Two servers would then have different keys.
  if (secret !== secret.trim()) throw new RangeError('Invalid "secrets": white space at an end');
  // UTF-8 turns half a surrogate pair into U+FFFD: two different secrets would be one key.
  if (/\p{Cs}/u.test(secret)) throw new RangeError('Invalid "secrets": not well-formed text');
  return utf8(secret);
}

/**
 * Whether a secret looks guessable: few different bytes, a telling word, or runs of one kind of character as long as
 * words. Random bytes, base64, base32 and hexadecimal do not look like that.
 */
function looksGuessable(bytes: Uint8Array): boolean {
  if (new Set(bytes).size < 9) return true;
  const text = decodeUtf8(bytes);
  if (text === null) return false;
  if (/\s|passw|secret|change.?me|example|default|placeholder/i.test(text)) return true;
  const plain = text.replace(/[^\p{L}\p{N}]/gu, "");
  const words = [...plain.matchAll(/\p{Lu}?\p{Ll}+|\p{Lu}+|\p{N}+/gu)];
  const steps = [...plain].filter((char, i, all) => Math.abs(char.charCodeAt(0) - (all[i - 1] ?? "").charCodeAt(0)) < 2);
  // People type runs like "1234" and "aaaa". Base32 and hexadecimal have long runs of letters by chance, but also some
  // digits.
  const encoded = /^(?:[A-Z2-7]+|[0-9a-f]+)$/.test(plain) && plain.replace(/\D/g, "").length > 2;
  return steps.length > plain.length * 0.4 || (!encoded && words.length < plain.length * 0.18);
}
