/** @throws {TypeError} not a number @throws {RangeError} not an integer from `min` to `max` */
export function assertInteger(name: string, value: unknown, min: number, max: number = Number.MAX_SAFE_INTEGER): asserts value is number {
  if (typeof value !== "number") throw wrongType(name, "an integer", value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`Invalid "${name}": expected an integer from ${min} to ${max}, got ${value}`);
  }
}

/** @throws {TypeError} not a string @throws {RangeError} its length is not from `min` to `max`. The value is never quoted: it may be a secret. */
export function assertString(name: string, value: unknown, min = 1, max: number = Number.MAX_SAFE_INTEGER): asserts value is string {
  if (typeof value !== "string") throw wrongType(name, "a string", value);
  if (value.length < min || value.length > max) {
    throw new RangeError(`Invalid "${name}": expected ${min} to ${max} characters, got ${value.length}`);
  }
}

/** @throws {TypeError} not a function */
export function assertFunction(name: string, value: unknown): void {
  if (typeof value !== "function") throw wrongType(name, "a function", value);
}

/** @throws {TypeError} not one of `allowed` */
export function assertOneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): asserts value is T {
  if (!allowed.some((one) => one === value)) {
    throw new TypeError(`Invalid "${name}": expected one of ${allowed.map((one) => JSON.stringify(one)).join(", ")}`);
  }
}

/** @throws {TypeError} not an object, or a member that is not in `known`: a misspelt option must not be ignored */
export function assertKeys(name: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== "object" || value === null) throw wrongType(name, "an object", value);
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new TypeError(`Invalid "${name}": unknown member ${JSON.stringify(unknown)}`);
}

function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`Invalid "${name}": expected ${expected}, got ${value === null ? "null" : typeof value}`);
}
