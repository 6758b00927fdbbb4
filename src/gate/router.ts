import type { Route } from "./types.ts";

/** A route that answers a request, and what the URL said. */
export interface Match {
  /** By method; undefined: the path is ours, the method is not. */
  route: Route | undefined;
  /** Method and pattern, for events. */
  label: string;
  params: Record<string, string>;
  /** For `Allow` and preflights. */
  methods: readonly string[];
}

interface Entry {
  pattern: string;
  test: RegExp | undefined;
  names: readonly string[];
  byMethod: Map<string, Route>;
  methods: string[];
}

/** One character of a parameter: nothing that another reader of the URL would decode, split or normalise. */
const PARAMETER = "((?!\\.{1,2}(?:/|$))[A-Za-z0-9._~-]{1,128})";
const NO_PARAMS: Record<string, string> = {};

/** Finds routes by method and path; a path without parameters wins over one with. */
export function createRouter(
  routes: readonly { route: Route; feature: string }[],
  basePath: string,
): (method: string, url: string) => Match | null {
  const fixed = new Map<string, Entry>();
  const patterns: Entry[] = [];
  const entries = new Map<string, Entry>();
  for (const { route, feature } of routes) {
    const pattern = (route.base === false ? "" : basePath) + route.path;
    if (!/^(\/(:[a-z]\w*|[\w~.-]+))+$/i.test(route.path)) throw new TypeError(`Feature "${feature}": not a path: "${pattern}"`);
    const shape = pattern.replace(/:\w+/g, ":");
    let entry = entries.get(shape);
    if (!entry) {
      const names = [...pattern.matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
      const test = names.length > 0 ? new RegExp(`^${pattern.replace(/[.]/g, "\\.").replace(/:\w+/g, PARAMETER)}$`) : undefined;
      entry = { pattern, test, names, byMethod: new Map(), methods: [] };
      entries.set(shape, entry);
      if (test) patterns.push(entry);
      else fixed.set(pattern, entry);
    }
    for (const method of typeof route.method === "string" ? [route.method] : route.method) {
      if (!/^[A-Z]+$/.test(method) || method === "OPTIONS" || method === "HEAD")
        throw new TypeError(`Feature "${feature}": method "${method}"`);
      if (entry.byMethod.has(method)) throw new TypeError(`Feature "${feature}": the route ${method} ${pattern} exists twice`);
      entry.byMethod.set(method, route);
      entry.methods.push(...(method === "GET" ? ["GET", "HEAD"] : [method]));
    }
  }
  for (const entry of entries.values()) entry.methods.push("OPTIONS");

  return (method, url) => {
    const path = pathOf(url);
    let params = NO_PARAMS;
    let entry = fixed.get(path);
    if (!entry) {
      for (const candidate of patterns) {
        const found = candidate.test?.exec(path);
        if (!found) continue;
        entry = candidate;
        params = Object.fromEntries(candidate.names.map((name, i) => [name, found[i + 1] ?? ""]));
        break;
      }
    }
    if (!entry) return null;
    const route = entry.byMethod.get(method === "HEAD" ? "GET" : method);
    return { route, label: `${method} ${entry.pattern}`, params, methods: entry.methods };
  };
}

/**
 * The path as it stands in the URL, never decoded and never normalised: `//`, `/./`, `%2f` or a backslash match nothing, so that no path means one
 * thing to a proxy's rules and another to us.
 */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  let end = start;
  for (; end < url.length; end++) {
    const code = url.charCodeAt(end);
    if (code === 0x3f || code === 0x23) break;
  }
  return url.slice(start, end);
}
