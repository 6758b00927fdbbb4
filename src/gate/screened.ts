import type { EventReason } from "../events/types.ts";
import type { PublicCode } from "../protocol.ts";

/** Why a feature's `screen` refuses a request. Only the code is public; `reason` and `detail` go into the event. */
export interface Screened {
  code: PublicCode;
  reason: EventReason;
  detail?: string;
}
