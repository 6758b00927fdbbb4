import type { Consistency, SpendResult } from "../store/contract.ts";
import { rateKey } from "../store/keys.ts";
import { rateHeaders } from "./headers.ts";
import { NOT_PLAIN } from "./subjects.ts";
import type { LimitLayer, LimitResult, LimitRule, SubjectName, Subjects } from "./types.ts";
import { isLimit, MAX_LIMIT, subjectsOf } from "./validate.ts";

/**
 * The quotas that the rules charge for these subjects, in the order of the rules.
 *
 * An unknown address, or an email or phone that is not a plain one, is counted in one shared bucket of the rule with a
 * tenth of the limit. The rule's other subjects are not in that key: otherwise an attacker could get a new bucket by
 * varying them. If another subject is unknown, the rule does not apply.
 *
 * @param subjects in canonical spelling, see `canonicalSubjects`
 * @param limitName part of the key, so that rules of one name in two limits have counters of their own
 * @throws {RangeError} a rule's function gives no valid limit
 */
export function planLimits(rules: readonly LimitRule[], subjects: Subjects, request: Request, limitName = ""): LimitLayer[] {
  return rules.flatMap((given): LimitLayer[] => {
    const rule = inForce(given, subjects);
    const { limit } = rule;
    const by = subjectsOf(rule);
    const layer = (times: number, who: readonly unknown[], network = ""): LimitLayer => {
      const named = { name: (limitName && `${limitName}.`) + rule.name + network, window: rule.window };
      return { quota: { key: rateKey(named, who.map(String)), limit: limit * times, window: rule.window }, rule };
    };
    if (by.some((subject) => typeof subject === "string" && isNobody(subject, subjects[subject]))) {
      const tenth = Math.max(1, Math.floor(limit / 10));
      return [{ quota: { ...layer(1, ["unknown"]).quota, limit: tenth }, rule: { ...rule, limit: tenth }, shared: true }];
    }
    const known = by.map((subject) => (typeof subject === "function" ? subject(request, subjects) : subjects[subject]));
    if (known.some((value) => !value)) return [];
    const { ip = "" } = subjects;
    if (!by.includes("ip") || ip.includes(".")) return [layer(1, known)];
    // The owner of an IPv6 network has thousands of /64, so the networks around are counted too. All three keys are in
    // the /48's partition: one round trip.
    const around = known.map((value, i) => (by[i] === "ip" ? ip.slice(0, 12) : value));
    const network = (digits: number, times: number): LimitLayer => layer(times, around, `.${ip.slice(12, digits)}`);
    return [network(16, 1), { ...network(14, 4), prefix: 56 }, { ...network(12, 16), prefix: 48 }];
  });
}

/**
 * The limit of a rule for these subjects.
 *
 * @throws {RangeError} the function's answer is not an integer from 1. No answer means "unlimited"
 */
export function limitOf({ name, limit }: LimitRule, subjects: Subjects): number {
  if (typeof limit === "number") return limit;
  const own: unknown = limit(subjects);
  if (!isLimit(own))
    throw new RangeError(`Invalid limit of the rule "${name}": expected an integer from 1 to ${MAX_LIMIT}, got ${String(own)}`);
  return own;
}

function inForce(rule: LimitRule, subjects: Subjects): LimitRule & { limit: number } {
  return isFixed(rule) ? rule : { ...rule, limit: limitOf(rule, subjects) };
}

function isFixed(rule: LimitRule): rule is LimitRule & { limit: number } {
  return typeof rule.limit === "number";
}

/**
 * Whether a subject is unusable although every client has one: an unknown address, or text that is no plain email or
 * phone.
 */
function isNobody(subject: SubjectName, value: string | undefined): boolean {
  return subject === "ip" || subject === "ip-prefix" ? !value : (subject === "email" || subject === "phone") && value === NOT_PLAIN;
}

/**
 * The result of the layers whose quotas begin at index `offset` of a spend: of the refusing layer, else of the
 * tightest.
 */
export function limitResult(layers: readonly LimitLayer[], spend: SpendResult, offset: number, accuracy: Consistency): LimitResult {
  const seen = layers.flatMap((layer, i) => {
    const state = spend.states[offset + i];
    return state ? [{ ...layer, state, refused: !spend.ok && state.why !== undefined, chosen: spend.refused === offset + i }] : [];
  });
  const [tightest] = seen.toSorted(
    (a, b) => Number(b.chosen) - Number(a.chosen) || Number(b.refused) - Number(a.refused) || a.state.remaining - b.state.remaining,
  );
  const success = !tightest?.refused;
  // A read has no `retryAfter`. Give the time until all units are back.
  const wait = Math.max(1, ...seen.map(({ refused, state }) => (refused ? Math.ceil((state.resetAt - spend.at) / 1000) : 0)));
  const retryAfter = success ? 0 : spend.retryAfter || wait;
  const headers = rateHeaders(seen, spend.at, retryAfter);
  if (!success) headers.set("retry-after", String(retryAfter));
  return {
    success,
    limit: tightest?.quota.limit ?? Number.POSITIVE_INFINITY,
    remaining: tightest?.state.remaining ?? Number.POSITIVE_INFINITY,
    reset: tightest?.state.resetAt ?? spend.at,
    retryAfter,
    ...(tightest?.refused && tightest.state.why && { reason: tightest.state.why }),
    ...(tightest && { rule: tightest.rule.name }),
    ...(tightest?.prefix && { prefix: tightest.prefix }),
    degraded: false,
    accuracy,
    headers,
  };
}
