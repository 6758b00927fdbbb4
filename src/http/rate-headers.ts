import type { LimitRule } from "../limits/types.ts";
import type { QuotaState } from "../store/contract.ts";

/**
 * `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10. `rules` and `states` belong together by position,
 * `now` is in ms, `retryAfter` (seconds) the wait of a refusal: `t` is never later than it.
 */
export function rateHeaders(
  rules: readonly Pick<LimitRule, "name" | "limit" | "window">[],
  states: readonly QuotaState[],
  now: number,
  retryAfter?: number,
): Headers {
  const headers = new Headers();
  if (rules.length === 0) return headers;
  headers.set("ratelimit-policy", rules.map((rule) => `"${rule.name}";q=${rule.limit};w=${rule.window}`).join(", "));
  const limits = rules.flatMap((rule, i) => {
    const state = states[i];
    if (!state) return [];
    const wait = Math.max(0, Math.ceil((state.resetAt - now) / 1000));
    return `"${rule.name}";r=${Math.max(0, state.remaining)};t=${retryAfter ? Math.min(wait, retryAfter) : wait}`;
  });
  if (limits.length > 0) headers.set("ratelimit", limits.join(", "));
  return headers;
}
