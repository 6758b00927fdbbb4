// `npm run bench`: builds, installs the peers that are compared with, and runs every benchmark. Figures are ratios within one run.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bin, prepare, run } from "./prepare.mjs";

prepare(import.meta.url);
const root = fileURLToPath(new URL("../..", import.meta.url));
// Deno has no self-reference: it finds the package's entries by a map.
const { exports } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const entries = Object.entries(exports).filter(([, target]) => typeof target !== "string");
const imports = Object.fromEntries(
  entries.map(([subpath, { default: file }]) => [subpath.replace(".", "gatepass"), new URL(`../../${file}`, import.meta.url).href]),
);
writeFileSync(`${root}test/output/deno-map.json`, JSON.stringify({ imports }));
const deno = [
  "run",
  "--no-lock",
  "--node-modules-dir=manual",
  `--import-map=${root}test/output/deno-map.json`,
  "--allow-read",
  "--allow-env",
];

run("tokens on Node", process.execPath, ["test/bench/tokens.mjs"]);
run("tokens on Bun", bin("bun"), ["test/bench/tokens.mjs"]);
run("tokens on Deno", bin("deno"), [...deno, "test/bench/tokens.mjs"]);
run("protected write on Node", process.execPath, ["test/bench/write.mjs"]);
run("protect on Node", process.execPath, ["test/bench/protect.mjs"]);
run("memory of the memory store", process.execPath, ["--expose-gc", "test/bench/store-memory.mjs"]);
