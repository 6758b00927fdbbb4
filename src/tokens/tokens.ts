import { CompactSign, compactVerify } from "jose";
import { GatepassError } from "../errors.ts";
import { assertInteger, assertKeys, assertString } from "../util/assertions.ts";
import { utf8 } from "../util/bytes.ts";
import { any, assertOptions, integer, type Rules } from "../util/options.ts";
import { randomId } from "../util/random.ts";
import { checkClaims, MAX_JTI } from "./claims.ts";
import { ALG, type Header, MAX_TOKEN, openEnvelope, openJson, sameType } from "./envelope.ts";
import { hmacKey, parseRing } from "./keyring.ts";
import type { Claims, Tokens, TokensOptions } from "./types.ts";

/** The most headers that are remembered. */
const MAX_KNOWN = 64;
/** Claims that only `sign` sets. */
const OURS = ["v", "iat", "exp", "iss", "aud", "key"];

/**
 * Signs and verifies tokens under a ring of secrets.
 *
 * @throws {TypeError} an option is missing, unknown or of the wrong type
 * @throws {RangeError} a secret under 32 bytes, a `kid` twice, a `clockTolerance` outside 0..600, a `maxTtl` under 1
 *
 * @example
 * ```ts
 * import { createTokens } from "gatepass/tokens";
 * const [old, fresh] = [crypto.getRandomValues(new Uint8Array(32)), crypto.getRandomValues(new Uint8Array(32))];
 * const token = await createTokens({ secrets: { kid: "2026-10", secret: old } }).sign("invite+jwt", {}, { ttl: 60 });
 * // After a rotation the old secret still verifies, and `key` tells which one it was.
 * const ring = createTokens({ secrets: [{ kid: "2026-11", secret: fresh }, { kid: "2026-10", secret: old }] });
 * console.assert((await ring.verify("invite+jwt", token)).key === 1);
 * ```
 */
export function createTokens(options: TokensOptions): Tokens {
  const rules: Rules<TokensOptions> = {
    secrets: any,
    issuer: assertString,
    audience: assertString,
    clockTolerance: integer(0, 600),
    maxTtl: integer(1),
    clock: "function",
    random: "function",
  };
  assertOptions("createTokens", options, rules);
  const { issuer, audience, clockTolerance = 5, maxTtl = 86_400, clock = Date.now, random } = options;
  const ring = parseRing(options.secrets);
  const [first] = ring;
  // Headers by their segment, only of tokens with a valid MAC: attackers cannot fill the map.
  const known = new Map<string, Header>();
  const expected = { issuer, audience, clockTolerance, maxTtl };

  return {
    async sign(typ, claims, life) {
      assertType(typ);
      assertKeys("sign", life, ["ttl"]);
      const { ttl } = life;
      assertInteger("ttl", ttl, 1, maxTtl);
      const taken = OURS.find((name) => claims[name] !== undefined);
      if (taken) throw new TypeError(`Cannot sign: claim "${taken}" is not the caller's`);
      const { jti = randomId(random), nbf, sub } = claims;
      assertString("jti", jti, 1, MAX_JTI);
      if (nbf !== undefined && typeof nbf !== "number") throw new TypeError('Cannot sign: claim "nbf" is not a number of seconds');
      if (sub !== undefined && typeof sub !== "string") throw new TypeError('Cannot sign: claim "sub" is not text');
      const iat = Math.floor(clock() / 1000);
      const payload = toJson({ ...claims, v: 1, jti, iat, exp: iat + ttl, iss: issuer, aud: audience });
      const header = { alg: ALG, typ, ...(first.kid && { kid: first.kid }) };
      const token = await new CompactSign(utf8(payload)).setProtectedHeader(header).sign(first.hmac ?? (await hmacKey(first)));
      if (token.length > MAX_TOKEN) throw new RangeError(`Cannot sign: ${token.length} characters are more than ${MAX_TOKEN}`);
      return token;
    },

    async verify(typ, token) {
      assertType(typ);
      const [segment, header] = openEnvelope(token, known);
      if (!sameType(header.typ, typ)) throw notOurs("it is of another kind");
      // A token without `kid` may be older than the ring's names, so every secret is tried. A token with `kid` must be
      // signed by that secret.
      const named = header.kid !== undefined;
      if (named && !ring.some(({ kid }) => kid === header.kid)) throw notOurs("its key is unknown");
      for (const [key, entry] of ring.entries()) {
        if (named && entry.kid !== header.kid) continue;
        const hmac = entry.hmac ?? (await hmacKey(entry));
        let payload: Uint8Array;
        try {
          ({ payload } = await compactVerify(token, hmac));
        } catch {
          continue; // jose's own error is dropped: its cause may quote the token
        }
        if (known.size < MAX_KNOWN) known.set(segment, header);
        const claims = Object.assign(openJson(payload), { key });
        checkClaims(claims, expected, clock() / 1000);
        return claims;
      }
      throw new GatepassError("ERR_TOKEN_SIGNATURE", "Cannot verify the token: its signature is wrong");
    },
  };
}

function assertType(typ: string): void {
  assertString("typ", typ, 1, 127);
  if (!/^[\w.+/-]+$/.test(typ)) throw new RangeError(`Invalid "typ": expected a media type, got ${JSON.stringify(typ)}`);
}

/** The claims as JSON. @throws {TypeError} a value that JSON would silently drop or turn into null */
function toJson(claims: Claims): string {
  const json = JSON.stringify(claims);
  if (!survives(claims)) throw new TypeError("Cannot sign: a claim does not survive JSON");
  return json;
}

function survives(value: unknown): boolean {
  if (typeof value === "string" || typeof value === "boolean" || value === null || Number.isFinite(value)) return true;
  if (typeof value !== "object") return false;
  const isList = Array.isArray(value);
  const parent: unknown = Object.getPrototypeOf(value);
  return (
    (isList || parent === null || parent === Object.prototype) &&
    Object.values(value).every((member) => (member === undefined && !isList) || survives(member))
  );
}

function notOurs(why: string): GatepassError {
  return new GatepassError("ERR_TOKEN_HEADER", `Cannot verify the token: ${why}`);
}
