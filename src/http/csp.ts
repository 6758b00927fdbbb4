import { assertKeys } from "../util/assertions.ts";
import { assertRule, oneOrMore } from "../util/options.ts";

/** Directives by name: one source, several in one text, or a list. */
export type CspDirectives = Record<string, string | readonly string[]>;

const TURNSTILE = "https://challenges.cloudflare.com";

/**
 * A Content-Security-Policy that allows Turnstile: its script, frame and connect sources are added to yours. One of
 * these directives that you do not give starts with the sources of its fallback (`child-src`, `default-src`), else with
 * `'self'`.
 *
 * @throws {TypeError} a directive's name or source that would change the header's structure
 *
 * @example
 * ```ts
 * import { contentSecurityPolicy } from "gatepass";
 * const policy = contentSecurityPolicy({ "default-src": "'none'", "img-src": ["'self'", "data:"] });
 * console.assert(policy.includes("frame-src https://challenges.cloudflare.com"));
 * ```
 */
export function contentSecurityPolicy(directives: CspDirectives = {}): string {
  assertKeys("contentSecurityPolicy", directives, Object.keys(Object(directives)));
  const policy = new Map(Object.entries(directives).map(([name, value]) => [name, sources(name, value)]));
  if (policy.size === 0) policy.set("default-src", ["'self'"]);
  const allow = (name: string, ...fallbacks: string[]): void => {
    const base = [name, ...fallbacks, "default-src"].map((from) => policy.get(from)).find((found) => found) ?? ["'self'"];
    policy.set(name, [...new Set([...base.filter((source) => source.toLowerCase() !== "'none'"), TURNSTILE])]);
  };
  allow("script-src");
  // If it is given, browsers ignore script-src for script elements.
  if (policy.has("script-src-elem")) allow("script-src-elem");
  allow("frame-src", "child-src");
  allow("connect-src");
  return [...policy].map(([name, list]) => [name, ...list].join(" ")).join("; ");
}

/** All directives that browsers know. A misspelt one would be ignored and protect nothing. */
const DIRECTIVES =
  /^((child|connect|default|fenced-frame|font|frame|img|manifest|media|object|prefetch|script|style|worker)-src|(script|style)-src-(elem|attr)|base-uri|sandbox|form-action|frame-ancestors|report-(uri|to)|block-all-mixed-content|upgrade-insecure-requests|(require-)?trusted-types(-for)?)$/;

function sources(name: string, value: string | readonly string[]): string[] {
  if (!DIRECTIVES.test(name)) throw new TypeError(`Cannot write the policy: "${name}" is not a directive`);
  assertRule(name, value, oneOrMore("string"));
  const list = (typeof value === "string" ? [value] : value).flatMap((text) => text.trim().split(/\s+/)).filter((text) => text !== "");
  for (const source of list) {
    if (!/^[!-+\--:<-~]+$/.test(source))
      throw new TypeError(`Cannot write the policy: "${name}" has a source with ";", "," or a character outside ASCII`);
  }
  return list;
}
