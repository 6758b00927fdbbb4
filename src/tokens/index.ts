/**
 * Short-lived HS256 tokens: a key ring with rotation, a strict envelope in front of the MAC, and claims that are all checked.
 * Verifiable with any JOSE library: `jwtVerify(token, secret, { typ, audience, issuer })`.
 *
 * @example
 * ```ts
 * import { createTokens } from "gatepass/tokens";
 * const tokens = createTokens({ secrets: crypto.getRandomValues(new Uint8Array(32)), audience: "game.example" });
 * const token = await tokens.sign("invite+jwt", { sub: "anna" }, { ttl: 300 });
 * const claims = await tokens.verify("invite+jwt", token);
 * console.assert(claims["sub"] === "anna" && claims.exp === claims.iat + 300);
 * ```
 *
 * @module
 */

export { weakSecrets } from "./keyring.ts";
export { createSubkeys } from "./subkeys.ts";
export { createTokens } from "./tokens.ts";
export type { Claims, Secret, SubkeyPurpose, Subkeys, Tokens, TokensOptions, VerifiedClaims } from "./types.ts";
