/**
 * A gate for public write endpoints: sessions for solved Turnstile challenges, exact limits, and the routes of its features, as one `fetch` handler
 * for Node, Bun, Deno and Cloudflare Workers.
 *
 * @example
 * ```ts
 * import { createGate, memoryStore } from "gatepass";
 *
 * const gate = createGate({
 *   secrets: "an example secret, at least 32 bytes long",
 *   turnstile: { secret: "0x4AAAAAAA_your_secret", allowedHostnames: ["game.example"] },
 *   store: memoryStore(),
 * });
 * const save = gate.guard(async () => new Response("saved"), { action: "score_submit" });
 * const answer = await save(new Request("https://game.example/save", { method: "POST" }));
 * console.assert(answer.status === 401);
 * ```
 *
 * @module
 */

export { type ConfigProblem, type ErrorCode, GatepassError, isGatepassError } from "./errors.ts";
export type { EventFields, EventReason, Events, EventType, SecurityEvent } from "./events/index.ts";
export * from "./gate/index.ts";
export {
  type ClientIpOption,
  type CspDirectives,
  contentSecurityPolicy,
  type OriginGuard,
  type PeerInfo,
  type RequestInfo,
  type RequireCloudflareOptions,
  requireCloudflare,
} from "./http/index.ts";
export {
  type BlockOptions,
  createLimiter,
  type Limiter,
  type LimiterOptions,
  type LimitLayer,
  type LimitResult,
  type LimitRule,
  type SubjectName,
  type Subjects,
} from "./limits/index.ts";
export type { Level, PublicCode } from "./protocol.ts";
export * from "./store/index.ts";
export * from "./tokens/index.ts";
export * from "./turnstile/index.ts";
