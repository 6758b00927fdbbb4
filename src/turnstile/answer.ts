import type { TurnstileExpectation, TurnstileReason } from "./types.ts";

/** What siteverify's answer is checked against. */
export interface Checks extends Pick<TurnstileExpectation, "action" | "cdata"> {
  allowedHostnames: readonly string[];
  allowTestKeys: boolean;
  /** Milliseconds since the epoch. */
  now: number;
  /** Seconds that the solve may be old. */
  maxAge: number;
  /** Seconds that the solve may be ahead of `now`. */
  clockTolerance: number;
}

/** The members of an accepted answer. */
export interface Accepted {
  ok: true;
  hostname: string;
  action: string;
  cdata: string;
  challengeAt: number;
  ephemeralId?: string;
  interactive?: boolean;
  testKey: boolean;
}

/** Error codes that our configuration or code causes; all others are about the token. */
const OURS = /secret|bad-request|idempotency|widget-id/;

/** The reason for an answer without success. Of several codes, one that our configuration causes comes first. */
export function reasonOf(codes: readonly string[]): TurnstileReason {
  const all = codes.join();
  if (OURS.test(all)) return "misconfigured";
  if (all.includes("timeout-or-duplicate")) return "expired_or_spent";
  return all.includes("missing-input-response") ? "missing" : "invalid";
}

/** Checks what `success: true` does not cover. Gives the reason of a refusal, or the accepted answer. */
export function judge(answer: Record<string, unknown>, checks: Checks): Accepted | TurnstileReason {
  const metadata = Object(answer["metadata"]);
  const testKey = metadata["result_with_testing_key"] === true;
  if ((testKey || metadata["emulator"] === true) && !checks.allowTestKeys) return "test_key";

  const challengeAt = Date.parse(text(answer["challenge_ts"]));
  const age = (checks.now - challengeAt) / 1000;
  // Without a valid time the age cannot be checked, and this is not an answer of siteverify as documented.
  if (Number.isNaN(age)) return "unavailable";
  if (age > checks.maxAge) return "too_old";
  // A time in the future would stay below `maxAge` for longer than allowed.
  if (age < -checks.clockTolerance) return "too_early";

  const hostname = text(answer["hostname"]).toLowerCase();
  const cdata = text(answer["cdata"]);
  let action = text(answer["action"]);
  // A test key's answer does not describe the page: it always has the same hostname, and neither action nor cdata.
  if (!testKey) {
    // A token from another site's page, or for another action, is valid too. The attack is to relay or reuse such a
    // token here.
    if (checks.allowedHostnames.length > 0 && !checks.allowedHostnames.includes(hostname)) return "hostname_mismatch";
    if (checks.action !== undefined) {
      const found = [checks.action].flat().find((one) => one.toLowerCase() === action.toLowerCase());
      if (found === undefined) return "action_mismatch";
      action = found;
    }
    if (checks.cdata !== undefined && checks.cdata !== cdata) return "cdata_mismatch";
  }
  const { ephemeral_id: ephemeralId, interactive } = metadata;
  return {
    ok: true,
    hostname,
    action,
    cdata,
    challengeAt,
    testKey,
    ...(typeof ephemeralId === "string" && { ephemeralId }),
    ...(typeof interactive === "boolean" && { interactive }),
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
