import type { RateQuota, RateStore } from "../../src/store/contract.ts";
import { memoryStore } from "../../src/store/memory.ts";

/** What it was asked to charge, in order. */
export interface ApproximateStore extends RateStore {
  charges: (readonly RateQuota[])[];
}

/**
 * Counts as stores at the edge of a network do: several replicas, each exact by itself, that hear of each other's charges one turn of the event loop
 * later. Whoever asks all of them at once is admitted too often; whoever asks again is not.
 */
export function approximateStore(replicas = 4): ApproximateStore {
  const stores = Array.from({ length: replicas }, () => memoryStore());
  const charges: (readonly RateQuota[])[] = [];
  let turn = 0;
  return {
    consistency: "approximate",
    charges,
    async spend(quotas) {
      charges.push(quotas);
      const own = stores[turn++ % replicas] ?? memoryStore();
      const result = await own.spend(quotas);
      if (result.ok) setImmediate(() => void Promise.all(stores.filter((one) => one !== own).map((one) => one.spend(quotas))));
      await new Promise((resolve) => setImmediate(resolve));
      return result;
    },
  };
}
