import { createRefusals, type Refusals } from "../limits/index.ts";
import { BASE_PATH, SCORE_ACTION } from "../protocol.ts";
import type { Store } from "../store/contract.ts";
import { memoryStore } from "../store/index.ts";
import type { Secret } from "../tokens/types.ts";
import { assertFunction, assertInteger, assertKeys, assertOneOf } from "../util/assertions.ts";
import { pooledBytes } from "../util/random.ts";
import type { GateOptions, ResolvedOptions } from "./types.ts";

/** Everything that the parts of one kernel share, from its options alone: nothing here reads a clock, a random source or a request. */
export interface Settings {
  given: GateOptions;
  resolved: ResolvedOptions;
  /** The ring; empty without a signing secret. */
  secrets: readonly Secret[];
  /** Empty without a Turnstile secret. */
  verifierSecrets: readonly string[];
  /** Allowed actions; those of the features are added. */
  actions: string[];
  /** Seconds: how old a solve may be when it is exchanged. */
  maxAge: number;
  store: Store;
  clock: () => number;
  random: (bytes: number) => Uint8Array;
  /** What is known to be full on the store, and on the looser one. */
  refusals: { readonly store: Refusals; readonly rateStore: Refusals };
  /** What the requests so far showed: the details that were warned of, each once, and `ip` as soon as one had a client address. */
  warned: Set<string>;
}

const KEYS =
  "secrets turnstile store rateStore session identify issuer audience clockTolerance allowedOrigins publicUrl clientIp limits onStoreError origin features mode basePath onEvent onError clock random fetch";

const HOOKS = /^(identify|on(Event|Error)|fetch|clock|random|subject|origin)$/;

/** @throws {TypeError} {RangeError} a bad or unknown option; mode `enforce` without a Turnstile secret */
export function settle(given: GateOptions): Settings {
  assertKeys("options", given, KEYS.split(" "));
  const { mode = "enforce", basePath = BASE_PATH, clockTolerance = 5, onStoreError = "deny", session = {}, turnstile, publicUrl } = given;
  assertKeys("session", session, ["ttl", "uses", "actions", "bind", "subject"]);
  const { ttl: sessionTtl = 300, uses: sessionUses = 20, bind = "none" } = session;
  const onUnavailable = turnstile?.onUnavailable ?? "deny";
  assertOneOf("mode", mode, ["enforce", "monitor", "off"]);
  assertOneOf("onStoreError", onStoreError, ["deny", "allow"]);
  assertOneOf("onUnavailable", onUnavailable, ["deny", "degraded"]);
  assertOneOf("bind", bind, ["none", "ip-prefix", "device"]);
  assertInteger("ttl", sessionTtl, 120, 900);
  assertInteger("uses", sessionUses, 1, 1000);
  assertInteger("clockTolerance", clockTolerance, 0, 60);
  const { clock = () => Date.now(), random = pooledBytes, rateStore } = given;
  const { store = memoryStore({ clock }) } = given;
  // What counts rates alone would let every token be used again and again.
  for (const verb of ["spend", "refund", "block"] as const) assertFunction(`store.${verb}`, store[verb]);
  if (rateStore) assertFunction("rateStore.spend", rateStore.spend);
  for (const [name, value] of Object.entries({ ...given, ...session })) {
    if (HOOKS.test(name) && value !== undefined) assertFunction(name, value);
  }
  if (!/^(\/[\w~.-]+)*$/.test(basePath)) throw new TypeError('Invalid "basePath": expected a path like "/api"');
  const verifierSecrets = listOf(turnstile?.secret).filter((secret) => secret !== "");
  if (mode === "enforce" && verifierSecrets.length === 0) throw new TypeError('Cannot enforce: "turnstile.secret" is missing');
  const actions = [...(session.actions ?? [SCORE_ACTION])];
  for (const action of actions) assertAction(action);
  const resolved: ResolvedOptions = {
    mode,
    basePath,
    issuer: given.issuer,
    audience: given.audience ?? turnstile?.allowedHostnames?.[0] ?? "localhost",
    clockTolerance,
    sessionTtl,
    sessionUses,
    actions,
    bind,
    allowedOrigins: given.allowedOrigins ?? [],
    publicUrl,
    onUnavailable,
    onStoreError,
    sitekey: turnstile?.sitekey,
  };
  return {
    given,
    resolved,
    secrets: listOf(given.secrets),
    verifierSecrets,
    actions,
    maxAge: turnstile?.maxAge ?? 300 + clockTolerance,
    store,
    clock,
    random,
    refusals: { store: createRefusals(clock), rateStore: createRefusals(clock) },
    warned: new Set(),
  };
}

/** @throws {TypeError} Turnstile would refuse to render it */
export function assertAction(action: unknown): void {
  if (typeof action !== "string" || !/^[a-z0-9_-]{1,32}$/.test(action)) throw new TypeError(`Invalid action ${JSON.stringify(action)}`);
}

/** One, several or none, as a list. */
function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  return value === undefined ? [] : isList(value) ? value : [value];
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
