import { isUsesQuota, type Quota, type QuotaState, type SpendResult } from "../store/contract.ts";

/** A refusal that is known from memory. */
export interface KnownRefusal {
  /** Position of the quota that refuses. */
  index: number;
  state: QuotaState;
  /** Whole seconds. */
  retryAfter: number;
}

/** The full rate limits that this process remembers. */
export interface Refusals {
  /** The refusal of these quotas, if one of their rates is known to be full. Undefined: the store must be asked. */
  find(quotas: readonly Quota[]): KnownRefusal | undefined;
  /**
   * Remembers the store's answer.
   *
   * @param since milliseconds, by the clock of this process: when the store was asked
   */
  learn(quotas: readonly Quota[], result: SpendResult, since: number): void;
  /** Asks the store about these keys again: this process gave something back. */
  forget(keys: Iterable<string>): void;
}

interface Entry {
  limit: number;
  /** The window. */
  seconds: number;
  cost: number;
  /** Milliseconds: when the store was asked. */
  since: number;
  /** Milliseconds since the epoch: the store refuses until then. */
  until: number;
  /** Milliseconds since the epoch: from then on the store is asked again, since units may have been given back. */
  askAt: number;
}

/** Milliseconds for which the store is not asked again. A refund or a lifted block may be overlooked for so long. */
const FRESH = 1000;
/** The most rate limits that are remembered. */
const MOST = 10_000;

/**
 * Refuses from memory what a shared store has just refused. Without it, an attacker who keeps sending would cost one
 * store call for each refused request.
 *
 * One request a second and key still asks the store. Memory never refuses beyond the store's `retryAfter`: a client
 * that waited reaches the store.
 *
 * @param clock milliseconds, of this process
 */
export function createRefusals(clock: () => number): Refusals {
  const known = new Map<string, Entry>();

  function refuses(quota: Quota, now: number): Entry | undefined {
    if (isUsesQuota(quota)) return undefined;
    const entry = known.get(quota.key);
    if (entry === undefined) return undefined;
    const { cost, since, until } = entry;
    // If the clock was set back, the entry would last longer than the store said.
    if (now >= until || now < since) {
      known.delete(quota.key);
      return undefined;
    }
    const same = quota.limit === entry.limit && quota.window === entry.seconds;
    return same && (quota.cost ?? 1) >= cost ? entry : undefined;
  }

  return {
    find(quotas) {
      if (known.size === 0) return undefined;
      const now = clock();
      for (const [index, quota] of quotas.entries()) {
        const entry = refuses(quota, now);
        if (entry === undefined) continue;
        if (now >= entry.askAt) {
          // This request asks the store; the others of this second are refused from memory.
          entry.askAt = now + FRESH;
          return undefined;
        }
        const retryAfter = Math.ceil((entry.until - now) / 1000);
        return { index, state: { remaining: 0, resetAt: entry.until, why: "full" }, retryAfter };
      }
      return undefined;
    },

    forget(keys) {
      for (const key of keys) known.delete(key);
    },

    learn(quotas, result, since) {
      const refusing = result.refused === null ? undefined : quotas[result.refused];
      // A quota that does not refuse now is not full any more.
      for (const [i, quota] of quotas.entries()) if (result.states[i]?.why === undefined) known.delete(quota.key);
      // If the refusing quota is a rate, it is the one with the longest wait, and `retryAfter` is its wait.
      if (refusing === undefined || isUsesQuota(refusing) || result.retryAfter <= 0) return;
      if (known.size >= MOST && !known.has(refusing.key)) known.clear();
      const { key, limit, cost = 1 } = refusing;
      known.set(key, { limit, seconds: refusing.window, cost, since, until: since + result.retryAfter * 1000, askAt: since + FRESH });
    },
  };
}
