import { encodeBase64url } from "../util/base64url.ts";
import { utf8 } from "../util/bytes.ts";
import { sha256Sync } from "../util/sha256.ts";
import { pointsOf } from "./risk.ts";
import type { PolicyEntry, PolicyKind } from "./types.ts";

/** The stricter first. */
const STRICTNESS: readonly PolicyKind[] = ["always", "risk", "unmatched", "never"];
/** Characters. */
const MAX_SCOPE = 256;

/** One reading of a path, normalised, and an entry that it falls under. */
export interface Found {
  entry: PolicyEntry;
  plain: string;
}

/** The strictest of all terms; the entry itself where there is one alone. */
export function strictestOf(found: readonly [Found, ...Found[]]): PolicyEntry {
  const all = [...new Set(found.map(({ entry }) => entry))].sort(byStrictness);
  const [base = found[0].entry] = all;
  if (all.length === 1) return base;
  // Where all are free the answer is free, whatever terms they have.
  const asking = base.kind === "never" ? all : all.filter(({ kind }) => kind !== "never");
  const ages = asking.flatMap(({ maxAge }) => maxAge ?? []);
  return {
    ...base,
    // Of none of the entries alone: a clearance for one must not open what another router takes for the other.
    scope: scopeOf([...new Set(asking.map(({ scope }) => scope))].sort().join(" ")),
    ttl: Math.min(...asking.map(({ ttl }) => ttl)),
    maxUses: Math.min(...asking.map(({ maxUses }) => maxUses)),
    maxAge: ages.length > 0 ? Math.min(...ages) : undefined,
    // Never looser than the gate's: an entry that is only watched must not let through what another router takes for one that is enforced.
    mode: asking.some(({ mode }) => mode === "enforce") ? "enforce" : undefined,
    highRisk: asking.every(({ highRisk }) => highRisk === base.highRisk) ? base.highRisk : "deny",
    bindIp: asking.some(({ bindIp }) => bindIp),
    limits: [...new Set(all.flatMap(({ limits }) => limits))],
    risk: found.reduce((most, { entry, plain }) => Math.max(most, entry.risk ?? pointsOf(plain)), 0),
  };
}

/** For sorting: the stricter first. */
export function byStrictness(a: PolicyEntry, b: PolicyEntry): number {
  return STRICTNESS.indexOf(a.kind) - STRICTNESS.indexOf(b.kind);
}

/** A scope has to fit into a token, whatever path a stranger asks for. */
export function scopeOf(text: string): string {
  return text.length <= MAX_SCOPE ? text : `${text.slice(0, MAX_SCOPE)}#${encodeBase64url(sha256Sync(utf8(text)))}`;
}
