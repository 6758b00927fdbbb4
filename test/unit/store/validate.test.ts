import { expect, it } from "vitest";
import type { Quota } from "../../../src/store/contract.ts";
import { assertInstant, assertQuotas } from "../../../src/store/validate.ts";

const max = Number.MAX_SAFE_INTEGER;
const rate = { key: "r", limit: 5, window: 60 };
const uses = { key: "u", limit: 5, expiresAt: 1 };
const many = (count: number): object[] => Array.from({ length: count }, (_, i) => ({ ...rate, key: `k${i}` }));

it.each<[quotas: unknown[], message: string]>([
  [many(17), "Invalid quotas: expected at most 16, got 17"],
  // biome-ignore lint/suspicious/noSparseArray: what is tested
  [[rate, , uses], "Invalid quotas: a hole"],
  [[{ ...rate, key: "" }], 'Invalid "key": expected a text that is not empty'],
  [[{ ...rate, key: 5 }], 'Invalid "key": expected a text that is not empty'],
  [[rate, uses, { ...uses, key: "r" }], "Invalid quotas: a key occurs twice"],
  [[{ ...rate, limit: 0 }], `Invalid "limit": expected an integer from 1 to ${max}, got 0`],
  [[{ ...rate, limit: max + 1 }], `Invalid "limit": expected an integer from 1 to ${max}, got ${max + 1}`],
  [[{ ...rate, limit: Number.NaN }], `Invalid "limit": expected an integer from 1 to ${max}, got NaN`],
  [[{ ...rate, cost: -1 }], 'Invalid "cost": expected an integer from 0 to 5, got -1'],
  [[{ ...uses, cost: 6 }], 'Invalid "cost": expected an integer from 0 to 5, got 6'],
  [[{ ...rate, cost: 0.5 }], 'Invalid "cost": expected an integer from 0 to 5, got 0.5'],
  [[{ ...rate, window: 0 }], 'Invalid "window": expected an integer from 1 to 315360000, got 0'],
  [[{ ...rate, window: 315_360_001 }], 'Invalid "window": expected an integer from 1 to 315360000, got 315360001'],
  [[{ ...uses, expiresAt: 0.5 }], `Invalid "expiresAt": expected an integer from ${-max} to ${max}, got 0.5`],
  [[{ ...uses, issuedAt: Number.NaN }], `Invalid "issuedAt": expected an integer from ${-max} to ${max}, got NaN`],
])("refuses %j", (quotas, message) => {
  // Quotas that no type checker saw.
  expect(() => assertQuotas(quotas as Quota[])).toThrow(new RangeError(message));
});

it.each<[quotas: unknown[]]>([
  [[]],
  [many(16)],
  [[rate, uses]],
  [[{ ...rate, limit: 1, cost: 1, window: 1 }]],
  [[{ ...rate, limit: max, cost: 0, window: 315_360_000 }]],
  [[{ ...uses, cost: 5, expiresAt: -max, issuedAt: max }]],
])("accepts %j", (quotas) => {
  // As above.
  expect(() => assertQuotas(quotas as Quota[])).not.toThrow();
});

it("names the instant that is none", () => {
  expect(() => assertInstant("at", Number.POSITIVE_INFINITY)).toThrow('Invalid "at": expected an integer');
});
