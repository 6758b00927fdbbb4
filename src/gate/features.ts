import { isByAddress, validateRules } from "../limits/index.ts";
import type { LimitRule } from "../limits/types.ts";
import { MAX_QUOTAS } from "../store/validate.ts";
import { assertOptions } from "../util/options.ts";
import { sweep } from "./jobs.ts";
import type { Settings } from "./options.ts";
import { createRouter, type Match } from "./router.ts";
import { FEATURE_RULES } from "./rules.ts";
import { sessionRoute } from "./session-route.ts";
import type { Feature, Job, Kernel, Route } from "./types.ts";

/** The routes, limits and jobs of the kernel and all features. */
export interface Parts {
  features: readonly Feature[];
  limits: Map<string, readonly LimitRule[]>;
  jobs: Map<string, Job>;
  match(method: string, url: string): Match | null;
}

/** The kernel's own routes, limits and jobs, as a feature. */
const OWN: Feature = {
  name: "kernel",
  routes: [sessionRoute],
  limits: { session: [{ name: "session", limit: 30, window: 60, by: "ip" }] },
  jobs: { sweep },
};

/**
 * @throws {TypeError} {RangeError} two features, routes, limits or jobs of one name; rules for an unknown limit; an
 * empty limit `session`
 */
export function assemble({ given, resolved, actions }: Settings, kernel: Kernel, limits: Parts["limits"]): Parts {
  const features = new Map<string, Feature>();
  const jobs = new Map<string, Job>();
  const routes: Route[] = [];
  const add = <T>(what: string, to: Map<string, T>, entries: Record<string, T> = {}): void => {
    for (const [name, value] of Object.entries(entries)) {
      if (to.has(name)) throw new TypeError(`Cannot add the ${what} "${name}": it exists`);
      to.set(name, value);
    }
  };
  for (const factory of [() => OWN, ...(given.features ?? [])]) {
    const feature = factory(kernel);
    assertOptions("feature", feature, FEATURE_RULES, "feature.", "name");
    add("feature", features, { [feature.name]: feature });
    add("limit", limits, feature.limits);
    add("job", jobs, feature.jobs);
    routes.push(...(feature.routes ?? []));
    for (const action of feature.actions ?? []) {
      if (!actions.includes(action)) actions.push(action);
    }
  }
  for (const [name, rules] of Object.entries(given.limits ?? {})) {
    if (!limits.has(name)) throw new TypeError(`Unknown limit "${name}": expected one of ${[...limits.keys()].join(", ")}`);
    limits.set(name, rules);
  }
  // Leave two quotas for a session's use and a one-use id.
  for (const [name, rules] of limits) validateRules(name, rules, MAX_QUOTAS - 2);
  // This limit also counts unchecked tokens where a program names no limit. Without a rule by address an attacker could
  // make us ask Cloudflare without end.
  if (!limits.get("session")?.some((rule) => typeof rule.by === "function" || isByAddress(rule)))
    throw new TypeError('Invalid "limits.session": expected a rule by "ip"');
  return { features: [...features.values()], limits, jobs, match: createRouter(routes, resolved.basePath) };
}
