import { readFileSync } from "node:fs";
import { exit, stderr, stdout } from "node:process";
import { parseArgs } from "node:util";
import { defaultWeights, type Explanation, explainPolicy, type PolicyDocument, parsePolicy, type RiskSignals } from "../clearance/index.ts";
import { isJsonObject } from "../util/json.ts";

const modes = ["enforce", "monitor", "off"] as const;
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const SIGNALS: readonly string[] = [...Object.keys(defaultWeights), "sensitivePath"];

/** What `gatepass policy --help` says. */
export const POLICY_USAGE: string = `Usage: gatepass policy check FILE [[METHOD] PATH ...] [options]

Whether a clearance policy is valid, and what a request would get for each path. A method stands before its path; without one it is GET.

  --signals JSON   what is known of the request, e.g. '{"failedLogins":6}'; of
                   ${SIGNALS.slice(0, 8).join(", ")},
                   ${SIGNALS.slice(8).join(", ")}
  --holds NAME     a condition (\`when\`) that holds; can be repeated
  --mode MODE      the gate's: ${modes.join(", ")} (default enforce)
  --json           as JSON

Exit code: 0 the policy is valid, 1 it is not, 2 the command is wrong.
`;

/** `gatepass policy check FILE [METHOD] PATH...`: whether a policy is one, and what requests would get. */
export async function runPolicy(args: string[]): Promise<void> {
  try {
    stdout.write(await report(args));
  } catch (error) {
    stderr.write(`Cannot check the policy: ${error instanceof Error ? error.message : error}\n`);
    // `parseArgs` throws TypeErrors, too; those have a code.
    const ofPolicy = (error instanceof TypeError || error instanceof RangeError) && !("code" in error);
    exit(ofPolicy ? 1 : 2);
  }
}

async function report(args: string[]): Promise<string> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      signals: { type: "string", default: "{}" },
      holds: { type: "string", multiple: true, default: [] },
      mode: { type: "string", default: "enforce" },
      json: { type: "boolean", default: false },
    },
  });
  const [verb, file, ...words] = positionals;
  const mode = modes.find((one) => one === values.mode);
  if (!mode) throw new Error(`--mode: expected one of ${modes.join(", ")}`);
  if (verb !== "check" || file === undefined) throw new Error("expected: gatepass policy check FILE [[METHOD] PATH ...]");
  const document: PolicyDocument = JSON.parse(readFileSync(file, "utf8"));
  const { entries } = parsePolicy(document);
  const signals: Partial<RiskSignals> = JSON.parse(values.signals);
  if (!isJsonObject(signals)) throw new Error(`--signals: expected a JSON object, got ${values.signals}`);
  const odd = Object.keys(signals).find((name) => !SIGNALS.includes(name));
  if (odd !== undefined) throw new Error(`--signals: no signal ${JSON.stringify(odd)}, expected some of ${SIGNALS.join(", ")}`);
  const answers = [];
  let method: string | undefined;
  for (const word of words) {
    if (!word.startsWith("/")) {
      if (method !== undefined) throw new Error(`expected a path after ${method}, got ${JSON.stringify(word)}`);
      method = METHODS.find((one) => one === word.toUpperCase());
      if (method === undefined)
        throw new Error(`expected a path that begins with "/" or one of ${METHODS.join(", ")}, got ${JSON.stringify(word)}`);
      continue;
    }
    answers.push({
      method: method ?? "GET",
      asked: word,
      ...(await explainPolicy(document, { method: method ?? "GET", path: word, signals, holds: values.holds, mode })),
    });
    method = undefined;
  }
  if (method !== undefined) throw new Error(`expected a path after ${method}`);
  if (values.json) return `${JSON.stringify({ entries: entries.length, answers }, null, 2)}\n`;
  return `The policy is valid: ${entries.length} entries\n${answers.map(lineOf).join("")}`;
}

function lineOf({ method, asked, ambiguous, kind, decision, entry, risk, mode }: Explanation & { method: string; asked: string }): string {
  if (ambiguous) return `${method} ${asked}: refused, 400 PATH_AMBIGUOUS (${ambiguous.replaceAll("_", " ")})\n`;
  const why = risk.reasons.map(({ signal, points }) => `${signal} ${points}`).join(", ") || "no signals";
  const clearance = decision === "challenge" ? `; scope ${entry.scope}, ${entry.maxUses} uses, ${entry.ttl} s` : "";
  const watched =
    mode === "enforce" || decision === "allow"
      ? ""
      : `; mode: ${mode}, so that it goes through${mode === "monitor" ? " with an event" : ""}`;
  const where = kind === "unmatched" ? "in no list" : `${kind}: ${entry.path}`;
  return `${method} ${asked}: ${decision} (${where}; risk ${risk.score}: ${why}${clearance}${watched})\n`;
}
