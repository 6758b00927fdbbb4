// Checks of claims. Another program may sign with the same secret, so a token with a valid MAC may still have claims of
// another shape.

/** Some text. */
export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** A list of at least one text, and of nothing else. */
export function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isText);
}

/** True or false. */
export function isFlag(value: unknown): boolean {
  return typeof value === "boolean";
}

/** The last second since the epoch that a Date can hold. */
const LAST = 8_640_000_000_000;

/**
 * A whole number from 1 to `max`. Default: a whole second since the epoch. A NumericDate may be a fraction, but a
 * counter's instant may not.
 */
export function isCount(value: unknown, max: number = LAST): boolean {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= max;
}
