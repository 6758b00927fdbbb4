import { utf8 } from "../util/bytes.ts";
import { hmacSha256 } from "../util/hmac.ts";
import { parseRing } from "./keyring.ts";
import type { Secret, Subkeys } from "./types.ts";

/**
 * MACs under keys that HKDF-SHA-256 derives from the ring (salt `gatepass`, info the purpose). The secrets themselves
 * only sign tokens. So a public MAC can never be used as a token's signature, nor for another purpose.
 *
 * @param secrets the ring of `createTokens`
 * @throws {TypeError | RangeError} as `createTokens`. `mac` throws a RangeError for a position outside the ring
 *
 * @example
 * ```ts
 * import { createSubkeys } from "gatepass/tokens";
 * const subkeys = createSubkeys(crypto.getRandomValues(new Uint8Array(32)));
 * const mac = await subkeys.mac("jti/1", new TextEncoder().encode("a Turnstile token"));
 * console.assert(mac.length === 32 && subkeys.size === 1);
 * ```
 */
export function createSubkeys(secrets: Secret | readonly Secret[]): Subkeys {
  const ring = parseRing(secrets);
  const keys = new Map<string, CryptoKey>();
  return {
    size: ring.length,
    async mac(purpose, data, key = 0) {
      const entry = ring[key];
      if (entry === undefined) throw new RangeError(`Invalid "key": expected an integer from 0 to ${ring.length - 1}`);
      const name = `${key} ${purpose}`;
      const derived = keys.get(name) ?? (await derive(entry.secret, purpose));
      keys.set(name, derived);
      return hmacSha256(derived, data);
    },
  };
}

async function derive(secret: Uint8Array<ArrayBuffer>, purpose: string): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: utf8("gatepass"), info: utf8(purpose) };
  return crypto.subtle.deriveKey(hkdf, base, { name: "HMAC", hash: "SHA-256", length: 256 }, false, ["sign"]);
}
