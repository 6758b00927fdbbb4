import type { EventReason } from "../events/types.ts";
import type { PublicCode } from "../protocol.ts";

/** Why a request is refused at first sight; `reason` and `detail` are for the event alone. */
export interface Screened {
  code: PublicCode;
  reason: EventReason;
  detail?: string;
}
