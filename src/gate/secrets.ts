import { createSubkeys, createTokens } from "../tokens/index.ts";
import type { SubkeyPurpose, Subkeys, Tokens } from "../tokens/types.ts";
import { encodeBase64url } from "../util/base64url.ts";
import { concatBytes, lp } from "../util/bytes.ts";
import { uuidFromBytes } from "../util/random.ts";
import type { Settings } from "./options.ts";
import type { ResolvedOptions } from "./types.ts";

/** What is made from the ring of signing secrets. */
export interface Keys {
  tokens: Tokens;
  /** An instance of its own: player tokens live 400 days, and no other kind may live that long. */
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

/** The first 16 bytes of a MAC over `parts`, each preceded by its length, as 22 characters of base64url. */
export async function shortMac(subkeys: Subkeys, purpose: SubkeyPurpose, parts: readonly string[], key?: number): Promise<string> {
  return short(await subkeys.mac(purpose, concatBytes(...parts.map(lp)), key));
}

/** The first 16 bytes of a MAC as 22 characters of base64url. */
export function short(mac: Uint8Array): string {
  return encodeBase64url(mac.subarray(0, 16));
}

/**
 * The idempotency key of siteverify: Cloudflare accepts a used token again only with the same key. The key is a MAC
 * over:
 * - issuer and audience: two gates of one secret may count in different stores. With one key both would accept the
 *   token: two sessions for one solve;
 * - the purpose: a token that was solved for a form cannot be used again for a session;
 * - what the client is bound to: a stolen token cannot be redeemed by another client.
 */
export async function idempotencyKey(
  subkeys: Subkeys,
  { issuer = "", audience }: Pick<ResolvedOptions, "issuer" | "audience">,
  about: readonly [purpose: string, challenge: string, bound: string, token: string],
  key?: number,
): Promise<string> {
  return uuidFromBytes(await subkeys.mac("idem/1", concatBytes(...[issuer, audience, ...about].map(lp)), key));
}
