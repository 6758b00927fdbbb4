import type { EventReason } from "../events/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Quota } from "../store/contract.ts";

/** A quota of a feature's own, and what its refusal is answered with. */
export interface OneUse {
  quota: Quota;
  code: PublicCode;
  reason?: EventReason | undefined;
  /** Only charged together with a use: where the mode lets a request pass that pays none, strangers would fill the store with ids. */
  beside?: boolean | undefined;
}

/** A call of a client, which may reach the gate in several requests. */
export interface Call {
  /** The call's one-use id, charged in the same spend. A repeat is refused with its code, also where the session is used up by now. Undefined: none. */
  once(payer: Payer): Promise<OneUse | undefined>;
  /** The player of a request that shows no credential: the same one for each request of the call. */
  guest(): Promise<string>;
}

/** Who pays for a request. */
export interface Payer {
  player: string;
  /** `jti` of the session or of the fresh token; undefined where neither is spent. */
  session?: string | undefined;
  /** Position in the ring of the secret that verified the session. */
  key?: number | undefined;
  /**
   * Milliseconds. An id that is kept for so long from now outlives the counter of its solve, however wrong this process's clock is.
   * If the counter outlived the id, a repeat of the call would be charged again.
   */
  life: number;
}
