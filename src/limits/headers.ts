import type { QuotaState } from "../store/contract.ts";
import type { LimitRule } from "./types.ts";

/** One layer of a limit, with its state if it was counted. */
interface Counted {
  rule?: Pick<LimitRule, "name" | "limit" | "window"> | undefined;
  state?: QuotaState | undefined;
}

/**
 * `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10. One entry for each rule: of an IPv6
 * client's networks the tightest.
 *
 * @param now milliseconds since the epoch, by the clock of the states
 * @param retryAfter seconds: the wait of a refusal. It only bounds the rules that refused
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
 * The parameter `t`: whole seconds until the rule has more units. Never more than its window. The store's sub-windows
 * may add a tenth to the wait; that is in `Retry-After`, which takes precedence. Undefined for a blocked key: a block
 * may outlast the window, and only `Retry-After` tells its end.
 */
function secondsUntilMore({ resetAt, why }: QuotaState, longest: number, now: number, retryAfter?: number): number | undefined {
  if (why === "blocked") return undefined;
  const wait = Math.max(0, Math.ceil((resetAt - now) / 1000));
  return Math.min(wait, longest, why !== undefined && retryAfter ? retryAfter : wait);
}
