/**
 * Rate limits by the rate limit binding of Workers: no storage, no round trip, approximate.
 *
 * @module
 */

import type { QuotaState, RateQuota, RateStore, SpendResult } from "../src/store/contract.ts";
import { isUsesQuota } from "../src/store/contract.ts";
import { assertQuotas } from "../src/store/validate.ts";
import { any, assertOptions, bag, integer, listOf, methods, type Rules } from "../src/util/options.ts";
import { randomBytes } from "../src/util/random.ts";
import { createCall } from "./_call.ts";

/** The part of a rate limit binding (`RateLimit`) that is used. */
export interface RateLimitClient {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

/** A binding and its configuration (`ratelimits` of wrangler), which the binding itself does not tell. */
export interface RateLimitBinding {
  binding: RateLimitClient;
  /** Calls in a period, as configured. */
  limit: number;
  /** Seconds, as configured: 10 or 60. */
  window: 10 | 60;
}

/** Options of {@link rateLimitBinding}. */
export interface RateLimitBindingOptions {
  /**
   * Counts the rules that fit no binding, e.g. `kvStore(env.KV)` for windows of a day. Without it, such a rule is a
   * TypeError.
   */
  otherwise?: RateStore;
  /**
   * The rules that will be counted: one that fits no binding is then a TypeError at creation, else at its first call.
   */
  rules?: readonly { limit: number; window: number }[];
  /** Milliseconds that a call takes at most, 1..60000, default 2000. */
  timeoutMs?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
}

/** How a quota is counted by a binding. */
interface Plan {
  binding: RateLimitClient;
  /** How many keys stand for one key, for a limit that is a multiple of the binding's. */
  stripes: number;
  /** How many calls stand for one unit, for a limit below the binding's. */
  calls: number;
}

/** The most calls for one unit, and the most keys for one key. */
const MAX_FACTOR = 64;

/**
 * A RateStore over rate limit bindings. A binding counts each Cloudflare location by itself, and permissively: it may
 * admit more than its limit.
 *
 * A rule is counted by the binding with the same limit and window. If there is none, by another binding of the same
 * window:
 * - a limit that is a multiple of a binding's (the networks around an IPv6 address have 4 and 16 times the rule's) is
 *   spread over several keys;
 * - a smaller limit takes several calls for one unit.
 *
 * Neither admits more than the rule itself would. A rule that fits no binding goes to `otherwise`, or is a TypeError.
 *
 * Bindings only tell `success`, so states are cautious: `remaining` is 0, and `resetAt` and `retryAfter` are a whole
 * window away. A read (cost 0) asks no binding, and never has a `why`. Quotas are charged one after another, short
 * windows first. If a later one refuses, the earlier charges stay (guarantee 2 does not hold).
 *
 * @throws {TypeError} an unknown option, no binding, two bindings of one limit and window, one of `rules` that fits
 * none
 * @throws {RangeError} a window other than 10 or 60, a limit below 1
 *
 * @example
 * ```ts
 * import { type RateLimitClient, rateLimitBinding } from "gatepass/adapters/cloudflare-ratelimit";
 * // A stand-in for env.BURST, configured with { limit: 20, period: 10 }.
 * const burst: RateLimitClient = { limit: async ({ key }) => ({ success: key !== "flood" }) };
 * const rateStore = rateLimitBinding([{ binding: burst, limit: 20, window: 10 }]);
 * console.assert((await rateStore.spend([{ key: "203.0.113.9", limit: 20, window: 10 }])).ok);
 * console.assert((await rateStore.spend([{ key: "flood", limit: 20, window: 10 }])).retryAfter === 10);
 * ```
 */
export function rateLimitBinding(bindings: readonly RateLimitBinding[], options: RateLimitBindingOptions = {}): RateStore {
  const allowed: Rules<RateLimitBindingOptions> = {
    otherwise: methods("spend"),
    // A gate's rules may be passed here. Only `limit` and `window` are used.
    rules: listOf(
      bag({ name: any, limit: integer(1, 2 ** 48), window: integer(1, 31_536_000), by: any, onStoreError: any }, "limit window"),
    ),
    timeoutMs: integer(1, 60_000),
    clock: "function",
  };
  assertOptions("rateLimitBinding", options, allowed);
  const { otherwise, rules = [], timeoutMs, clock = Date.now } = options;
  assertBindings(bindings);
  const assertFits = (quotas: readonly { limit: number; window: number }[]): void => {
    const unfit = otherwise === undefined && quotas.find((quota) => planOf(bindings, quota) === undefined);
    if (unfit) throw new TypeError(`Cannot count ${unfit.limit} in ${unfit.window} s: no rate limit binding fits`);
  };
  assertFits(rules);
  const call = createCall("ERR_STORE_UNAVAILABLE", timeoutMs);

  async function admits({ binding, stripes, calls }: Plan, { key, cost = 1 }: RateQuota): Promise<boolean> {
    for (let left = cost * calls; left > 0; left--) {
      const outcome = await binding.limit({ key: stripes === 1 ? key : `${key}|${below(stripes)}` });
      // Any other answer must not pass for an admission.
      if (typeof outcome?.success !== "boolean") throw new TypeError("Cannot read the answer: expected success");
      if (!outcome.success) return false;
    }
    return true;
  }

  return {
    consistency: "approximate",
    async spend(quotas) {
      assertQuotas(quotas);
      if (quotas.some(isUsesQuota)) throw new TypeError("Cannot count uses by a rate limit binding: use another store");
      assertFits(quotas);
      const planned: { quota: RateQuota; i: number; plan: Plan | undefined }[] = quotas.map((quota, i) => ({
        quota,
        i,
        plan: planOf(bindings, quota),
      }));
      return call(async () => {
        const at = clock();
        const states = quotas.map((one): QuotaState => ({ remaining: 0, resetAt: one.cost === 0 ? at : at + one.window * 1000 }));
        const result: SpendResult = { ok: true, at, refused: null, retryAfter: 0, states };
        // Charge short windows first: a refused burst must not use up the longer windows.
        const sorted = planned.toSorted((a, b) => a.quota.window - b.quota.window);
        for (const { quota, i, plan } of sorted) {
          if (plan === undefined || (await admits(plan, quota))) continue;
          states[i] = { remaining: 0, resetAt: at + quota.window * 1000, why: "full" };
          return { ...result, ok: false, refused: i, retryAfter: quota.window };
        }
        const rest = planned.filter(({ plan }) => plan === undefined);
        if (otherwise === undefined || rest.length === 0) return result;
        const told = await otherwise.spend(rest.map(({ quota }) => quota));
        for (const [n, { i }] of rest.entries()) states[i] = told.states[n] ?? { remaining: 0, resetAt: told.at };
        return { ...told, refused: told.refused === null ? null : (rest[told.refused]?.i ?? 0), states };
      });
    },
  };
}

/** The binding that counts a quota, and how. Undefined: every binding would admit more than the quota allows. */
function planOf(bindings: readonly RateLimitBinding[], quota: { limit: number; window: number }): Plan | undefined {
  const { limit } = quota;
  const same = bindings.filter((one) => one.window === quota.window).sort((a, b) => b.limit - a.limit);
  const divisor = same.find((one) => limit % one.limit === 0 && limit / one.limit <= MAX_FACTOR);
  if (divisor) return { binding: divisor.binding, stripes: limit / divisor.limit, calls: 1 };
  const larger = same.findLast((one) => one.limit > limit && one.limit / limit <= MAX_FACTOR);
  return larger && { binding: larger.binding, stripes: 1, calls: Math.ceil(larger.limit / limit) };
}

/** An integer from 0 to n - 1, n at most 64. */
function below(n: number): number {
  return (randomBytes(1)[0] ?? 0) % n;
}

function assertBindings(bindings: readonly RateLimitBinding[]): void {
  if (!Array.isArray(bindings) || bindings.length === 0) throw new TypeError('Invalid "bindings": expected at least one');
  const known = new Set<string>();
  for (const [i, given] of bindings.entries()) {
    const one: Rules<RateLimitBinding> = { binding: methods("limit"), limit: integer(1), window: any };
    assertOptions(`bindings[${i}]`, given, one, `bindings[${i}].`, "binding limit");
    const { limit, window: seconds } = given;
    if (seconds !== 10 && seconds !== 60) throw new RangeError(`Invalid "window": expected a period of 10 or 60 seconds, got ${seconds}`);
    const name = `${limit} in ${seconds} s`;
    if (known.has(name)) throw new TypeError(`Invalid "bindings": two of ${name}`);
    known.add(name);
  }
}
