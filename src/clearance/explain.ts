import type { Mode } from "../gate/types.ts";
import { assertString } from "../util/assertions.ts";
import { any, assertOptions, listOf, oneOf, type Rules, record } from "../util/options.ts";
import { ambiguityOf } from "./ambiguity.ts";
import { decide } from "./decide.ts";
import { normalizePath } from "./paths.ts";
import { allowsAmbiguous, matchPolicy, parsePolicy } from "./policy.ts";
import { assessRisk, pathPoints } from "./risk.ts";
import type { Explanation, PolicyDocument, RiskSignals, RiskWeights } from "./types.ts";

/** A request to explain. */
export interface Question {
  /** As in a request's URL, not decoded; a query is ignored. */
  path: string;
  /** Default `GET`. */
  method?: string;
  /** The gate's mode. Default `enforce`. */
  mode?: Mode;
  /** Signals of the request itself. Default: only the points of the path. */
  signals?: Partial<RiskSignals>;
  /** Signals that others may have caused, see `assessRisk`. Default none. */
  shared?: Partial<RiskSignals>;
  /** Names of the conditions (`when`) that hold. Default none. */
  holds?: readonly string[];
  /** As `clearance({ risk })`. Default {@link defaultWeights}. */
  weights?: RiskWeights;
}

const RULES: Rules<Question> = {
  path: assertString,
  method: /^[A-Za-z]+$/,
  mode: oneOf("enforce", "monitor", "off"),
  signals: record(any),
  shared: record(any),
  holds: listOf("string"),
  weights: record(any),
};

/**
 * What a policy decides about a request without a clearance, and why. Nothing is counted or stored.
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
  const { path: asked, method = "GET", mode: own = "enforce", signals = {}, shared, holds = [], weights } = question;
  const policy = parsePolicy(written);
  const [path = ""] = asked.split("?", 1);
  const ambiguous =
    own === "off" ? undefined : ambiguityOf(`http://localhost${asked}`, null, (text) => allowsAmbiguous(policy, method, text));
  const entry = await matchPolicy(policy, method, path, (name) => holds.includes(name));
  const risk = assessRisk({ sensitivePath: pathPoints(path, entry), ...signals }, weights, shared);
  const [decision, mode] = ambiguous
    ? (["deny", "enforce"] as const)
    : [decide(entry, risk.band), own === "off" ? own : (entry.mode ?? own)];
  return { path: normalizePath(path), ambiguous, kind: entry.kind, entry, risk, decision, mode };
}
