import type { TurnstileExpectation, TurnstileReason } from "./types.ts";

/** What an answer must be: what is expected of it, and the options. */
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

/** What an accepted answer tells. */
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

/** Our configuration's or our code's fault; all others are the token's. */
const OURS = /secret|bad-request|idempotency|widget-id/;

/** The reason that an answer without success gives; of several codes the one that we must mend comes first. */
export function reasonOf(codes: readonly string[]): TurnstileReason {
  const all = codes.join();
  if (OURS.test(all)) return "misconfigured";
  if (all.includes("timeout-or-duplicate")) return "expired_or_spent";
  return all.includes("missing-input-response") ? "missing" : "invalid";
}

/** Looks at all that `success: true` does not say; the reason of a refusal, else what was found. */
export function judge(answer: Record<string, unknown>, checks: Checks): Accepted | TurnstileReason {
  const metadata = Object(answer["metadata"]);
  const testKey = metadata["result_with_testing_key"] === true;
  if ((testKey || metadata["emulator"] === true) && !checks.allowTestKeys) return "test_key";

  const challengeAt = Date.parse(text(answer["challenge_ts"]));
  const age = (checks.now - challengeAt) / 1000;
  // An answer that does not say when cannot be checked: the provider is not what we know.
  if (Number.isNaN(age)) return "unavailable";
  if (age > checks.maxAge) return "too_old";
  // Else it would be young for as long as it is ahead.
  if (age < -checks.clockTolerance) return "too_early";

  const hostname = text(answer["hostname"]).toLowerCase();
  const cdata = text(answer["cdata"]);
  let action = text(answer["action"]);
  // The answer of a test key says nothing about the page: the same hostname always, neither action nor cdata.
  if (!testKey) {
    // A token of another site's page, or of another purpose, is a valid token: relaying and re-using them are the attacks here.
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
