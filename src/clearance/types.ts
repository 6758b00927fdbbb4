import type { GuardContext, Mode, Signals } from "../gate/types.ts";
import type { LimitRule } from "../limits/types.ts";
import type { Ambiguity } from "./ambiguity.ts";

/** What happens to a request whose risk is in a band. */
export type Decision = "allow" | "limit" | "challenge" | "deny" | "cool_down" | "step_up";

/** Which of a policy's lists an entry stands in; `unmatched`: in none, which is risk-based. */
export type PolicyKind = "always" | "risk" | "never" | "unmatched";

/**
 * A policy as it is written, in JSON. Of all entries that match, whatever list they stand in, the most specific wins: a whole path before a pattern, a longer
 * pattern before a shorter, with a condition or a method before without; of equals the strictest.
 */
export interface PolicyDocument {
  always_require_clearance?: readonly (string | PolicyEntryDocument)[];
  risk_based?: readonly (string | PolicyEntryDocument)[];
  never_require_clearance?: readonly (string | PolicyEntryDocument)[];
}

/** One entry of a {@link PolicyDocument}. A text alone is its `path`. */
export interface PolicyEntryDocument {
  /** A path, or a pattern whose last segment is `*`: everything below. Compared after normalisation, case-insensitively. */
  path: string;
  /** Default: every method. */
  method?: string | readonly string[];
  /** What the clearance is for, a path pattern; default `path`. A clearance opens every entry of its scope that is not stricter (uses, life) than the one it was for. */
  scope?: string;
  /** Seconds a clearance lives, 300..1800, default 900. */
  ttl?: number;
  /** Requests a clearance is good for, 1..1000, default 20. */
  max_uses?: number;
  /** Seconds: a clearance that is older does not count for this entry (a fresh one is asked for). Default: its whole life. */
  max_age?: number;
  /** Name of a function given to `clearance({ when })`: the entry matches only where it says true. */
  when?: string;
  /** In place of the gate's mode, for this entry; a gate that is `off` stays off. */
  mode?: "enforce" | "monitor" | "off";
  /** The Turnstile action of its challenge, `[a-z0-9_-]{1,32}`; default made of the path. */
  action?: string;
  /** What a risk of 80 or more means. Default `deny`. */
  high_risk?: "deny" | "cool_down" | "step_up";
  /** Whether another address (ip prefix) than the challenge's refuses. Default false: it only adds to the risk. */
  bind_ip?: boolean;
  /** Names of limits (of the gate) that are charged with each request. */
  limits?: readonly string[];
  /** Points that the path itself adds to the risk. Default by what the path is called, see `assessRisk`. */
  risk?: number;
  /**
   * Lets `%2F` and `;` stand in a path below this entry's (`/projects/group%2Fname/issues`). Then all readings of the path count, and the strictest answer
   * wins; under a `never` entry all readings must stay below it. Default: such a path is refused with 400 `PATH_AMBIGUOUS`, as every other is that routers
   * read differently and that no entry can allow.
   */
  ambiguous?: "allow";
}

/** One entry, checked and with its defaults. */
export interface PolicyEntry {
  kind: PolicyKind;
  /** Normalised. */
  path: string;
  /** The path as its author wrote it: its letter case and a slash at its end are kept, for routers compare to the letter. */
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
 * The signals that risk weighs, as features and the application give them (names of `Signals`). Text and numbers of a request are only here
 * when they are to be trusted: `request.cf`, or headers of a trusted peer.
 */
export interface RiskSignals extends Signals {
  /** Cloudflare's bot score, 1..99: below 30 is likely automated. */
  botScore?: number;
  /** Cloudflare's WAF attack score, 1..99: below 40 is likely an attack. */
  wafScore?: number;
  badIp?: boolean;
  abusiveAsn?: boolean;
  /** Points of the path. */
  sensitivePath?: number;
  /** Failed log-ins in 15 minutes. */
  failedLogins?: number;
  /** One-time passwords asked for in 10 minutes. */
  otpRequests?: number;
  /** Requests of this device in 5 minutes. */
  deviceRequests?: number;
  /** User names from this device in 15 minutes. */
  deviceUsers?: number;
  /** Failed clearances in 15 minutes. */
  clearanceFailures?: number;
  honeypot?: boolean;
  addressChanged?: boolean;
  /** One device behind many addresses. */
  ephemeralCluster?: boolean;
  /** What was reported (failed log-ins, one-time passwords, failed clearances) of all who share the address prefix, in 15 minutes: whoever makes up a new device each time stands out here. */
  addressReports?: number;
  /** A valid clearance whose scope covers the route. */
  validClearance?: boolean;
  attestation?: boolean;
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
  /** Others may have caused it (who knows the account, who shares the address): it may ask for a challenge, but never denies. */
  shared?: true;
}

/** What a request's signals come to. */
export interface Risk {
  /** 0..100, discounts taken. */
  score: number;
  /** 0..100 before discounts, and without what others may have caused: by this one a request is denied. */
  gross: number;
  band: "allow" | "limit" | "challenge" | "deny";
  reasons: readonly RiskReason[];
}

/** What a request would get, and why. */
export interface Explanation {
  /** As compared. */
  path: string;
  /**
   * Why the path is refused with 400 `PATH_AMBIGUOUS` before the policy is asked: `length`, `percent_encoding`, `control_character`, `double_encoding`,
   * `dot_segment`, `backslash`, `encoded_slash`, `semicolon`, or `url` for what a URL parser makes another path of. Undefined: it is not; `decision` is then
   * the policy's.
   */
  ambiguous: Ambiguity | undefined;
  kind: PolicyKind;
  /** The entry, or what an unmatched path gets. */
  entry: PolicyEntry;
  risk: Risk;
  decision: Decision;
  /** The mode under which the decision is carried out: `monitor` lets the request through and tells of it, `off` lets it through. */
  mode: Mode;
}

/** Options of `clearance`. */
export interface ClearanceOptions {
  policy: PolicyDocument;
  /**
   * Conditions by name, for entries with `when`. What they get is a copy, of whose body at most 64 KiB in 10 s can be read: a longer one is as if the
   * condition had failed, and a condition that fails holds where that is stricter.
   */
  when?: { readonly [name: string]: (request: Request) => boolean | Promise<boolean> };
  /** Weights that differ from the defaults. */
  risk?: { readonly [signal: string]: { points: number; below?: number; over?: number } };
  /** The application's own signals; they win over what was counted. `context` says who asks, as the gate knows it: lists of bad addresses go by `info`. */
  signals?(request: Request, context: GuardContext): Partial<RiskSignals> | Promise<Partial<RiskSignals>>;
  /** Rules of `clearance.*` limits that differ from the defaults, and of the limits that the policy names. */
  limits?: { readonly [name: string]: readonly LimitRule[] };
  /**
   * Devices that one address stands for in the default `clearance.*` limits, 1..1000000, default 100: carriers and offices share addresses. An address has
   * so many times the limit of a device, its network (an IPv4 /24, an IPv6 /48) four times that. Limits that are given in `limits` are taken as they are.
   */
  sharedAddress?: number;
  /** Path of the WebView page, outside `basePath`. Default `/mobile-turnstile`. */
  mobilePath?: string;
  /** Origins of parent frames that the page may talk to. Default none. */
  bridgeOrigins?: readonly string[];
  /** Turnstile's script on that page. Default Cloudflare's api.js; another only for the emulator. */
  scriptUrl?: string;
}
