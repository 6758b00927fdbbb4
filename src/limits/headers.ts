import type { QuotaState } from "../store/contract.ts";
import type { LimitRule } from "./types.ts";

/** One layer of a limit, where it was counted with its state. */
interface Counted {
  rule?: Pick<LimitRule, "name" | "limit" | "window"> | undefined;
  state?: QuotaState | undefined;
}

/**
 * `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10: one line for a rule, whichever network of an IPv6 client is the tightest.
 * `now` is in ms. `retryAfter` (seconds) is the wait of a refusal; it says something of the rules that refused, and of no other.
 */
export function rateHeaders(counted: Iterable<Counted>, now: number, retryAfter?: number): Headers {
  const headers = new Headers();
  const tightest = new Map<NonNullable<Counted["rule"]>, QuotaState>();
  for (const { rule, state } of counted) {
    if (rule && state && state.remaining < (tightest.get(rule)?.remaining ?? Number.POSITIVE_INFINITY)) tightest.set(rule, state);
  }
  if (tightest.size === 0) return headers;
  headers.set("ratelimit-policy", [...tightest.keys()].map((rule) => `"${rule.name}";q=${rule.limit};w=${rule.window}`).join(", "));
  const limits = [...tightest].map(([rule, state]) => {
    const t = secondsUntilMore(state, rule.window, now, retryAfter);
    return `"${rule.name}";r=${Math.max(0, state.remaining)}${t === undefined ? "" : `;t=${t}`}`;
  });
  headers.set("ratelimit", limits.join(", "));
  return headers;
}

/**
 * The parameter `t`, whole seconds: after them the rule has more to give. Never more than its window: what the store's sub-windows add to the wait (a tenth
 * at most) is in `Retry-After`, which takes precedence. Undefined for a blocked key: a block may outlast the window, and only `Retry-After` knows it.
 */
function secondsUntilMore({ resetAt, why }: QuotaState, longest: number, now: number, retryAfter?: number): number | undefined {
  if (why === "blocked") return undefined;
  const wait = Math.max(0, Math.ceil((resetAt - now) / 1000));
  return Math.min(wait, longest, why !== undefined && retryAfter ? retryAfter : wait);
}
