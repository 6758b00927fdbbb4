import { type ErrorCode, GatepassError } from "../errors.ts";
import { isText, isTextList } from "./shapes.ts";
import type { Claims, VerifiedClaims } from "./types.ts";

/** What a token's claims must be. */
export interface Expected {
  issuer: string | undefined;
  audience: string | undefined;
  /** Seconds. */
  clockTolerance: number;
  /** Seconds. */
  maxTtl: number;
}

/** Characters of the longest `jti`. */
export const MAX_JTI = 128;

/**
 * Checks the claims of a token whose MAC is right.
 *
 * @param claims with `key`, the position of the secret that verified, which is not part of the token
 * @param now seconds since the epoch
 *
 * @throws {GatepassError} `ERR_TOKEN_CLAIM`, `ERR_TOKEN_NOT_YET`, `ERR_TOKEN_EXPIRED`
 */
export function checkClaims(claims: Claims & { key: number }, expected: Expected, now: number): asserts claims is VerifiedClaims {
  const { issuer, audience, clockTolerance, maxTtl } = expected;
  const { jti, iat, exp, nbf, iss, sub, aud, v } = claims;
  if (v !== undefined && v !== 1) throw refused("v");
  if (!isText(jti) || jti.length > MAX_JTI) throw refused("jti");
  if (!isDate(iat)) throw refused("iat");
  if (!isDate(exp) || exp - iat > maxTtl) throw refused("exp");
  if (nbf !== undefined && !isDate(nbf)) throw refused("nbf");
  if (!isOptionalText(sub)) throw refused("sub");
  if (!isOptionalText(iss) || (issuer !== undefined && iss !== issuer)) throw refused("iss");
  if (!isAudience(aud) || (audience !== undefined && aud !== audience && !(Array.isArray(aud) && aud.includes(audience))))
    throw refused("aud");
  // Negated comparisons: if the clock gives NaN, every token is refused.
  const latest = now + clockTolerance;
  if (!(iat <= latest && (nbf ?? iat) <= latest)) throw failed("ERR_TOKEN_NOT_YET", "it is not valid yet");
  // This also bounds the age by maxTtl, since exp is at most iat + maxTtl.
  if (!(now - clockTolerance < exp)) throw failed("ERR_TOKEN_EXPIRED", "it has expired");
}

/** A NumericDate (RFC 7519) that is finite: JSON may hold `1e999`, which parses as Infinity and would never expire. */
function isDate(value: unknown): value is number {
  return Number.isFinite(value);
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

function isAudience(value: unknown): value is string | string[] | undefined {
  return isOptionalText(value) || isTextList(value);
}

function refused(name: string): GatepassError {
  return failed("ERR_TOKEN_CLAIM", `claim "${name}" is not as required`);
}

function failed(code: ErrorCode, why: string): GatepassError {
  return new GatepassError(code, `Cannot verify the token: ${why}`);
}
