import type { Consistency, RateQuota, SpendResult } from "../store/contract.ts";
import { rateKey } from "../store/keys.ts";
import type { LimitResult, LimitRule, Subjects } from "./types.ts";
import { subjectsOf } from "./validate.ts";

/** What a limit charges for one request. `rules` (with the limit in force) and `quotas` belong together by position. */
export interface LimitPlan {
  quotas: RateQuota[];
  rules: LimitRule[];
  /** A rule by address fell back to the bucket that all unknown addresses share. */
  unknownAddress?: boolean;
}

/**
 * The quotas of `rules` for whoever asks. A rule by `ip` or `ip-prefix` of an unknown address: one shared bucket with a tenth of the limit
 * (whatever else it counts by: with other text in the key, each text would be a bucket of its own);
 * a rule of which another subject is unknown does not apply.
 *
 * @param limitName keeps counters of equally named rules of two limits apart
 */
export function planLimits(rules: readonly LimitRule[], subjects: Subjects, request: Request, limitName = ""): LimitPlan {
  const plan: LimitPlan = { quotas: [], rules: [] };
  for (const rule of rules) {
    const by = subjectsOf(rule);
    const unknown = by.some((subject) => (subject === "ip" || subject === "ip-prefix") && !subjects[subject]);
    const known: string[] = [];
    for (const subject of unknown ? [] : by) {
      const value = typeof subject === "function" ? subject(request, subjects) : subjects[subject];
      if (value) known.push(value);
    }
    if (unknown) known.push("unknown");
    else if (known.length < by.length) continue;
    const limit = unknown ? Math.max(1, Math.floor(rule.limit / 10)) : rule.limit;
    const name = limitName ? `${limitName}.${rule.name}` : rule.name;
    plan.quotas.push({ key: rateKey({ name, window: rule.window }, known), limit, window: rule.window });
    plan.rules.push(unknown ? { ...rule, limit } : rule);
    if (unknown) plan.unknownAddress = true;
  }
  return plan;
}

/** The outcome of a plan whose quotas were charged from index `offset` on of a spend: of the refusing, else the tightest layer. */
export function limitResult(plan: LimitPlan, spend: SpendResult, offset: number, accuracy: Consistency): LimitResult {
  const layers = plan.rules.flatMap((rule, i) => {
    const state = spend.states[offset + i];
    return state ? [{ rule, state, refused: !spend.ok && state.why !== undefined, chosen: spend.refused === offset + i }] : [];
  });
  layers.sort(
    (a, b) => Number(b.chosen) - Number(a.chosen) || Number(b.refused) - Number(a.refused) || a.state.remaining - b.state.remaining,
  );
  const [tightest] = layers;
  const success = !tightest?.refused;
  return {
    success,
    limit: tightest?.rule.limit ?? Number.POSITIVE_INFINITY,
    remaining: tightest?.state.remaining ?? Number.POSITIVE_INFINITY,
    reset: tightest?.state.resetAt ?? spend.at,
    retryAfter: success ? 0 : spend.retryAfter,
    ...(tightest && { rule: tightest.rule.name }),
    degraded: false,
    accuracy,
  };
}

/** The outcome of a plan when the store is down: passes only if every rule allows it (`onStoreError`, default `fallback`). */
export function degradedResult(plan: LimitPlan, fallback: "deny" | "allow", now: number, accuracy: Consistency): LimitResult {
  const denying = plan.rules.find((rule) => (rule.onStoreError ?? fallback) === "deny");
  const rule = denying ?? plan.rules[0];
  return {
    success: !denying,
    limit: rule?.limit ?? Number.POSITIVE_INFINITY,
    remaining: 0,
    reset: now,
    retryAfter: denying ? 5 : 0,
    ...(rule && { rule: rule.name }),
    degraded: true,
    accuracy,
  };
}
