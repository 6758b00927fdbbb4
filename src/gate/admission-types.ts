import type { Subjects } from "../limits/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Consistency } from "../store/contract.ts";
import type { VerifiedClaims } from "../tokens/types.ts";
import type { Call, OneUse } from "./call.ts";

/** What a request needs, for `protect` and `guard`. */
export interface ProtectOptions {
  /**
   * Always requires a clearance of this scope, whatever the policy says about the path. Where several entries have the
   * scope, the strictest of their terms count. Default: the policy decides.
   */
  scope?: string;
  /**
   * Always requires a session, or a fresh Turnstile token, of this action. Default: any session, and none where a
   * feature admits the request.
   */
  action?: string;
  /** Uses of the session that the request costs, 0 up to `session.uses`, default 1. */
  cost?: number;
  /**
   * What rules by `route` count by, e.g. a run's id. Default: method and pattern of a route of the gate. Elsewhere
   * there is none, and such a rule does not apply.
   */
  subject?: string;
  /**
   * Names of limits that are charged in the same spend. Together with the session's use and the features' quotas at
   * most 16 quotas; a rule by `ip` has 3. Default none.
   */
  limits?: readonly string[];
}

/** Options of a route's `admit`: those of `protect`, and what features need besides. */
export interface AdmitOptions extends ProtectOptions {
  /**
   * Further quotas of the same spend, each with the code of its refusal. The feature adds `options.clockTolerance` to
   * each `expiresAt`.
   */
  quotas?: readonly OneUse[];
  /** The call that the request belongs to, where the client named one. */
  call?: Call | undefined;
  /**
   * Which limits count failures: all (true), or those named. They are charged on `store`, never on `rateStore`, so that
   * `undo` can give a success back. While the store is down they deny, unless a rule's own `onStoreError` says
   * otherwise. Default false.
   */
  failures?: boolean | readonly string[];
  /**
   * Whether the limits hold in every mode: for an authentication, and before a token is signed. Default false:
   * `monitor` and `off` let a request over a limit pass.
   */
  strict?: boolean;
  /** Subjects from the request's body. They replace those of its headers. */
  subjects?: Subjects;
  /** Whether no session or clearance is required (public reads): only limits and quotas are charged. Default false. */
  open?: boolean;
}

/** The answer to a request for admission. */
export type Admission = Admitted | Refused;

/** The request may go on. */
export interface Admitted {
  ok: true;
  /**
   * What admitted the request: a session, a clearance or a fresh Turnstile token. `none`: nothing was required, or a
   * mode let it pass.
   */
  level: "session" | "clearance" | "turnstile" | "none";
  /** Claims of the session or clearance. */
  claims?: VerifiedClaims | undefined;
  /** The player: of the session, of the fresh token, or (`level: "none"`) of this one request. */
  player?: string | undefined;
  /** Rate headers for the answer. */
  headers: Headers;
  /** A check was skipped because a backend is down. */
  degraded: boolean;
  /** A check failed, and the mode let the request pass. */
  dryRun: boolean;
  /** The lowest accuracy of the stores that were charged. */
  accuracy: Consistency;
  /**
   * Gives back the charged uses and one-use ids, for when the application's own work failed afterwards. Works once;
   * never throws. Limits stay charged, except those that count failures. Otherwise a client whose requests make the
   * work fail could repeat it without a limit.
   *
   * @param rates whether limits are given back too, default false. Only for a failure that is limited otherwise, such
   * as a provider behind a breaker
   */
  undo(rates?: boolean): Promise<void>;
  /**
   * Gives back the uses of the session that the request did not cost after all: `cost` was the most that it could cost,
   * `actual` is what it did. Later, `undo` gives back the rest. Without a session (a clearance, a fresh token) nothing
   * is given back. A failed refund is not thrown: it costs the client its uses.
   *
   * @param actual uses, 0 up to `cost` @throws {RangeError} another number
   */
  settle(actual: number): Promise<void>;
}

/** A guard's answer that the request may go on, without a session unless `action` requires one. */
export interface Vouched extends Omit<Admitted, "settle"> {
  /** Names of further limits that are charged with the request, in the same spend. */
  limits?: readonly string[];
}

/** The request may not go on; `response` is the complete answer. */
export interface Refused {
  ok: false;
  code: PublicCode;
  response: Response;
  /** Seconds. */
  retryAfter?: number | undefined;
  /** The player of the refused credential, where it named one. */
  player?: string | undefined;
}
