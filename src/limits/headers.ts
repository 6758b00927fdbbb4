import type { QuotaState } from "../store/contract.ts";
import type { LimitRule } from "./types.ts";

/** One layer of a limit, where it was counted with its state. */
interface Counted {
  rule?: Pick<LimitRule, "name" | "limit" | "window"> | undefined;
  state?: QuotaState | undefined;
}

/**
 * `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10: one line for a rule, whichever network of an IPv6 client is the tightest.
 * `now` is in ms, `retryAfter` (seconds) the wait of a refusal: `t` is never later than it.
 */
export function rateHeaders(counted: Iterable<Counted>, now: number, retryAfter?: number): Headers {
  const headers = new Headers();
  const tightest = new Map<NonNullable<Counted["rule"]>, QuotaState>();
  for (const { rule, state } of counted) {
    if (rule && state && state.remaining < (tightest.get(rule)?.remaining ?? Number.POSITIVE_INFINITY)) tightest.set(rule, state);
  }
  if (tightest.size === 0) return headers;
  headers.set("ratelimit-policy", [...tightest.keys()].map((rule) => `"${rule.name}";q=${rule.limit};w=${rule.window}`).join(", "));
  const limits = [...tightest].map(([{ name }, { remaining, resetAt }]) => {
    const wait = Math.max(0, Math.ceil((resetAt - now) / 1000));
    return `"${name}";r=${Math.max(0, remaining)};t=${retryAfter ? Math.min(wait, retryAfter) : wait}`;
  });
  headers.set("ratelimit", limits.join(", "));
  return headers;
}
