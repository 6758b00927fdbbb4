import { createSubkeys, createTokens } from "../tokens/index.ts";
import type { SubkeyPurpose, Subkeys, Tokens } from "../tokens/types.ts";
import { encodeBase64url } from "../util/base64url.ts";
import { concatBytes, lp } from "../util/bytes.ts";
import { uuidFromBytes } from "../util/random.ts";
import type { Settings } from "./options.ts";
import type { ResolvedOptions } from "./types.ts";

/** Everything that a ring of secrets can do for a gate. */
export interface Keys {
  tokens: Tokens;
  /** An instance of its own: players live 400 days, and no other kind of token may. */
  playerTokens: Tokens;
  subkeys: Subkeys;
}

/** Seconds that a player token lives. */
export const PLAYER_TTL: number = 400 * 86_400;

/** Undefined without a signing secret. */
export function createKeys({ secrets, resolved, given, clock, random }: Settings): Keys | undefined {
  if (secrets.length === 0) return undefined;
  const { audience, clockTolerance } = resolved;
  const options = { secrets, audience, clockTolerance, clock, random, ...(given.issuer !== undefined && { issuer: given.issuer }) };
  return {
    tokens: createTokens(options),
    playerTokens: createTokens({ ...options, maxTtl: PLAYER_TTL }),
    subkeys: createSubkeys(secrets),
  };
}

/** The first 16 bytes of a MAC over `parts`, each behind its length, as 22 characters. */
export async function shortMac(subkeys: Subkeys, purpose: SubkeyPurpose, parts: readonly string[], key?: number): Promise<string> {
  return short(await subkeys.mac(purpose, concatBytes(...parts.map(lp)), key));
}

/** The first 16 bytes as 22 characters. */
export function short(mac: Uint8Array): string {
  return encodeBase64url(mac.subarray(0, 16));
}

/**
 * The key under which Cloudflare accepts a token again, and under no other. Of one secret, another issuer or audience is another gate, which may count
 * in another store: under one key both would be told that the token is good, and one solve would be two sessions. What the client is bound to is in it, so
 * that a stolen token cannot be redeemed by another client; and the purpose, so that a form's token opens no game.
 */
export async function idempotencyKey(
  subkeys: Subkeys,
  { issuer = "", audience }: Pick<ResolvedOptions, "issuer" | "audience">,
  about: readonly [purpose: string, challenge: string, bound: string, token: string],
  key?: number,
): Promise<string> {
  return uuidFromBytes(await subkeys.mac("idem/1", concatBytes(...[issuer, audience, ...about].map(lp)), key));
}
