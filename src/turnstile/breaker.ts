import { assertOptions, integer, methods, type Rules } from "../util/options.ts";
import type { Turnstile } from "./types.ts";

/** Options of `withBreaker`. */
export interface BreakerOptions {
  /** Failures in a row that open the breaker, 1..1000000, default 5. */
  failures?: number;
  /** Seconds for which it stays open before one request may try again, 1..86400, default 30. */
  openFor?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
}

/**
 * A Turnstile that stops asking a provider which is down, or which says that our configuration is wrong. After
 * `failures` such answers in a row, every call is answered at once, without waiting for a time-out. Every `openFor`
 * seconds one request tries again. Until then, strangers cannot make us ask, whatever tokens they send.
 *
 * The answer is `unavailable`, or `misconfigured` where the provider said so since its last good answer; `repeated`
 * marks all of these but the first.
 *
 * Its state is in memory: on a platform with many instances each has its own.
 *
 * @throws {TypeError} an unknown option, no Turnstile @throws {RangeError} `failures` or `openFor` outside its range
 *
 * @example
 * ```ts
 * import { createTurnstile, withBreaker } from "gatepass/turnstile";
 *
 * const turnstile = withBreaker(createTurnstile({ secret: "0x4AAAAAAA_your_secret", allowedHostnames: ["game.example"] }));
 * const result = await turnstile.verify("", {});
 * console.assert(!result.ok);
 * ```
 */
export function withBreaker(turnstile: Turnstile, options: BreakerOptions = {}): Turnstile {
  methods("verify")("turnstile", turnstile);
  const rules: Rules<BreakerOptions> = { failures: integer(1, 1_000_000), openFor: integer(1, 86_400), clock: "function" };
  assertOptions("withBreaker", options, rules);
  const { failures = 5, openFor = 30, clock = Date.now } = options;
  let failed = 0;
  let until = 0;
  let wrong = false;
  return {
    async verify(token, expected) {
      const before = until;
      if (failed >= failures) {
        const reason = wrong ? "misconfigured" : "unavailable";
        if (clock() < until) return { ok: false, reason, errorCodes: [], retryable: !wrong, ...(wrong && REPEATED), latencyMs: 0 };
        // This request is the probe. Keep an instant, not a flag: a probe that never ends (its request was cancelled)
        // must not block all later ones.
        until = clock() + openFor * 1000;
      }
      const result = await turnstile.verify(token, expected);
      const ours = !result.ok && result.reason === "misconfigured";
      const repeated = ours && wrong;
      if (result.ok || !/^(missing|malformed|timeout|unavailable|misconfigured)$/.test(result.reason)) {
        failed = 0;
        wrong = false;
      } else if (result.retryable || ours) {
        failed += 1;
        wrong ||= ours;
        until = clock() + openFor * 1000;
      } else if (failed >= failures) {
        // The token was refused without asking the provider. A junk token neither closes the breaker nor counts as the
        // probe.
        until = before;
      }
      return repeated ? { ...result, ...REPEATED } : result;
    },
  };
}

const REPEATED = { repeated: true } as const;
