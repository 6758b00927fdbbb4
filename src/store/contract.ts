import type { ConfigProblem } from "../errors.ts";

/**
 * How sure a store's answers are.
 *
 * - `exact`: linearizable for all processes that share the store
 * - `local`: exact inside one process
 * - `approximate`: may admit too much
 */
export type Consistency = "exact" | "local" | "approximate";

/** Counted until `expiresAt`: a token with `limit` uses. */
export interface UsesQuota {
  key: string;
  /** Uses in all, an integer from 1. */
  limit: number;
  /** Integer 0..limit, default 1; 0 reads: never refuses, never writes. */
  cost?: number;
  /** Milliseconds since the epoch; the later of two for one key is kept. */
  expiresAt: number;
  /** Milliseconds since the epoch: when what is spent was issued. A local store refuses what is older than itself. */
  issuedAt?: number;
}

/** A sliding window: at most `limit` units in any closed interval of `window` seconds. */
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
  /** Milliseconds since the epoch: when units come back (rate: when the key is empty again; uses: `expiresAt`). */
  resetAt: number;
  /** Set for every quota that would refuse, also at cost 0. */
  why?: RefusalWhy;
}

/** The answer to a spend. */
export interface SpendResult {
  ok: boolean;
  /** The store's clock, milliseconds since the epoch; what `refund` needs. */
  at: number;
  /** Index of the first refusing uses quota, else of the refusing rate quota with the longest wait; null when ok. */
  refused: number | null;
  /** Whole seconds: the longest wait over all refusing rate quotas; 0 when ok or when only uses refuse. */
  retryAfter: number;
  /** One per quota, in their order. */
  states: QuotaState[];
}

/** Counts rates and nothing else. */
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

/** Counts everything: the one stateful contract of gatepass. */
export interface Store extends RateStore {
  /**
   * Charges every quota, or none. One round trip on a single-node backend.
   *
   * @throws {RangeError} more than 16 quotas, a key twice, a cost outside 0..limit
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE` within the store's timeout, `ERR_STORE_FULL`
   */
  spend(quotas: readonly Quota[]): Promise<SpendResult>;
  /** Gives back what one admitted spend charged at its `at`. At most once, best effort, never retried. */
  refund(quotas: readonly Quota[], at: number): Promise<void>;
  /** Makes every later spend of `key` fail until `expiresAt` (ms); the later of two wins; `expiresAt <= now` lifts it. */
  block(key: string, expiresAt: number): Promise<void>;
  /**
   * Removes at most `max` dead entries and tells how many; for backends without native expiry.
   *
   * @param deadFor milliseconds that an entry must have been dead, where each process goes by its own clock. Default the store's own; others ignore it
   */
  sweep?(max?: number, deadFor?: number): Promise<number>;
  /** What is wrong with the backend's configuration. */
  check?(): Promise<ConfigProblem[]>;
  /** Ends what the adapter itself opened. */
  close?(): Promise<void>;
}

/** Whether a quota is counted until an instant, rather than per window. */
export function isUsesQuota(quota: Quota): quota is UsesQuota {
  return "expiresAt" in quota;
}
