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
import { randomBytes, uuidFromBytes } from "../util/random.ts";
import { type Checks, judge, reasonOf } from "./answer.ts";
import { ask, NOTHING } from "./ask.ts";
import type { Turnstile, TurnstileOptions, TurnstileReason } from "./types.ts";

export { type BreakerOptions, withBreaker } from "./breaker.ts";
export type * from "./types.ts";

/** Cloudflare's own endpoint. */
export const SITEVERIFY_URL = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

/** What real tokens are made of, with room to spare; white space, quotes and controls have no business in a request to the provider. */
const TOKEN = /^[\w.~+/=-]+$/;
/** Cloudflare's test secrets are known to everyone, and the first accepts everything. */
const NO_TEST_SECRET = /^(?![1-3]x0+AA$)/;
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
  const secrets = [options.secret ?? []].flat();
  const hostnames = [...(options.allowedHostnames ?? [])];
  const must = (name: keyof TurnstileOptions, met: boolean, rule: string): void => {
    if (!met) throw new TypeError(`Invalid "${name}": ${rule}`);
  };
  const every = (list: unknown[], pattern: RegExp): boolean => list.every((one) => typeof one === "string" && pattern.test(one));
  must("secret", secrets.length > 0 && every(secrets, /^[!-~]+$/), "expected one or more, no white space");
  must(
    "allowedHostnames",
    (allowTestKeys || hostnames.length > 0) && every(hostnames, /^[a-z0-9._-]{2,}$/),
    "expected one or more, bare and lower case",
  );
  must("secret", allowTestKeys || every(secrets, NO_TEST_SECRET), "for tests only, needs allowTestKeys");
  // Whoever answers decides who is human: no one but Cloudflare is asked by accident.
  must("siteverifyUrl", allowTestKeys || url === SITEVERIFY_URL, "for tests only, needs allowTestKeys");
  const range = (name: keyof TurnstileOptions, value: number, min: number, max: number): void => {
    if (!(Number.isInteger(value) && value >= min && value <= max)) throw new RangeError(`Invalid "${name}": expected ${min} to ${max}`);
  };
  range("maxAge", maxAge, 1, 86_400);
  range("timeoutMs", timeoutMs, 1, 60_000);
  range("retries", retries, 0, 5);

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
      let attempt = NOTHING;
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
