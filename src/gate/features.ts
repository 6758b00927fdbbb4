import { validateRules } from "../limits/index.ts";
import type { LimitRule } from "../limits/types.ts";
import { assertKeys } from "../util/assertions.ts";
import { assertAction, type Settings } from "./options.ts";
import { createRouter, type Match } from "./router.ts";
import { sessionRoute } from "./session-route.ts";
import type { Feature, Job, Kernel, Route } from "./types.ts";

/** What the kernel and its features bring, put together. */
export interface Parts {
  features: readonly Feature[];
  limits: Map<string, readonly LimitRule[]>;
  jobs: Map<string, Job>;
  match(method: string, url: string): Match | null;
}

const MEMBERS = ["name", "routes", "actions", "limits", "jobs", "guard", "report", "signals", "on", "check"];

/** @throws {TypeError} {RangeError} two features, routes, limits or jobs of one name; rules for a limit that nobody has */
export function assemble({ given, resolved, actions }: Settings, kernel: Kernel, own: Feature): Parts {
  const features: Feature[] = [own];
  const limits = new Map<string, readonly LimitRule[]>();
  const jobs = new Map<string, Job>();
  const routes: { route: Route; feature: string }[] = [];
  const add = <T>(to: Map<string, T>, what: string, entries: Record<string, T> = {}): void => {
    for (const [name, value] of Object.entries(entries)) {
      if (to.has(name)) throw new TypeError(`Cannot create the gate: the ${what} "${name}" exists twice`);
      to.set(name, value);
    }
  };
  for (const factory of given.features ?? []) {
    if (typeof factory !== "function") throw new TypeError("Cannot create the gate: a feature is not a function");
    features.push(factory(kernel));
  }
  const names = new Set<string>();
  for (const feature of features) {
    assertKeys("feature", feature, MEMBERS);
    const { name } = feature;
    if (typeof name !== "string" || names.has(name)) throw new TypeError(`Cannot create the gate: the feature "${name}" exists twice`);
    names.add(name);
    for (const action of feature.actions ?? []) {
      assertAction(action);
      if (!actions.includes(action)) actions.push(action);
    }
    add(limits, "limit", feature.limits);
    add(jobs, "job", feature.jobs);
    for (const route of feature.routes ?? []) routes.push({ route, feature: name });
  }
  for (const [name, rules] of Object.entries(given.limits ?? {})) {
    if (!limits.has(name))
      throw new TypeError(`Cannot create the gate: no limit is named "${name}" (there are: ${[...limits.keys()].join(", ")})`);
    limits.set(name, rules);
  }
  for (const [name, rules] of limits) validateRules(name, rules);
  return { features, limits, jobs, match: createRouter(routes, resolved.basePath) };
}

/** The kernel's own part, in the form of any other feature. */
export function kernelFeature(): Feature {
  return {
    name: "kernel",
    routes: [sessionRoute],
    limits: { session: [{ name: "session", limit: 30, window: 60, by: "ip" }] },
    jobs: { sweep },
  };
}

/** Removes what is over from a store whose backend does not do so itself, in slices. */
const sweep: Job = async ({ kernel, deadline }) => {
  const { store, clock, events } = kernel;
  const start = clock();
  let swept = 0;
  let slice = 0;
  do {
    slice = (await store.sweep?.(SLICE)) ?? 0;
    swept += slice;
  } while (slice >= SLICE && clock() < deadline);
  if (store.sweep) events.emit("cleanup_swept", { outcome: "info", detail: `${swept} entries of the store` });
  return { job: "sweep", swept, kept: 0, tookMs: clock() - start, ...(slice >= SLICE && { next: "more" }) };
};
const SLICE = 1000;
