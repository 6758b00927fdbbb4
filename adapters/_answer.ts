import type { QuotaState, RefusalWhy, SpendResult } from "../src/store/contract.ts";
import { isJsonObject } from "../src/util/json.ts";

const WHYS: readonly RefusalWhy[] = ["full", "blocked", "expired", "forgotten"];

/**
 * Reads a backend's answer as the result of a spend. The answer may come from another version, another class, or a
 * proxy's error page. Only a complete result without contradictions is accepted, so no garbage can mean `ok: true`.
 *
 * @param costs the costs of the quotas, in their order
 * @throws {TypeError} the answer is not such a result
 */
export function readSpendResult(value: unknown, costs: readonly number[]): SpendResult {
  if (!isJsonObject(value)) throw unreadable("no object");
  const { ok, at, refused, retryAfter, states } = value;
  if (typeof ok !== "boolean" || !isInteger(at) || !isInteger(retryAfter) || retryAfter < 0) throw unreadable("no result");
  if (!Array.isArray(states) || states.length !== costs.length) throw unreadable("other quotas");
  const read = states.map(readState);
  const charged = (i: number): boolean => costs[i] !== 0;
  // A quota that was charged may be used up. Any other with too little left must give a `why`.
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
