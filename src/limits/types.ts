import type { Consistency, RateQuota, RefusalWhy } from "../store/contract.ts";

/** What a limit is counted by. */
export type SubjectName = "ip" | "ip-prefix" | "device" | "user" | "email" | "phone" | "account" | "session" | "player" | "route";

/**
 * Who asks, as far as known. Where gatepass counts, one subject has one spelling:
 *
 * - `ip`: an IPv4 address or an IPv6 /64, `ip-prefix`: a /24 or a /48. In any spelling; what is no address is unknown
 * - `email`: without case, white space, quotes and `+tag`; the domain as IDNA spells it; at gmail.com and googlemail.com, which are one, without dots
 * - `phone`: its digits, `+49 (0)30 1234`, `0049 30 1234` and `tel:+49-30-1234` being one. Give E.164: without a country code nobody can tell more
 * - what is no plain `email` or `phone` (`Ann <ann@mail.example>`, `mailto:ann@mail.example`, a list of two) is counted in one bucket that all such texts
 *   share, with a tenth of the limit: give the bare address that you write to
 * - `route`: a route of the gate, as `POST /api/scores`, or what a call gave as its `subject`
 * - the others exactly as given: give the id of a row rather than what a visitor typed. Where people log in by address, count by `email`
 *
 * This is for counting alone: neither an address to write to nor proof that two visitors are one.
 */
export type Subjects = { [name in SubjectName]?: string | undefined };

/** A subject by name, or a function of the request. */
export type Subject = SubjectName | ((request: Request, subjects: Subjects) => string | undefined);

/**
 * One layer of a limit.
 *
 * A rule by `ip` counts an IPv6 client three times: its /64 by `limit`, the /56 around it by 4 times and the /48 by 16 times as much, so that who
 * owns a whole network is not a new visitor at each of its 65,536 addresses. The price: a household (mostly a /56) has 4 places, and 16 together
 * are all that the visitors of one /48 have, who may be strangers to each other at a carrier. (Behind one IPv4 address they had one.)
 * `by: (request, { ip }) => ip` counts the /64 alone.
 */
export interface LimitRule {
  /** Names the policy in the rate headers and the store's key. */
  name: string;
  /**
   * Units per window, an integer from 1. A function gives each caller a limit of its own, by plan say: it is asked with the subjects at every request,
   * and must answer at once. Callers of one key should get one number. Another answer than such an integer is a `RangeError`, and nothing is admitted.
   */
  limit: number | ((subjects: Subjects) => number);
  /** Seconds, an integer from 1. */
  window: number;
  /** What is counted; several are counted together (their combination). */
  by: Subject | readonly Subject[];
  /**
   * What happens when the store is down. Default: the gate's (or the limiter's) `onStoreError`.
   *
   * - `deny`: refused
   * - `allow`: passes uncounted
   * - a limiter, e.g. one over `memoryStore()`: counted there, by the rules there. Several rules may name one; it is asked once
   *
   * Whatever passes says `degraded`, and a session's use never passes.
   */
  onStoreError?: "deny" | "allow" | Limiter;
}

/** One quota of a limit: of a rule, for whoever asks. */
export interface LimitLayer {
  quota: RateQuota;
  /** With the limit in force. */
  rule: LimitRule & { limit: number };
  /** Bits of the IPv6 network that is counted here, where it is more than the client's own /64. */
  prefix?: 56 | 48;
  /** The bucket of all whose address is unknown, or whose email or phone is no plain one. */
  shared?: true;
}

/** The outcome of a limit. */
export interface LimitResult {
  success: boolean;
  /** Of the tightest layer. */
  limit: number;
  /** Of the tightest layer. */
  remaining: number;
  /** Milliseconds since the epoch. */
  reset: number;
  /** Seconds, 0 when `success`. Of a peek: until all units are back, which one call need not wait for; of a block 1 at least. */
  retryAfter: number;
  /** Why it refuses: `full`, or `blocked`. None where `success`, and none of a store that is down. */
  reason?: RefusalWhy;
  /** Name of the refusing (else the tightest) rule. */
  rule?: string;
  /** Bits of the IPv6 network that is the tightest layer, where it is more than the client's own /64. */
  prefix?: 56 | 48;
  /** The store was down; `onStoreError` decided. */
  degraded: boolean;
  accuracy: Consistency;
  /** For the answer to whoever asked: `RateLimit` and `RateLimit-Policy` of all rules that counted, and `Retry-After` unless `success`. */
  headers: Headers;
}

/** A limit of its own, outside a gate. */
export interface Limiter {
  /**
   * Charges every layer, or none. When the store is down the result is `degraded`; see `onStoreError`.
   *
   * @param request for rules that count by a function, where `who` is no request
   */
  limit(who: Subjects | Request, request?: Request): Promise<LimitResult>;
  /** The state, nothing charged: `success` tells whether a charge would be admitted now. */
  peek(who: Subjects | Request, request?: Request): Promise<LimitResult>;
  /**
   * Gives back what the `limit` call that returned this very result charged, where it was charged (a fallback, while the store was down).
   * Once; false when there is nothing (more) to give back.
   *
   * @throws {TypeError} the store counts rates alone @throws {GatepassError} `ERR_STORE_UNAVAILABLE`
   */
  refund(result: LimitResult): Promise<boolean>;
  /**
   * Refuses whoever asks until `expiresAt` (ms); an instant that is over lifts it. False when the rule does not apply to them. A fallback of
   * `onStoreError` is a limiter of its own and knows nothing of it.
   *
   * @throws {TypeError} an unknown rule; the store counts rates alone @throws {GatepassError} `ERR_STORE_UNAVAILABLE`
   */
  block(who: Subjects | Request, expiresAt: number, options?: BlockOptions): Promise<boolean>;
}

/** What {@link Limiter.block} blocks. */
export interface BlockOptions {
  /** Name of the rule whose subject is blocked. Default: the first. */
  rule?: string;
  /** Of an IPv6 client and a rule by `ip`: the client's /64 (default), or with it the /56 or /48 around it, and whoever else is there. */
  prefix?: 64 | 56 | 48;
}
