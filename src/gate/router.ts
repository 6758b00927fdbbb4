import type { Route } from "./types.ts";

/** A route that answers a request, and what the URL said. */
export interface Match {
  /** Undefined: the path is ours, the method is not. */
  route: Route | undefined;
  /** Method and pattern, for events. */
  label: string;
  params: Record<string, string>;
  /** For `Allow` and preflights. */
  methods: readonly string[];
}

interface Entry {
  pattern: string;
  parts: readonly string[];
  routes: Map<string, Route>;
  methods: string[];
}

/** A parameter: nothing that another reader of the URL would decode, split or normalise. */
const PARAMETER = /^(?!\.{1,2}$)[\w.~-]{1,128}$/;

/** @throws {TypeError} a path or method that is none, or a route twice */
export function createRouter(routes: readonly Route[], basePath: string): (method: string, url: string) => Match | null {
  /** By pattern, the names of parameters left out. */
  const entries = new Map<string, Entry>();
  for (const route of routes) {
    const { path } = route;
    if (!/^(\/(:[a-z]\w*|[\w~.-]+))+$/i.test(path)) throw new TypeError(`Cannot route the path "${path}"`);
    const pattern = route.base === false ? path : basePath + path;
    const shape = pattern.replace(/:\w+/g, ":");
    const entry = entries.get(shape) ?? { pattern, parts: pattern.split("/"), routes: new Map<string, Route>(), methods: ["OPTIONS"] };
    entries.set(shape, entry);
    for (const method of [route.method].flat()) {
      if (entry.routes.has(method) || !/^(?!HEAD|OPTIONS)[A-Z]+$/.test(method)) throw new TypeError(`Cannot route ${method} ${path}`);
      entry.routes.set(method, route);
      entry.methods.unshift(method, ...(method === "GET" ? ["HEAD"] : []));
    }
  }

  return (method, url) => {
    const path = pathOf(url);
    let entry = path.includes(":") ? undefined : entries.get(path);
    const params: Record<string, string> = {};
    if (!entry) {
      const given = path.split("/");
      const fits = ({ parts }: Entry): boolean =>
        parts.length === given.length &&
        parts.every((part, i) => (part.startsWith(":") ? PARAMETER.test(given[i] ?? "") : part === given[i]));
      entry = [...entries.values()].find(fits);
      for (const [i, part] of entry?.parts.entries() ?? []) if (part.startsWith(":")) params[part.slice(1)] = given[i] ?? "";
    }
    if (!entry) return null;
    const route = entry.routes.get(method === "HEAD" ? "GET" : method);
    return { route, label: `${method} ${entry.pattern}`, params, methods: entry.methods };
  };
}

/**
 * The path as it stands in the URL, never decoded and never normalised: `//`, `/./`, `%2f` or a backslash match nothing, so that no path means one
 * thing to a proxy's rules and another to us.
 */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.slice(start).search(/[?#]/);
  return start < 0 ? "" : url.slice(start, end < 0 ? undefined : start + end);
}
