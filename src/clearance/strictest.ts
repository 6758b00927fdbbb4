import { encodeBase64url } from "../util/base64url.ts";
import { utf8 } from "../util/bytes.ts";
import { sha256Sync } from "../util/sha256.ts";
import { pointsOf } from "./risk.ts";
import type { PolicyEntry, PolicyKind } from "./types.ts";

/** Kinds of entries, the strictest first. */
const STRICTNESS: readonly PolicyKind[] = ["always", "risk", "unmatched", "never"];
/** Characters of a scope, before a long one is cut and gets a hash. */
const MAX_SCOPE = 256;

/** One reading of a path, normalised, and an entry that it matches. */
export interface Found {
  entry: PolicyEntry;
  plain: string;
}

/** One entry with the strictest of each term; the entry itself where there is only one. */
export function strictestOf(found: readonly [Found, ...Found[]]): PolicyEntry {
  const all = [...new Set(found.map(({ entry }) => entry))].sort(byStrictness);
  const [base = found[0].entry] = all;
  if (all.length === 1) return base;
  // `never` entries set no terms, unless all entries are `never`.
  const asking = base.kind === "never" ? all : all.filter(({ kind }) => kind !== "never");
  const ages = asking.flatMap(({ maxAge }) => maxAge ?? []);
  return {
    ...base,
    // A scope of this combination only: a clearance for one entry must not open a path that another router reads as the
    // other entry's.
    scope: scopeOf([...new Set(asking.map(({ scope }) => scope))].sort().join(" ")),
    ttl: Math.min(...asking.map(({ ttl }) => ttl)),
    maxUses: Math.min(...asking.map(({ maxUses }) => maxUses)),
    maxAge: ages.length > 0 ? Math.min(...ages) : undefined,
    // Never looser than the gate's mode: an entry in mode `monitor` must not let a path pass that another router reads
    // as an enforced entry's.
    mode: asking.some(({ mode }) => mode === "enforce") ? "enforce" : undefined,
    highRisk: asking.every(({ highRisk }) => highRisk === base.highRisk) ? base.highRisk : "deny",
    bindIp: asking.some(({ bindIp }) => bindIp),
    limits: [...new Set(all.flatMap(({ limits }) => limits))],
    risk: found.reduce((most, { entry, plain }) => Math.max(most, entry.risk ?? pointsOf(plain)), 0),
  };
}

/** Sorts the stricter entry first. */
export function byStrictness(a: PolicyEntry, b: PolicyEntry): number {
  return STRICTNESS.indexOf(a.kind) - STRICTNESS.indexOf(b.kind);
}

/** A scope that fits into a token, however long the requested path is. */
export function scopeOf(text: string): string {
  return text.length <= MAX_SCOPE ? text : `${text.slice(0, MAX_SCOPE)}#${encodeBase64url(sha256Sync(utf8(text)))}`;
}
