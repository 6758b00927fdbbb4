// The runtime matrix: one suite, unchanged, on every runtime, against the built package. Prints what each runtime says.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const out = `${root}test/output/runtime/`;
mkdirSync(out, { recursive: true });
const bin = (name) => `${root}node_modules/.bin/${name}`;

// Node and Bun find `gatepass` by self-reference, as an installed copy; the others get it bundled or mapped, from dist all the same.
await bundle("entry.ts", "suite.mjs", { external: ["gatepass", "gatepass/*", "jose"] });
await bundle("entry.worker.ts", "worker.mjs");
await bundle("entry.browser.ts", "browser.js");
const { exports } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const imports = Object.fromEntries(
  Object.entries(exports).flatMap(([subpath, target]) =>
    typeof target === "string" ? [] : [[subpath.replace(".", "gatepass"), new URL(`../../${target.default}`, import.meta.url).href]],
  ),
);
writeFileSync(`${out}deno.json`, JSON.stringify({ imports }));

const total = { passed: 0, failed: 0, skipped: 0 };
const node20 = findNode(20);
await runtime("Node 20", node20 && (() => program(node20, `${out}suite.mjs`)), "no Node 20 on the PATH");
await runtime("Node 24", () => program(process.execPath, `${out}suite.mjs`));
await runtime("Bun", () => program(bin("bun"), `${out}suite.mjs`));
const deno = ["run", "--no-lock", "--node-modules-dir=manual", `--import-map=${out}deno.json`, "--allow-read", "--allow-env"];
await runtime("Deno", () => program(bin("deno"), ...deno, `${out}suite.mjs`));
await runtime("workerd", () => worker([]));
await runtime("workerd with nodejs_compat", () => worker(["nodejs_compat"]));
await runtime("Chromium", existsSync("/usr/bin/chromium") && browser, "no Chromium");
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 ? 1 : 0;

async function runtime(name, run, reason) {
  if (!run) {
    console.error(`!!! SKIPPED: ${name}: ${reason} !!!`);
    total[process.env.CI ? "failed" : "skipped"] += 1;
    return;
  }
  let report;
  try {
    report = await run();
  } catch (error) {
    report = { passed: 0, failures: [{ name: "run", message: `${error.message}\n${error.stderr ?? ""}` }] };
  }
  if (report.passed === 0 && report.failures.length === 0) report.failures.push({ name: "run", message: "no case ran" });
  total.passed += report.passed;
  total.failed += report.failures.length;
  console.log(
    `${report.failures.length > 0 ? "FAILED" : "ok"} ${name}: ${report.passed} of ${report.passed + report.failures.length} cases`,
  );
  for (const { name: failed, message } of report.failures) console.log(`  ${failed}: ${message}`);
}

function bundle(entry, file, options = {}) {
  return build({
    entryPoints: [`${root}test/runtime/${entry}`],
    outfile: `${out}${file}`,
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    logLevel: "error",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser"],
    ...options,
  });
}

function program(file, ...args) {
  return new Promise((resolve, reject) => {
    execFile(file, args, { cwd: root, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error) reject(Object.assign(error, { stderr }));
      else resolve(JSON.parse(stdout));
    });
  });
}

async function worker(compatibilityFlags) {
  const miniflare = new Miniflare({ modules: true, scriptPath: `${out}worker.mjs`, compatibilityDate: "2026-04-01", compatibilityFlags });
  try {
    return await (await miniflare.dispatchFetch("http://localhost/")).json();
  } finally {
    await miniflare.dispose();
  }
}

async function browser() {
  const script = readFileSync(`${out}browser.js`);
  const server = createServer((request, response) => {
    const isScript = request.url === "/browser.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html; charset=utf-8");
    response.end(isScript ? script : '<!doctype html><body><script type="module" src="/browser.js"></script>');
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const args = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  const instance = await chromium.launch({ executablePath: "/usr/bin/chromium", args });
  try {
    const page = await instance.newPage();
    await page.goto(`http://localhost:${server.address().port}/`);
    await page.waitForFunction(() => document.title === "done", null, { timeout: 60_000 });
    return JSON.parse(await page.textContent("body"));
  } finally {
    await instance.close();
    server.close();
  }
}

/** The system's Node of this major version: the pinned one, in node_modules, is another. */
function findNode(major) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const file = `${folder}/node`;
    if (folder.includes("node_modules") || !existsSync(file)) continue;
    const version = execFileSync(file, ["-p", "process.versions.node"], { encoding: "utf8" });
    if (version.startsWith(`${major}.`)) return file;
  }
  return undefined;
}
