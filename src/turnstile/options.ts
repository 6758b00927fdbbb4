import { randomBytes } from "../util/random.ts";
import type { TurnstileOptions } from "./types.ts";

/** Cloudflare's own endpoint. */
export const SITEVERIFY_URL = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

/**
 * A secret: not a sitekey, which has 24 characters instead of 35 and would refuse everybody. A placeholder with
 * "secret" in it is accepted.
 */
export const SECRET: RegExp = /^(?!\dx(?!.*secret)[\w-]{22}$)[!-~]+$/;
/** Not one of Cloudflare's test secrets: they are public, and the first one accepts every token. */
const NO_TEST_SECRET = /^(?![1-3]x0+AA$)/;
/** A hostname as siteverify gives it: without scheme and port, in lower case. */
export const HOSTNAME: RegExp = /^[a-z0-9._-]{2,}$/;

/** The options with their defaults. */
export type ResolvedOptions = Required<Omit<TurnstileOptions, "secret" | "sitekey" | "fetch">> & {
  secrets: readonly string[];
  fetch: typeof fetch | undefined;
};

/**
 * @throws {TypeError} {RangeError} see `createTurnstile`. Without `assertOptions` of util: this entry has to be small.
 */
export function resolveOptions(options: TurnstileOptions): ResolvedOptions {
  const { secret = [], sitekey = "", allowedHostnames = [], siteverifyUrl = SITEVERIFY_URL, allowTestKeys = false, ...others } = options;
  const { maxAge = 305, clockTolerance = 5, timeoutMs = 3000, retries = 1, ...hooks } = others;
  const { fetch: send, clock = Date.now, random = randomBytes, ...unknown } = hooks;
  refuseUnknown(unknown);
  const secrets = [secret].flat();
  must(
    "secret",
    secrets.length > 0 && every(secrets, SECRET) && !secrets.includes(sitekey),
    "expected one or more, no sitekey, no white space",
  );
  const some = allowTestKeys || allowedHostnames.length > 0;
  must("allowedHostnames", some && every(allowedHostnames, HOSTNAME), "expected one or more, bare and lower case");
  must("allowTestKeys", typeof allowTestKeys === "boolean", "expected true or false");
  must("secret", allowTestKeys || every(secrets, NO_TEST_SECRET), "for tests only, needs allowTestKeys");
  // The server at this URL decides which tokens are good. A URL of another server must be allowed explicitly.
  must("siteverifyUrl", allowTestKeys || siteverifyUrl === SITEVERIFY_URL, "for tests only, needs allowTestKeys");
  for (const [name, hook] of Object.entries({ fetch: send ?? fetch, clock, random }))
    must(name, typeof hook === "function", "expected a function");
  range("maxAge", maxAge, 1, 86_400);
  range("clockTolerance", clockTolerance, 0, 60);
  range("timeoutMs", timeoutMs, 1, 60_000);
  range("retries", retries, 0, 5);
  return {
    secrets,
    allowedHostnames: [...allowedHostnames],
    siteverifyUrl,
    allowTestKeys,
    maxAge,
    clockTolerance,
    timeoutMs,
    retries,
    fetch: send,
    clock,
    random,
  };
}

/** @throws {TypeError} there is a member: a misspelt expectation would accept every token */
export function refuseUnknown(members: object): void {
  for (const name in members) must(name, false, "unknown");
}

function must(name: string, met: boolean, rule: string, Failure: new (message: string) => Error = TypeError): void {
  if (!met) throw new Failure(`Invalid "${name}": ${rule}`);
}

function range(name: string, value: number, min: number, max: number): void {
  must(name, Number.isInteger(value) && value >= min && value <= max, `expected ${min} to ${max}, got ${value}`, RangeError);
}

function every(list: unknown, pattern: RegExp): boolean {
  return Array.isArray(list) && list.every((one) => typeof one === "string" && pattern.test(one));
}
