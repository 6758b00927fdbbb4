import { assertInteger, assertKeys } from "../util/assertions.ts";
import { readingsOf } from "./paths.ts";
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
  addressReports: { points: 40, over: 500 },
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

/** Points from which each band begins. */
const BANDS = { limit: 30, challenge: 50, deny: 80 } as const;

/** The points of an entry's path: its own `risk`, else by what it is called, in whichever reading that is the most. */
export function pathPoints(path: string, entry?: PolicyEntry): number {
  if (entry?.risk !== undefined) return entry.risk;
  // Of a path that nobody can read: as the most sensitive one.
  return Math.max(...(readingsOf(path)?.map(({ plain }) => plain) ?? ["/payment"]).map(pointsOf));
}

/** The points of a normalised path by what it is called. */
export function pointsOf(path: string): number {
  return SENSITIVE.find(([pattern]) => pattern.test(path))?.[1] ?? 0;
}

/**
 * Weighs signals: 0..100 and the reasons. `deny` is decided by the points before discounts: a stolen clearance or session must not carry
 * an attacker below it. The other bands go by the score after them.
 *
 * @param weights in place of or beside {@link defaultWeights}; a signal without a weight is ignored
 * @param shared what others may have caused: it weighs as signals do, but it never denies, or whoever knows a victim's account could lock it out
 * @throws {RangeError} points that are no integers in -100..100 @throws {TypeError} a weight's unknown member, a threshold that is no number
 *
 * @example
 * ```ts
 * import { assessRisk } from "gatepass/clearance";
 * const { score, band } = assessRisk({ botScore: 12, failedLogins: 6, establishedSession: true });
 * console.assert(score === 50 && band === "challenge");
 * ```
 */
export function assessRisk(signals: Partial<RiskSignals>, weights: RiskWeights = {}, shared: Partial<RiskSignals> = {}): Risk {
  return weigh(signals, settleWeights(weights), shared);
}

/** @param all every weight, defaults included, see {@link settleWeights} */
export function weigh(signals: Partial<RiskSignals>, all: Weights, shared: Partial<RiskSignals> = {}): Risk {
  const reasons: RiskReason[] = [];
  const { sensitivePath = 0 } = signals;
  if (sensitivePath > 0) reasons.push({ signal: "sensitivePath", points: sensitivePath });
  for (const [signal, weight] of all) {
    const { points } = weight;
    if (points === 0) continue;
    if (holds(ownValue(signals, signal), weight)) reasons.push({ signal, points });
    else if (holds(ownValue(shared, signal), weight)) reasons.push({ signal, points, shared: true });
  }
  let [sum, own] = [0, 0];
  for (const reason of reasons) {
    sum += reason.points;
    if (reason.points > 0 && !reason.shared) own += reason.points;
  }
  const gross = Math.min(100, own);
  const score = Math.max(0, Math.min(100, sum));
  // Without what is shared: at most a challenge, however much it comes to.
  const band = gross >= BANDS.deny ? "deny" : score >= BANDS.challenge ? "challenge" : score >= BANDS.limit ? "limit" : "allow";
  return { score, gross, band, reasons };
}

/** Every weight by its signal. */
export type Weights = readonly (readonly [string, RiskWeights[string]])[];

/** The defaults, and what is given in their place or beside them. @throws {RangeError} {TypeError} see {@link assessRisk} */
export function settleWeights(weights: RiskWeights): Weights {
  assertKeys("risk", weights, Object.keys(Object(weights)));
  for (const [signal, weight] of Object.entries(weights)) {
    const label = `risk.${signal}`;
    if (signal === "sensitivePath") throw new TypeError(`Invalid "${label}": the points of a path are its entry's, "risk"`);
    assertKeys(label, weight, ["points", "below", "over"]);
    assertInteger(`${label}.points`, weight.points, -100, 100);
    for (const name of ["below", "over"] as const) {
      // Compared with anything else a number is neither above nor below: the signal would never count.
      if (weight[name] !== undefined && !Number.isFinite(weight[name]))
        throw new TypeError(`Invalid "${label}.${name}": expected a number`);
    }
  }
  return Object.entries({ ...defaultWeights, ...weights });
}

function ownValue(signals: Partial<RiskSignals>, name: string): unknown {
  return Object.hasOwn(signals, name) ? signals[name] : undefined;
}

function holds(value: unknown, { below, over }: RiskWeights[string]): boolean {
  if (value === undefined) return false;
  if (below === undefined && over === undefined) return value === true;
  if (typeof value !== "number" || Number.isNaN(value)) return false;
  return (below === undefined || value < below) && (over === undefined || value > over);
}
