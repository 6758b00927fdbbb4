import type { ConfigProblem } from "../errors.ts";

/**
 * How exactly a store counts.
 *
 * - `exact`: linearizable for all processes that share the store
 * - `local`: exact inside one process
 * - `approximate`: may admit more than the limit
 */
export type Consistency = "exact" | "local" | "approximate";

/** A quota that is counted until `expiresAt`: a token with `limit` uses. */
export interface UsesQuota {
  key: string;
  /** Uses in all, an integer from 1. */
  limit: number;
  /** Integer 0..limit, default 1; 0 reads: never refuses, never writes. */
  cost?: number;
  /** Milliseconds since the epoch. If two spends of one key differ, the later instant is kept. */
  expiresAt: number;
  /**
   * Milliseconds since the epoch: when the token was issued. A local store refuses a token that is older than the
   * store. Default: not checked.
   */
  issuedAt?: number;
}

/** A quota with a sliding window: at most `limit` units in any closed interval of `window` seconds. */
export interface RateQuota {
  key: string;
  /** Units in a window, an integer from 1. */
  limit: number;
  /** Integer 0..limit, default 1; 0 reads: never refuses, never writes. */
  cost?: number;
  /** Seconds, an integer from 1. */
  window: number;
}

/** One thing to charge. */
export type Quota = UsesQuota | RateQuota;

/** Why a quota would refuse one more unit (or its cost). */
export type RefusalWhy = "full" | "blocked" | "expired" | "forgotten";

/** The state of one quota after a spend (before it, where the batch was refused). */
export interface QuotaState {
  /** Units left. */
  remaining: number;
  /** Milliseconds since the epoch. A rate: when all its units are back. Uses: when they expire. */
  resetAt: number;
  /** Set for every quota that would refuse, also at cost 0. */
  why?: RefusalWhy;
}

/** The answer to a spend. */
export interface SpendResult {
  ok: boolean;
  /** The time by the store's clock, milliseconds since the epoch. `refund` needs it. */
  at: number;
  /** Index of the first refusing uses quota, else of the refusing rate quota with the longest wait; null when ok. */
  refused: number | null;
  /** Whole seconds: the longest wait over all refusing rate quotas; 0 when ok or when only uses refuse. */
  retryAfter: number;
  /** One per quota, in their order. */
  states: QuotaState[];
}

/** A store that only counts rates. */
export interface RateStore {
  readonly consistency: Consistency;
  /**
   * Charges every quota, or none. One round trip on a single-node backend.
   *
   * @throws {RangeError} more than 16 quotas, a key twice, a cost outside 0..limit
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE` within the store's timeout, `ERR_STORE_FULL`
   */
  spend(quotas: readonly RateQuota[]): Promise<SpendResult>;
}

/** A store that counts uses and rates: all state of gatepass except boards. */
export interface Store extends RateStore {
  /**
   * Charges every quota, or none. One round trip on a single-node backend.
   *
   * @throws {RangeError} more than 16 quotas, a key twice, a cost outside 0..limit
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE` within the store's timeout, `ERR_STORE_FULL`
   */
  spend(quotas: readonly Quota[]): Promise<SpendResult>;
  /**
   * Gives back the charges of one admitted spend. Call it at most once for a spend. Best effort: it is not retried.
   *
   * @param at the `at` of that spend's result
   */
  refund(quotas: readonly Quota[], at: number): Promise<void>;
  /**
   * Refuses every spend of `key` until `expiresAt` (milliseconds since the epoch). Of two blocks the later end counts;
   * an instant in the past lifts it.
   */
  block(key: string, expiresAt: number): Promise<void>;
  /**
   * Removes at most `max` expired entries and returns how many; for backends that do not expire entries themselves.
   *
   * @param deadFor milliseconds for which an entry must have been expired. Only for stores where each process uses its
   * own clock. Default: four hours
   */
  sweep?(max?: number, deadFor?: number): Promise<number>;
  /** Problems of the backend's configuration. */
  check?(): Promise<ConfigProblem[]>;
  /** Closes what the adapter itself opened. */
  close?(): Promise<void>;
}

/** Whether a quota counts uses until an instant, not a rate. */
export function isUsesQuota(quota: Quota): quota is UsesQuota {
  return "expiresAt" in quota;
}
