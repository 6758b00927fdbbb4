// Bundles the page and packs it into dist/demo/assets.js, which all four entries serve; and the Worker, which has to be one file.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = `${root}dist/demo/`;
mkdirSync(out, { recursive: true });

const common = {
  bundle: true,
  write: false,
  minify: true,
  format: "esm",
  target: "es2022",
  absWorkingDir: root,
  logLevel: "warning",
  // Shared chunks that an entry imports for their order alone: there is nothing in them to run.
  logOverride: { "ignored-bare-import": "silent" },
};
const bundle = async (name, options) => (await build({ ...common, entryPoints: [`demo/web/${name}`], ...options })).outputFiles[0].text;

const assets = {
  "/": asset("text/html; charset=utf-8", read("index.html")),
  "/404": asset("text/html; charset=utf-8", read("404.html")),
  "/protected": asset("text/html; charset=utf-8", read("protected.html")),
  "/main.js": asset("text/javascript; charset=utf-8", await bundle("main.ts", { platform: "browser" })),
  "/protected.js": asset("text/javascript; charset=utf-8", await bundle("protected.ts", { platform: "browser" })),
  "/style.css": asset("text/css; charset=utf-8", await bundle("style.css")),
  "/protected.css": asset("text/css; charset=utf-8", await bundle("protected.css")),
  "/favicon.svg": asset("image/svg+xml", read("favicon.svg")),
};
writeFileSync(`${out}assets.js`, `export const assets = ${JSON.stringify(assets)};\n`);

await build({
  ...common,
  write: true,
  minify: false,
  entryPoints: ["demo/worker.ts"],
  outfile: `${out}worker.js`,
  platform: "neutral",
  mainFields: ["module", "main"],
  conditions: ["workerd", "worker", "browser"],
  external: ["cloudflare:workers"],
});

function read(name) {
  return readFileSync(`${root}demo/web/${name}`, "utf8");
}

function asset(type, body) {
  return { type, body, etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"` };
}
