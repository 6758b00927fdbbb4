import { assertFunction, assertInteger, assertKeys, assertOneOf, invalid } from "./assertions.ts";

/** What a value must be: of a type (as `typeof` tells), a text of a form, one of some texts, or whatever a check does not throw at. */
export type Rule = "string" | "boolean" | "function" | RegExp | Check;
/** @throws {TypeError} {RangeError} the value at `path` is not what it must be */
export type Check = (path: string, value: unknown) => void;
/**
 * A rule for each member that the options `T` may have: the compiler tells which one is missing. Make them inside the function that takes the options where
 * the module has other exports: a bundler cannot drop a call at module scope.
 */
export type Rules<T = Readonly<Record<string, unknown>>> = { readonly [name in keyof T]-?: Rule };

/**
 * Checks a bag of options: its names, and each value that is given.
 *
 * @param name of the bag, for messages: the function that takes it, or the bag's path
 * @param prefix of its members' paths
 * @param required names of members that must not be undefined, apart by blanks
 * @throws {TypeError} {RangeError} no object, an unknown member, a value that its rule refuses
 */
export function assertOptions(name: string, options: unknown, rules: Rules, prefix = "", required = ""): void {
  assertKeys(name, options, Object.keys(rules));
  for (const [key, rule] of Object.entries(rules)) {
    const value = Object(options)[key];
    if (value !== undefined || required.split(" ").includes(key)) assertRule(prefix + key, value, rule);
  }
}

/** @throws {TypeError} {RangeError} */
export function assertRule(path: string, value: unknown, rule: Rule): void {
  if (typeof rule === "function") rule(path, value);
  else if (typeof rule === "string" ? typeof value !== rule : typeof value !== "string" || !rule.test(value)) {
    throw invalid(path, typeof rule === "string" ? `a ${rule}` : rule, value);
  }
}

/** An integer, both ends included. */
export function integer(min: number, max?: number): Check {
  return (path, value) => assertInteger(path, value, min, max);
}

/** A list of at least `min` values under one rule. A text is no list: spread, it would be one of its letters. */
export function listOf(rule: Rule, min = 0): Check {
  return (path, value) => {
    if (!Array.isArray(value) || value.length < min) throw invalid(path, `a list of ${min} or more`, value);
    for (const one of value) assertRule(path, one, rule);
  };
}

/** Text of a form. @param expected the form in words */
export function form(pattern: RegExp, expected: string): Check {
  return (path, value) => {
    if (typeof value !== "string" || !pattern.test(value)) throw invalid(path, expected, value);
  };
}

/** One value or a list of at least one, each under the rule. */
export function oneOrMore(rule: Rule): Check {
  return (path, value) => listOf(rule, 1)(path, [value].flat());
}

/** One of some texts. */
export function oneOf(...allowed: readonly string[]): Check {
  return (path, value) => assertOneOf(path, value, allowed);
}

/** A bag inside another one. */
export function bag(rules: Rules, required?: string): Check {
  return (path, value) => assertOptions(path, value, rules, `${path}.`, required);
}

/** An object whose members' names are the caller's own, every value under one rule. */
export function record(rule: Rule): Check {
  return (path, value) => {
    assertKeys(path, value, Object.keys(Object(value)));
    for (const [name, one] of Object.entries(Object(value))) assertRule(`${path}.${name}`, one, rule);
  };
}

/** An object with these methods: a client, a store, a board. A text with their names is none. */
export function methods(...names: readonly (string | symbol)[]): Check {
  return (path, value) => {
    for (const name of names) assertFunction(`${path}.${String(name)}`, Object(value)[name]);
  };
}

/** Whatever it is: checked where it is used. */
export const any: Check = () => undefined;
