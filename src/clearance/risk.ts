import { assertInteger, assertKeys } from "../util/assertions.ts";
import type { PolicyEntry, Risk, RiskReason, RiskSignals, RiskWeights } from "./types.ts";

/** What the signals weigh unless configured. `below`/`over` are the thresholds of numbers; a flag counts when it is true. */
export const defaultWeights: RiskWeights = {
  botScore: { points: 30, below: 30 },
  wafScore: { points: 25, below: 40 },
  badIp: { points: 25 },
  abusiveAsn: { points: 15 },
  failedLogins: { points: 40, over: 5 },
  otpRequests: { points: 50, over: 2 },
  deviceRequests: { points: 30, over: 300 },
  deviceUsers: { points: 50, over: 5 },
  clearanceFailures: { points: 50, over: 3 },
  honeypot: { points: 50 },
  addressChanged: { points: 10 },
  ephemeralCluster: { points: 30 },
  validClearance: { points: -40 },
  attestation: { points: -30 },
  establishedSession: { points: -20 },
};

/** Points that a path adds by itself: the last segments decide, whatever prefix the API has. */
const SENSITIVE: readonly (readonly [RegExp, number])[] = [
  [/\/(otp\/request|register)$/, 30],
  [/\/payment(\/|$)/, 30],
  [/\/login$/, 20],
];

/** Gross points from which each band begins. */
const BANDS = { limit: 30, challenge: 50, deny: 80 } as const;

/** The points of an entry's path: its own `risk`, else by what it is called. */
export function pathPoints(path: string, entry?: PolicyEntry): number {
  return entry?.risk ?? SENSITIVE.find(([pattern]) => pattern.test(path))?.[1] ?? 0;
}

/**
 * Weighs signals: 0..100 and the reasons. `deny` is decided by the points before discounts: a stolen clearance or session must not carry
 * an attacker below it. The other bands go by the score after them.
 *
 * @param weights in place of or beside {@link defaultWeights}; a signal without a weight is ignored
 * @throws {RangeError} points that are no integers in -100..100 @throws {TypeError} a weight's unknown member
 *
 * @example
 * ```ts
 * import { assessRisk } from "gatepass/clearance";
 * const { score, band } = assessRisk({ botScore: 12, failedLogins: 6, establishedSession: true });
 * console.assert(score === 50 && band === "challenge");
 * ```
 */
export function assessRisk(signals: Partial<RiskSignals>, weights: RiskWeights = {}): Risk {
  checkWeights(weights);
  const reasons: RiskReason[] = [];
  const { sensitivePath = 0 } = signals;
  if (sensitivePath > 0) reasons.push({ signal: "sensitivePath", points: sensitivePath });
  for (const [signal, weight] of Object.entries({ ...defaultWeights, ...weights })) {
    if (weight.points !== 0 && holds(Object.hasOwn(signals, signal) ? signals[signal] : undefined, weight))
      reasons.push({ signal, points: weight.points });
  }
  const sum = (some: readonly RiskReason[]): number => some.reduce((total, { points }) => total + points, 0);
  const gross = Math.min(100, sum(reasons.filter(({ points }) => points > 0)));
  const score = Math.max(0, Math.min(100, sum(reasons)));
  const band = gross >= BANDS.deny ? "deny" : score >= BANDS.challenge ? "challenge" : score >= BANDS.limit ? "limit" : "allow";
  return { score, gross, band, reasons };
}

/** @throws {RangeError} {TypeError} see {@link assessRisk} */
export function checkWeights(weights: RiskWeights): void {
  for (const [signal, weight] of Object.entries(weights)) {
    assertKeys(`risk.${signal}`, weight, ["points", "below", "over"]);
    assertInteger(`risk.${signal}.points`, weight.points, -100, 100);
  }
}

function holds(value: unknown, { below, over }: RiskWeights[string]): boolean {
  if (below === undefined && over === undefined) return value === true;
  if (typeof value !== "number" || Number.isNaN(value)) return false;
  return (below === undefined || value < below) && (over === undefined || value > over);
}
