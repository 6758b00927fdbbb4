/**
 * Short-lived HS256 tokens: a key ring with rotation, a strict envelope in front of the MAC, and claims that are all
 * checked.
 *
 * Other libraries can verify them. Only the header's `typ` tells one kind of token from another, so each must check it.
 * Tested are
 *
 * - jose: `jwtVerify(token, new TextEncoder().encode(secret), { algorithms: ["HS256"], typ, audience, issuer })`
 * - fast-jwt: `createVerifier({ key: secret, algorithms: ["HS256"], checkTyp: typ, allowedAud: audience, allowedIss:
 *   issuer })(token)`
 * - hono/jwt: `verify(token, secret, { alg: "HS256", typ, aud: audience, iss: issuer })`. Without `typ`, and in
 *   versions that lack the option, it refuses them
 * - jsonwebtoken: `verify(token, secret, { algorithms: ["HS256"], audience, issuer, complete: true })`, then compare
 *   `header.typ` yourself
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
