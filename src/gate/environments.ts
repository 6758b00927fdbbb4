import type { RateStore, Store } from "../store/contract.ts";
import { type Core, createCore } from "./core.ts";
import type { GateOptions } from "./types.ts";

/** Environments of one function. A Worker has one or two in one process. */
const MAX_ENVIRONMENTS = 8;

/**
 * Keeps one gate for each environment. On Workers the second argument is the environment: one object for all requests
 * of an isolate. Elsewhere it is an object of the framework, often a new one for each request: Next.js's `{ params }`,
 * Hono's `c.env` on Node, a context. A gate for each of these would count from zero at each request: no limit would
 * hold, and a token could be spent again and again.
 *
 * @returns the gate for an environment. `bound`: the program called `gate.for(env)`; `worker`: `env` came with a
 * request on Workers
 * @throws {TypeError} the environment cannot be told, or there are more than eight
 */
export function createEnvironments<Env>(options: (env: Env) => GateOptions): (env: unknown, worker: boolean, bound?: boolean) => Core {
  const cores = new WeakMap<object, Core>();
  let made = 0;
  let local: Store | undefined;
  let localRates: RateStore | undefined;
  return (env, worker, bound = worker) => {
    // A function without a parameter gives the same options to all. Parameters with a default and rest parameters do
    // not count in `length`, so a function that has only these may still read the environment. On Workers it is
    // therefore called for each environment, and once more for calls that bring none.
    const asks = options.length > 0;
    const key = asks || (worker && env !== undefined) ? env : options;
    const known = isObject(key) && cores.get(key);
    if (known) return known;
    // Elsewhere the first object is taken as the environment. Nothing tells whether a second object is another
    // environment.
    if (!isObject(key) || made >= (bound || !asks ? MAX_ENVIRONMENTS : 1))
      throw new TypeError("Cannot tell the environment: createGate got a function of it, so bind one with gate.for(env)");
    let given = options((key === env ? env : undefined) as Env);
    // All environments share the first one's counters in memory. With counters of its own, each further environment
    // would multiply the limits of this process.
    if (local && (given.store ?? local).consistency === "local") given = { ...given, store: local };
    if (localRates && given.rateStore?.consistency === "local") given = { ...given, rateStore: localRates };
    const core = createCore(given);
    if (given.rateStore?.consistency === "local") localRates = given.rateStore;
    if (core.settings.store.consistency === "local") local = core.settings.store;
    cores.set(key, core);
    made += 1;
    return core;
  };
}

/** Whether a value can be the key of a WeakMap. */
function isObject(value: unknown): value is object {
  return Object(value) === value;
}
