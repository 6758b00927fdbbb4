import { BASE_PATH, SCORE_ACTION } from "../protocol.ts";
import { memoryStore } from "../store/index.ts";
import type { Secret } from "../tokens/types.ts";
import { assertFunction, assertInteger, assertKeys, assertOneOf } from "../util/assertions.ts";
import { randomBytes } from "../util/random.ts";
import type { GateOptions, Mode, ResolvedOptions } from "./types.ts";

/** Everything that the parts of one kernel share, from its options alone: nothing here reads a clock, a random source or a request. */
export interface Settings {
  given: GateOptions;
  resolved: ResolvedOptions;
  /** The ring; empty without a signing secret. */
  secrets: readonly Secret[];
  /** Allowed actions; those of the features are added. */
  actions: string[];
  /** Seconds: how old a solve may be when it is exchanged. */
  maxAge: number;
  store: NonNullable<GateOptions["store"]>;
  clock: () => number;
  random: (bytes: number) => Uint8Array;
}

const KEYS = (
  "secrets turnstile store rateStore session identify issuer audience clockTolerance allowedOrigins publicUrl clientIp limits onStoreError " +
  "features mode basePath onEvent onError clock random fetch"
).split(" ");
const MODES: readonly Mode[] = ["enforce", "monitor", "off"];

/** @throws {TypeError} {RangeError} a bad or unknown option; mode `enforce` without a Turnstile secret */
export function settle(given: GateOptions): Settings {
  assertKeys("options", given, KEYS);
  const { mode = "enforce", basePath = BASE_PATH, clockTolerance = 5, onStoreError = "deny", turnstile, session = {} } = given;
  assertKeys("session", session, ["ttl", "uses", "actions", "bind", "subject"]);
  const { ttl = 300, uses = 20, bind = "none" } = session;
  const { onUnavailable = "deny" } = turnstile ?? {};
  assertOneOf("mode", mode, MODES);
  assertOneOf("onStoreError", onStoreError, ["deny", "allow"]);
  assertOneOf("turnstile.onUnavailable", onUnavailable, ["deny", "degraded"]);
  assertOneOf("session.bind", bind, ["none", "ip-prefix", "device"]);
  assertInteger("session.ttl", ttl, 120, 900);
  assertInteger("session.uses", uses, 1, 1000);
  assertInteger("clockTolerance", clockTolerance, 0, 60);
  for (const name of ["identify", "onEvent", "onError", "clock", "random", "fetch"] as const) {
    if (given[name] !== undefined) assertFunction(name, given[name]);
  }
  if (session.subject !== undefined) assertFunction("session.subject", session.subject);
  if (!/^(\/[A-Za-z0-9_~.-]*[A-Za-z0-9_~-])*$/.test(basePath)) throw new TypeError('Invalid "basePath": expected a path like "/api"');
  if (mode === "enforce" && !hasSecret(given)) {
    throw new TypeError('Cannot create the gate: mode is "enforce" and "turnstile.secret" is missing');
  }
  const actions = [...(session.actions ?? [SCORE_ACTION])];
  for (const action of actions) assertAction(action);
  const clock = given.clock ?? (() => Date.now());
  const resolved: ResolvedOptions = {
    mode,
    basePath,
    audience: given.audience ?? turnstile?.allowedHostnames?.[0] ?? "localhost",
    clockTolerance,
    sessionTtl: ttl,
    sessionUses: uses,
    actions,
    bind,
    allowedOrigins: given.allowedOrigins ?? [],
    publicUrl: given.publicUrl,
    onUnavailable,
    onStoreError,
    sitekey: turnstile?.sitekey,
  };
  const store = given.store ?? memoryStore({ clock });
  const maxAge = turnstile?.maxAge ?? 300 + clockTolerance;
  return { given, resolved, secrets: listOf(given.secrets), actions, maxAge, store, clock, random: given.random ?? randomBytes };
}

/** Whether siteverify can be asked. */
export function hasSecret({ turnstile }: GateOptions): boolean {
  return listOf(turnstile?.secret).some((secret) => secret !== "");
}

/** @throws {TypeError} Turnstile would refuse to render it */
export function assertAction(action: unknown): void {
  if (typeof action !== "string" || !/^[a-z0-9_-]{1,32}$/.test(action)) {
    throw new TypeError(`Invalid action ${JSON.stringify(action)}: expected 1 to 32 of a-z 0-9 _ -`);
  }
}

/** One, several or none, as a list. */
export function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as T];
}
