import type { LimitRule } from "./types.ts";

/**
 * Checks the rules of the limit `name` at creation.
 *
 * @throws {TypeError} a bad or repeated name, an unknown subject, a rule on text that the caller chooses without one by address beside it
 * @throws {RangeError} `limit` or `window` not an integer from 1
 */
export function validateRules(name: string, rules: readonly LimitRule[]): void {
  void [name, rules];
}
