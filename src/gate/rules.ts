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

/** What Turnstile would render. */
const ACTION = form(/^[a-z0-9_-]{1,32}$/, "1 to 32 of a-z 0-9 _ -");

/** @throws {TypeError} {RangeError} an unknown option of a gate, or one that cannot be. What needs its surroundings to be judged is checked where it is used. */
export function assertGateOptions(options: GateOptions): void {
  const turnstile: Rules<GateTurnstileOptions> = {
    // Of an environment that lacks it: what that means depends on the mode.
    secret: (path, value) =>
      listOf(SECRET)(
        path,
        [value].flat().filter((one) => one !== ""),
      ),
    // It is handed out to everybody: a secret in its place would be, too.
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
    // What counts rates alone would let every token be used again and again.
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

/** What `protect` and `guard` take. */
export const PROTECT_RULES: Rules<ProtectOptions> = {
  scope: "string",
  action: "string",
  cost: integer(0, 1000),
  subject: "string",
  limits: listOf("string"),
};
/** What a route's `admit` takes. */
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
/** What a feature may bring. */
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
  on: "function",
  check: "function",
};
/** What every gate takes as a report. */
export const SIGNALS: readonly ReportSignal[] = ["login_failed", "login_succeeded", "otp_requested", "honeypot_tripped"];
/** What `report` is told besides the signal. Who it is about is a visitor's text, which harms nobody whatever it is. */
export const REPORT_RULES: Rules<ReportDetails> = { account: any, user: any, weight: integer(1, 10_000) };
/** Where an exchange comes from. */
export const EXCHANGE_RULES: Rules<ExchangeContext> = { request: any, remoteip: "string", playerToken: "string", route: "string" };
