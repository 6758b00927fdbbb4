import { assertString } from "../util/assertions.ts";
import { any, assertOptions, listOf, type Rules, record } from "../util/options.ts";
import { decide } from "./decide.ts";
import { normalizePath } from "./paths.ts";
import { matchPolicy, parsePolicy } from "./policy.ts";
import { assessRisk, pathPoints } from "./risk.ts";
import type { Explanation, PolicyDocument, RiskSignals, RiskWeights } from "./types.ts";

/** A request to explain. */
export interface Question {
  /** As in a request's URL, not decoded. */
  path: string;
  /** Default `GET`. */
  method?: string;
  /** Default: none but the path's own. */
  signals?: Partial<RiskSignals>;
  /** Signals that others may have caused, see `assessRisk`. Default none. */
  shared?: Partial<RiskSignals>;
  /** Names of the conditions (`when`) that hold. Default none. */
  holds?: readonly string[];
  /** As `clearance({ risk })`. */
  weights?: RiskWeights;
}

const RULES: Rules<Question> = {
  path: assertString,
  method: /^[A-Za-z]+$/,
  signals: record(any),
  shared: record(any),
  holds: listOf("string"),
  weights: record(any),
};

/**
 * What a policy would say to a request without a clearance, and why. Nothing is counted or stored.
 *
 * @throws {TypeError} {RangeError} a bad policy or question
 *
 * @example
 * ```ts
 * import { examplePolicy, explainPolicy } from "gatepass/clearance";
 * const { kind, decision, risk } = await explainPolicy(examplePolicy, { method: "POST", path: "/api/auth/login", signals: { failedLogins: 6 } });
 * console.assert(kind === "risk" && decision === "challenge" && risk.score === 60);
 * ```
 */
export async function explainPolicy(written: PolicyDocument, question: Question): Promise<Explanation> {
  assertOptions("explainPolicy", question, RULES, "", "path");
  const { path, method = "GET", signals = {}, shared, holds = [], weights } = question;
  const entry = await matchPolicy(parsePolicy(written), method, path, (name) => holds.includes(name));
  const plain = normalizePath(path);
  const risk = assessRisk({ sensitivePath: pathPoints(path, entry), ...signals }, weights, shared);
  return { path: plain, kind: entry.kind, entry, risk, decision: decide(entry, risk.band) };
}
