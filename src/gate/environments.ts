import { inWorkerd } from "../http/index.ts";
import type { Platform } from "../http/types.ts";
import type { Store } from "../store/contract.ts";
import { type Core, createCore } from "./core.ts";
import type { GateOptions } from "./types.ts";

/** Environments of one function. A Worker has one or two in one process. */
const MAX_ENVIRONMENTS = 8;

/** The gates of a function of the environment. */
export interface Environments {
  /** The gate for what came with a request. @throws {TypeError} nothing says which environment it is */
  of(platform: Pick<Platform, "kind" | "env">): Core;
  /** The gate for what the program says is an environment. @throws {TypeError} it is no object, or one too many */
  bind(env: unknown): Core;
}

/**
 * Keeps one gate for an environment. On Workers the second argument is the environment: one object, for all requests of an isolate. Elsewhere it is
 * whatever a framework passes along, often made anew for each request: Next.js's `{ params }`, Hono's `c.env` on Node, a context.
 * With a gate for each of them every request would be the first one: no limit would hold, and a token could be spent again and again.
 */
export function createEnvironments<Env>(options: (env: Env) => GateOptions): Environments {
  const cores = new WeakMap<object, Core>();
  let made = 0;
  let only: Core | undefined;
  let local: Store | undefined;

  const make = (env: unknown): Core => {
    if (made >= MAX_ENVIRONMENTS) throw unknownEnvironment();
    // What counts in memory counts for the process: all environments share the first one's.
    const core = createCore(options(env as Env), local);
    made += 1;
    if (core.settings.store.consistency === "local") local = core.settings.store;
    return core;
  };
  /** A function that asks for nothing gives the same to all. On Workers a second environment shows only by its object. */
  const isConstant = (worker: boolean): boolean => options.length === 0 && !worker;
  const one = (env: unknown): Core => {
    only ??= make(env);
    return only;
  };
  const known = (env: unknown): Core | undefined => (isObject(env) ? cores.get(env) : undefined);
  const keep = (env: unknown): Core => {
    if (!isObject(env)) throw unknownEnvironment();
    const core = cores.get(env) ?? make(env);
    cores.set(env, core);
    return core;
  };

  return {
    bind: (env) => (isConstant(inWorkerd()) ? one(env) : keep(env)),
    of({ kind, env }) {
      const worker = kind === "workers" || inWorkerd();
      if (isConstant(worker)) return one(env);
      // The first object is the environment. Of another one nothing says that it is one, too.
      if (!worker && made > 0 && !known(env)) throw unknownEnvironment();
      return keep(env);
    },
  };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function unknownEnvironment(): TypeError {
  return new TypeError("Cannot tell the environment: createGate got a function of it, so bind one with gate.for(env)");
}
