import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Options } from "tsup";

// package.json says what is published; a subpath is a path: `gatepass/scores` is src/scores/index.ts, `gatepass/client/clearance` is
// src/client/clearance.ts, `gatepass/adapters/node` is adapters/node.ts.
const manifest: { exports: Record<string, unknown> } = JSON.parse(readFileSync("package.json", "utf8"));
const source = (subpath: string): string =>
  [`${subpath.slice(2)}.ts`, `src/${subpath.slice(2)}.ts`, `src/${subpath.slice(2)}/index.ts`].find((file) => existsSync(file)) ??
  "src/index.ts";
const entry: Record<string, string> = {};
for (const [subpath, target] of Object.entries(manifest.exports)) {
  if (typeof target !== "string") entry[subpath === "." ? "index" : subpath.slice(2)] = source(subpath);
}

// The syntax of the oldest browsers that the client runs in, which the README names. The other entries are bundled again by whoever serves them to
// browsers; the client's chunks among them have no newer syntax either, which a test proves.
const oldest: string[] = ["es2022", "chrome100", "firefox100", "safari15.4"];
const common: Options = { outDir: "dist", target: "es2022", dts: false, clean: false, silent: true, external: ["jose", "zod", /^node:/] };

export default defineConfig([
  { ...common, entry, format: "esm", platform: "neutral", splitting: true, onSuccess: finish },
  {
    ...common,
    entry: { "client.global": "src/client/global.ts" },
    target: oldest,
    format: "iife",
    platform: "browser",
    minify: true,
    outExtension: () => ({ js: ".js" }),
  },
  {
    ...common,
    entry: { cli: "src/cli/index.ts" },
    format: "esm",
    platform: "node",
    banner: { js: "#!/usr/bin/env node" },
    onSuccess: async () => chmodSync("dist/cli.js", 0o755),
  },
]);

async function finish(): Promise<void> {
  // Chunks have no side effects, and importing one for them alone makes users' bundlers warn.
  for (const name of readdirSync("dist", { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".js") || name.startsWith("demo")) continue;
    const text = readFileSync(`dist/${name}`, "utf8");
    writeFileSync(`dist/${name}`, text.replace(/^import "(?:\.\.?\/)+chunk-\w+\.js";\n/gm, ""));
  }
  // Chunks of earlier builds, which would be published.
  const used = new Set<string>();
  const follow = (file: string): void => {
    for (const [, chunk = ""] of readFileSync(file, "utf8").matchAll(/\/((?:chunk|doctor)-\w+\.js)"/g)) {
      if (used.has(chunk)) continue;
      used.add(chunk);
      follow(`dist/${chunk}`);
    }
  };
  for (const name of Object.keys(entry)) follow(`dist/${name}.js`);
  for (const name of readdirSync("dist")) if (/^(chunk|doctor)-/.test(name) && !used.has(name)) rmSync(`dist/${name}`);
  copyFileSync("src/clearance/policy.schema.json", "dist/policy.schema.json");
  rmSync("dist/types", { recursive: true, force: true });
  declarations();
}

/** Declarations by tsc; their `.ts` specifiers become `.js`, since a published .d.ts has no .ts beside it. */
function declarations(): void {
  const tsc = fileURLToPath(new URL("./node_modules/.bin/tsc", import.meta.url));
  const flags = ["-p", ".", "--noEmit", "false", "--emitDeclarationOnly", "--outDir", "dist/types", "--rootDir", "."];
  execFileSync(tsc, flags, { stdio: "inherit" });
  if (!existsSync("dist/types")) throw new Error("Cannot find the declarations that tsc should have written");
  for (const name of readdirSync("dist/types", { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".d.ts")) continue;
    const text = readFileSync(`dist/types/${name}`, "utf8");
    writeFileSync(`dist/types/${name}`, text.replace(/((?:from|import)\s*\(?\s*["']\.{1,2}\/[^"']*)\.ts(["'])/g, "$1.js$2"));
  }
}
