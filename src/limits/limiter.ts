import type { RateStore, Store } from "../store/contract.ts";
import type { LimitResult, LimitRule, Subjects } from "./types.ts";

/** Options of {@link createLimiter}. */
export interface LimiterOptions {
  /** `block` and `refund` need a whole `Store`. */
  store: RateStore | Store;
  rules: readonly LimitRule[];
  /** Who asks, for `limit(request)`. */
  subjects?(request: Request): Subjects | Promise<Subjects>;
  /** Default `deny`. */
  onStoreError?: "deny" | "allow";
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
}

/** A limit of its own, outside a gate. */
export interface Limiter {
  /** Charges every layer, or none. */
  limit(who: Subjects | Request): Promise<LimitResult>;
  /** The state, nothing charged. */
  peek(who: Subjects | Request): Promise<LimitResult>;
  /** Gives back what the `limit` call that returned this very result charged. Once. */
  refund(result: LimitResult): Promise<void>;
  /** Refuses whoever asks until `expiresAt` (ms) by the rule `rule` (default the first); false when the rule does not apply. */
  block(who: Subjects | Request, expiresAt: number, rule?: string): Promise<boolean>;
}

/** @throws {TypeError} {RangeError} as `validateRules` */
export function createLimiter(options: LimiterOptions): Limiter {
  void options;
  throw new TypeError("Cannot create the limiter");
}
