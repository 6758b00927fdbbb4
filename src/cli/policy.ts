import { readFileSync } from "node:fs";
import { exit, stderr, stdout } from "node:process";
import { parseArgs } from "node:util";
import { explainPolicy, type PolicyDocument, parsePolicy, type RiskSignals } from "../clearance/index.ts";

/** `gatepass policy check FILE [METHOD] PATH...`: whether a policy is one, and what requests would get. */
export async function runPolicy(args: string[]): Promise<void> {
  try {
    stdout.write(await report(args));
  } catch (error) {
    stderr.write(`Cannot check the policy: ${error instanceof Error ? error.message : error}\n`);
    exit(error instanceof TypeError || error instanceof RangeError ? 1 : 2);
  }
}

async function report(args: string[]): Promise<string> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      signals: { type: "string", default: "{}" },
      holds: { type: "string", multiple: true, default: [] },
      json: { type: "boolean", default: false },
    },
  });
  const [verb, file, ...words] = positionals;
  if (verb !== "check" || file === undefined) throw new Error("expected: gatepass policy check FILE [[METHOD] PATH ...]");
  const document: PolicyDocument = JSON.parse(readFileSync(file, "utf8"));
  const { entries } = parsePolicy(document);
  const signals: Partial<RiskSignals> = JSON.parse(values.signals);
  const answers = [];
  let method: string | undefined;
  for (const word of words) {
    if (!word.startsWith("/")) {
      method = word.toUpperCase();
      continue;
    }
    answers.push({
      method: method ?? "GET",
      asked: word,
      ...(await explainPolicy(document, { method: method ?? "GET", path: word, signals, holds: values.holds })),
    });
    method = undefined;
  }
  if (values.json) return `${JSON.stringify({ entries: entries.length, answers }, null, 2)}\n`;
  const lines = answers.map(({ method: verb, asked, kind, decision, entry, risk }) => {
    const why = risk.reasons.map(({ signal, points }) => `${signal} ${points}`).join(", ") || "no signals";
    const clearance = decision === "challenge" ? `; scope ${entry.scope}, ${entry.maxUses} uses, ${entry.ttl} s` : "";
    return `${verb} ${asked}: ${decision} (${kind === "unmatched" ? "in no list" : `${kind}: ${entry.path}`}; risk ${risk.score}: ${why}${clearance})\n`;
  });
  return `The policy is valid: ${entries.length} entries\n${lines.join("")}`;
}
