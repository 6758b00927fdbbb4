// `npm run test:peers`: what others wrote for Turnstile, on the emulator. Its packages are pinned in a package.json of their own, since nothing else
// needs them.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { continueOnPinnedNode, installPackages, installSystemPackages } from "../setup.mjs";

installPackages();
continueOnPinnedNode(fileURLToPath(import.meta.url));
installSystemPackages();

const root = fileURLToPath(new URL("../..", import.meta.url));
const peers = `${root}test/peers/`;
const marker = `${peers}node_modules/.package-lock.json`;
if (!existsSync(marker) || statSync(marker).mtimeMs < statSync(`${peers}package-lock.json`).mtimeMs) {
  console.log("Installing the peers");
  execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: peers, stdio: "inherit" });
}
const run = (file, ...args) => spawnSync(`${root}node_modules/.bin/${file}`, args, { cwd: root, stdio: "inherit" }).status ?? 1;
process.exitCode =
  run("tsup") || run("tsc", "-p", "test/peers") || run("vitest", "run", "-c", "test/peers/vitest.config.ts", ...process.argv.slice(2));
