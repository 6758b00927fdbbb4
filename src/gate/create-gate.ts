import { detectPlatform, onWorkers, refusalResponse, withHeaders } from "../http/index.ts";
import type { Platform } from "../http/types.ts";
import { assertFunction } from "../util/assertions.ts";
import { assertOptions } from "../util/options.ts";
import { checkOptions } from "./admission.ts";
import { inspect } from "./check.ts";
import { type Core, createCore } from "./core.ts";
import { createEnvironments } from "./environments.ts";
import { runJob } from "./jobs.ts";
import { PROTECT_RULES } from "./rules.ts";
import type { Gate, GateOptions } from "./types.ts";

/**
 * The gate: sessions for solved Turnstile challenges, limits, and the routes of its features, as one `fetch` handler.
 *
 * With options it is ready at once. Creation asks for no time, randomness or network, so it may stand at module scope.
 *
 * A function of the environment is for Workers, where the environment comes with each request. It is called once for
 * each `env` object; one process may have eight. Elsewhere it is called once:
 * - without a parameter, at the first request. A parameter with a default counts as none: the function gets its
 *   default;
 * - with a parameter, for the first object that a request brings. A second object is refused, since frameworks pass a
 *   new one with each request. If it is an environment, bind it with `gate.for(env)`.
 *
 * All environments of a function share what is counted in memory (`memoryStore()`).
 *
 * @throws {TypeError} {RangeError} a bad, unknown or missing option; an argument that cannot be identified as the
 * environment. The function form throws at `gate.for(env)` and `protect`; `fetch` answers 500 and writes the error to
 * `console.error`
 *
 * @example
 * ```ts
 * import { createGate, memoryStore } from "gatepass";
 * const gate = createGate({
 *   secrets: "an example secret, at least 32 bytes long",
 *   turnstile: { secret: "0x4AAAAAAA_your_secret", allowedHostnames: ["game.example"] },
 *   store: memoryStore(),
 * });
 * const answer = await gate.fetch(new Request("https://game.example/api/session", { method: "POST" }));
 * console.assert(answer.status === 400);
 * ```
 */
export function createGate<Env = unknown>(options: GateOptions | ((env: Env) => GateOptions)): Gate<Env> {
  if (typeof options !== "function") {
    return gateOfOne(createCore(options));
  }
  const of = createEnvironments(options);
  return gateOf(
    ({ env, kind }) => of(env, kind === "workers"),
    (env) => of(env, onWorkers(), true),
  );
}

const NOWHERE: Platform = { kind: "unknown", env: undefined, peer: undefined, waitUntil: () => undefined };

function gateOfOne<Env>(core: Core): Gate<Env> {
  return gateOf(
    () => core,
    () => core,
    core,
  );
}

/** @param known the core, if it exists already: `guard` then checks its options at once, not at the first request */
function gateOf<Env>(coreOf: (platform: Platform) => Core, coreFor: (env: unknown) => Core, known?: Core): Gate<Env> {
  const here = (): Core => coreOf(NOWHERE);
  const handle: Gate["handle"] = async (request, second, third) => {
    const platform = detectPlatform(request, second, third);
    let core: Core | undefined;
    try {
      core = coreOf(platform);
      return await core.handle(request, platform);
    } catch (error) {
      if (core) return core.answerOf(error, request);
      // The options are wrong, so there is no `onError` yet. The visitor only sees a 500.
      console.error(error);
      return refusalResponse("INTERNAL");
    }
  };
  return {
    handle,
    async fetch(request, second, third) {
      return (await handle(request, second, third)) ?? refusalResponse("NOT_FOUND");
    },
    for: (env) => gateOfOne(coreFor(env)),
    async protect(request, options = {}, second, third) {
      assertOptions("protect", options, PROTECT_RULES);
      const platform = detectPlatform(request, second, third);
      return coreOf(platform).protect(request, platform, options);
    },
    guard(handler, options = {}) {
      assertFunction("handler", handler);
      assertOptions("guard", options, PROTECT_RULES);
      if (known) checkOptions(known.settings, known.parts.limits, options);
      return async (request, second, third) => {
        const platform = detectPlatform(request, second, third);
        const { cors, protect } = coreOf(platform);
        const preflight = cors.preflight(request, ["GET", "POST", "PUT", "PATCH", "DELETE"]);
        if (preflight) return preflight;
        const admission = await protect(request, platform, options);
        return admission.ok ? cors.apply(withHeaders(await handler(request, admission), admission.headers), request) : admission.response;
      };
    },
    async report(request, signal, about = {}, second, third) {
      const platform = detectPlatform(request, second, third);
      await coreOf(platform).report(request, platform, signal, about);
    },
    sessions: {
      exchange: async (token, context) => here().kernel.sessions.exchange(token, context),
      verify: async (token) => here().kernel.sessions.verify(token),
      revoke: async (jti) => here().kernel.sessions.revoke(jti),
    },
    // No getter, which could throw: a runtime reads every member of what a module exports.
    players: {
      rename: async (player, name) => here().players.rename(player, name),
      erase: async (player) => here().players.erase(player),
      export: async (player) => here().players.export(player),
      claim: async (guestToken, player) => here().players.claim(guestToken, player),
    },
    async run(job) {
      const { kernel, parts } = here();
      return runJob(kernel, parts, job);
    },
    async scheduled(_controller, env) {
      const { kernel, parts } = coreFor(env);
      const runs = [...parts.jobs.keys()].map((job) => runJob(kernel, parts, job));
      // Let every job finish, then throw the first failure.
      await Promise.allSettled(runs);
      await Promise.all(runs);
    },
    async check() {
      const { settings, parts } = here();
      // Loaded on demand: the messages would make every bundle larger.
      const { findProblems } = await import("./doctor.ts");
      return findProblems(inspect(settings), settings, parts.features);
    },
  };
}
