/**
 * Verification of Cloudflare Turnstile tokens: `siteverify` with a timeout, one safe retry, and the checks of the
 * answer that `success: true` leaves to the caller (action, hostname, cdata, age, test keys).
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
import { uuidFromBytes } from "../util/random.ts";
import { judge, reasonOf } from "./answer.ts";
import { ask, NOTHING } from "./ask.ts";
import { refuseUnknown, resolveOptions } from "./options.ts";
import type { Turnstile, TurnstileOptions, TurnstileReason } from "./types.ts";

export { type BreakerOptions, withBreaker } from "./breaker.ts";
export { SITEVERIFY_URL } from "./options.ts";
export type * from "./types.ts";

/**
 * The characters of real tokens, and some more. White space, quotes and control characters are not sent to the
 * provider.
 */
const TOKEN = /^[\w.~+/=-]+$/;
/** Cloudflare did not know the secret, and did not read the token: another secret may be tried with it. */
const WRONG_SECRET = /^invalid-(input|parsed)-secret$/;

/**
 * A verifier of Turnstile tokens. `verify` never throws because of a token, and no result contains the token.
 *
 * A retry has the same idempotency key. So a token is accepted, once, although an attempt whose answer was lost has
 * spent it. With several secrets, the next one is tried only when Cloudflare does not know the one before.
 *
 * @throws {TypeError} an unknown option or one of the wrong type, no secret, a sitekey in its place, no
 * `allowedHostnames`, a hostname that is not a bare lower-case name; without `allowTestKeys` also a test secret or a
 * `siteverifyUrl` that is not Cloudflare's
 * @throws {RangeError} `maxAge`, `clockTolerance`, `timeoutMs` or `retries` outside its range
 * @see https://developers.cloudflare.com/turnstile/get-started/server-side-validation/
 */
export function createTurnstile(options: TurnstileOptions): Turnstile {
  const settled = resolveOptions(options);
  const { secrets, siteverifyUrl, timeoutMs, retries, clock, random } = settled;

  return {
    async verify(token, { action, cdata, remoteip, idempotencyKey, ...unknown } = {}) {
      refuseUnknown(unknown);
      const start = clock();
      const refuse = (reason: TurnstileReason, errorCodes: string[] = []) => ({
        ok: false as const,
        reason,
        errorCodes,
        retryable: reason === "timeout" || reason === "unavailable",
        latencyMs: clock() - start,
      });
      if (typeof token !== "string" || token === "") return refuse("missing");
      // Check the length first: do not scan or send a megabyte.
      if (token.length > MAX_TURNSTILE_TOKEN || !TOKEN.test(token)) return refuse("malformed");

      const idempotency_key = idempotencyKey ?? uuidFromBytes(random(16));
      let left = retries;
      let attempt = NOTHING;
      for (const secret of secrets) {
        const body = JSON.stringify({ secret, response: token, remoteip, idempotency_key });
        do attempt = await ask(settled.fetch ?? fetch, siteverifyUrl, body, timeoutMs);
        while ("failed" in attempt && attempt.retry && left-- > 0);
        if ("failed" in attempt || !attempt.codes.some((code) => WRONG_SECRET.test(code))) break;
      }
      if ("failed" in attempt) return refuse(attempt.failed, attempt.codes);
      const { answer, codes } = attempt;
      if (answer["success"] !== true) return refuse(reasonOf(codes), codes);
      const found = judge(answer, { ...settled, action, cdata, now: clock() });
      return typeof found === "string" ? refuse(found) : { ...found, latencyMs: clock() - start };
    },
  };
}
