import { describe, expect, it } from "vitest";
import { type Import, importsOf, type Source, sources, withoutComments } from "../helpers/sources.ts";

const all = sources("src", "adapters");
const generated = (path: string): boolean => path.endsWith(".gen.ts");
const isPage = (path: string): boolean => /^src\/[^/]+\/page\//.test(path);

/** The layer of each folder of src; a file may import its own folder and what lies below its layer. */
const LAYER: Record<string, number> = {
  util: 0,
  errors: 0,
  protocol: 0,
  tokens: 1,
  store: 1,
  turnstile: 1,
  game: 1,
  events: 2,
  limits: 2,
  http: 3,
  gate: 4,
  scores: 5,
  clearance: 5,
  forms: 5,
  cron: 5,
  runs: 6,
  admin: 6,
  index: 7,
  cli: 7,
};
const FEATURES = ["scores", "clearance", "forms", "cron", "runs", "admin"];
/** What is not a layer of the server has a rule of its own. */
const ALLOWED: Record<string, (folder: string, item: Import) => boolean> = {
  client: (folder, item) => folder === "errors" || folder === "protocol" || folder === "util" || folder === "game" || item.typeOnly,
  emulator: (folder) => (LAYER[folder] ?? 9) <= 1,
  testing: (folder) => (LAYER[folder] ?? 9) <= 6,
  page: (folder) => folder === "client" || LAYER[folder] === 0,
  adapters: (folder) => ["store", "scores", "gate", "client", "util", "errors", "protocol"].includes(folder),
};

function folderOf(path: string): string {
  if (isPage(path)) return "page";
  if (path.startsWith("adapters/")) return "adapters";
  return (path.split("/")[1] ?? "").replace(/\.ts$/, "");
}

function mayImport(from: string, item: Import): boolean {
  const source = folderOf(from);
  const target = folderOf(item.target ?? "");
  if (source === "adapters" && target === "adapters") return (item.target ?? "").startsWith("adapters/_");
  if (source === target) return true;
  const rule = ALLOWED[source];
  if (rule !== undefined) return rule(target, item);
  const here = LAYER[source];
  if (here === undefined) return false;
  // The command may use everything in src but the client, and one adapter.
  if (source === "cli") return item.target === "adapters/node.ts" || (target !== "client" && target !== "adapters");
  const there = LAYER[target];
  if (there === undefined) return false;
  if (FEATURES.includes(source) && FEATURES.includes(target)) return here === 6 && target === "scores";
  return there < here || (here === 0 && there === 0);
}

describe("layers", () => {
  it("imports go down only", () => {
    const upward = all.flatMap((source) =>
      importsOf(source)
        .filter((item) => item.target !== undefined && !mayImport(source.path, item))
        .map((item) => `${source.path} -> ${item.target}`),
    );
    expect(upward).toEqual([]);
  });

  it("relative specifiers end in .ts and lead to a file", () => {
    const paths = new Set(all.map((source) => source.path));
    const lost = all.flatMap((source) =>
      importsOf(source)
        .filter((item) => item.target !== undefined && !paths.has(item.target))
        .map((item) => `${source.path} -> ${item.specifier}`),
    );
    expect(lost).toEqual([]);
  });

  it("there is no cycle at run time", () => {
    const graph = new Map(all.map((source) => [source.path, importsOf(source).filter((item) => item.target && !item.typeOnly)]));
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (path: string, trail: string[]): void => {
      if (state.get(path) === "done") return;
      if (state.get(path) === "open") {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
        return;
      }
      state.set(path, "open");
      for (const item of graph.get(path) ?? []) visit(item.target ?? "", [...trail, path]);
      state.set(path, "done");
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it("packages are imported where architecture allows them, zod by namespace from zod/mini only", () => {
    const wrong = all.flatMap((source) =>
      importsOf(source)
        .filter((item) => item.target === undefined && !packageAllowed(source, item))
        .map((item) => `${source.path} -> ${item.specifier}`),
    );
    expect(wrong).toEqual([]);
    const named = all.filter((source) => /import\s+(?!\*\s+as\s+z\b)[^;]*["']zod[^"']*["']/.test(source.code)).map((source) => source.path);
    expect(named).toEqual([]);
  });

  it("no runtime's own names in src outside the command, no window outside the browser's part", () => {
    const server = all.filter(({ path }) => !path.startsWith("src/cli/") && !generated(path) && !isPage(path));
    const runtime = /(?<![.\w"'`@/-])(process\.|Buffer\b|Deno\.|Bun\.|require\()|["'](node|bun|cloudflare):/;
    expect(server.filter(({ code }) => runtime.test(withoutText(code))).map(({ path }) => path)).toEqual([]);
    const browser = /(?<![.\w"'`$-])(window|document|localStorage|sessionStorage|navigator)\b(?!["'`:-])/;
    const rest = server.filter(({ path }) => !path.startsWith("src/client/"));
    expect(rest.filter(({ code }) => browser.test(withoutText(code))).map(({ path }) => path)).toEqual([]);
  });

  it("no file grows past its cap: 250 lines of code, 450 in all", () => {
    const big = all
      .filter(({ path }) => !generated(path))
      .map(({ path, text, code }) => ({
        path,
        lines: text.split("\n").length - 1,
        code: code.split("\n").filter((line) => line.trim()).length,
      }))
      .filter(({ lines, code }) => code > 250 || lines > 450);
    expect(big).toEqual([]);
  });
});

function packageAllowed({ path }: Source, { specifier }: Import): boolean {
  if (path.startsWith("src/cli/")) return specifier.startsWith("node:");
  if (specifier === "jose") return path.startsWith("src/tokens/");
  if (specifier === "zod/mini") return ["http", "gate", ...FEATURES].includes(folderOf(path));
  return false;
}

/** Strings blanked too: an error message may name a runtime. */
function withoutText(code: string): string {
  return withoutComments(code).replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`/g, (text) =>
    /^["'](node|bun|cloudflare):/.test(text) ? text : '""',
  );
}
