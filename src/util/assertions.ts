/** @throws {TypeError} not a number @throws {RangeError} not an integer from `min` to `max` */
export function assertInteger(name: string, value: unknown, min: number, max: number = Number.MAX_SAFE_INTEGER): asserts value is number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw invalid(name, `an integer from ${min} to ${max}`, value, typeof value === "number" ? RangeError : TypeError);
  }
}

/** @throws {TypeError} not a string @throws {RangeError} its length is not from `min` to `max`. The value is never quoted: it may be a secret. */
export function assertString(name: string, value: unknown, min = 1, max: number = Number.MAX_SAFE_INTEGER): asserts value is string {
  if (typeof value !== "string") throw invalid(name, "a string", value);
  if (value.length < min || value.length > max) {
    throw new RangeError(`Invalid "${name}": expected ${min} to ${max} characters, got ${value.length}`);
  }
}

/** @throws {TypeError} not a function */
export function assertFunction(name: string, value: unknown): void {
  if (typeof value !== "function") throw invalid(name, "a function", value);
}

/** @throws {TypeError} not one of `allowed` */
export function assertOneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): asserts value is T {
  if (!allowed.some((one) => one === value)) throw invalid(name, `one of "${allowed.join('", "')}"`, value);
}

/**
 * Checks the names in a bag of options. A misspelt option that is ignored leaves a door open that its writer believes to be shut.
 *
 * @throws {TypeError} not an object with named members, or a member that is not in `known`
 */
export function assertKeys(name: string, value: unknown, known: readonly string[]): void {
  // A promise, a Map or an array would pass for options without a member.
  if (!/^.object (Object|Module)/.test({}.toString.call(value))) throw invalid(name, "an object", value);
  // Inherited members too: they are read like own ones.
  for (const key in Object(value)) {
    if (known.includes(key)) continue;
    const near = known.find((one) => 3 * (extra(one, key) + extra(key, one)) <= key.length);
    const hint = near ? `did you mean "${near}"?` : `expected one of ${known.join(", ")}`;
    throw new TypeError(`Invalid "${name}": unknown member "${key}", ${hint}`);
  }
}

/** How many letters of `a` are not in `b`. */
function extra(a: string, b: string): number {
  return [...b].reduce((rest, letter) => rest.replace(letter, ""), a).length;
}

/** The error for a value that cannot be. The value is told, unless its name says that it is a secret; a number or a flag is none. */
export function invalid(name: string, expected: unknown, value: unknown, Failure: new (message: string) => Error = TypeError): Error {
  const mayBeSecret = /secret|token|key/i.test(name) && (typeof value === "string" || Object(value) === value);
  const got = mayBeSecret ? typeof value : `${value}`.slice(0, 100);
  return new Failure(`Invalid "${name}": expected ${expected}, got ${got}`);
}
