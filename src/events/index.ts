import type { ErrorCode } from "../errors.ts";
import { STATUS } from "../protocol.ts";
import { redactText } from "./redact.ts";
import type { EventFields, EventReason, Events, EventType, SecurityEvent } from "./types.ts";

export { redactText } from "./redact.ts";
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

/** Events that a sink may raise while it handles one, so that two features that answer each other end. */
const MAX_DEPTH = 4;

/**
 * Takes events, keeps the documented fields, redacts their text and hands a frozen event on. Never throws: a sink that fails,
 * or that rejects later, harms neither the request nor the other sinks.
 */
export function createEvents(options: EventsOptions): Events {
  const sinks = [...(options.onEvent ? [options.onEvent] : []), ...(options.listeners ?? [])];
  let depth = 0;
  const emit = (type: EventType, fields: EventFields): void => {
    if (sinks.length === 0 || depth >= MAX_DEPTH) return;
    depth += 1;
    try {
      const event = Object.freeze({ v: 1 as const, type, at: options.clock(), ...clean(fields, options.redact ?? []) });
      for (const sink of sinks) hand(sink, event);
    } catch {
      // Only a broken clock or a hostile getter ends here.
    } finally {
      depth -= 1;
    }
  };
  return { emit };
}

/** The reason of an event for a token's error code. */
export function eventReasonOfToken(code: ErrorCode): EventReason {
  return TOKEN_REASONS.find((reason) => `ERR_${reason.toUpperCase()}` === code) ?? "token_malformed";
}

function hand(sink: (event: SecurityEvent) => unknown, event: SecurityEvent): void {
  try {
    const later = sink(event);
    if (later instanceof Promise) later.catch(() => undefined);
  } catch {
    // An event is a report: its loss must not change what it reports.
  }
}

/** The text fields: everything that is not listed here or below is dropped. */
const TEXT = [
  "route",
  "action",
  "ip_prefix",
  "country",
  "device",
  "user",
  "email",
  "player",
  "session",
  "challenge_id",
  "run",
  "app_version",
  "ephemeral_id",
  "detail",
] as const;
const TOKEN_REASONS = ["token_header", "token_signature", "token_expired", "token_not_yet", "token_claim"] as const;
const OUTCOMES: readonly string[] = ["allow", "deny", "error", "info"];

function clean(fields: EventFields, secrets: readonly string[]): EventFields {
  const outcome = OUTCOMES.includes(fields.outcome) ? fields.outcome : "info";
  const event: EventFields = { outcome };
  // The types close the list; here only what no secret looks like passes.
  if (fields.reason && /^[a-z_]{1,32}$/.test(fields.reason)) event.reason = fields.reason;
  if (fields.code && Object.hasOwn(STATUS, fields.code)) event.code = fields.code;
  for (const name of TEXT) {
    const text = fields[name];
    if (typeof text === "string") event[name] = redactText(text, secrets).slice(0, name === "detail" ? 300 : 128);
  }
  for (const name of ["asn", "latency_ms"] as const) {
    const value = fields[name];
    if (Number.isFinite(value)) event[name] = Number(value);
  }
  for (const name of ["degraded", "dry_run"] as const) {
    const value = fields[name];
    if (typeof value === "boolean") event[name] = value;
  }
  if (Array.isArray(fields.error_codes))
    event.error_codes = fields.error_codes.slice(0, 10).map((code) => redactText(String(code), secrets).slice(0, 64));
  return event;
}
