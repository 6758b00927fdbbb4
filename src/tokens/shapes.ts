// Checks of claims. Whoever has the secret may sign, but what it signs must still have the shape of what it is called.

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

/** The last second since the epoch that a Date can tell. A store could not count until later. */
const LAST = 8_640_000_000_000;

/** A whole number from 1 to `max`, by default a whole second since the epoch: a fraction is a NumericDate too, but no instant of a counter. */
export function isCount(value: unknown, max: number = LAST): boolean {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= max;
}
