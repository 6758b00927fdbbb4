// `npm start`: installs if needed, builds, serves Ember Ring and prints its URL. Plain JavaScript for the system's own Node.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { continueOnPinnedNode, installPackages } from "../test/setup.mjs";

installPackages();
continueOnPinnedNode(fileURLToPath(import.meta.url));
const root = fileURLToPath(new URL("..", import.meta.url));
for (const args of [["node_modules/.bin/tsup"], ["demo/build.mjs"]]) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
await import("./node.ts");
