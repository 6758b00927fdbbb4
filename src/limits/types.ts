import type { Consistency, RateQuota, RefusalWhy } from "../store/contract.ts";

/** The subjects that a limit may count by, see {@link Subjects}. */
export type SubjectName = "ip" | "ip-prefix" | "device" | "user" | "email" | "phone" | "account" | "session" | "player" | "route";

/**
 * What is known about the client of a request. A limit counts each subject in one canonical spelling:
 *
 * - `ip`: an IPv4 address or an IPv6 /64, `ip-prefix`: a /24 or a /48. In any spelling; text that is not an address
 *   counts as unknown
 * - `email`: without case, `+tag`, white space at the ends and quotes around the name; the domain as IDNA spells
 *   it; at gmail.com and googlemail.com, which are one, without dots
 * - `phone`: its digits; `+49 (0)30 1234`, `0049 30 1234` and `tel:+49-30-1234` are the same. Give E.164: a number
 *   without a country code is not recognised as the same number with one
 * - an `email` or `phone` that is not a plain one (`Ann <ann@mail.example>`, `mailto:ann@mail.example`, a list of two):
 *   all such texts share one counter with a tenth of the limit. Give the bare address that you send to
 * - `route`: a route of the gate, as `POST /api/scores`, or the `subject` that `protect` was given
 * - the others exactly as given: give a row's id rather than what a visitor typed. Where people log in by email
 *   address, count by `email`
 *
 * Use these spellings for counting only. Do not send to them, and do not take equal spellings as proof that two
 * visitors are the same.
 */
export type Subjects = { [name in SubjectName]?: string | undefined };

/** A subject by name, or a function of the request. */
export type Subject = SubjectName | ((request: Request, subjects: Subjects) => string | undefined);

/**
 * One layer of a limit.
 *
 * A rule by `ip` counts an IPv6 client three times: its /64 with `limit`, the /56 around it with 4 times `limit`, and
 * the /48 with 16 times `limit`. Otherwise the owner of a /48 would be a new visitor in each of its 65,536 /64.
 *
 * The cost: a household (mostly a /56) has 4 times the limit in all, and all visitors of one /48 share 16 times the
 * limit, also where a carrier puts strangers into one /48. (Behind one IPv4 address they would share the limit itself.)
 * `by: (request, { ip }) => ip` only counts the /64.
 */
export interface LimitRule {
  /** 1 to 40 of `A-Z a-z 0-9 _ . -`. Names the rule in the rate headers and in the store's keys. */
  name: string;
  /**
   * Units per window, an integer from 1. A function may give a limit by the subjects, e.g. by a customer's plan. It is
   * called at every request, and must not be async. It should give one number for all requests of one key. Any other
   * answer is a `RangeError`, and nothing is admitted.
   */
  limit: number | ((subjects: Subjects) => number);
  /** Seconds, an integer from 1 to 31536000 (a year). */
  window: number;
  /** The subject that is counted. Several: each combination of their values has a counter. */
  by: Subject | readonly Subject[];
  /**
   * What happens when the store is down. Default: the gate's (or the limiter's) `onStoreError`.
   *
   * - `deny`: refused
   * - `allow`: passes uncounted
   * - a limiter, e.g. one over `memoryStore()`: counted there, by the limiter's own rules. Several rules may name one
   *   limiter; it is asked once
   *
   * A result that passed like this has `degraded: true`. A request that spends a session's use never passes while the
   * store is down.
   */
  onStoreError?: "deny" | "allow" | Limiter;
}

/** One quota of a rule, for the subjects of one request. */
export interface LimitLayer {
  quota: RateQuota;
  /** The rule, with its limit as a number. */
  rule: LimitRule & { limit: number };
  /** Bits of the IPv6 network that is counted, where it is larger than the client's /64. */
  prefix?: 56 | 48;
  /** The counter of everybody whose address is unknown, or whose email or phone is not a plain one. */
  shared?: true;
}

/** The outcome of a limit. */
export interface LimitResult {
  success: boolean;
  /** Units per window of the tightest layer; infinite where no rule applies. */
  limit: number;
  /** Units left in the tightest layer. */
  remaining: number;
  /** Milliseconds since the epoch: when all units of the tightest layer are back. */
  reset: number;
  /**
   * Seconds, 0 when `success`. For a peek: until all units are back, which is longer than a call has to wait. For a
   * block at least 1.
   */
  retryAfter: number;
  /** Why it refuses: `full` or `blocked`. Undefined when `success`, and while the store is down. */
  reason?: RefusalWhy;
  /** Name of the refusing (else the tightest) rule. */
  rule?: string;
  /** Bits of the tightest layer's IPv6 network, where it is larger than the client's /64. */
  prefix?: 56 | 48;
  /** The store was down; `onStoreError` decided. */
  degraded: boolean;
  /** How exactly the store, or the fallback, counts. */
  accuracy: Consistency;
  /**
   * Headers for the answer: `RateLimit` and `RateLimit-Policy` of all rules that counted, and `Retry-After` unless
   * `success`.
   */
  headers: Headers;
}

/** A limit outside a gate. */
export interface Limiter {
  /**
   * Charges every layer, or none. While the store is down the result is `degraded`; see `onStoreError`.
   *
   * @param request for rules that count by a function, where `who` is not a request
   */
  limit(who: Subjects | Request, request?: Request): Promise<LimitResult>;
  /** The state. Nothing is charged; `success` tells whether a charge would be admitted now. */
  peek(who: Subjects | Request, request?: Request): Promise<LimitResult>;
  /**
   * Gives back the charge of the `limit` call that returned this result object. If a fallback counted it, the
   * fallback's charge is given back. Works once; false when there is nothing to give back.
   *
   * @throws {TypeError} the store only counts rates @throws {GatepassError} `ERR_STORE_UNAVAILABLE`
   */
  refund(result: LimitResult): Promise<boolean>;
  /**
   * Refuses these subjects until `expiresAt` (milliseconds since the epoch); an instant in the past lifts the block.
   * False when the rule does not apply to them, or when they share a counter with others. A fallback of `onStoreError`
   * does not know the block.
   *
   * @throws {TypeError} an unknown rule or `prefix`; the store only counts rates
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`
   */
  block(who: Subjects | Request, expiresAt: number, options?: BlockOptions): Promise<boolean>;
}

/** What {@link Limiter.block} blocks. */
export interface BlockOptions {
  /** Name of the rule whose subject is blocked. Default: the first. */
  rule?: string;
  /**
   * For an IPv6 client and a rule by `ip`: the client's /64 (default), or the /56 or /48 around it with everybody in
   * there.
   */
  prefix?: 64 | 56 | 48;
}
