import type { ConfigProblem } from "../errors.ts";
import type { Finding } from "./check.ts";
import type { Settings } from "./options.ts";
import type { Feature } from "./types.ts";

/** What `inspect` finds, in words. */
const MESSAGES: Readonly<Record<string, string>> = {
  GP101: 'Mode "monitor" refuses nobody',
  GP102: 'Mode "off" checks nobody',
  GP103: "Test keys let everybody pass",
  GP104: "The store is of one process, and forgets with it",
  GP105: "The store may admit a token twice",
  GP106: "A signing secret looks guessable",
  GP107: "Without a signing secret there are no sessions",
  GP108: "Without a Turnstile secret nobody is verified",
  GP109: "While the store is down there are no limits",
  GP110: "While Cloudflare is down everybody passes",
  GP111: "A page without https is anybody's on the line",
  GP112: "Solves of any localhost are accepted",
};

/**
 * All that can be found out: `findings` of the options, what the requests so far showed, the store's and every feature's own check.
 * A check that fails is a finding too.
 */
export async function findProblems(
  findings: readonly Finding[],
  { store, warned }: Pick<Settings, "store" | "warned">,
  features: readonly Feature[],
): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = findings.map(({ code, severity, option }) => ({
    code,
    severity,
    message: MESSAGES[code] ?? code,
    fix: `Change "${option}"`,
  }));
  // One request without an address may be a health check. When none had one, the gate does not learn addresses at all.
  if (warned.has("client_address_unknown") && !warned.has("ip")) {
    problems.push({
      code: "GP113",
      severity: "error",
      message: "No request had a client address: all visitors share one bucket with a tenth of each limit",
      fix: 'Pass the platform\'s further arguments to the gate, or set "clientIp" (Next.js: { header: "x-real-ip" }, which Vercel sets, and elsewhere your proxy must)',
    });
  }
  for (const part of [store, ...features]) {
    try {
      problems.push(...((await part.check?.()) ?? []));
    } catch {
      const name = "name" in part ? part.name : "store";
      problems.push({ code: "GP120", severity: "error", message: `Cannot check the ${name}`, fix: "See whether its backend is up" });
    }
  }
  // Store and board may be in one database, and say the same of it.
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}
