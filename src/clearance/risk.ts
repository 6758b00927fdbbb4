import { assertInteger, assertKeys, invalid } from "../util/assertions.ts";
import { readingsOf } from "./paths.ts";
import type { PolicyEntry, Risk, RiskReason, RiskSignals, RiskWeights } from "./types.ts";

/**
 * The default points of the signals. A number counts while it is less than `below` or more than `over`; a flag counts
 * when it is true.
 */
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

/**
 * Points of a path, first match. The prefix of the API does not matter: log-in, registration and one-time passwords by
 * the end, payment anywhere.
 */
const SENSITIVE: readonly (readonly [RegExp, number])[] = [
  [/\/(otp\/request|register)$/, 30],
  [/\/payment(\/|$)/, 30],
  [/\/login$/, 20],
];

/** Points from which each band begins. */
const BANDS = { limit: 30, challenge: 50, deny: 80 } as const;

/** The points of a path: the entry's `risk`, else the most points that a reading of the path has by its name. */
export function pathPoints(path: string, entry?: PolicyEntry): number {
  if (entry?.risk !== undefined) return entry.risk;
  // A path that cannot be read counts as a sensitive one.
  return Math.max(...(readingsOf(path)?.map(({ plain }) => plain) ?? ["/payment"]).map(pointsOf));
}

/** The points of a normalised path by its name, see {@link SENSITIVE}. */
export function pointsOf(path: string): number {
  return SENSITIVE.find(([pattern]) => pattern.test(path))?.[1] ?? 0;
}

/**
 * Adds up the points of signals: a score of 0..100 and its reasons.
 *
 * The band `deny` goes by the points before discounts: a stolen clearance or session must not get an attacker out of
 * it. The other bands go by the score after discounts.
 *
 * @param weights replace or add to {@link defaultWeights}; a signal without a weight is ignored
 * @param shared signals that other clients may have caused. They count in the score but never deny: otherwise an
 * attacker who knows an account's name could lock its owner out
 * @throws {RangeError} points that are no integers in -100..100
 * @throws {TypeError} a weight's unknown member, a threshold that is no number
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
  // Shared signals are not in `gross`: they lead to a challenge at most.
  const band = gross >= BANDS.deny ? "deny" : score >= BANDS.challenge ? "challenge" : score >= BANDS.limit ? "limit" : "allow";
  return { score, gross, band, reasons };
}

/**
 * Checks what the application knows of a request. `badIp: 1` and `botScore: "5"` would never count.
 *
 * @throws {TypeError} not an object; a flag that is not a boolean, a number that is none
 */
export function assertSignals(signals: Partial<RiskSignals> | undefined, all: Weights): Partial<RiskSignals> {
  const given = signals ?? {};
  assertKeys("signals", given, Object.keys(given));
  for (const [signal, { below, over }] of all) {
    const value = ownValue(given, signal) ?? undefined;
    const type = below === undefined && over === undefined ? "boolean" : "number";
    if (value !== undefined && typeof value !== type) throw invalid(`signals.${signal}`, `a ${type}`, value);
  }
  return given;
}

/** Every weight by its signal. */
export type Weights = readonly (readonly [string, RiskWeights[string]])[];

/** The defaults, replaced and extended by `weights`. @throws {RangeError} {TypeError} see {@link assessRisk} */
export function settleWeights(weights: RiskWeights): Weights {
  assertKeys("risk", weights, Object.keys(Object(weights)));
  for (const [signal, weight] of Object.entries(weights)) {
    const label = `risk.${signal}`;
    if (signal === "sensitivePath") throw new TypeError(`Invalid "${label}": the points of a path are its entry's, "risk"`);
    assertKeys(label, weight, ["points", "below", "over"]);
    assertInteger(`${label}.points`, weight.points, -100, 100);
    for (const name of ["below", "over"] as const) {
      // No number is above or below NaN or a text such as "a", so the signal would never count.
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
