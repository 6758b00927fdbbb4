import type { Consistency, SpendResult } from "../store/contract.ts";
import { rateKey } from "../store/keys.ts";
import { rateHeaders } from "./headers.ts";
import { NOT_PLAIN } from "./subjects.ts";
import type { LimitLayer, LimitResult, LimitRule, SubjectName, Subjects } from "./types.ts";
import { isLimit, MAX_LIMIT, subjectsOf } from "./validate.ts";

/**
 * What the rules charge whoever asks, in the order of the rules. A rule by `ip` or `ip-prefix` of an unknown address, and one by `email` or `phone` of what
 * is no plain address or number: one shared bucket with a tenth of the limit (whatever else it counts by: with other text in the key, each text would be
 * a bucket of its own). A rule of which another subject is unknown does not apply.
 *
 * @param subjects in their one spelling, see `canonicalSubjects`
 * @param limitName keeps counters of equally named rules of two limits apart
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
    // Whoever owns a network has as many /64 as it likes: the networks around count too. All in the partition of the /48, for one round trip.
    const around = known.map((value, i) => (by[i] === "ip" ? ip.slice(0, 12) : value));
    const network = (digits: number, times: number): LimitLayer => layer(times, around, `.${ip.slice(12, digits)}`);
    return [network(16, 1), { ...network(14, 4), prefix: 56 }, { ...network(12, 16), prefix: 48 }];
  });
}

/** The limit in force. @throws {RangeError} a function that gives no limit: "as many as you like" is never meant */
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

/** Whether a subject names nobody, though everybody has one. */
function isNobody(subject: SubjectName, value: string | undefined): boolean {
  return subject === "ip" || subject === "ip-prefix" ? !value : (subject === "email" || subject === "phone") && value === NOT_PLAIN;
}

/** The outcome of layers that were charged from index `offset` on of a spend: of the refusing, else the tightest one. */
export function limitResult(layers: readonly LimitLayer[], spend: SpendResult, offset: number, accuracy: Consistency): LimitResult {
  const seen = layers.flatMap((layer, i) => {
    const state = spend.states[offset + i];
    return state ? [{ ...layer, state, refused: !spend.ok && state.why !== undefined, chosen: spend.refused === offset + i }] : [];
  });
  const [tightest] = seen.toSorted(
    (a, b) => Number(b.chosen) - Number(a.chosen) || Number(b.refused) - Number(a.refused) || a.state.remaining - b.state.remaining,
  );
  const success = !tightest?.refused;
  // A refused read knows no wait: until all is back, then.
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
