/** Shows what one request came to: the decision, why, what went over the wire, the challenge, and the clearances in hand. */
import type { RiskReason } from "gatepass/clearance";
import type { LogLine } from "../protected-lab.ts";
import { element, make } from "./dom.ts";
import type { InHand, Step, Trace } from "./protected-trace.ts";
import { nameOf, remaining, riskIn, signed, VERDICTS, type Verdict } from "./protected-words.ts";

/** What is to be shown. */
export interface Shown {
  trace: Trace;
  /** What the gate logged; empty where the page may not know. */
  log: readonly LogLine[];
  /** What risk and policy come to by what the page knows, where the gate said nothing else. */
  guess: { score: number; reasons: readonly RiskReason[] };
  /** The answer's body. */
  answer: string;
  /** What failed without an answer. */
  failure: string;
}

/** Dots are counted at a glance up to here. */
const MANY = 12;

const part = (id: string): HTMLElement => element(id, HTMLElement);
let challenge: Trace["challenge"];

export function showOutcome({ trace, log, guess, answer, failure }: Shown): void {
  const verdict = verdictOf(trace.steps, log, failure);
  const last = trace.steps.at(-1);
  const passed = last !== undefined && !last.verification && !/^(TURNSTILE_REQUIRED|CLEARANCE_EXPIRED)$/.test(last.code);
  const { word, what } = VERDICTS[verdict];
  const sentence =
    verdict !== "challenge"
      ? failure || what
      : passed
        ? "It was passed, and the request went through."
        : failure || "And it was not passed.";
  part("waiting").hidden = true;
  part("told").hidden = false;
  part("decision").dataset["decision"] = verdict;
  part("word").textContent = word;
  part("what").textContent = sentence;
  const risk =
    log.map((line) => (line.type === "admitted" ? undefined : riskIn(line.detail ?? ""))).find((one) => one !== undefined) ?? guess;
  showRisk(risk);
  part("steps").replaceChildren(...linesOf(trace.steps));
  challenge = trace.challenge;
  part("challenge").hidden = challenge === undefined;
  if (challenge) {
    part("challenge-action").textContent = challenge.action;
    part("challenge-cdata").textContent = challenge.cdata;
    part("challenge-scope").textContent = challenge.scope.join(", ");
  }
  part("answer-box").hidden = answer === "";
  part("answer").textContent = answer;
  part("log-box").hidden = log.length === 0;
  part("log-count").textContent = String(log.length);
  part("log").replaceChildren(...log.map(lineOf));
  part("live").textContent = `${word}. ${sentence} Risk ${risk.score}.`;
}

/** Once a second: what runs out. */
export function showClocks(held: readonly InHand[]): void {
  if (challenge) part("challenge-expires").textContent = remaining(challenge.until);
  part("held-none").hidden = held.length > 0;
  const items = held.map(({ scope, uses, left, until }) => {
    const item = make("li", "");
    const count = make("span", "uses");
    count.setAttribute("role", "img");
    count.setAttribute("aria-label", `${left} of ${uses} uses left`);
    if (uses <= MANY) for (let use = 0; use < uses; use++) count.append(make("i", use < left ? "left" : "gone"));
    item.append(
      make("code", "", scope.join(", ")),
      count,
      make("span", "number", `${left} of ${uses}`),
      make("span", "clock", remaining(until)),
    );
    return item;
  });
  part("held").replaceChildren(...items);
}

function verdictOf(steps: readonly Step[], log: readonly LogLine[], failure: string): Verdict {
  const codes = steps.filter(({ verification }) => !verification).map(({ code }) => code);
  if (codes.includes("REQUEST_DENIED")) return "deny";
  if (codes.includes("STEP_UP_REQUIRED")) return "step_up";
  if (codes.includes("SECURITY_VERIFICATION_LIMITED")) return "cool_down";
  if (codes.includes("RATE_LIMITED")) return "limited";
  if (codes.some((code) => /^(TURNSTILE_REQUIRED|CLEARANCE_EXPIRED)$/.test(code))) return "challenge";
  if (log.some((line) => line.type === "admitted" && line.level === "clearance")) return "cleared";
  if (failure) return "error";
  return steps.at(-1)?.limits.includes("tight") ? "limit" : "allow";
}

function showRisk({ score, reasons }: { score: number; reasons: readonly RiskReason[] }): void {
  part("needle").style.setProperty("--score", String(score));
  part("needle").textContent = String(score);
  part("meter").setAttribute("aria-label", `Risk ${score} of 100`);
  const lines = reasons.map(({ signal, points }) => {
    const line = make("li", points < 0 ? "discount" : "");
    line.append(make("span", "name", nameOf(signal)), make("b", "points", signed(points)));
    return line;
  });
  if (lines.length === 0) lines.push(make("li", "none", "No signal speaks against it"));
  part("reasons").replaceChildren(...lines);
}

function linesOf(steps: readonly Step[]): HTMLElement[] {
  return steps.flatMap(({ method, path, status, code, cleared, verification }) => {
    const line = make("li", status < 400 ? "good" : status === 403 && !verification ? "turned" : "bad");
    line.append(make("code", "", `${method} ${path}`));
    if (cleared) line.append(make("span", "tag", "X-App-Clearance"));
    line.append(make("span", "status", `${status}${code ? ` ${code}` : ""}`));
    return verification ? [make("li", "solve", "The challenge was solved in the page"), line] : [line];
  });
}

function lineOf(line: LogLine): HTMLElement {
  const item = make("li", "");
  item.append(make("code", "", line.type));
  const said = line.type === "admitted" ? [`level ${line.level}`] : [line.reason, line.code, line.detail];
  item.append(make("span", "", said.filter((one) => one !== undefined && one !== null).join(" · ")));
  return item;
}
