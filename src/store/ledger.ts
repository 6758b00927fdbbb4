import { isUsesQuota, type Quota, type QuotaState, type RateQuota, type RefusalWhy, type SpendResult, type UsesQuota } from "./contract.ts";
import { MAX_QUOTAS } from "./validate.ts";
import { chargeRing, freeAt, RING, refundRing, unitsAt } from "./window.ts";

/**
 * Numbers in the record of a uses quota: when it expires (milliseconds since the epoch), and the units used. A rate
 * quota's record is a ring.
 */
export const USES = 2;

/** Start of a record that does not exist or has expired. */
export const NONE = -1;

/**
 * The records of the quotas of one call, by position, and the blocks of their keys. The arrays are reused from call to
 * call.
 */
export interface Records {
  cells: Float64Array[];
  /** Where the record starts in its cells, or NONE. */
  base: Int32Array;
  /** Milliseconds since the epoch; 0: not blocked. */
  blocked: Float64Array;
  /** Units of a rate quota that a full store removed. They count as if they were in its record. Default: none. */
  lost?: Float64Array;
  /** Milliseconds since the epoch: when none of them counts any more. */
  lostUntil?: Float64Array;
}

/** Arrays for the records of one call. `own`: each record gets cells of its own, to load it into at base 0. */
export function createRecords(own: boolean): Records {
  const none = new Float64Array(0);
  return {
    cells: Array.from({ length: MAX_QUOTAS }, () => (own ? new Float64Array(RING) : none)),
    base: new Int32Array(MAX_QUOTAS).fill(NONE),
    blocked: new Float64Array(MAX_QUOTAS),
  };
}

/**
 * Decides a spend, and writes nothing. The states are those before the spend.
 *
 * @param since milliseconds since the epoch: when a local store began to count. Default: it never refuses a token as
 * too old
 */
export function decide(quotas: readonly Quota[], records: Records, now: number, since: number = Number.NEGATIVE_INFINITY): SpendResult {
  const result: SpendResult = { ok: true, at: now, refused: null, retryAfter: 0, states: [] };
  let usesRefused = false;
  let longest = 0;
  for (const [i, quota] of quotas.entries()) {
    const uses = isUsesQuota(quota);
    const until = records.blocked[i] ?? 0;
    const state = uses ? usesState(quota, records, i, now, since) : rateState(quota, records, i, now);
    if (until > now) {
      state.remaining = 0;
      state.why = "blocked";
    }
    result.states.push(state);
    if (state.why === undefined || quota.cost === 0) continue;
    result.ok = false;
    if (uses) {
      if (!usesRefused) result.refused = i;
      usesRefused = true;
    } else {
      const wait = Math.max(until, rateReady(quota, records, i, now)) - now;
      if (wait > longest) {
        longest = wait;
        if (!usesRefused) result.refused = i;
      }
    }
  }
  result.retryAfter = Math.ceil(longest / 1000);
  return result;
}

/**
 * Charges one quota of an admitted spend. A new record consists of zeros. Changes `state` to the state after the spend.
 */
export function charge(quota: Quota, cells: Float64Array, base: number, now: number, state: QuotaState): void {
  const cost = quota.cost ?? 1;
  if (isUsesQuota(quota)) {
    cells[base] = Math.max(cells[base] ?? 0, quota.expiresAt);
    cells[base + 1] = (cells[base + 1] ?? 0) + cost;
  } else {
    chargeRing(cells, base, quota.key, quota.window, now, cost);
  }
  state.remaining -= cost;
  state.resetAt = cells[base] ?? now;
}

/**
 * Gives back one charge, if it is still recorded. Returns what is left: `none` (remove the record), `some`, or `same`
 * if nothing was given back.
 */
export function giveBack(quota: Quota, cells: Float64Array, base: number, now: number, at: number): "none" | "some" | "same" {
  const cost = quota.cost ?? 1;
  if (cost === 0) return "same";
  if (!isUsesQuota(quota)) {
    if (!refundRing(cells, base, quota.window, now, at, cost)) return "same";
    return unitsAt(cells, base, quota.window, now) === 0 ? "none" : "some";
  }
  // A lease that expired and was taken by another caller has another expiry. It must not be released by the first
  // caller.
  const used = cells[base + 1] ?? 0;
  if (cells[base] !== quota.expiresAt || used < cost) return "same";
  cells[base + 1] = used - cost;
  return used === cost ? "none" : "some";
}

function usesState(quota: UsesQuota, { cells, base }: Records, i: number, now: number, since: number): QuotaState {
  const at = base[i] ?? NONE;
  const used = at < 0 ? 0 : (cells[i]?.[at + 1] ?? 0);
  const state: QuotaState = {
    remaining: Math.max(0, quota.limit - used),
    resetAt: at < 0 ? quota.expiresAt : Math.max(quota.expiresAt, cells[i]?.[at] ?? 0),
  };
  let why: RefusalWhy | undefined;
  if (quota.expiresAt <= now) why = "expired";
  else if (quota.issuedAt !== undefined && quota.issuedAt < since) why = "forgotten";
  if (why !== undefined) state.remaining = 0;
  else if (used + (quota.cost || 1) > quota.limit) why = "full";
  if (why !== undefined) state.why = why;
  return state;
}

function rateState(quota: RateQuota, records: Records, i: number, now: number): QuotaState {
  const units = rateUnits(quota, records, i, now);
  const lost = records.lost?.[i] ?? 0;
  const dies = units === 0 ? now : (records.cells[i]?.[records.base[i] ?? 0] ?? now);
  const state: QuotaState = {
    remaining: Math.max(0, quota.limit - units - lost),
    resetAt: lost === 0 ? dies : Math.max(dies, records.lostUntil?.[i] ?? 0),
  };
  if (units + lost + (quota.cost || 1) > quota.limit) state.why = "full";
  return state;
}

/**
 * When the quota admits its cost: when enough recorded units have left the window, or when removed units no longer
 * count and the rest suffices.
 */
function rateReady(quota: RateQuota, records: Records, i: number, now: number): number {
  const units = rateUnits(quota, records, i, now);
  const free = (over: number): number => {
    const ring = records.cells[i];
    return ring && over > 0 ? freeAt(ring, records.base[i] ?? 0, quota.window, now, over) : now;
  };
  const over = units + (quota.cost || 1) - quota.limit;
  const lost = records.lost?.[i] ?? 0;
  const later = Math.max(records.lostUntil?.[i] ?? 0, free(over));
  return lost === 0 ? free(over) : over + lost > units ? later : Math.min(later, free(over + lost));
}

function rateUnits(quota: RateQuota, { cells, base }: Records, i: number, now: number): number {
  const at = base[i] ?? NONE;
  const ring = cells[i];
  return ring && at >= 0 ? unitsAt(ring, at, quota.window, now) : 0;
}
