import { createRefusals, type Refusals } from "../limits/index.ts";
import { BASE_PATH, SCORE_ACTION } from "../protocol.ts";
import type { Store } from "../store/contract.ts";
import { memoryStore } from "../store/index.ts";
import type { Secret } from "../tokens/types.ts";
import { pooledBytes } from "../util/random.ts";
import { assertGateOptions } from "./rules.ts";
import type { GateOptions, ResolvedOptions } from "./types.ts";

/**
 * What the parts of one kernel share. It is made from the options alone, without reading a clock, a random source or a
 * request.
 */
export interface Settings {
  given: GateOptions;
  resolved: ResolvedOptions;
  /** The ring; empty without a signing secret. */
  secrets: readonly Secret[];
  /** Empty without a Turnstile secret. */
  verifierSecrets: readonly string[];
  /** Turnstile actions that sessions are issued for; the features add theirs. */
  actions: string[];
  /** Seconds: how old a solve may be when it is exchanged. */
  maxAge: number;
  store: Store;
  clock: () => number;
  random: (bytes: number) => Uint8Array;
  /** Rates that are known to be full, for each of the two stores. */
  refusals: { readonly store: Refusals; readonly rateStore: Refusals };
  /**
   * Details of the warnings so far, so that each is raised once. Also `ip` once a request had a client address, and ""
   * once the options were checked.
   */
  warned: Set<string>;
}

/** @throws {TypeError} {RangeError} a bad or unknown option; mode `enforce` without a Turnstile secret */
export function settle(given: GateOptions): Settings {
  assertGateOptions(given);
  const { mode = "enforce", basePath = BASE_PATH, clockTolerance = 5, onStoreError = "deny", session = {}, turnstile, publicUrl } = given;
  const { ttl: sessionTtl = 300, uses: sessionUses = 20, bind = "none" } = session;
  const onUnavailable = turnstile?.onUnavailable ?? "deny";
  const { clock = () => Date.now(), random = pooledBytes } = given;
  const { store = memoryStore({ clock }) } = given;
  const verifierSecrets = listOf(turnstile?.secret).filter((secret) => secret !== "");
  if (mode === "enforce" && verifierSecrets.length === 0) throw new TypeError('Cannot enforce: "turnstile.secret" is missing');
  // Without a list of hostnames, tokens from any site's page would be accepted.
  if (verifierSecrets.length > 0 && !turnstile?.allowTestKeys && !turnstile?.allowedHostnames?.length)
    throw new TypeError('Invalid "turnstile.allowedHostnames": expected one or more');
  const actions = [...(session.actions ?? [SCORE_ACTION])];
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

/** One, several or none, as a list. */
function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  return value === undefined ? [] : isList(value) ? value : [value];
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
