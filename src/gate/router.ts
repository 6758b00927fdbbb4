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
  shape: RegExp;
  routes: Map<string, Route>;
  methods: string[];
}

/** A parameter: nothing that another reader of the URL would decode, split or normalise. */
const PARAMETER = "(?<$1>(?!\\.{1,2}(?:/|$))[\\w.~-]{1,128})";

/** @throws {TypeError} a path or method that is none, or a route twice */
export function createRouter(routes: readonly Route[], basePath: string): (method: string, url: string) => Match | null {
  /** By pattern, the names of parameters left out. */
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
    // A path without parameters goes before one with them.
    const entry = entries.get(path) ?? [...entries.values()].find(({ shape }) => shape.test(path));
    const found = entry?.shape.exec(path);
    if (!entry || !found) return null;
    const route = entry.routes.get(method === "HEAD" ? "GET" : method);
    return { route, label: `${method} ${entry.pattern}`, params: { ...found.groups }, methods: entry.methods };
  };
}

/**
 * The path as it stands in the URL, never decoded and never normalised: `//`, `/./`, `%2f` or a backslash match nothing, so that no path means one
 * thing to a proxy's rules and another to us. Some runtimes normalise before us, and no program there can see what the client wrote: Bun resolves
 * dot segments and backslashes, so that `/x/../api/scores` reaches the gate's route, and workerd resolves raw dot segments.
 */
function pathOf(url: string): string {
  return /:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? "";
}
