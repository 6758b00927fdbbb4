import { isUsesQuota, type Quota, type QuotaState, type SpendResult } from "../store/contract.ts";

/** A refusal that is still known. */
export interface KnownRefusal {
  /** Position of the quota that refuses. */
  index: number;
  state: QuotaState;
  /** Whole seconds. */
  retryAfter: number;
}

/** What one process remembers of full rate limits. */
export interface Refusals {
  /** The refusal of these quotas, if one of their rates is known to be full. Undefined: the store must be asked. */
  find(quotas: readonly Quota[]): KnownRefusal | undefined;
  /**
   * Takes note of what the store said.
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
  /** Milliseconds: until then the store said that it refuses. */
  until: number;
  /** Milliseconds: the store is asked again from then on, in case something was given back. */
  askAt: number;
}

/** Milliseconds for which a refusal is not looked up again: for so long a refund, or a lifted block, may be overlooked. */
const FRESH = 1000;
/** Rate limits that are remembered at most. */
const MOST = 10_000;

/**
 * Refuses again what a shared store has just refused, without a round trip. An attacker who keeps sending would otherwise cost one store call for each
 * request that is refused. The store is asked again once a second and key at the most, by one request, and never refuses from memory past the wait
 * that the store told: a client that waited for `retryAfter` reaches the store.
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
    // A clock that was set back would keep the entry for longer than the store said.
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
          // This request asks; the others of this second are refused from memory.
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
      // What did not refuse now is not full any more.
      for (const [i, quota] of quotas.entries()) if (result.states[i]?.why === undefined) known.delete(quota.key);
      // `retryAfter` is the wait of this quota only where it is a rate: then it is the one with the longest wait.
      if (refusing === undefined || isUsesQuota(refusing) || result.retryAfter <= 0) return;
      if (known.size >= MOST && !known.has(refusing.key)) known.clear();
      const { key, limit, cost = 1 } = refusing;
      known.set(key, { limit, seconds: refusing.window, cost, since, until: since + result.retryAfter * 1000, askAt: since + FRESH });
    },
  };
}
