import { assertOptions, integer, methods, type Rules } from "../util/options.ts";
import type { Turnstile } from "./types.ts";

/** Options of `withBreaker`. */
export interface BreakerOptions {
  /** Failures of the provider in a row that open it, default 5. */
  failures?: number;
  /** Seconds it stays open before one request may try again, default 30. */
  openFor?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
}

/**
 * A Turnstile that stops asking a provider which is down: after `failures` timeouts or unavailable answers in a row everybody is told
 * `unavailable` at once, instead of waiting in a queue of the doomed; every `openFor` seconds one request tries again.
 *
 * Per instance and in memory: on a platform with many instances each opens for itself.
 *
 * @throws {TypeError} an unknown option, no Turnstile @throws {RangeError} `failures` or `openFor` is not a positive integer
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
  return {
    async verify(token, expected) {
      const before = until;
      if (failed >= failures) {
        if (clock() < until) return { ok: false, reason: "unavailable", errorCodes: [], retryable: true, latencyMs: 0 };
        // An instant, not a flag: a probe that never ends (its request was cancelled) must not keep it open for ever.
        until = clock() + openFor * 1000;
      }
      const result = await turnstile.verify(token, expected);
      if (result.ok || !/^(missing|malformed|timeout|unavailable)$/.test(result.reason)) failed = 0;
      else if (result.retryable) {
        failed += 1;
        until = clock() + openFor * 1000;
      } else if (failed >= failures) {
        // Nobody was asked: junk from a stranger neither closes the breaker nor uses up its probe.
        until = before;
      }
      return result;
    },
  };
}
