import { HOSTNAME, SECRET } from "../turnstile/options.ts";
import { assertString } from "../util/assertions.ts";
import { any, assertOptions, bag, form, integer, listOf, methods, oneOf, type Rules, record } from "../util/options.ts";
import type {
  AdmitOptions,
  ExchangeContext,
  Feature,
  GateOptions,
  GateTurnstileOptions,
  ProtectOptions,
  ReportDetails,
  ReportSignal,
  Route,
  SessionOptions,
} from "./types.ts";

/** An action that Turnstile accepts. */
const ACTION = form(/^[a-z0-9_-]{1,32}$/, "1 to 32 of a-z 0-9 _ -");

/**
 * Checks each option by itself; how they fit together is checked where they are used.
 *
 * @throws {TypeError} {RangeError} an unknown or invalid option
 */
export function assertGateOptions(options: GateOptions): void {
  const turnstile: Rules<GateTurnstileOptions> = {
    // An environment may lack the secret, so undefined and "" pass here. Mode `enforce` refuses them later.
    secret: (path, value) =>
      listOf(SECRET)(
        path,
        [value].flat().filter((one) => one !== ""),
      ),
    // The sitekey is public: a secret in its place would be published. A secret has 35 characters.
    sitekey: /^(?!\dx[\w-]{33}$)[\w-]{3,100}$/,
    allowedHostnames: listOf(HOSTNAME),
    maxAge: integer(1, 86_400),
    timeoutMs: integer(1, 60_000),
    retries: integer(0, 5),
    siteverifyUrl: "string",
    fetch: "function",
    allowTestKeys: "boolean",
    clock: "function",
    random: "function",
    onUnavailable: oneOf("deny", "degraded"),
  };
  const session: Rules<SessionOptions> = {
    ttl: integer(120, 900),
    uses: integer(1, 1000),
    actions: listOf(ACTION),
    bind: oneOf("none", "ip-prefix", "device"),
    subject: "function",
  };
  const rules: Rules<GateOptions> = {
    secrets: any,
    turnstile: bag(turnstile),
    // A store without `refund` and `block` only counts rates. With it every token could be used again and again.
    store: methods("spend", "refund", "block"),
    rateStore: methods("spend"),
    session: bag(session),
    identify: "function",
    issuer: assertString,
    audience: assertString,
    clockTolerance: integer(0, 60),
    allowedOrigins: listOf("string"),
    publicUrl: "string",
    clientIp: any,
    limits: record(any),
    onStoreError: oneOf("deny", "allow"),
    origin: "function",
    features: listOf("function"),
    mode: oneOf("enforce", "monitor", "off"),
    basePath: form(/^(\/[\w~.-]+)*$/, 'a path like "/api"'),
    onEvent: "function",
    onError: "function",
    clock: "function",
    random: "function",
    fetch: "function",
  };
  assertOptions("createGate", options, rules);
}

/** Options of `protect` and `guard`. */
export const PROTECT_RULES: Rules<ProtectOptions> = {
  scope: "string",
  action: "string",
  cost: integer(0, 1000),
  subject: "string",
  limits: listOf("string"),
};
/** Options of a route's `admit`. */
export const ADMIT_RULES: Rules<AdmitOptions> = {
  ...PROTECT_RULES,
  quotas: listOf(any),
  call: any,
  failures: any,
  strict: "boolean",
  subjects: any,
  open: "boolean",
};
const ROUTE: Rules<Route> = { method: any, path: "string", base: "boolean", maxBody: integer(0), handle: "function" };
/** Members of a feature. */
export const FEATURE_RULES: Rules<Feature> = {
  name: "string",
  routes: listOf(bag(ROUTE, "method path handle")),
  actions: listOf(ACTION),
  limits: record(any),
  jobs: record("function"),
  screen: "function",
  guard: "function",
  report: "function",
  reports: listOf("string"),
  signals: "function",
  players: methods("rename", "erase", "export", "claim"),
  on: "function",
  check: "function",
};
/** Signals that every gate's `report` takes. */
export const SIGNALS: readonly ReportSignal[] = ["login_failed", "login_succeeded", "otp_requested", "honeypot_tripped"];
/** Details of a report. Account and user may be a visitor's text of any kind: they are only ever hashed or counted. */
export const REPORT_RULES: Rules<ReportDetails> = { account: any, user: any, weight: integer(1, 10_000) };
/** The context of an exchange. */
export const EXCHANGE_RULES: Rules<ExchangeContext> = { request: any, remoteip: "string", playerToken: "string", route: "string" };
