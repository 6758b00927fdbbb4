/**
 * Verification of Cloudflare Turnstile tokens: `siteverify` with a timeout, one safe retry, and the checks of the answer that
 * `success: true` leaves to the caller (action, hostname, cdata, age, test keys).
 *
 * @example
 * ```ts
 * import { createTurnstile } from "gatepass/turnstile";
 *
 * const turnstile = createTurnstile({ secret: "0x4AAAAAAA_your_secret", allowedHostnames: ["game.example"] });
 * const result = await turnstile.verify("", { action: "score_submit" });
 * console.assert(!result.ok && result.reason === "missing");
 * ```
 *
 * @module
 */
import { MAX_TURNSTILE_TOKEN } from "../protocol.ts";
import { assertInteger } from "../util/assertions.ts";
import { randomBytes, uuidFromBytes } from "../util/random.ts";
import { type Checks, judge, reasonOf } from "./answer.ts";
import { type Attempt, ask } from "./ask.ts";
import type { Turnstile, TurnstileOptions, TurnstileReason } from "./types.ts";

export { type BreakerOptions, withBreaker } from "./breaker.ts";
export type * from "./types.ts";

/** Cloudflare's own endpoint. */
export const SITEVERIFY_URL = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

/** What real tokens are made of, with room to spare; white space, quotes and controls have no business in a request to the provider. */
const TOKEN = /^[\w.~+/=-]+$/;
/** Cloudflare's test secrets: everyone knows them, and the first accepts everything. */
const TEST_SECRET = /^[1-3]x0+AA$/;
/** Refused before the token was looked at: another secret may still be tried on it. */
const WRONG_SECRET = /^invalid-(input|parsed)-secret$/;

/**
 * A verifier of Turnstile tokens. `verify` never throws and never tells the token; a retry carries the same idempotency key, so that a token
 * which was spent by an attempt whose answer got lost is accepted all the same, once.
 *
 * Of several secrets the next one is tried only when Cloudflare does not know the last one, which it says before it looks at the token.
 *
 * @throws {TypeError} no secret, no `allowedHostnames`, a hostname that is not a bare lower-case name; without `allowTestKeys` also a test
 * secret or a `siteverifyUrl` that is not Cloudflare's
 * @throws {RangeError} `maxAge`, `timeoutMs` or `retries` outside its range
 * @see https://developers.cloudflare.com/turnstile/get-started/server-side-validation/
 */
export function createTurnstile(options: TurnstileOptions): Turnstile {
  const { siteverifyUrl: url = SITEVERIFY_URL, maxAge = 305, timeoutMs = 3000, retries = 1, allowTestKeys = false } = options;
  const { clock = Date.now, random = randomBytes } = options;
  const secrets = typeof options.secret === "string" ? [options.secret] : [...(options.secret ?? [])];
  const hostnames = [...(options.allowedHostnames ?? [])];
  if (secrets.length === 0 || secrets.some((one) => typeof one !== "string" || !/^[\x21-\x7e]+$/.test(one))) {
    throw new TypeError('Invalid "secret": expected one or more strings without white space');
  }
  if (hostnames.some((name) => !/^[a-z0-9._-]+$/.test(name))) {
    throw new TypeError('Invalid "allowedHostnames": expected bare lower-case hostnames, without scheme and port');
  }
  if (!allowTestKeys) {
    if (hostnames.length === 0) throw new TypeError('Invalid "allowedHostnames": expected one or more hostnames');
    if (secrets.some((one) => TEST_SECRET.test(one))) throw new TypeError('Invalid "secret": a test secret needs "allowTestKeys"');
    // Whoever answers decides who is human: no one but Cloudflare is asked by accident.
    if (url !== SITEVERIFY_URL) throw new TypeError('Invalid "siteverifyUrl": another one than Cloudflare\'s needs "allowTestKeys"');
  }
  assertInteger("maxAge", maxAge, 1, 86_400);
  assertInteger("timeoutMs", timeoutMs, 1, 60_000);
  assertInteger("retries", retries, 0, 5);

  return {
    async verify(token, expected = {}) {
      const start = clock();
      const refuse = (reason: TurnstileReason, errorCodes: string[] = []) => ({
        ok: false as const,
        reason,
        errorCodes,
        retryable: reason === "timeout" || reason === "unavailable",
        latencyMs: clock() - start,
      });
      if (typeof token !== "string" || token === "") return refuse("missing");
      // Length before pattern: nobody makes us scan or send a megabyte.
      if (token.length > MAX_TURNSTILE_TOKEN || !TOKEN.test(token)) return refuse("malformed");

      const idempotency_key = expected.idempotencyKey ?? uuidFromBytes(random(16));
      let left = retries;
      let attempt: Attempt = { failed: "unavailable", retry: false };
      for (const secret of secrets) {
        const body = JSON.stringify({ secret, response: token, remoteip: expected.remoteip, idempotency_key });
        do attempt = await ask(options.fetch ?? fetch, url, body, timeoutMs);
        while ("failed" in attempt && attempt.retry && left-- > 0);
        if ("failed" in attempt || !attempt.codes.some((code) => WRONG_SECRET.test(code))) break;
      }
      if ("failed" in attempt) return refuse(attempt.failed, attempt.codes);
      const { answer, codes } = attempt;
      if (answer["success"] !== true) return refuse(reasonOf(codes), codes);
      const checks: Checks = { expected, hostnames, allowTestKeys, oldest: clock() - maxAge * 1000 };
      const found = judge(answer, checks);
      return typeof found === "string" ? refuse(found) : { ...found, latencyMs: clock() - start };
    },
  };
}
