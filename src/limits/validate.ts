import { MAX_QUOTAS } from "../store/validate.ts";
import { assertInteger, assertOneOf, invalid } from "../util/assertions.ts";
import { assertOptions, integer, methods, type Rules } from "../util/options.ts";
import { SUBJECTS } from "./subjects.ts";
import type { LimitRule, Subject } from "./types.ts";

/** Subjects that the client chooses itself: an attacker can have any number of them. */
const CHOSEN: readonly Subject[] = /* @__PURE__ */ SUBJECTS.slice(0, 5);

/** The largest limit of a rule. */
export const MAX_LIMIT: number = 2 ** 48;

export function isLimit(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_LIMIT;
}

/** The subjects of a rule as a list. */
export function subjectsOf(rule: LimitRule): readonly Subject[] {
  return typeof rule.by === "object" ? rule.by : [rule.by];
}

/** Whether the rule only counts by address or network, whatever the client sends. */
export function isByAddress(rule: LimitRule): boolean {
  return subjectsOf(rule).every((subject) => subject === "ip" || subject === "ip-prefix");
}

/** Quotas that the rules charge at most: three for an IPv6 address and the networks around it. */
export function quotasOf(rules: readonly LimitRule[]): number {
  return rules.reduce((sum, rule) => sum + (subjectsOf(rule).includes("ip") ? 3 : 1), 0);
}

/** Members of a rule. */
const RULE: Rules<LimitRule> = {
  name: /^[\w.-]{1,40}$/,
  limit: (path, value) => (typeof value === "function" ? undefined : assertInteger(path, value, 1, MAX_LIMIT)),
  window: integer(1, 31_536_000),
  by: (path, value) => {
    for (const subject of [value].flat()) if (typeof subject !== "function") assertOneOf(path, subject, SUBJECTS);
    if (Array.isArray(value) && value.length === 0) throw invalid(path, "one subject or more", "none");
  },
  onStoreError: (path, value) => (typeof value === "object" ? methods("limit")(path, value) : assertOneOf(path, value, ["deny", "allow"])),
};

/**
 * Checks the rules of the limit `name` at creation.
 *
 * @param most quotas that the rules may charge together
 * @throws {TypeError} a bad or repeated name, an unknown member or subject, a rule on text that the caller chooses
 * without one by address beside it
 * @throws {RangeError} `limit` or `window` not an integer from 1; more quotas than `most`
 */
export function validateRules(name: string, rules: readonly LimitRule[], most: number = MAX_QUOTAS): void {
  const label = `limits.${name}`;
  const check = (ok: boolean, why: string): void => {
    if (!ok) throw new TypeError(`Invalid "${label}": ${why}`);
  };
  check(Array.isArray(rules), "expected a list of rules");
  const seen = new Set<string>();
  for (const [i, rule] of rules.entries()) {
    assertOptions(`${label}[${i}]`, rule, RULE, `${label}[${i}].`, "name limit window by");
    check(!seen.has(rule.name), `two rules are named "${rule.name}"`);
    seen.add(rule.name);
    const by = subjectsOf(rule);
    // An attacker who varies only this text would never be refused, and would fill the store with a key for each text.
    const among = (allowed: readonly Subject[], of: readonly Subject[]): boolean => of.every((subject) => allowed.includes(subject));
    const beside = (...allowed: Subject[]): boolean => rules.some((other) => among(allowed, subjectsOf(other)));
    const ok = among(CHOSEN, by) ? beside("ip-prefix") : !by.some((one) => CHOSEN.includes(one)) || beside("ip", "ip-prefix");
    check(ok, `the rule "${rule.name}" counts what the caller chooses; add a rule by "ip-prefix" alone`);
  }
  if (quotasOf(rules) > most) throw new RangeError(`Invalid "${label}": more than ${most} quotas (a rule by "ip" has 3, another 1)`);
}
