import type { Kernel } from "../gate/types.ts";
import { quotasOf } from "../limits/index.ts";
import type { LimitRule } from "../limits/types.ts";
import { MOBILE_PATH } from "../protocol.ts";
import { MAX_QUOTAS } from "../store/validate.ts";
import { assertKeys, assertString, invalid } from "../util/assertions.ts";
import { any, assertOptions, type Check, integer, listOf, type Rules, record } from "../util/options.ts";
import { type Counters, createCounters } from "./counters.ts";
import { parsePolicy } from "./policy.ts";
import { settleWeights, type Weights } from "./risk.ts";
import { type ClearanceTokens, createClearanceTokens } from "./tokens.ts";
import type { ClearanceOptions, Policy } from "./types.ts";

/** The feature's checked options, and the parts that are built from them for one kernel. */
export interface Settled {
  given: ClearanceOptions;
  policy: Policy;
  /** Every weight, defaults included. */
  weights: Weights;
  clearanceTokens: ClearanceTokens;
  counters: Counters;
  limits: Record<string, readonly LimitRule[]>;
  /**
   * The named limits that fit into one spend, in their order; the others are left out. Where a path falls under several
   * entries, the strictest entry's limits come first.
   */
  fitting(names: readonly string[]): readonly string[];
  mobilePath: string;
  bridgeOrigins: readonly string[];
  scriptUrl: string;
}

/** Cloudflare requires this exact URL: its script must not be proxied or cached. */
const API_SCRIPT = "https://challenges.cloudflare.com/turnstile/v0/api.js";
/**
 * How many devices share one address, by default. A mobile carrier puts thousands of customers behind one address; some
 * hundreds may be users of the application. With ten, 200 phones behind one address would get only 100 clearances in 15
 * minutes.
 */
const SHARED_ADDRESS = 100;
/** The limit of a network (an IPv4 /24, an IPv6 /48) is this many times the limit of one address. */
const NETWORK = 4;

/** Quotas of the same spend that do not come from the policy: a session's use. */
const BESIDE = 1;

/**
 * Limits of the verification in 15 minutes: for one device in its network, for an address, and for a network. Without
 * the last one, an attacker who invents device ids at each address of its network would have no limit, and the store
 * would keep a counter for each id.
 *
 * @param shared how many devices an address stands for
 */
function verifyLimits(attempts: number, failures: number, issued: number, shared: number): Record<string, readonly LimitRule[]> {
  const rules = (name: string, limit: number): LimitRule[] => [
    { name: `${name}.device`, limit, window: 900, by: ["device", "ip-prefix"] },
    { name: `${name}.ip`, limit: limit * shared, window: 900, by: "ip" },
    { name: `${name}.network`, limit: limit * shared * NETWORK, window: 900, by: "ip-prefix" },
  ];
  return {
    "clearance.attempts": rules("attempts", attempts),
    "clearance.failures": rules("failures", failures),
    "clearance.issued": rules("issued", issued),
  };
}

/**
 * Strict limits of the verification, for `clearance({ limits })`. In 15 minutes: 3 attempts, 5 failures and 3
 * clearances for each device and for each address, and four times that for a network. Devices that share an address
 * share its limit, so honest phones of one carrier may be refused.
 */
export const strictVerifyLimits: Record<string, readonly LimitRule[]> = verifyLimits(3, 5, 3, 1);

/** The limit `clearance.tight`: it is charged when the risk is in the band `limit` or, with a clearance, above it. */
const TIGHT: readonly LimitRule[] = [
  { name: "tight.device", limit: 20, window: 60, by: ["device", "ip-prefix"] },
  { name: "tight.ip", limit: 300, window: 60, by: "ip" },
];

/**
 * An exact origin, as browsers send it. It goes into a CSP header: there `*` would allow every subdomain, and `;` would
 * begin another directive.
 */
const origin: Check = (path, value) => {
  const exact = typeof value === "string" && /^https?:\/\/([\w.-]+|\[[\da-f:]+\])(:\d+)?$/.test(value) && URL.canParse(value);
  if (!exact || new URL(value).origin !== value) throw invalid(path, "an exact origin", value);
};

/** The URL of a script. */
const address: Check = (path, value) => {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password)
    throw invalid(path, "an address that begins with https://", value);
};

/** A path that a request can have: no empty segments, and no dot segments, which URL parsers remove. */
const path: Check = (name, value) => {
  assertString(name, value, 2, 128);
  if (!/^(\/(?!\.{1,2}(\/|$))[\w.-]+)+$/.test(value)) throw invalid(name, 'a path like "/mobile-turnstile"', value);
};

const RULES: Rules<ClearanceOptions> = {
  policy: any,
  when: record("function"),
  risk: record(any),
  signals: "function",
  limits: record(any),
  sharedAddress: integer(1, 1_000_000),
  mobilePath: path,
  bridgeOrigins: listOf(origin),
  scriptUrl: address,
};

/**
 * @throws {TypeError} {RangeError} a bad or unknown option; no signing secret; no Turnstile secret in mode `enforce`; a
 * condition or limit that the policy names and the options lack; an entry with more limits than one spend takes
 */
export function settle(given: ClearanceOptions, kernel: Kernel): Settled {
  assertOptions("clearance", given, RULES);
  const {
    when = {},
    risk: weights = {},
    limits = {},
    sharedAddress = SHARED_ADDRESS,
    mobilePath = MOBILE_PATH,
    bridgeOrigins = [],
    scriptUrl = API_SCRIPT,
  } = given;
  const { tokens, subkeys, options } = kernel;
  if (!tokens || !subkeys) throw new TypeError("Cannot create clearance: the gate has no signing secret");
  const policy = parsePolicy(given.policy);
  for (const name of policy.conditions) {
    if (!Object.hasOwn(when, name)) throw new TypeError(`Invalid "when": the policy asks for a condition "${name}"`);
  }
  const settledWeights = settleWeights(weights);
  const enforced = options.mode !== "off" && policy.entries.some(({ mode = options.mode }) => mode === "enforce");
  if ((options.mode === "enforce" || enforced) && !kernel.turnstile)
    throw new TypeError("Cannot create clearance: the gate has no Turnstile secret");
  const ours = { ...verifyLimits(10, 5, 10, sharedAddress), "clearance.tight": TIGHT };
  // Refuse a misspelt `clearance.*` name: otherwise the default limits would silently stay in force.
  const known = [...Object.keys(ours), ...policy.entries.flatMap((entry) => entry.limits)];
  for (const name of Object.keys(limits)) if (name.startsWith("clearance.")) assertKeys("limits", { [name]: 0 }, known);
  const all: Record<string, readonly LimitRule[]> = { ...ours, ...limits };
  for (const name of policy.entries.flatMap((entry) => entry.limits)) {
    if (!Object.hasOwn(all, name)) throw new TypeError(`Invalid policy: unknown limit "${name}", expected one of "limits"`);
  }
  const fitting: Settled["fitting"] = (names) => {
    let room = MAX_QUOTAS - BESIDE;
    return names.filter((name) => {
      const count = quotasOf(all[name] ?? []);
      const fits = count <= room;
      if (fits) room -= count;
      return fits;
    });
  };
  for (const { path, limits: names } of policy.entries) {
    // Fail at creation, not at the first request whose risk adds `clearance.tight` to the entry's limits.
    if (fitting(["clearance.tight", ...names]).length <= names.length)
      throw new RangeError(`Invalid policy: "${path}" has more limits than one step can charge`);
  }
  return {
    given,
    policy,
    weights: settledWeights,
    clearanceTokens: createClearanceTokens(tokens, subkeys, kernel),
    counters: createCounters(kernel, weights),
    limits: all,
    fitting,
    mobilePath,
    bridgeOrigins,
    scriptUrl,
  };
}
