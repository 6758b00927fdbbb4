import type { EventType, SecurityEvent } from "../events/types.ts";

/** Collects events. */
export interface EventRecorder {
  /** Give this as `onEvent`. */
  (event: SecurityEvent): void;
  /** All events so far, first one first. */
  readonly events: readonly SecurityEvent[];
  /** The events of one type. */
  of(type: EventType): SecurityEvent[];
  /** Forgets all. */
  clear(): void;
}

/**
 * An `onEvent` that remembers.
 *
 * @example
 * ```ts
 * import { eventRecorder } from "gatepass/testing";
 * const recorder = eventRecorder();
 * recorder({ v: 1, type: "session_issued", at: 0, outcome: "allow" });
 * console.assert(recorder.of("session_issued").length === 1);
 * ```
 */
export function eventRecorder(): EventRecorder {
  const events: SecurityEvent[] = [];
  return Object.assign((event: SecurityEvent): void => void events.push(event), {
    events,
    of: (type: EventType): SecurityEvent[] => events.filter((event) => event.type === type),
    clear: (): void => void events.splice(0),
  });
}
