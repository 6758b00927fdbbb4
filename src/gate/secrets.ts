import { createSubkeys, createTokens } from "../tokens/index.ts";
import type { SubkeyPurpose, Subkeys, Tokens } from "../tokens/types.ts";
import { encodeBase64url } from "../util/base64url.ts";
import { concatBytes, lp, utf8 } from "../util/bytes.ts";
import { sha256 } from "../util/hmac.ts";
import { uuidFromBytes } from "../util/random.ts";
import type { Settings } from "./options.ts";

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
  const issuer = given.issuer === undefined ? {} : { issuer: given.issuer };
  const options = { secrets, audience, clockTolerance, clock, random, ...issuer };
  return {
    tokens: createTokens(options),
    playerTokens: createTokens({ ...options, maxTtl: PLAYER_TTL }),
    subkeys: createSubkeys(secrets),
  };
}

/** The first 16 bytes of a MAC over `parts`, each behind its length, as 22 characters. */
export async function shortMac(subkeys: Subkeys, purpose: SubkeyPurpose, parts: readonly string[], key = 0): Promise<string> {
  return short(await subkeys.mac(purpose, concatBytes(...parts.map(lp)), key));
}

/**
 * The id of a solve: the same for the same Turnstile token, so that exchanging it again (by a retry, or by a thief) is no second session.
 * Without a ring its digest, which is no secret but cannot be turned back into the token.
 */
export async function solveId(subkeys: Subkeys | undefined, token: string): Promise<string> {
  return subkeys ? short(await subkeys.mac("jti/1", utf8(token))) : encodeBase64url(await sha256(utf8(token)));
}

/** The player that a solve is, where nobody knows better. */
export function solvePlayer(subkeys: Subkeys, token: string): Promise<string> {
  return shortMac(subkeys, "jti/1", ["player", token]);
}

/**
 * Turnstile accepts a token again under the idempotency key of its first validation, and under no other. `bound` is in it, so that a stolen token
 * cannot be redeemed by a client with another address or device; the purpose, so that a form's token opens no game.
 */
export async function idempotencyKey(subkeys: Subkeys, purpose: string, bound: string, token: string): Promise<string> {
  return uuidFromBytes(await subkeys.mac("idem/1", concatBytes(lp(purpose), lp(""), lp(bound), lp(token))));
}

function short(mac: Uint8Array): string {
  return encodeBase64url(mac.subarray(0, 16));
}
