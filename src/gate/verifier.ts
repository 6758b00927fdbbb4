import { createTurnstile, withBreaker } from "../turnstile/index.ts";
import type { Settings } from "./options.ts";
import type { Kernel } from "./types.ts";

/** The gate's verifier of Turnstile tokens, behind a breaker; undefined without a secret. */
export function verifier({ given, resolved, verifierSecrets, clock, random, maxAge }: Settings): Kernel["turnstile"] {
  if (!given.turnstile || verifierSecrets.length === 0) return undefined;
  const { onUnavailable: _ours, ...theirs } = given.turnstile;
  const { clockTolerance } = resolved;
  const options = { clock, random, ...(given.fetch && { fetch: given.fetch }), ...theirs, secret: verifierSecrets, maxAge, clockTolerance };
  return withBreaker(createTurnstile(options), { clock });
}
