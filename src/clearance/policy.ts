import * as z from "zod/mini";
import { encodeBase64url } from "../util/base64url.ts";
import { utf8 } from "../util/bytes.ts";
import { sha256Sync } from "../util/sha256.ts";
import { matchesPath, normalizePath, readingsOf } from "./paths.ts";
import { describeIssue } from "./problems.ts";
import type { Policy, PolicyEntry, PolicyKind } from "./types.ts";

const pathSchema = z.string().check(z.minLength(1), z.maxLength(256), z.regex(/^\/[^\s?#%;\\*]*\*?$/));
const names = z.array(z.string().check(z.minLength(1), z.maxLength(64))).check(z.maxLength(8));
const methodSchema = z.string().check(z.regex(/^[A-Za-z]{1,16}$/));

const entrySchema = z.strictObject({
  path: pathSchema,
  method: z.optional(z.union([methodSchema, z.array(methodSchema).check(z.minLength(1), z.maxLength(9))])),
  scope: z.optional(pathSchema),
  ttl: z.optional(z.int().check(z.minimum(300), z.maximum(1800))),
  max_uses: z.optional(z.int().check(z.minimum(1), z.maximum(1000))),
  max_age: z.optional(z.int().check(z.minimum(1), z.maximum(1800))),
  when: z.optional(z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/))),
  mode: z.optional(z.enum(["enforce", "monitor", "off"])),
  action: z.optional(z.string().check(z.regex(/^[a-z0-9_-]{1,32}$/))),
  high_risk: z.optional(z.enum(["deny", "cool_down", "step_up"])),
  bind_ip: z.optional(z.boolean()),
  limits: z.optional(names),
  risk: z.optional(z.int().check(z.minimum(0), z.maximum(100))),
});
const listSchema = z.optional(z.array(z.union([pathSchema, entrySchema])).check(z.maxLength(500)));

const documentSchema = z.strictObject({
  $schema: z.optional(z.string()),
  always_require_clearance: listSchema,
  risk_based: listSchema,
  never_require_clearance: listSchema,
});

/** What a policy document may hold; the published JSON Schema is made of it. */
export const policySchema: z.ZodMiniType = documentSchema;

const LISTS = [
  ["always_require_clearance", "always"],
  ["risk_based", "risk"],
  ["never_require_clearance", "never"],
] as const;

/** The stricter first. */
const STRICTNESS: readonly PolicyKind[] = ["always", "risk", "unmatched", "never"];

/** What an entry asks that does not say so itself; also what a path gets that no entry names. */
const DEFAULT_TTL = 900;
const DEFAULT_USES = 20;
/** Characters. */
const MAX_SCOPE = 256;

/**
 * Checks a policy and puts its entries into the order in which they are asked: the most specific path first (a whole path before a pattern,
 * a longer pattern before a shorter, one with a method or a condition before one without), of equals the strictest.
 *
 * @throws {TypeError} what is wrong and where; a path that is written in a way that no request is compared with (`%`, `?`, `*` inside)
 *
 * @example
 * ```ts
 * import { parsePolicy } from "gatepass/clearance";
 * const { entries } = parsePolicy({ always_require_clearance: ["/api/payment/*"], never_require_clearance: ["/health"] });
 * console.assert(entries.length === 2);
 * ```
 */
export function parsePolicy(written: unknown): Policy {
  const parsed = documentSchema.safeParse(written);
  if (!parsed.success) throw new TypeError(`Invalid policy: ${describeIssue(parsed.error.issues[0])}`);
  const entries = LISTS.flatMap(([list, kind]) =>
    (parsed.data[list] ?? []).map((entry) => entryOf(kind, typeof entry === "string" ? { path: entry } : entry)),
  );
  entries.sort((a, b) => specificity(b) - specificity(a) || STRICTNESS.indexOf(a.kind) - STRICTNESS.indexOf(b.kind));
  const twins = new Set<string>();
  for (const { kind, path, methods, when } of entries) {
    const twin = JSON.stringify([kind, path, methods, when]);
    if (twins.has(twin)) throw new TypeError(`Invalid policy: "${path}" stands twice in one list`);
    twins.add(twin);
  }
  return { entries, conditions: [...new Set(entries.flatMap(({ when }) => when ?? []))] };
}

/**
 * The entry that a request falls under; of kind `unmatched` where none names it. All readings of its path count (and every method that it claims), so that
 * a path which one router reads as `/health` and another as `/api/payment` is never free: where they fall under different entries, the answer is the
 * strictest of each entry's terms, under a scope of its own. A condition that fails to answer holds where that is stricter.
 *
 * @param method one, or all that somebody behind us may take it for
 * @param path as in the request's URL, not decoded
 * @param holds whether a condition (`when`) is true of the request
 */
export async function matchPolicy(
  { entries }: Policy,
  method: string | readonly string[],
  path: string,
  holds: (condition: string) => boolean | Promise<boolean>,
): Promise<PolicyEntry> {
  const readings = readingsOf(path);
  // Whoever writes a path that cannot be read is treated as if it were the strictest we have.
  if (!readings) return entries.find(({ kind }) => kind === "always") ?? unmatched(normalizePath(path));
  const answers: Answers = new Map();
  const found = new Set<PolicyEntry | undefined>();
  // HEAD is GET without the body: the work behind it is the same.
  for (const one of new Set([method].flat().map((verb) => verb.toUpperCase().replace(/^HEAD$/, "GET")))) {
    for (const reading of readings) {
      let entry = firstMatch(entries, one, reading, answers);
      while (typeof entry === "string") {
        const condition = entry;
        answers.set(condition, await settled(() => holds(condition)));
        entry = firstMatch(entries, one, reading, answers);
      }
      found.add(entry);
    }
  }
  const [only] = found;
  return (found.size === 1 && only) || strictestOf([...found], normalizePath(path));
}

/** What conditions said, as far as they were asked; undefined: no answer. */
type Answers = Map<string, boolean | undefined>;

/** The entry; or the name of a condition that has to be asked first. */
function firstMatch(entries: readonly PolicyEntry[], verb: string, path: string, answers: Answers): PolicyEntry | string | undefined {
  for (const entry of entries) {
    const { kind, methods, when } = entry;
    // A pattern holds the path above it too, where that is stricter: `/api/payment/*` guards `/api/payment`, but `/health/*` does not free `/health`.
    if (!matchesPath(entry.path, path, kind !== "never") || (methods.length > 0 && !methods.includes(verb))) continue;
    if (when !== undefined && !answers.has(when)) return when;
    if (when === undefined || (answers.get(when) ?? kind !== "never")) return entry;
  }
  return undefined;
}

/** The strictest of all terms. @param found undefined: a reading that no entry names */
function strictestOf(found: readonly (PolicyEntry | undefined)[], path: string): PolicyEntry {
  const named = found.filter((entry) => entry !== undefined);
  const asking = named.filter(({ kind }) => kind !== "never");
  const open = found.includes(undefined);
  const base = asking[0] ?? (open ? undefined : named[0]) ?? unmatched(path);
  const all = asking.length > 0 ? asking : [base];
  const ages = all.flatMap(({ maxAge }) => maxAge ?? []);
  const points = all.flatMap(({ risk }) => risk ?? []);
  const modes = all.map(({ mode }) => mode);
  const watched = !open && modes.every((mode) => mode === "monitor" || mode === "off");
  return {
    ...base,
    kind: all.some(({ kind }) => kind === "always") ? "always" : base.kind,
    // Of none of the entries alone: a clearance for one must not open what another router takes for the other.
    scope: all.length > 1 ? scopeOf(all.map(({ scope }) => scope).join(" ")) : base.scope,
    ttl: Math.min(...all.map(({ ttl }) => ttl)),
    maxUses: Math.min(...all.map(({ maxUses }) => maxUses)),
    maxAge: ages.length > 0 ? Math.min(...ages) : undefined,
    mode: watched ? (modes.includes("monitor") ? "monitor" : "off") : modes.includes("enforce") ? "enforce" : undefined,
    highRisk: all.every(({ highRisk }) => highRisk === base.highRisk) ? base.highRisk : "deny",
    bindIp: all.some(({ bindIp }) => bindIp),
    limits: [...new Set(named.flatMap(({ limits }) => limits))],
    risk: points.length > 0 ? Math.max(...points) : undefined,
  };
}

function entryOf(kind: PolicyKind, written: z.infer<typeof entrySchema>): PolicyEntry {
  const {
    method,
    ttl = DEFAULT_TTL,
    max_uses = DEFAULT_USES,
    max_age,
    when,
    mode,
    high_risk = "deny",
    bind_ip = false,
    limits = [],
    risk,
  } = written;
  const path = normalizePath(written.path);
  if (written.path.includes("*") && !written.path.endsWith("/*"))
    throw new TypeError(`Invalid policy: "${written.path}": "*" stands for whole segments at the end`);
  return {
    kind,
    path,
    methods: (typeof method === "string" ? [method] : (method ?? [])).map((one) =>
      one.toUpperCase() === "HEAD" ? "GET" : one.toUpperCase(),
    ),
    scope: normalizePath(written.scope ?? written.path),
    ttl,
    maxUses: max_uses,
    maxAge: max_age,
    when,
    mode,
    action: written.action ?? actionOf(path),
    highRisk: high_risk,
    bindIp: bind_ip,
    limits,
    risk,
  };
}

/** What a path gets that the policy does not name. Its own path is its scope: a clearance for it opens nothing else. */
export function unmatched(path: string): PolicyEntry {
  return { ...entryOf("unmatched", { path: "/" }), path, scope: scopeOf(path), action: actionOf(path) };
}

/** A scope has to fit into a token, whatever path a stranger asks for. */
function scopeOf(text: string): string {
  return text.length <= MAX_SCOPE ? text : `${text.slice(0, MAX_SCOPE)}#${encodeBase64url(sha256Sync(utf8(text)))}`;
}

/** A Turnstile action out of a path: `/api/payment/*` is `payment`. */
function actionOf(path: string): string {
  const text = path
    .replace(/^\/api(?=\/|$)/, "")
    .replace(/[^a-z0-9_-]+/g, "_")
    .replace(/^_+|_+$/g, "");
  return text.slice(0, 32) || "clearance";
}

function specificity({ path, methods, when }: PolicyEntry): number {
  const exact = path.endsWith("/*") ? 0 : 1;
  return (exact * 1000 + path.length) * 4 + (when === undefined ? 0 : 2) + (methods.length === 0 ? 0 : 1);
}

async function settled(ask: () => boolean | Promise<boolean>): Promise<boolean | undefined> {
  try {
    return (await ask()) === true;
  } catch {
    return undefined;
  }
}
