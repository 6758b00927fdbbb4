import * as z from "zod/mini";
import { assertKeys } from "../util/assertions.ts";
import { rowOf } from "./ambiguity.ts";
import { decode, matchesLetter, matchesPath, normalizePath, type Reading, readingsOf } from "./paths.ts";
import { describeIssue } from "./problems.ts";
import { byStrictness, type Found, scopeOf, strictestOf } from "./strictest.ts";
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
  ambiguous: z.optional(z.literal("allow")),
});
const listSchema = z.optional(z.array(z.union([pathSchema, entrySchema])).check(z.maxLength(500)));

const documentSchema = z.strictObject({
  $schema: z.optional(z.string()),
  always_require_clearance: listSchema,
  risk_based: listSchema,
  never_require_clearance: listSchema,
});

/** The schema of a policy document. The published JSON Schema is generated from it. */
export const policySchema: z.ZodMiniType = documentSchema;

const LISTS = [
  ["always_require_clearance", "always"],
  ["risk_based", "risk"],
  ["never_require_clearance", "never"],
] as const;

/** Defaults of an entry's `ttl` (seconds) and `max_uses`, also for a path that no entry matches. */
const DEFAULT_TTL = 900;
const DEFAULT_USES = 20;

/**
 * Checks a policy and sorts its entries. The most specific entry comes first: a whole path before a pattern, a longer
 * path before a shorter one, then one with a condition, then one with a method. Of equally specific entries the
 * strictest comes first.
 *
 * @throws {TypeError} what is wrong, and where in the document; also a path that could never match (`%`, `?`, `..`, a
 * `*` inside)
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
  // The schema takes any object. A promise or a Map has no members, and would pass as an empty policy.
  assertKeys("policy", written, Object.keys(Object(written)));
  const entries = LISTS.flatMap(([list, kind]) =>
    (parsed.data[list] ?? []).map((entry) => entryOf(kind, typeof entry === "string" ? { path: entry } : entry)),
  );
  entries.sort((a, b) => specificity(b) - specificity(a) || byStrictness(a, b));
  const twins = new Set<string>();
  for (const { kind, path, methods, when } of entries) {
    const twin = JSON.stringify([kind, path, methods, when]);
    if (twins.has(twin)) throw new TypeError(`Invalid policy: "${path}" stands twice in one list`);
    twins.add(twin);
  }
  return { entries, conditions: [...new Set(entries.flatMap(({ when }) => when ?? []))] };
}

/**
 * The methods of a request: its own, or all that a router behind us may see. Undefined: they cannot be told, so entries
 * of every method match.
 */
export type Methods = string | readonly string[] | undefined;

/** Asks a condition by its name, at most once a request. Undefined: it threw. */
type Ask = (condition: string) => Promise<boolean | undefined>;

/**
 * The entry that applies to a request; of kind `unmatched` where none does. All readings of its path count, and every
 * method that it may have. So a path that one router reads as `/health` and another as `/api/payment` is never free.
 * Where the readings match different entries, the result takes the strictest of each term, and a scope that only this
 * combination has. A condition that throws holds, except in a `never` entry.
 *
 * @param methods a function is only called where an entry of this path has a `method`
 * @param path as in the request's URL, not decoded; `ambiguityOf` has checked it
 * @param holds whether a condition (`when`) is true for the request
 */
export async function matchPolicy(
  { entries }: Policy,
  methods: Methods | (() => Promise<Methods>),
  path: string,
  holds: (condition: string) => boolean | Promise<boolean>,
): Promise<PolicyEntry> {
  const plain = normalizePath(path);
  const readings = rowOf(path, () => true) ? undefined : readingsOf(path);
  // `ambiguityOf` has refused such a path already. If one gets here all the same, apply every entry rather than guess.
  if (!readings) return strictestOf([{ entry: unmatched(plain), plain }, ...entries.map((entry) => ({ entry, plain }))]);
  const candidates = readings.map((reading) => {
    // A pattern also covers the path above it, unless it frees: `/api/payment/*` guards `/api/payment`, but `/health/*`
    // does not free `/health`.
    const under = entries.filter(({ path: pattern, kind }) => matchesPath(pattern, reading.plain, kind !== "never"));
    return { reading, under };
  });
  const matters = candidates.some(({ under }) => under.some((entry) => entry.methods.length > 0));
  const claimed = typeof methods !== "function" ? methods : matters ? await methods() : "";
  const answers = new Map<string, boolean | undefined>();
  const ask: Ask = async (condition) => {
    if (!answers.has(condition)) answers.set(condition, await settled(() => holds(condition)));
    return answers.get(condition);
  };
  const found: Found[] = [];
  let nobody: PolicyEntry | undefined;
  const none = (): PolicyEntry => {
    nobody ??= unmatched(plain);
    return nobody;
  };
  for (const verb of new Set([claimed].flat().map((one) => one && verbOf(one)))) {
    for (const { reading, under } of candidates) {
      const all = await entriesOf(under, verb, reading, ask, none);
      found.push(...all.map((entry) => ({ entry, plain: reading.plain })));
    }
  }
  const [first, ...rest] = found;
  return first ? strictestOf([first, ...rest]) : none();
}

/**
 * Whether an entry of the policy allows the `%2F` or `;` in a path. They must come after the entry's own path. A
 * `never` entry must match every reading of the path: otherwise the character could free another route.
 *
 * @param path as in the request's URL, not decoded
 */
export function allowsAmbiguous({ entries }: Policy, method: string, path: string): boolean {
  const at = path.search(/%2f|%3b|;/i);
  const head = decode(path.slice(0, at))?.toLowerCase();
  return entries.some(({ ambiguous, kind, methods, path: pattern }) => {
    if (at < 0 || !ambiguous || (methods.length > 0 && !methods.includes(verbOf(method)))) return false;
    const fixed = pattern.replace(/\/\*$/, "");
    const below = pattern !== fixed && head?.startsWith(`${fixed}/`);
    if (!below && !(head === fixed && !path.startsWith("%2", at))) return false;
    return kind !== "never" || (readingsOf(path)?.every(({ plain }) => matchesPath(pattern, plain, false)) ?? false);
  });
}

/**
 * The entries that a reading may match, from the most specific on. It stops at the first one that every router agrees
 * on. Without agreement the next ones count too: `/api/payment/STATUS` is `/api/payment/status` to some routers, and
 * falls under `/api/payment/*` for others.
 *
 * @param verb the method; undefined: it may be any
 * @param none added where the reading may match no entry
 */
async function entriesOf(
  candidates: readonly PolicyEntry[],
  verb: string | undefined,
  reading: Reading,
  ask: Ask,
  none: () => PolicyEntry,
): Promise<PolicyEntry[]> {
  const found: PolicyEntry[] = [];
  for (const entry of candidates) {
    const { kind, methods, when } = entry;
    if (verb !== undefined && methods.length > 0 && !methods.includes(verb)) continue;
    const holds = when === undefined || (await ask(when));
    if (!(holds ?? kind !== "never")) continue;
    found.push(entry);
    const sure = holds === true && (verb !== undefined || methods.length === 0);
    if (sure && matchesLetter(entry.written, reading)) return found;
  }
  const named = verb === undefined ? found.some(({ methods }) => methods.length === 0) : found.length > 0;
  return named ? found : [...found, none()];
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
    ambiguous,
  } = written;
  // Nearly all clients send paths in NFC. The policy's path must compare equal to them.
  const text = written.path.normalize("NFC");
  const path = normalizePath(text);
  if (text.includes("*") && !text.endsWith("/*"))
    throw new TypeError(`Invalid policy: "${written.path}": "*" stands for whole segments at the end`);
  if (/\/\.{1,2}(\/|$)/.test(text))
    throw new TypeError(`Invalid policy: "${written.path}": no request with a dot segment gets as far as a policy`);
  return {
    kind,
    path,
    written: text.replace(/\/+/g, "/"),
    methods: [method ?? []].flat().map(verbOf),
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
    ambiguous: ambiguous === "allow",
  };
}

/** The method in upper case. HEAD counts as GET: it does the same work and only omits the body. */
function verbOf(method: string): string {
  return method.toUpperCase().replace(/^HEAD$/, "GET");
}

/**
 * The entry of a path that the policy does not name. The path is its scope: a clearance for it opens no other route.
 */
export function unmatched(path: string): PolicyEntry {
  return { ...entryOf("unmatched", { path: "/" }), path, written: path, scope: scopeOf(path), action: actionOf(path) };
}

/** The default Turnstile action of a path: `payment` for `/api/payment/*`. */
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
