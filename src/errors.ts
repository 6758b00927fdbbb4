/**
 * Errors of gatepass. `code` is the contract; `instanceof` is a convenience that two copies of the package would break.
 * An `ERR_` code never crosses the wire: the public answers are in `protocol.ts`.
 */

/** Every code that a {@link GatepassError} can have. */
export type ErrorCode =
  | "ERR_TOKEN_MALFORMED"
  | "ERR_TOKEN_HEADER"
  | "ERR_TOKEN_SIGNATURE"
  | "ERR_TOKEN_EXPIRED"
  | "ERR_TOKEN_NOT_YET"
  | "ERR_TOKEN_CLAIM"
  | "ERR_STORE_UNAVAILABLE"
  | "ERR_STORE_FULL"
  | "ERR_BOARD_UNAVAILABLE"
  | "ERR_BOARD_FULL"
  | "ERR_CONFIG_INVALID"
  | "ERR_CLIENT_BUSY"
  | "ERR_CLIENT_CLOSED"
  | "ERR_CLIENT_ABORTED"
  | "ERR_CLIENT_SCRIPT"
  | "ERR_CLIENT_BLOCKED"
  | "ERR_CLIENT_TIMEOUT"
  | "ERR_CLIENT_CHALLENGE"
  | "ERR_CLIENT_UNSUPPORTED"
  | "ERR_CLIENT_CONFIG"
  | "ERR_CLIENT_OFFLINE"
  | "ERR_CLIENT_REDIRECT"
  | "ERR_CLIENT_REFUSED"
  | "ERR_GAME_INVALID";

/**
 * The one error class of gatepass. Messages name the action and never hold a token, a secret or a key.
 *
 * @example
 * ```ts
 * import { GatepassError } from "gatepass";
 * const error = new GatepassError("ERR_TOKEN_EXPIRED", "Cannot verify the token: it has expired");
 * console.assert(error.code === "ERR_TOKEN_EXPIRED");
 * ```
 */
export class GatepassError extends Error {
  override readonly name = "GatepassError";
  /** The closed, stable code of what went wrong. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Whether `value` is an error of gatepass, of any copy of the package; with `code`, whether it is that very error.
 *
 * @example
 * ```ts
 * import { GatepassError, isGatepassError } from "gatepass";
 * const error: unknown = new GatepassError("ERR_STORE_FULL", "Cannot spend: the store is full");
 * console.assert(isGatepassError(error) && isGatepassError(error, "ERR_STORE_FULL"));
 * ```
 */
export function isGatepassError(value: unknown, code?: ErrorCode): value is GatepassError {
  if (!(value instanceof Error) || value.name !== "GatepassError" || !("code" in value)) return false;
  return code === undefined ? typeof value.code === "string" : value.code === code;
}

/** A defect of the configuration that a check found: what is wrong and how to mend it. */
export interface ConfigProblem {
  /** `GP` and three digits; the README lists them. */
  code: string;
  severity: "error" | "warning";
  message: string;
  fix: string;
}
