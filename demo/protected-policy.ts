/** What the "protected API" page and its routes share: the policy, its limits, and the signals that may be tried out. */
import { exampleLimits, type PolicyDocument, type RiskSignals } from "gatepass/clearance";

/** The routes. */
export const ROUTES = {
  login: { method: "POST", path: "/api/auth/login" },
  otp: { method: "POST", path: "/api/otp/request" },
  search: { method: "GET", path: "/api/search" },
  payment: { method: "POST", path: "/api/payment/charge" },
} as const;

/** The demo's policy: a one-time password and a payment always take a clearance of one use, log-in and search only where the risk is high. */
export const demoPolicy: PolicyDocument = {
  always_require_clearance: [
    { path: "/api/otp/request", ttl: 600, max_uses: 1, limits: ["otp"] },
    { path: "/api/payment/*", ttl: 600, max_uses: 1, max_age: 600, high_risk: "step_up" },
  ],
  risk_based: [
    { path: "/api/auth/login", ttl: 900, max_uses: 5, limits: ["login"], high_risk: "cool_down" },
    { path: "/api/search", ttl: 1800, max_uses: 10 },
  ],
  // The game has sessions of its own.
  never_require_clearance: ["/api/scores", "/api/commitments"],
};

/**
 * The limits that the policy names, and more solves for one device than an application would allow (10 clearances in 15 minutes): whoever tries
 * the page out asks for one after the other.
 */
export const demoLimits = {
  ...exampleLimits,
  ...Object.fromEntries(
    ["attempts", "failures", "issued"].map((name) => [
      `clearance.${name}`,
      [
        { name: `${name}.device`, limit: 60, window: 900, by: ["device", "ip-prefix"] as const },
        { name: `${name}.ip`, limit: 1000, window: 900, by: "ip" as const },
      ],
    ]),
  ),
};

/** Above this a payment is `large`, a condition that the policy may name: `{ "path": "/api/payment/*", "when": "large" }`. */
export const LARGE_AMOUNT = 100;

// What the page says to its lab, in development.
/** Names a page; made by it, at random. A header that a page elsewhere could only send after a preflight, which nobody answers. */
export const PAGE_HEADER = "x-demo-page";
/** The signals that the page's controls stand at, in JSON. */
export const SIGNALS_HEADER = "x-demo-signals";
/** `PUT` brings a policy, `DELETE` takes it away. */
export const POLICY_PATH = "/protected/policy";
/** `GET`: what was said of the requests of this page since the last time. */
export const LOG_PATH = "/protected/log";

/** The signals that the page's controls stand for: numbers with what they are at rest and at most, and flags. */
export const NUMBERS = {
  botScore: { rest: 99, max: 99, label: "Bot score", hint: "Cloudflare's: below 30 is likely a bot" },
  wafScore: { rest: 99, max: 99, label: "Attack score", hint: "Cloudflare's: below 40 is likely an attack" },
  failedLogins: { rest: 0, max: 12, label: "Failed log-ins", hint: "in 15 minutes, over 5 count" },
  otpRequests: { rest: 0, max: 6, label: "Codes asked for", hint: "in 10 minutes, over 2 count" },
  deviceRequests: { rest: 0, max: 600, label: "Requests of the device", hint: "in 5 minutes, over 300 count" },
  deviceUsers: { rest: 0, max: 12, label: "Names on the device", hint: "in 15 minutes, over 5 count" },
  clearanceFailures: { rest: 0, max: 8, label: "Failed challenges", hint: "in 15 minutes, over 3 count" },
} as const;
export const FLAGS = {
  badIp: "Known bad address",
  abusiveAsn: "Abusive network",
  honeypot: "Stepped into the honeypot",
  addressChanged: "Address changed",
  ephemeralCluster: "One device, many addresses",
  attestation: "Device is attested",
  establishedSession: "Long-known session",
} as const;

/** The signals of a text in JSON; what is none of ours, or of another type, is left out. */
export function signalsIn(text: string): Partial<RiskSignals> {
  const signals: Partial<RiskSignals> = {};
  for (const [name, value] of Object.entries(objectIn(text))) {
    if (Object.hasOwn(NUMBERS, name) && typeof value === "number" && Number.isFinite(value)) signals[name] = value;
    if (Object.hasOwn(FLAGS, name) && typeof value === "boolean") signals[name] = value;
  }
  return signals;
}

/** An object in JSON; an empty one for everything else. */
export function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
