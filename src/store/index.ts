/**
 * The store contract of gatepass, the keys of its quotas, and the store in memory.
 *
 * @module
 */

export type {
  Consistency,
  Quota,
  QuotaState,
  RateQuota,
  RateStore,
  RefusalWhy,
  SpendResult,
  Store,
  UsesQuota,
} from "./contract.ts";
export { isUsesQuota } from "./contract.ts";
export { MAX_KEY, partitionOf, rateKey, usesKey } from "./keys.ts";
export { type MemoryStore, type MemoryStoreOptions, memoryStore } from "./memory.ts";
