import { isUsesQuota, type Quota } from "./contract.ts";

/** The most quotas of one spend. */
export const MAX_QUOTAS = 16;

/**
 * Checks the quotas of a spend or refund. Every store calls it first: a NaN makes every comparison false, and would be
 * admitted.
 *
 * @throws {RangeError} more than 16 quotas, a key twice or empty, a limit, window or instant that is no integer in its
 * range, a cost outside 0..limit
 */
export function assertQuotas(quotas: readonly Quota[]): void {
  if (quotas.length > MAX_QUOTAS) throw new RangeError(`Invalid quotas: expected at most ${MAX_QUOTAS}, got ${quotas.length}`);
  for (let i = 0; i < quotas.length; i++) {
    const quota = quotas[i];
    if (quota === undefined) throw new RangeError("Invalid quotas: a hole");
    const { key, limit, cost } = quota;
    if (typeof key !== "string" || key === "") throw new RangeError('Invalid "key": expected a text that is not empty');
    for (let j = 0; j < i; j++) if (quotas[j]?.key === key) throw new RangeError("Invalid quotas: a key occurs twice");
    check("limit", limit, 1, Number.MAX_SAFE_INTEGER);
    if (cost !== undefined) check("cost", cost, 0, limit);
    if (!isUsesQuota(quota)) check("window", quota.window, 1, MAX_WINDOW);
    else {
      assertInstant("expiresAt", quota.expiresAt);
      if (quota.issuedAt !== undefined) assertInstant("issuedAt", quota.issuedAt);
    }
  }
}

/** @throws {RangeError} not a whole number of milliseconds */
export function assertInstant(name: string, value: number): void {
  check(name, value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
}

/** Ten years, in seconds. Up to this all numbers of the window's arithmetic are exact. */
const MAX_WINDOW = 315_360_000;

function check(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`Invalid "${name}": expected an integer from ${min} to ${max}, got ${value}`);
  }
}
