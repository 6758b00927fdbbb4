/**
 * Clearance for protected APIs: risk, policy, one-time challenges, scoped tokens.
 *
 * @module
 */

export type { Ambiguity } from "./ambiguity.ts";
export { clearance } from "./clearance.ts";
export { exampleLimits, examplePolicy } from "./example-policy.ts";
export { explainPolicy, type Question } from "./explain.ts";
export { strictVerifyLimits } from "./options.ts";
export { parsePolicy } from "./policy.ts";
export { assessRisk, defaultWeights } from "./risk.ts";
export type {
  ClearanceOptions,
  Decision,
  Explanation,
  Policy,
  PolicyDocument,
  PolicyEntry,
  PolicyEntryDocument,
  PolicyKind,
  Risk,
  RiskReason,
  RiskSignals,
  RiskWeights,
} from "./types.ts";
