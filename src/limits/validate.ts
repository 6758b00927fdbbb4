import { assertFunction, assertInteger, assertOneOf } from "../util/assertions.ts";
import type { LimitRule, Subject, SubjectName } from "./types.ts";

const SUBJECTS: readonly SubjectName[] = ["ip", "ip-prefix", "device", "user", "email", "phone", "account", "session", "player", "route"];
/** What the caller writes itself: a stranger has as many of these as it likes. */
const CHOSEN: readonly Subject[] = ["device", "user", "email", "phone", "account"];

/** The subjects of a rule as a list. */
export function subjectsOf(rule: LimitRule): readonly Subject[] {
  return typeof rule.by === "object" ? rule.by : [rule.by];
}

/**
 * Checks the rules of the limit `name` at creation.
 *
 * @throws {TypeError} a bad or repeated name, an unknown subject, a rule on text that the caller chooses without one by address beside it
 * @throws {RangeError} `limit` or `window` not an integer from 1
 */
export function validateRules(name: string, rules: readonly LimitRule[]): void {
  const fail = (why: string): never => {
    throw new TypeError(`Cannot set the limit "${name}": ${why}`);
  };
  if (!Array.isArray(rules)) fail("its rules are not a list");
  const seen = new Set<string>();
  for (const rule of rules) {
    if (typeof rule !== "object" || rule === null) fail("a rule is not an object");
    if (typeof rule.name !== "string" || !/^[\w.-]{1,40}$/.test(rule.name))
      fail(`a rule's name is not 1 to 40 of A-Z a-z 0-9 . _ -: "${rule.name}"`);
    if (seen.has(rule.name)) fail(`two rules are named "${rule.name}"`);
    seen.add(rule.name);
    const label = `limit "${name}", rule "${rule.name}"`;
    assertInteger(`${label}: limit`, rule.limit, 1);
    assertInteger(`${label}: window`, rule.window, 1, 31_536_000);
    if (rule.onStoreError !== undefined) assertOneOf(`${label}: onStoreError`, rule.onStoreError, ["deny", "allow"]);
    const by = subjectsOf(rule);
    if (!Array.isArray(by) || by.length === 0) fail(`the rule "${rule.name}" counts by nothing`);
    for (const subject of by)
      typeof subject === "string" ? assertOneOf(`${label}: by`, subject, SUBJECTS) : assertFunction(`${label}: by`, subject);
    // A stranger that only varies its own text would never be refused, and fill the store with a key for each text.
    const among = (allowed: readonly Subject[], of: readonly Subject[]): boolean => of.every((subject) => allowed.includes(subject));
    const beside = (allowed: readonly Subject[]): boolean => rules.some((other) => among(allowed, subjectsOf(other)));
    if (among(CHOSEN, by) && !beside(["ip-prefix"]))
      fail(`the rule "${rule.name}" counts what the caller chooses; add a rule by "ip-prefix"`);
    if (by.some((subject) => CHOSEN.includes(subject)) && !beside(["ip", "ip-prefix"])) {
      fail(`the rule "${rule.name}" counts what the caller chooses, too; add a rule by "ip" or "ip-prefix" alone`);
    }
  }
}
