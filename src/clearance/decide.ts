import type { RequestInfo } from "../http/types.ts";
import type { Client } from "./tokens.ts";
import type { Decision, PolicyEntry, Risk, RiskSignals } from "./types.ts";

/** What a request gets: the entry says how high a risk is answered, and whether a low one needs a clearance all the same. */
export function decide({ kind, highRisk }: PolicyEntry, band: Risk["band"]): Decision {
  if (kind === "never") return "allow";
  if (band === "deny") return highRisk;
  return kind === "always" ? "challenge" : band;
}

/** What Cloudflare says of a request: `request.cf` on Workers, headers only where the peer is known to be Cloudflare. Anybody else may write them. */
export function edgeSignals(request: Request, { edge }: Pick<RequestInfo, "edge">): Partial<RiskSignals> {
  const cf: unknown = edge && "cf" in request ? request.cf : undefined;
  const signals: Partial<RiskSignals> = {};
  const botScore = numberIn(cf, "botManagement", "score") ?? (edge ? score(request, "cf-bot-score") : undefined);
  // Not in request.cf, and no Transform Rule can write a name that starts with cf-: the name is ours, the rule is the zone's.
  const wafScore = edge ? score(request, "x-waf-attack-score") : undefined;
  // 0 means that it was not scored.
  if (botScore) signals.botScore = botScore;
  if (wafScore) signals.wafScore = wafScore;
  return signals;
}

/** Whose request ids these are. */
export function nameOf({ device = "", prefix = "", user = "" }: Client): string {
  return JSON.stringify([user, device, device ? "" : prefix]);
}

function score(request: Request, header: string): number | undefined {
  const text = request.headers.get(header);
  return text !== null && /^\d{1,2}$/.test(text) ? Number(text) : undefined;
}

function numberIn(value: unknown, ...path: readonly string[]): number | undefined {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Object.entries(found).find(([key]) => key === name)?.[1];
  }
  return typeof found === "number" && found >= 1 && found <= 99 ? found : undefined;
}
