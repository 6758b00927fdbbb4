import type { Limiter, LimitResult, LimitRule } from "./types.ts";

/** The outcome of the rules' `onStoreError` while the store is down. */
export interface Fallback {
  /** The result of the refusing limiter, else the tightest one. Undefined: every rule says `allow`. */
  result?: LimitResult | undefined;
  /** The limiter of `result`. */
  limiter?: Limiter;
  /** Gives back what was charged. Once, best effort. */
  undo(): Promise<void>;
}

/**
 * Decides by the rules' `onStoreError` while the store is down: all rules pass, or none. Each fallback limiter is asked
 * once, however many rules name it. When one refuses, the charges of the others are given back.
 *
 * @param rules undefined stands for a quota that is no rule (a session's use); it always denies
 * @param otherwise for rules without an `onStoreError`
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
