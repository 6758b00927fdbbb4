import { createRequire } from "node:module";

/** The oldest browsers that the client promises to run in. The README names them; tsup.config.ts takes its syntax from them. */
export const OLDEST: Readonly<Record<string, string>> = {
  chrome: "100",
  chrome_android: "100",
  firefox: "100",
  firefox_android: "100",
  safari: "15.4",
  safari_ios: "15.4",
};

/** What MDN's browser-compat-data says of one feature in one browser. */
interface Support {
  version_added: string | boolean | null;
  version_removed?: string | boolean | null;
  flags?: unknown;
  prefix?: string;
  alternative_name?: string;
}

interface Feature {
  __compat?: { support: Record<string, Support | Support[] | undefined> };
  [name: string]: unknown;
}

/** An API that a page could call: the global `of`, or its member. */
export interface NewerApi {
  of: string;
  /** A symbol begins with `@@`. */
  member?: string;
  /** Whether it is on the constructor itself, on its prototype, or on the one of both that has it. */
  place?: "static" | "prototype" | "either";
}

/** Every interface, global function, namespace and member that at least one of the oldest supported browsers does not have. */
export function newerApis(): NewerApi[] {
  const data: { api: Feature; javascript: { builtins: Feature } } = createRequire(import.meta.url)("@mdn/browser-compat-data");
  return [
    ...children(data.api).flatMap(([of, feature]) => newerIn(of, feature)),
    // Here the data does not tell static members apart.
    ...children(data.javascript.builtins).flatMap(([of, feature]) => newerIn(of, feature, "either")),
  ];
}

function newerIn(of: string, feature: Feature, place?: NewerApi["place"]): NewerApi[] {
  if (isNewer(feature)) return [{ of }];
  return (
    children(feature)
      // Without `Error.stackTraceLimit` V8 records no stack, and a test reads one.
      .filter(([name, member]) => isNewer(member) && name !== of && name !== "stackTraceLimit" && !/_event$/.test(name))
      .map(([name]) => ({
        of,
        member: name.replace(/_static$/, "").replace(/^Symbol\./, "@@"),
        place: place ?? (/_static$/.test(name) ? "static" : "prototype"),
      }))
  );
}

function children(feature: Feature): [string, Feature][] {
  return Object.entries(feature).filter((entry): entry is [string, Feature] => entry[0] !== "__compat" && isFeature(entry[1]));
}

function isFeature(value: unknown): value is Feature {
  return typeof value === "object" && value !== null;
}

function isNewer({ __compat }: Feature): boolean {
  if (__compat === undefined) return false;
  return Object.entries(OLDEST).some(([browser, version]) => {
    const statements = [__compat.support[browser]].flat();
    return !statements.some((statement) => statement !== undefined && has(statement, version));
  });
}

function has(
  { version_added: added, version_removed: removed, flags, prefix, alternative_name: other }: Support,
  version: string,
): boolean {
  if (flags !== undefined || prefix !== undefined || other !== undefined) return false;
  return isAtMost(added, version) && !isAtMost(removed ?? null, version);
}

function isAtMost(one: string | boolean | null, version: string): boolean {
  if (typeof one !== "string") return false;
  const [major = Number.NaN, minor = 0] = one.replace("≤", "").split(".").map(Number);
  const [ofMajor = 0, ofMinor = 0] = version.split(".").map(Number);
  return major < ofMajor || (major === ofMajor && minor <= ofMinor);
}

/**
 * A script for the page, to run before any other: takes away what the oldest supported browsers do not have. A member is only taken from the
 * object that owns it: the prototype further up may belong to an interface that has always had it.
 */
export function withoutNewerApis(): string {
  return `for (const { of, member, place } of ${JSON.stringify(newerApis())}) {
    const owner = globalThis[of];
    const name = member?.startsWith("@@") ? Symbol[member.slice(2)] : member;
    // Some globals, as \`performance\` or \`CSS\`, are no constructors, and the members of a window are its own.
    const objects = member === undefined ? [globalThis] : [
      ...(place === "static" ? [] : [owner?.prototype, of === "Window" && globalThis]),
      ...(place === "prototype" && typeof owner === "function" ? [] : [owner]),
    ];
    for (const object of objects) if (object) Reflect.deleteProperty(object, name ?? of);
  }`;
}
