import type { GuardContext, Mode, Signals } from "../gate/types.ts";
import type { LimitRule } from "../limits/types.ts";
import type { Ambiguity } from "./ambiguity.ts";

/** What happens to a request: it passes, passes under tighter limits, needs a challenge, or is refused (three ways). */
export type Decision = "allow" | "limit" | "challenge" | "deny" | "cool_down" | "step_up";

/**
 * The list of the policy that an entry is in. `unmatched`: no entry matches the path; it is then treated as risk-based.
 */
export type PolicyKind = "always" | "risk" | "never" | "unmatched";

/**
 * A policy as it is written, in JSON. Of all entries that match, in any list, the most specific wins: a whole path
 * before a pattern, a longer path before a shorter one, then one with a condition, then one with a method. Of equally
 * specific entries the strictest wins.
 */
export interface PolicyDocument {
  /** Paths that need a clearance whatever the risk is. At most 500 entries in each list. */
  always_require_clearance?: readonly (string | PolicyEntryDocument)[];
  /** Paths whose risk decides. A path in no list is treated like these. */
  risk_based?: readonly (string | PolicyEntryDocument)[];
  /** Paths that are free: their risk is not computed. */
  never_require_clearance?: readonly (string | PolicyEntryDocument)[];
}

/** One entry of a {@link PolicyDocument}. A text alone is its `path`. */
export interface PolicyEntryDocument {
  /**
   * A path, or a pattern whose last segment is `*`: everything below. Compared after normalisation, case-insensitively.
   */
  path: string;
  /** Default: every method. */
  method?: string | readonly string[];
  /**
   * The name of what a clearance opens, written like `path`; default `path`. A clearance opens every entry of the same
   * scope, unless that entry is stricter (fewer uses, shorter life) than the one that the clearance was issued for.
   */
  scope?: string;
  /** Seconds a clearance lives, 300..1800, default 900. */
  ttl?: number;
  /** Requests a clearance is good for, 1..1000, default 20. */
  max_uses?: number;
  /**
   * Seconds, 1..1800: for this entry an older clearance counts as expired, and a new challenge is asked for. Default:
   * no such limit.
   */
  max_age?: number;
  /**
   * Name of a function given to `clearance({ when })`: the entry matches only where it answers true. Default: always.
   */
  when?: string;
  /** Replaces the gate's mode for this entry; a gate in mode `off` stays off. Default: the gate's mode. */
  mode?: "enforce" | "monitor" | "off";
  /** The Turnstile action of its challenge, `[a-z0-9_-]{1,32}`; default made of the path. */
  action?: string;
  /**
   * The answer to the band `deny` (80 points or more before discounts): 403, a wait of 15 minutes, or a second factor.
   * Default `deny`.
   */
  high_risk?: "deny" | "cool_down" | "step_up";
  /**
   * Whether a clearance is refused under another address prefix than its challenge's. Default false: a change only adds
   * to the risk.
   */
  bind_ip?: boolean;
  /** Names of limits that are charged with each request, at most 8. Default none. */
  limits?: readonly string[];
  /**
   * Points that the path itself adds to the risk, 0..100. Default by the path's name: 30 for `/payment`, `/register`,
   * `/otp/request`; 20 for `/login`.
   */
  risk?: number;
  /**
   * Allows `%2F` and `;` in a path below this entry's (`/projects/group%2Fname/issues`). Then all readings of the path
   * count, and the strictest answer wins. Under a `never` entry all readings must be below it. Default: such a path is
   * refused with 400 `PATH_AMBIGUOUS`. No entry can allow the other ambiguous spellings.
   */
  ambiguous?: "allow";
}

/** One entry, checked and with its defaults. */
export interface PolicyEntry {
  kind: PolicyKind;
  /** Normalised. */
  path: string;
  /** The path as its author wrote it, with its letter case and a final slash: some routers compare to the letter. */
  written: string;
  /** Upper case; empty: every method. */
  methods: readonly string[];
  scope: string;
  /** Seconds. */
  ttl: number;
  maxUses: number;
  /** Seconds, or undefined. */
  maxAge: number | undefined;
  when: string | undefined;
  mode: "enforce" | "monitor" | "off" | undefined;
  action: string;
  highRisk: "deny" | "cool_down" | "step_up";
  bindIp: boolean;
  limits: readonly string[];
  risk: number | undefined;
  ambiguous: boolean;
}

/** A checked policy. */
export interface Policy {
  readonly entries: readonly PolicyEntry[];
  /** Names that its entries use of `clearance({ when })`. */
  readonly conditions: readonly string[];
}

/**
 * The signals that the risk is made of. Features count some of them; the application adds its own. Cloudflare's scores
 * are only here when they can be trusted: from `request.cf`, or from headers of a trusted peer.
 */
export interface RiskSignals extends Signals {
  /** Cloudflare's bot score, 1..99: below 30 is likely automated. */
  botScore?: number;
  /** Cloudflare's WAF attack score, 1..99: below 40 is likely an attack. */
  wafScore?: number;
  /** The address is on a list of bad addresses; from the application. */
  badIp?: boolean;
  /** The network (ASN) is known for abuse; from the application. */
  abusiveAsn?: boolean;
  /** Points of the path, added as they are. */
  sensitivePath?: number;
  /** Failed log-ins in 15 minutes. */
  failedLogins?: number;
  /** One-time passwords asked for in 10 minutes. */
  otpRequests?: number;
  /** Requests of this device in 5 minutes. */
  deviceRequests?: number;
  /** Different users or accounts on this device in 15 minutes. */
  deviceUsers?: number;
  /** Failed clearances in 15 minutes. */
  clearanceFailures?: number;
  /** A honeypot was reported in the last 15 minutes. */
  honeypot?: boolean;
  /** The clearance was issued under another address prefix. */
  addressChanged?: boolean;
  /** Cloudflare's ephemeral id of this device was seen under more than 10 address prefixes in an hour. */
  ephemeralCluster?: boolean;
  /**
   * All reports about the address prefix in 15 minutes, successful log-ins excepted, and failed clearances. An attacker
   * who takes a new device id for each try is conspicuous here.
   */
  addressReports?: number;
  /** A valid clearance whose scope covers the route. */
  validClearance?: boolean;
  /** The application verified an attestation of the device. */
  attestation?: boolean;
  /** The request has a session that can be spent. */
  establishedSession?: boolean;
}

/** Points and thresholds of each signal; see `defaultWeights` in risk.ts. */
export interface RiskWeights {
  [signal: string]: { points: number; below?: number; over?: number };
}

/** One reason of a risk. */
export interface RiskReason {
  signal: string;
  /** Negative: a discount. */
  points: number;
  /**
   * Another client may have caused it, by the same account or address. It may lead to a challenge, but never to `deny`.
   */
  shared?: true;
}

/** The risk of a request. */
export interface Risk {
  /** 0..100 after discounts: below 30 `allow`, below 50 `limit`, else `challenge`. */
  score: number;
  /** 0..100 before discounts and without shared signals: from 80 on the band is `deny`. */
  gross: number;
  band: "allow" | "limit" | "challenge" | "deny";
  reasons: readonly RiskReason[];
}

/** What a policy decides about a request, and why. */
export interface Explanation {
  /** The normalised path, as it is compared. */
  path: string;
  /**
   * Why the path is refused with 400 `PATH_AMBIGUOUS` before the policy is asked: `length`, `percent_encoding`,
   * `control_character`, `double_encoding`, `dot_segment`, `backslash`, `encoded_slash`, `semicolon`, or `url` for a
   * path that a URL parser changes. Undefined: the path is not ambiguous, and `decision` is the policy's.
   */
  ambiguous: Ambiguity | undefined;
  kind: PolicyKind;
  /** The matching entry, or the defaults of an unmatched path. */
  entry: PolicyEntry;
  risk: Risk;
  decision: Decision;
  /** The mode of the decision: `monitor` lets the request pass and raises an event, `off` lets it pass. */
  mode: Mode;
}

/** Options of `clearance`. */
export interface ClearanceOptions {
  /** What each path needs. */
  policy: PolicyDocument;
  /**
   * Conditions by name, for entries with `when`. A condition gets a copy of the request, and may read at most 64 KiB of
   * its body in 10 s; beyond that it fails. A condition that fails (throws, or
   * answers neither true nor false) holds, except in a `never` entry.
   */
  when?: { readonly [name: string]: (request: Request) => boolean | Promise<boolean> };
  /** Weights that differ from the defaults. */
  risk?: { readonly [signal: string]: { points: number; below?: number; over?: number } };
  /**
   * The application's own signals. They win over counted ones. A flag that is not a boolean, or a number that is none,
   * is a TypeError of the request. For lists of bad addresses use `context.info`, the
   * address as the gate found it.
   */
  signals?(request: Request, context: GuardContext): Partial<RiskSignals> | Promise<Partial<RiskSignals>>;
  /**
   * Rules by limit name: for the limits that the policy names, and in place of the defaults of the `clearance.*`
   * limits.
   */
  limits?: { readonly [name: string]: readonly LimitRule[] };
  /**
   * How many devices may share one address (carriers, offices), 1..1000000, default 100. In the default limits of the
   * verification an address has this many times the limit of a device, and a network (an IPv4 /24, an IPv6 /48) four
   * times that. It does not change the rules in `limits`.
   */
  sharedAddress?: number;
  /** Path of the WebView page, outside `basePath`. Default `/mobile-turnstile`. */
  mobilePath?: string;
  /** Exact origins of parent frames that may embed the page and get its messages. Default none. */
  bridgeOrigins?: readonly string[];
  /** URL of Turnstile's script on that page. Default Cloudflare's api.js; set it only for the emulator. */
  scriptUrl?: string;
}
