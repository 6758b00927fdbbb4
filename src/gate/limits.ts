import type { Events } from "../events/types.ts";
import { canonicalSubjects, planLimits } from "../limits/index.ts";
import type { LimitRule } from "../limits/types.ts";
import { assertKeys } from "../util/assertions.ts";
import { type Item, openCharges, type Watch } from "./charges.ts";
import type { Settings } from "./options.ts";
import type { KernelLimits } from "./types.ts";

/** @param limits rules by limit name; the features add theirs later, before the first request */
export function createLimits(
  settings: Settings,
  watch: Watch,
  events: Events,
  limits: ReadonlyMap<string, readonly LimitRule[]>,
): KernelLimits {
  const plan: KernelLimits["plan"] = (name, who, request = new Request("http://localhost/")) => {
    const rules = limits.get(name);
    if (!rules) throw new TypeError(`Cannot plan: unknown limit "${name}"`);
    return planLimits(rules, canonicalSubjects(who), request, name);
  };
  return {
    plan,
    async charge(names, who, options = {}) {
      assertKeys("charge", options, ["request", "cost", "failures"]);
      const { request, cost = 1, failures } = options;
      const charges = openCharges(settings, watch, events.emit, (limiter) => limiter[cost > 0 ? "limit" : "peek"](who, request));
      const items = names
        .flatMap((name) => plan(name, who, request))
        .map((layer): Item => ({ ...layer, quota: { ...layer.quota, cost }, exact: failures }));
      const { refused = items.find(({ state }) => state?.why), retryAfter } = await charges.charge(items);
      return {
        ok: !refused,
        retryAfter,
        rule: refused?.rule?.name,
        degraded: charges.degraded,
        accuracy: charges.accuracy,
        headers: charges.headers(retryAfter),
        undo: () => charges.undo(true),
      };
    },
  };
}
