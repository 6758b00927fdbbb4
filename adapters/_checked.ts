import type { Store } from "../src/store/contract.ts";
import type { Place } from "../src/store/partitioned.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import type { Call } from "./_call.ts";

/** An exact store over a backend: arguments are checked before anything is sent, and every call ends in time. */
export function checkedStore(place: Place, call: Call): Store {
  return {
    consistency: "exact",
    async spend(quotas) {
      assertQuotas(quotas);
      return call(() => place.spend(quotas));
    },
    async refund(quotas, at) {
      assertQuotas(quotas);
      assertInstant("at", at);
      await call(() => place.refund(quotas, at));
    },
    async block(key, expiresAt) {
      assertInstant("expiresAt", expiresAt);
      await call(() => place.block(key, expiresAt));
    },
  };
}
