import type { QuotaState, RefusalWhy, SpendResult } from "../src/store/contract.ts";
import { isJsonObject } from "../src/util/json.ts";

const WHYS: readonly RefusalWhy[] = ["full", "blocked", "expired", "forgotten"];

/**
 * The result of a spend out of what a backend answered. Whoever answers may be another version, another class, a proxy's error page:
 * nothing but a result that is whole and agrees with itself is one, so that no garbage can say `ok: true`.
 *
 * @param costs of the quotas, in their order
 * @throws {TypeError} it is no such result
 */
export function readSpendResult(value: unknown, costs: readonly number[]): SpendResult {
  if (!isJsonObject(value)) throw unreadable("no object");
  const { ok, at, refused, retryAfter, states } = value;
  if (typeof ok !== "boolean" || !isInteger(at) || !isInteger(retryAfter) || retryAfter < 0) throw unreadable("no result");
  if (!Array.isArray(states) || states.length !== costs.length) throw unreadable("other quotas");
  const read = states.map(readState);
  const charged = (i: number): boolean => costs[i] !== 0;
  // After a charge a quota may be used up; else one that has too little left says why it would refuse.
  if (read.some(({ why, remaining }, i) => why === undefined && !(ok && charged(i)) && remaining < Math.max(1, costs[i] ?? 1)))
    throw unreadable("it contradicts itself");
  if (ok) {
    if (refused !== null || retryAfter !== 0 || read.some(({ why }, i) => why !== undefined && charged(i)))
      throw unreadable("it contradicts itself");
    return { ok, at, refused, retryAfter, states: read };
  }
  if (!isInteger(refused) || read[refused]?.why === undefined || !charged(refused)) throw unreadable("it contradicts itself");
  return { ok, at, refused, retryAfter, states: read };
}

function readState(value: unknown): QuotaState {
  if (!isJsonObject(value)) throw unreadable("no state");
  const { remaining, resetAt, why } = value;
  if (!isInteger(remaining) || remaining < 0 || !isInteger(resetAt)) throw unreadable("no state");
  if (why === undefined) return { remaining, resetAt };
  const known = WHYS.find((one) => one === why);
  if (known === undefined) throw unreadable("no state");
  return { remaining, resetAt, why: known };
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function unreadable(what: string): TypeError {
  return new TypeError(`Cannot read the backend's answer: ${what}`);
}
