/**
 * Clearance for protected APIs: risk, policy, one-time challenges, scoped tokens.
 *
 * @module
 */

export { exampleLimits, examplePolicy } from "./example-policy.ts";
export { parsePolicy } from "./policy.ts";
export { assessRisk, defaultWeights } from "./risk.ts";
export type {
  Decision,
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
