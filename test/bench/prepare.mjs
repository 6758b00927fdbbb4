// What every bench needs: the pinned Node, the package as it is built, and the peers that it is compared with.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { continueOnPinnedNode, installPackages } from "../setup.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const here = `${root}test/bench/`;

/** A program of the installed packages. */
export const bin = (name) => `${root}node_modules/.bin/${name}`;

/** Runs a program and shows what it says; one that fails makes this process fail at its end. */
export function run(title, file, args) {
  console.log(`--- ${title}`);
  const { status } = spawnSync(file, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}

/** @param script the URL of the bench, which goes on under the pinned Node */
export function prepare(script) {
  installPackages();
  continueOnPinnedNode(fileURLToPath(script));
  mkdirSync(`${root}test/output`, { recursive: true });
  run("build", bin("tsup"), []);
  if (!isInstalled()) run("peers", "npm", ["install", "--no-save", "--prefix", "test/bench", "--no-audit", "--no-fund"]);
  // The bench is a package of its own, and gatepass one that it uses: as built, through a link.
  if (!existsSync(`${here}node_modules/gatepass`)) symlinkSync("../../..", `${here}node_modules/gatepass`);
}

function isInstalled() {
  const { dependencies } = JSON.parse(readFileSync(`${here}package.json`, "utf8"));
  return Object.keys(dependencies).every((name) => existsSync(`${here}node_modules/${name}`));
}
