import { encodeBase64url } from "../util/base64url.ts";
import { sha256Sync } from "../util/sha256.ts";

/** Bytes of the longest key. Keys are ASCII, so this is also its characters. */
export const MAX_KEY = 80;

const LITERAL = /^[A-Za-z0-9._-]{1,48}$/;
const NAME = /^[A-Za-z0-9._-]{1,16}$/;

/**
 * The key of a uses quota: `id` under `kind`, e.g. `usesKey("jti", claims.jti)`. With `value`, a further key in the
 * partition of `usesKey(kind, id)`. Injective: two different lists of arguments never make one key. At most 80 bytes of
 * `[A-Za-z0-9._|:-]`, whatever the texts are.
 *
 * @param kind 1..16 of `[A-Za-z0-9._-]`: a constant of the program, never text from a request
 * @throws {TypeError} another `kind`
 *
 * @example
 * ```ts
 * import { usesKey } from "gatepass/store";
 * console.assert(usesKey("jti", "kQ3vY8") === "ujti:skQ3vY8");
 * console.assert(usesKey("run", "r1", "digest") === "urun:sr1|sdigest");
 * ```
 */
export function usesKey(kind: string, id: string, value?: string): string {
  if (!NAME.test(kind)) throw new TypeError('Invalid "kind": expected 1 to 16 of A-Z a-z 0-9 . _ -');
  const named = part(id);
  // The partition must be the same with and without `value`, and leave room for a whole hash after it. So a long id is
  // routed by a few characters of its hash. An attacker gains nothing from two ids in one partition: the id, or a whole
  // hash of it, is still in the key.
  const short = kind.length + named.length <= 33;
  const partition = `u${kind}:${short ? named : `p${digest(id).slice(0, 11)}`}`;
  if (value === undefined) return short ? partition : `${partition}|${named}`;
  const key = `${partition}|${short ? "" : `${named}:`}${part(value)}`;
  return key.length <= MAX_KEY ? key : `${partition}|w${digest(frame([id, value]))}`;
}

/**
 * The key of a rate quota: the rule's name and window, and the subjects. All rules of the same subjects share a
 * partition. Injective and at most 80 bytes, whatever the texts are.
 *
 * @param rule `window` in seconds
 *
 * @example
 * ```ts
 * import { rateKey } from "gatepass/store";
 * console.assert(rateKey({ name: "burst", window: 60 }, ["203.0.113.9"]) === "s203.0.113.9|rsburst:60");
 * ```
 */
export function rateKey(rule: { name: string; window: number }, subjects: readonly string[]): string {
  const who = subjects.map(part).join(":") || "a";
  const suffix = `|r${part(rule.name)}:${rule.window}`;
  if (who.length + suffix.length <= MAX_KEY) return who + suffix;
  const key = `w${digest(frame(subjects))}${suffix}`;
  return key.length <= MAX_KEY ? key : `w${digest(frame([...subjects, rule.name, String(rule.window)]))}|r`;
}

/** The partition of a key, by which a partitioned backend routes: everything before the first `|`. */
export function partitionOf(key: string): string {
  const end = key.indexOf("|");
  return end < 0 ? key : key.slice(0, end);
}

/**
 * Short plain text after an `s`, any other text as a hash after an `h`. The letters keep a text from passing for
 * another text's hash.
 */
function part(text: string): string {
  return LITERAL.test(text) ? `s${text}` : `h${digest(text)}`;
}

/** A list of texts as one text; different lists give different texts. */
function frame(texts: readonly string[]): string {
  return texts.map((text) => `${text.length}:${text}`).join("");
}

/**
 * SHA-256 over UTF-16 units. UTF-8 would turn all lone surrogates into one replacement character, and different texts
 * would share a key.
 */
function digest(text: string): string {
  const bytes = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i++) {
    bytes[i * 2] = text.charCodeAt(i) >> 8;
    bytes[i * 2 + 1] = text.charCodeAt(i);
  }
  return encodeBase64url(sha256Sync(bytes));
}
