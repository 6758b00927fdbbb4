import type { Limiter, LimitResult, LimitRule } from "./types.ts";

/** What fallback limiters said in place of a store that is down. */
export interface Fallback {
  /** Of the refusing limiter, else the tightest; undefined: every rule allows. */
  result?: LimitResult | undefined;
  /** Whose result it is. */
  limiter?: Limiter;
  /** Gives back what was charged. Once, best effort. */
  undo(): Promise<void>;
}

/**
 * What `onStoreError` of the rules comes to while the store is down: all pass, or none. Each fallback limiter is asked once, however many rules name
 * it, and what one admitted is given back when the next refuses.
 *
 * @param rules undefined: something that is no rule (a session's use), which is never taken on trust
 * @returns undefined: denied, and nothing charged
 */
export async function fallBack(
  rules: readonly (LimitRule | undefined)[],
  otherwise: "deny" | "allow",
  ask: (limiter: Limiter) => Promise<LimitResult>,
): Promise<Fallback | undefined> {
  const modes = new Set(rules.map((rule) => (rule ? (rule.onStoreError ?? otherwise) : "deny")));
  if (modes.has("deny")) return undefined;
  const charged: [Limiter, LimitResult][] = [];
  const outcome: Fallback = {
    async undo() {
      for (const [limiter, result] of charged.splice(0)) await limiter.refund(result).catch(() => false);
    },
  };
  for (const limiter of modes) {
    if (typeof limiter === "string") continue;
    const result = await ask(limiter);
    if (result.success) charged.push([limiter, result]);
    else await outcome.undo();
    if (outcome.result && result.success && result.remaining >= outcome.result.remaining) continue;
    Object.assign(outcome, { result, limiter });
    if (!result.success) break;
  }
  return outcome;
}
