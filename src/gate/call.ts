import type { EventReason } from "../events/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Quota } from "../store/contract.ts";

/** A feature's own quota, and the code of its refusal. */
export interface OneUse {
  quota: Quota;
  code: PublicCode;
  reason?: EventReason | undefined;
  /**
   * Only charged together with a use. Where the mode lets a request pass without a use, it is left out: otherwise
   * attackers could fill the store with one-use ids.
   */
  beside?: boolean | undefined;
}

/** One call of a client. Retries may bring it to the gate in several requests. */
export interface Call {
  /**
   * The call's one-use id, charged in the same spend. A repeat is refused with its code, also when the session is used
   * up by now. Undefined: no id.
   */
  once(payer: Payer): Promise<OneUse | undefined>;
  /** The player of a request that shows no credential: the same one for each request of the call. */
  guest(): Promise<string>;
}

/** The player and credential that pay for a request. */
export interface Payer {
  player: string;
  /** `jti` of the session or of the fresh token; undefined where neither is spent. */
  session?: string | undefined;
  /** Position in the ring of the secret that verified the session. */
  key?: number | undefined;
  /**
   * Milliseconds. An id that is kept for so long from now outlives the counter of its solve, however wrong this
   * process's clock is. If the counter outlived the id, a repeat of the call would be charged again.
   */
  life: number;
}
