import type { Consistency } from "../store/contract.ts";

/** What a limit is counted by. */
export type SubjectName = "ip" | "ip-prefix" | "device" | "user" | "email" | "phone" | "account" | "session" | "player" | "route";

/** Who asks, as far as known: canonical keys (an `ip` is an IPv4 address or an IPv6 /64). */
export type Subjects = { [name in SubjectName]?: string | undefined };

/** A subject by name, or a function of the request. */
export type Subject = SubjectName | ((request: Request, subjects: Subjects) => string | undefined);

/** One layer of a limit. */
export interface LimitRule {
  /** Names the policy in the rate headers and the store's key. */
  name: string;
  /** Units per window, an integer from 1. */
  limit: number;
  /** Seconds, an integer from 1. */
  window: number;
  /** What is counted; several are counted together (their combination). */
  by: Subject | readonly Subject[];
  /** What happens when the store is down. Default: the gate's `onStoreError`. */
  onStoreError?: "deny" | "allow";
}

/** The outcome of a limit. */
export interface LimitResult {
  success: boolean;
  /** Of the tightest layer. */
  limit: number;
  /** Of the tightest layer. */
  remaining: number;
  /** Milliseconds since the epoch. */
  reset: number;
  /** Seconds, 0 when `success`. */
  retryAfter: number;
  /** Name of the refusing (else the tightest) rule. */
  rule?: string;
  degraded: boolean;
  accuracy: Consistency;
}
