import type { Route } from "./types.ts";

/** The route of a request, and its parameters. */
export interface Match {
  /** Undefined: the path has routes, but not for this method. */
  route: Route | undefined;
  /** Method and pattern, for events. */
  label: string;
  params: Record<string, string>;
  /** For `Allow` and preflights. */
  methods: readonly string[];
}

interface Entry {
  pattern: string;
  shape: RegExp;
  routes: Map<string, Route>;
  methods: string[];
}

/** A parameter: only characters that no proxy decodes, splits or normalises. */
const PARAMETER = "(?<$1>(?!\\.{1,2}(?:/|$))[\\w.~-]{1,128})";

/** @throws {TypeError} an invalid path or method, or a route twice */
export function createRouter(routes: readonly Route[], basePath: string): (method: string, url: string) => Match | null {
  /** By pattern without the names of its parameters: `/a/:id` and `/a/:name` are the same. */
  const entries = new Map<string, Entry>();
  for (const route of routes) {
    const { path } = route;
    if (!/^(\/(:[a-z]\w*|[\w~.-]+))+$/i.test(path)) throw new TypeError(`Cannot route the path "${path}"`);
    const pattern = route.base === false ? path : basePath + path;
    const key = pattern.replace(/:\w+/g, ":");
    const shape = new RegExp(`^${pattern.replace(/\./g, "\\.").replace(/:(\w+)/g, PARAMETER)}$`);
    const entry = entries.get(key) ?? { pattern, shape, routes: new Map<string, Route>(), methods: ["OPTIONS"] };
    entries.set(key, entry);
    for (const method of [route.method].flat()) {
      if (entry.routes.has(method) || !/^(?!HEAD|OPTIONS)[A-Z]+$/.test(method)) throw new TypeError(`Cannot route ${method} ${path}`);
      entry.routes.set(method, route);
      entry.methods.unshift(method, ...(method === "GET" ? ["HEAD"] : []));
    }
  }

  return (method, url) => {
    const path = pathOf(url);
    // A path without parameters takes precedence over one with parameters.
    const entry = entries.get(path) ?? [...entries.values()].find(({ shape }) => shape.test(path));
    const found = entry?.shape.exec(path);
    if (!entry || !found) return null;
    const route = entry.routes.get(method === "HEAD" ? "GET" : method);
    return { route, label: `${method} ${entry.pattern}`, params: { ...found.groups }, methods: entry.methods };
  };
}

/**
 * The path as text, neither decoded nor normalised. So `//`, `/./`, `%2f` or a backslash match no route, and no path
 * means one thing to a proxy's rules and another to the gate.
 *
 * Some runtimes normalise the URL before any program sees it: Bun resolves dot segments and backslashes, so
 * `/x/../api/scores` reaches the gate's route; workerd resolves raw dot segments.
 */
function pathOf(url: string): string {
  return /:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? "";
}
