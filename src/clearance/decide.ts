import type { RequestInfo } from "../http/types.ts";
import type { Client } from "./tokens.ts";
import type { Decision, PolicyEntry, Risk, RiskSignals } from "./types.ts";

/**
 * What a request gets. The entry's kind may free it or always ask for a clearance; its `highRisk` answers the band
 * `deny`.
 */
export function decide({ kind, highRisk }: PolicyEntry, band: Risk["band"]): Decision {
  if (kind === "never") return "allow";
  if (band === "deny") return highRisk;
  return kind === "always" ? "challenge" : band;
}

/**
 * Cloudflare's scores of a request: from `request.cf` on Workers, from headers only where the peer is known to be
 * Cloudflare. From any other peer the client may have written the headers itself.
 */
export function edgeSignals(request: Request, { edge }: Pick<RequestInfo, "edge">): Partial<RiskSignals> {
  const cf: unknown = edge && "cf" in request ? request.cf : undefined;
  const signals: Partial<RiskSignals> = {};
  const botScore = numberIn(cf, "botManagement", "score") ?? (edge ? score(request, "cf-bot-score") : undefined);
  // `request.cf` lacks the WAF score. A Transform Rule of the zone must write this header; it cannot write names that
  // begin with `cf-`.
  const wafScore = edge ? score(request, "x-waf-attack-score") : undefined;
  // 0 means that Cloudflare did not score the request.
  if (botScore) signals.botScore = botScore;
  if (wafScore) signals.wafScore = wafScore;
  return signals;
}

/**
 * The scope in which a request id is unique: the user and the device, or the address prefix where there is no device.
 */
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
