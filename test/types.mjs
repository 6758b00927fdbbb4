// Type checks every part of the repository under the types that it may know: the library none of a runtime's, the rest Node's.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const projects = [".", "src/cli", "test", "test/types/cloudflare", "demo"].filter((folder) => existsSync(`${folder}/tsconfig.json`));
let failed = 0;
for (const project of projects) {
  const { status } = spawnSync("node_modules/.bin/tsc", ["-p", project], { stdio: "inherit" });
  if (status !== 0) failed += 1;
}
console.log(`${projects.length - failed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed > 0 ? 1 : 0;
