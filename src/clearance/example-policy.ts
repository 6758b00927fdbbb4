import type { LimitRule } from "../limits/types.ts";
import type { PolicyDocument } from "./types.ts";

/**
 * A policy to start from: the routes that most applications protect, with suitable lifetimes and uses. It names limits
 * of {@link exampleLimits}.
 *
 * @example
 * ```ts
 * import { examplePolicy, parsePolicy } from "gatepass/clearance";
 * console.assert(parsePolicy(examplePolicy).entries.some(({ path }) => path === "/api/otp/request"));
 * ```
 */
export const examplePolicy: PolicyDocument = {
  always_require_clearance: [
    { path: "/api/auth/register", ttl: 900, max_uses: 1 },
    { path: "/api/otp/request", ttl: 600, max_uses: 1, limits: ["otp"] },
    { path: "/api/mfa/send", ttl: 600, max_uses: 1, limits: ["otp"] },
    { path: "/api/otp/verify", ttl: 600, max_uses: 1 },
    { path: "/api/payment/*", ttl: 600, max_uses: 1, max_age: 600, high_risk: "step_up" },
    { path: "/api/checkout/*", ttl: 600, max_uses: 1 },
    { path: "/api/promo/redeem", ttl: 600, max_uses: 1 },
    { path: "/api/coupon/apply", ttl: 600, max_uses: 1 },
  ],
  risk_based: [
    { path: "/api/auth/login", ttl: 900, limits: ["login"], high_risk: "cool_down" },
    { path: "/api/auth/forgot-password", ttl: 900, max_uses: 1 },
    { path: "/api/search", ttl: 1800 },
    { path: "/api/products/search", ttl: 1800 },
    { path: "/api/graphql", ttl: 900 },
  ],
  never_require_clearance: ["/health", "/ready", "/api/app-config", "/api/version"],
};

/**
 * The limits that {@link examplePolicy} names. One-time passwords: 3 in 10 minutes by phone and by user. Log-ins: 10 in
 * 15 minutes by account and by device in its network. Each also has a rule by address prefix, because an attacker can
 * choose the phone, account or device at will. Phone, user and account come from `identify`.
 */
export const exampleLimits: { readonly [name: string]: readonly LimitRule[] } = {
  otp: [
    { name: "otp.phone", limit: 3, window: 600, by: "phone" },
    { name: "otp.user", limit: 3, window: 600, by: "user" },
    { name: "otp.prefix", limit: 60, window: 600, by: "ip-prefix" },
  ],
  login: [
    { name: "login.account", limit: 10, window: 900, by: "account" },
    // By device and network: an attacker elsewhere who sends a victim's device id does not use up the victim's limit.
    { name: "login.device", limit: 10, window: 900, by: ["device", "ip-prefix"] },
    { name: "login.prefix", limit: 200, window: 900, by: "ip-prefix" },
  ],
};
