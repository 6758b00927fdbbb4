// `npm run bench`: builds, installs the peers that are compared with, and runs every benchmark. Figures are ratios within one run.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { continueOnPinnedNode, installPackages } from "../setup.mjs";

installPackages();
continueOnPinnedNode(fileURLToPath(import.meta.url));
const root = fileURLToPath(new URL("../..", import.meta.url));
const bin = (name) => `${root}node_modules/.bin/${name}`;
const run = (title, file, args) => {
  console.log(`--- ${title}`);
  const { status } = spawnSync(file, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
};

mkdirSync(`${root}test/output`, { recursive: true });
run("build", bin("tsup"), []);
if (!existsSync(`${root}test/bench/node_modules/hono`))
  run("peers", "npm", ["install", "--no-save", "--prefix", "test/bench", "--no-audit", "--no-fund"]);
// The bench is a package of its own, and gatepass one that it uses: as built, through a link.
if (!existsSync(`${root}test/bench/node_modules/gatepass`)) symlinkSync("../../..", `${root}test/bench/node_modules/gatepass`);
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
run("memory of the memory store", process.execPath, ["--expose-gc", "test/bench/store-memory.mjs"]);
