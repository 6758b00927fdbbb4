// `npm test`: sets the machine up, then runs every suite and says how long each took.
// `npm test -- unit browser` runs just the suites that are named.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { continueOnPinnedNode, installPackages, installSystemPackages } from "./setup.mjs";

installPackages();
continueOnPinnedNode(fileURLToPath(import.meta.url));
const { chromium } = installSystemPackages();

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
mkdirSync("test/output", { recursive: true });
process.env.PATH = `${root}node_modules/.bin:${process.env.PATH}`;

// Not NAME.json: a "package.json" above the runtime suite would take its place as the package that is tested.
const reportOf = (name) => `test/output/report-${name}.json`;
const vitest = (config) => (name) => [
  "vitest",
  ["run", "-c", config, "--reporter=default", "--reporter=json", `--outputFile.json=${reportOf(name)}`],
];
const command =
  (file, ...args) =>
  () => [file, args];
/** Name, the command, and how its tests are counted. */
const suites = [
  ["build", command("tsup")],
  ["lint", command("biome", "check", "--error-on-warnings")],
  ["types", command("node", "test/types.mjs")],
  ["unit", vitest("test/vitest.config.ts")],
  ["contract", vitest("test/vitest.contract.config.ts")],
  ["package", vitest("test/package/vitest.config.ts")],
  ["runtime", command("node", "test/runtime/run.mjs")],
  ["browser", vitest("test/vitest.browser.config.ts"), () => chromium || "Chromium could not be installed"],
];

const wanted = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
const lines = [];
for (const [name, make, possible] of suites) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const reason = possible?.() ?? true;
  const start = performance.now();
  const counts = reason === true ? await run(name, make(name)) : missing(name, reason);
  for (const key of Object.keys(total)) total[key] += counts[key];
  lines.push(`${name.padEnd(8)} ${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s  ${text(counts)}`);
  console.log(`${lines.at(-1)}\n`);
}
console.log(`${lines.join("\n")}\n${text(total)}`);
process.exitCode = total.failed > 0 ? 1 : 0;

/** A suite that cannot run here: a loud skip, and in CI a failure, so that nothing is ever left out in silence. */
function missing(name, reason) {
  console.error(`\n!!! SKIPPED: suite "${name}": ${reason} !!!\n`);
  return process.env.CI ? { passed: 0, failed: 1, skipped: 0 } : { passed: 0, failed: 0, skipped: 1 };
}

async function run(name, [file, args]) {
  console.log(`--- ${name}`);
  const report = reportOf(name);
  rmSync(report, { force: true });
  const { status, output } = await execute(file, args);
  const counts = file === "vitest" ? counted(report) : summed(output);
  // An exit code that no counted test explains (a crash, an unhandled rejection) is a failure of its own.
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  if (status === 0 && counts.passed + counts.failed + counts.skipped === 0) counts[file === "vitest" ? "failed" : "passed"] = 1;
  return counts;
}

function execute(file, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1" } });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        output += chunk;
        process.stdout.write(chunk);
      });
    }
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output }));
  });
}

function counted(report) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(report, "utf8"));
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

/** Adds up the lines `N passed, N failed, N skipped` that a suite of our own prints. */
function summed(output) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, passed, failed, skipped] of output.matchAll(/(\d+) passed, (\d+) failed, (\d+) skipped$/gm)) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(skipped);
  }
  return counts;
}

function text({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
