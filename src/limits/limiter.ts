import { isGatepassError } from "../errors.ts";
import type { Quota, RateStore, Store } from "../store/contract.ts";
import { ipKey, ipPrefix } from "../util/ip.ts";
import { degradedResult, type LimitPlan, limitResult, planLimits } from "./plan.ts";
import type { LimitResult, LimitRule, Subjects } from "./types.ts";
import { validateRules } from "./validate.ts";

/** Options of {@link createLimiter}. */
export interface LimiterOptions {
  /** `block` and `refund` need a whole `Store`. */
  store: RateStore;
  rules: readonly LimitRule[];
  /** Who asks, for `limit(request)`. */
  subjects?(request: Request): Subjects | Promise<Subjects>;
  /** Whether a limit passes when the store is down. Default `deny`. */
  onStoreError?: "deny" | "allow";
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
}

/** A limit of its own, outside a gate. */
export interface Limiter {
  /** Charges every layer, or none. When the store is down the result is `degraded`; see `onStoreError`. */
  limit(who: Subjects | Request): Promise<LimitResult>;
  /** The state, nothing charged: `success` tells whether a charge would be admitted now. */
  peek(who: Subjects | Request): Promise<LimitResult>;
  /** Gives back what the `limit` call that returned this very result charged. Once; false when there is nothing (more) to give back. */
  refund(result: LimitResult): Promise<boolean>;
  /** Refuses whoever asks until `expiresAt` (ms) by the rule `rule` (default the first); false when that rule does not apply. */
  block(who: Subjects | Request, expiresAt: number, rule?: string): Promise<boolean>;
}

/**
 * A layered rate limit: all rules are charged in one atomic spend, or none.
 *
 * @throws {TypeError} bad rules, see `LimitRule`; a rule on text that the caller chooses (device, email, ...) without one by `ip-prefix`
 * @throws {RangeError} `limit` or `window` not an integer from 1
 *
 * @example
 * ```ts
 * import { createLimiter, memoryStore } from "gatepass";
 * const limiter = createLimiter({ store: memoryStore(), rules: [{ name: "burst", limit: 2, window: 60, by: "ip" }] });
 * await limiter.limit({ ip: "203.0.113.7" });
 * await limiter.limit({ ip: "203.0.113.7" });
 * const third = await limiter.limit({ ip: "203.0.113.7" });
 * console.assert(!third.success && third.retryAfter > 0);
 * ```
 */
export function createLimiter(options: LimiterOptions): Limiter {
  const { store, rules, onStoreError = "deny", clock = Date.now } = options;
  validateRules("limiter", rules);
  const charged = new WeakMap<LimitResult, { quotas: readonly Quota[]; at: number }>();

  const plan = async (who: Subjects | Request): Promise<LimitPlan> => {
    if (!(who instanceof Request)) return planLimits(rules, canonical(who), new Request("http://localhost/"));
    if (!options.subjects) throw new TypeError('Cannot limit a request: the limiter has no "subjects"');
    return planLimits(rules, canonical(await options.subjects(who)), who);
  };
  const spend = async (who: Subjects | Request, cost: 0 | 1): Promise<LimitResult> => {
    const planned = await plan(who);
    const quotas = planned.quotas.map((quota) => ({ ...quota, cost }));
    try {
      const nothing = { ok: true, at: clock(), refused: null, retryAfter: 0, states: [] };
      const spent = quotas.length > 0 ? await store.spend(quotas) : nothing;
      // At cost 0 nothing is refused, but `why` says what would be.
      const full = spent.states.some((state) => state.why !== undefined);
      const result = limitResult(planned, full ? { ...spent, ok: false } : spent, 0, store.consistency);
      if (spent.ok && cost === 1) charged.set(result, { quotas, at: spent.at });
      return result;
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return degradedResult(planned, onStoreError, clock(), store.consistency);
    }
  };

  return {
    limit: (who) => spend(who, 1),
    peek: (who) => spend(who, 0),
    async refund(result) {
      const charge = charged.get(result);
      charged.delete(result);
      if (charge) await whole(store).refund(charge.quotas, charge.at);
      return charge !== undefined;
    },
    async block(who, expiresAt, rule = rules[0]?.name) {
      const planned = await plan(who);
      const quota = planned.quotas[planned.rules.findIndex(({ name }) => name === rule)];
      if (!rules.some(({ name }) => name === rule)) throw new TypeError(`Cannot block: no rule is named "${rule}"`);
      // The bucket of unknown addresses is everybody's: one offender must not close it.
      if (!quota || planned.unknownAddress) return false;
      await whole(store).block(quota.key, expiresAt);
      return true;
    },
  };
}

/** Addresses in any spelling become the keys they stand for; text that is neither is unknown, else each text would be a bucket of its own. */
function canonical(who: Subjects): Subjects {
  const { ip, "ip-prefix": prefix = ip } = who;
  const ipOf = (text = ""): string | undefined => ipKey(text) ?? (/^[\da-f]{16}$/.test(text) ? text : undefined);
  const prefixOf = (text = ""): string | undefined => ipPrefix(text) ?? (/^([\da-f]{12}|\d+\.\d+\.\d+)$/.test(text) ? text : undefined);
  return { ...who, ip: ipOf(ip), "ip-prefix": prefixOf(prefix) };
}

/** Only a backend that fails is a reason to degrade; anything else is a mistake that must show. */
function isStoreError(error: unknown): boolean {
  return isGatepassError(error, "ERR_STORE_UNAVAILABLE") || isGatepassError(error, "ERR_STORE_FULL");
}

/** @throws {TypeError} a store that counts rates alone */
function whole(store: RateStore): Store {
  if (isStore(store)) return store;
  throw new TypeError("Cannot refund or block: this store counts rates alone");
}

function isStore(store: RateStore): store is Store {
  return "refund" in store && "block" in store;
}
