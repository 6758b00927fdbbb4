import type { PublicCode } from "../protocol.ts";

/** What can happen. */
export type EventType =
  | "turnstile_challenge_created"
  | "turnstile_token_received"
  | "turnstile_siteverify_success"
  | "turnstile_siteverify_failed"
  | "turnstile_siteverify_timeout"
  | "app_clearance_issued"
  | "app_clearance_missing"
  | "app_clearance_expired"
  | "app_clearance_replay_detected"
  | "security_verification_limited"
  | "high_risk_api_blocked"
  | "session_issued"
  | "session_rejected"
  | "session_replay_detected"
  | "score_committed"
  | "score_accepted"
  | "score_rejected"
  | "run_started"
  | "run_verdict"
  | "rate_limited"
  | "honeypot_tripped"
  | "internal_error"
  | "store_unavailable"
  | "config_warning"
  | "cleanup_swept"
  | "detection_raised";

/** What an event may say besides its type. Never a token, a secret, a full address, a name that a player typed. */
export interface EventFields {
  outcome: "allow" | "deny" | "error" | "info";
  reason?: EventReason | undefined;
  code?: PublicCode | undefined;
  /** Method and pattern, e.g. `POST /api/scores`. */
  route?: string | undefined;
  action?: string | undefined;
  /** IPv4 /24 or IPv6 /48. */
  ip_prefix?: string | undefined;
  asn?: number | undefined;
  country?: string | undefined;
  /** HMAC. */
  device?: string | undefined;
  /** HMAC. */
  user?: string | undefined;
  /** HMAC. */
  email?: string | undefined;
  player?: string | undefined;
  /** `jti`. */
  session?: string | undefined;
  challenge_id?: string | undefined;
  run?: string | undefined;
  app_version?: string | undefined;
  error_codes?: string[] | undefined;
  /** HMAC. */
  ephemeral_id?: string | undefined;
  latency_ms?: number | undefined;
  degraded?: boolean | undefined;
  dry_run?: boolean | undefined;
  /** Redacted text: what `config_warning` warns of, the kind of an `internal_error`, the rule of a `rate_limited`, why a path is ambiguous, what was swept. */
  detail?: string | undefined;
}

/** One security event. */
export interface SecurityEvent extends EventFields {
  v: 1;
  type: EventType;
  /** Milliseconds since the epoch. */
  at: number;
}

/** The closed list of reasons. */
export type EventReason = (typeof EVENT_REASONS)[number];

/** The closed list of reasons, to filter and to test by. */
export const EVENT_REASONS = [
  // siteverify
  "missing",
  "malformed",
  "invalid",
  "expired_or_spent",
  "action_mismatch",
  "hostname_mismatch",
  "cdata_mismatch",
  "too_old",
  "too_early",
  "test_key",
  "misconfigured",
  "timeout",
  "unavailable",
  // tokens
  "token_malformed",
  "token_header",
  "token_signature",
  "token_expired",
  "token_not_yet",
  "token_claim",
  // quotas
  "full",
  "blocked",
  "expired",
  "forgotten",
  // admission
  "session_missing",
  "scope",
  "binding",
  "origin",
  "direct_to_origin",
  "player_banned",
  "wrong_player",
  "level",
  "commitment_required",
  "commitment_used",
  "score_bounds",
  "name",
  "name_taken",
  "score_data",
  "unauthorized",
  "revoked",
  // clearance
  "risk",
  "clearance_missing",
  "clearance_expired",
  "clearance_used",
  "clearance_scope",
  "clearance_binding",
  "challenge_invalid",
  "challenge_expired",
  "challenge_used",
  "challenge_binding",
  "request_replayed",
  "path_ambiguous",
  // moderation
  "moderation_remove",
  "moderation_hide",
  "moderation_show",
  "moderation_ban",
  "moderation_unban",
  "moderation_purge",
  "moderation_rename",
  // configuration and operation
  "test_keys_allowed",
  "memory_store",
  "approximate_store",
  "mode_monitor",
  "mode_off",
  "low_entropy_secret",
  "client_address_unknown",
  "single_address",
  "clock_skew",
  "store_down",
  "board_down",
  "config",
] as const;

/** Takes events. */
export interface Events {
  /** Raises an event; never throws, whatever a sink does. */
  emit(type: EventType, fields: EventFields): void;
}
