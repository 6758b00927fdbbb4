import { isGatepassError } from "../errors.ts";
import type { Consistency, Quota, RateStore, Store } from "../store/contract.ts";
import { assertKeys, invalid } from "../util/assertions.ts";
import { any, assertOptions, methods, oneOf, type Rules } from "../util/options.ts";
import { fallBack } from "./fallback.ts";
import { limitOf, limitResult, planLimits } from "./plan.ts";
import { createRefusals, type KnownRefusal } from "./refusals.ts";
import { canonicalSubjects } from "./subjects.ts";
import type { Limiter, LimitLayer, LimitResult, LimitRule, Subjects } from "./types.ts";
import { validateRules } from "./validate.ts";

/** Options of {@link createLimiter}. */
export interface LimiterOptions {
  /** Where the rates are counted. `block` and `refund` need a `Store`, not only a `RateStore`. */
  store: RateStore;
  /** At most 16 quotas: a rule by `ip` has 3, any other 1. */
  rules: readonly LimitRule[];
  /** Gives the subjects of a request, for `limit(request)`. Default: only subjects can be passed. */
  subjects?(request: Request): Subjects | Promise<Subjects>;
  /** What happens while the store is down, for rules without an `onStoreError` of their own. Default `deny`. */
  onStoreError?: "deny" | "allow";
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
}

/**
 * A layered rate limit: all rules are charged in one atomic spend, or none.
 *
 * On a shared store this process remembers a refusal. For the rest of the wait it asks the store at most once a second.
 * So it may notice a refund by another process a second late.
 *
 * @throws {TypeError} an unknown option; bad rules, see `LimitRule`; a rule on text that the client chooses (device,
 * email, ...) without one by `ip-prefix`
 * @throws {RangeError} `limit` or `window` not an integer from 1; more than 16 quotas
 *
 * @example
 * ```ts
 * import { createLimiter, memoryStore } from "gatepass";
 * const limiter = createLimiter({
 *   store: memoryStore(),
 *   rules: [
 *     { name: "login", limit: 2, window: 900, by: ["email", "ip"] },
 *     { name: "address", limit: 50, window: 900, by: "ip-prefix" },
 *   ],
 * });
 * await limiter.limit({ ip: "203.0.113.7", email: "a.user@gmail.com" });
 * await limiter.limit({ ip: "203.0.113.7", email: "A.User+1@Gmail.com" });
 * const third = await limiter.limit({ ip: "203.0.113.7", email: "auser@googlemail.com" });
 * console.assert(!third.success && third.rule === "login" && third.retryAfter > 0);
 * // To answer: new Response("Too many attempts", { status: 429, headers: third.headers }).
 * ```
 *
 * @example While the shared store is down, this process counts by itself, a little tighter
 * ```ts
 * import { createLimiter, GatepassError, memoryStore } from "gatepass";
 * const alone = createLimiter({ store: memoryStore(), rules: [{ name: "alone", limit: 5, window: 60, by: "ip" }] });
 * const shared = memoryStore(); // a redisStore(client), say
 * const limiter = createLimiter({ store: shared, rules: [{ name: "burst", limit: 20, window: 60, by: "ip", onStoreError: alone }] });
 * shared.spend = () => Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: no connection"));
 * const result = await limiter.limit({ ip: "203.0.113.7" });
 * console.assert(result.success && result.degraded && result.remaining === 4 && result.accuracy === "local");
 * ```
 */
export function createLimiter(options: LimiterOptions): Limiter {
  const allowed: Rules<LimiterOptions> = {
    store: methods("spend"),
    rules: any,
    subjects: "function",
    onStoreError: oneOf("deny", "allow"),
    clock: "function",
  };
  assertOptions("createLimiter", options, allowed, "", "store");
  const { store, rules, onStoreError = "deny", clock = Date.now } = options;
  validateRules("limiter", rules);
  const memory = store.consistency === "local" ? undefined : createRefusals(clock);
  /** How to give back what a result charged. */
  const charged = new WeakMap<LimitResult, () => Promise<void>>();

  const subjectsOf = async (who: Subjects | Request): Promise<Subjects> => {
    if (!(who instanceof Request)) return canonicalSubjects(who);
    if (!options.subjects) throw new TypeError('Cannot limit a request: the limiter has no "subjects"');
    return canonicalSubjects(await options.subjects(who));
  };
  const plan = (who: Subjects | Request, subjects: Subjects, request = new Request("http://localhost/")): LimitLayer[] =>
    planLimits(rules, subjects, who instanceof Request ? who : request);

  const giveBack = async (quotas: readonly Quota[], at: number): Promise<void> => {
    await whole(store).refund(quotas, at);
    memory?.forget(quotas.map(({ key }) => key));
  };

  const spend = async (who: Subjects | Request, cost: 0 | 1, request?: Request): Promise<LimitResult> => {
    const subjects = await subjectsOf(who);
    const layers = plan(who, subjects, request);
    const quotas = layers.map(({ quota }) => ({ ...quota, cost }));
    try {
      const nothing = { ok: true, at: clock(), refused: null, retryAfter: 0, states: [] };
      const known = memory?.find(quotas);
      if (known) return refusedAgain(layers, known, clock(), store.consistency);
      const since = clock();
      const spent = quotas.length > 0 ? await store.spend(quotas) : nothing;
      memory?.learn(quotas, spent, since);
      // At cost 0 the store refuses nothing, but `why` tells which quotas would refuse.
      const full = spent.states.some((state) => state.why !== undefined);
      const result = limitResult(layers, full ? { ...spent, ok: false } : spent, 0, store.consistency);
      if (spent.ok && cost === 1) charged.set(result, () => giveBack(quotas, spent.at));
      return result;
    } catch (error) {
      if (!isStoreError(error)) throw error;
      const asked = who instanceof Request ? who : request;
      const used = layers.map(({ rule }) => rule);
      const fallback = await fallBack(used, onStoreError, (limiter) => limiter[cost === 1 ? "limit" : "peek"](subjects, asked));
      const denying = used.find((rule) => (rule.onStoreError ?? onStoreError) === "deny");
      const rule = denying ?? used[0];
      const result: LimitResult = {
        success: fallback !== undefined,
        limit: rule ? limitOf(rule, subjects) : Number.POSITIVE_INFINITY,
        remaining: 0,
        reset: clock(),
        retryAfter: fallback ? 0 : 5,
        ...(rule && { rule: rule.name }),
        accuracy: store.consistency,
        headers: new Headers(fallback ? {} : { "retry-after": "5" }),
        ...fallback?.result,
        degraded: true,
      };
      if (fallback?.result && result.success && cost === 1) charged.set(result, fallback.undo);
      return result;
    }
  };

  return {
    limit: (who, request) => spend(who, 1, request),
    peek: (who, request) => spend(who, 0, request),
    async refund(result) {
      const undo = charged.get(result);
      charged.delete(result);
      await undo?.();
      return undo !== undefined;
    },
    async block(who, expiresAt, of = {}) {
      assertKeys("block", of, ["rule", "prefix"]);
      const { rule = rules[0]?.name, prefix = 64 } = of;
      if (![64, 56, 48].includes(prefix)) throw invalid("prefix", "64, 56 or 48", prefix);
      if (!rules.some(({ name }) => name === rule)) throw new TypeError(`Cannot block: no rule is named "${rule}"`);
      const layers = plan(who, await subjectsOf(who)).filter((layer) => layer.rule.name === rule);
      const layer = layers.find((one) => one.prefix === prefix) ?? layers[0];
      // Everybody without a known address shares this counter: blocking it would block them all.
      if (!layer || layer.shared) return false;
      await whole(store).block(layer.quota.key, expiresAt);
      memory?.forget([layer.quota.key]);
      return true;
    },
  };
}

/** The result of a refusal that is known from memory. */
function refusedAgain(layers: readonly LimitLayer[], known: KnownRefusal, now: number, accuracy: Consistency): LimitResult {
  const { index, state, retryAfter } = known;
  const spent = { ok: false, at: now, refused: 0, retryAfter, states: [state] };
  return limitResult(layers.slice(index, index + 1), spent, 0, accuracy);
}

/** Whether the backend failed. Any other error is a mistake of the program, and is thrown. */
function isStoreError(error: unknown): boolean {
  return isGatepassError(error, "ERR_STORE_UNAVAILABLE") || isGatepassError(error, "ERR_STORE_FULL");
}

/** @throws {TypeError} the store only counts rates */
function whole(store: RateStore): Store {
  if (isStore(store)) return store;
  throw new TypeError("Cannot refund or block: this store counts rates alone");
}

function isStore(store: RateStore): store is Store {
  return "refund" in store && "block" in store;
}
