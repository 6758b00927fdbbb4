/** What decisions, signals and answers are called on the page. */
import type { Decision, Explanation, RiskReason } from "gatepass/clearance";
import { FLAGS, NUMBERS } from "../protected-policy.ts";

/** What the gate decided; `cleared`: by a clearance in hand; `limited`: by risk and policy it might, but a limit was full. */
export type Verdict = Decision | "cleared" | "limited" | "error";

/** In a word, and in a sentence. */
export const VERDICTS: Record<Verdict, { short: string; word: string; what: string }> = {
  allow: { short: "allow", word: "Let through", what: "Nothing, or too little, speaks against it." },
  limit: { short: "count", word: "Let through, and counted", what: "A little odd: it has 20 of these a minute." },
  challenge: { short: "challenge", word: "Asked for a challenge", what: "" },
  deny: { short: "deny", word: "Denied", what: "The risk is too high for a challenge to make up for it." },
  cool_down: { short: "cool down", word: "Told to wait", what: "The risk is too high. It may come back in a while." },
  step_up: { short: "step up", word: "Asked for more", what: "The risk is too high: the application wants its own, stronger check." },
  cleared: { short: "cleared", word: "Cleared", what: "A clearance was in hand, and paid for it." },
  limited: {
    short: "too many",
    word: "Too many",
    what: "One of the route's limits is full. Another account or number, or a while, helps.",
  },
  error: { short: "error", word: "No answer", what: "The gate could not be reached, or the challenge did not come up." },
};

const NAMES: Readonly<Record<string, string>> = {
  sensitivePath: "Sensitive path",
  validClearance: "Valid clearance",
  ...FLAGS,
  ...Object.fromEntries(Object.entries(NUMBERS).map(([name, { label }]) => [name, label])),
};

/** A signal, as people call it. */
export function nameOf(signal: string): string {
  return NAMES[signal] ?? signal;
}

/** With a sign, and a minus that is one. */
export function signed(points: number): string {
  return points < 0 ? `\u2212${-points}` : `+${points}`;
}

export const KINDS: Record<Explanation["kind"], string> = {
  always: "always",
  risk: "risk-based",
  never: "never",
  unmatched: "no entry",
};

/** The risk of an event's detail, `60: failedLogins+40 sensitivePath+20`. */
export function riskIn(detail: string): { score: number; reasons: RiskReason[] } | undefined {
  const [, score, list = ""] = /^(\d+): (.*)$/.exec(detail) ?? [];
  if (score === undefined) return undefined;
  const reasons = [...list.matchAll(/([A-Za-z]\w*)([+-]\d+)/g)].map(([, signal = "", points]) => ({ signal, points: Number(points) }));
  return { score: Number(score), reasons };
}

/** Minutes and seconds that are left. */
export function remaining(until: number): string {
  const seconds = Math.max(0, Math.ceil((until - performance.now()) / 1000));
  return seconds === 0 ? "over" : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
