import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Backend, open } from "./open.ts";
import { faultsOf, type Storm, type StormReport } from "./plan.ts";

const script = fileURLToPath(new URL("spender.ts", import.meta.url));
const deno = fileURLToPath(new URL("../../node_modules/.bin/deno", import.meta.url));

/** What came of a storm. */
export interface StormOutcome {
  /** Empty when all went right. */
  faults: string[];
  reports: StormReport[];
  seconds: number;
}

/** Starts the processes, lets them go at once, and compares what they say with what the backend (seen through `checker`) holds. */
export async function runStorm(backend: Backend, storm: Storm, checker: Backend = backend): Promise<StormOutcome> {
  const spenders = Array.from({ length: storm.processes }, (_, i) => start(backend, storm, i));
  try {
    // All wait until all are there: then nobody, not even the first to open the backend, is alone.
    await Promise.all(spenders.map(({ ready }) => ready));
    const begin = performance.now();
    for (const { child } of spenders) child.stdin?.write("go\n");
    const reports = await Promise.all(spenders.map(({ report }) => report));
    const seconds = (performance.now() - begin) / 1000;
    const { store, end } = await open(checker);
    const faults = await faultsOf(store, storm, reports).finally(end);
    return { faults, reports, seconds };
  } finally {
    for (const { child } of spenders) child.kill();
  }
}

function start(
  backend: Backend,
  storm: Storm,
  number: number,
): { child: ChildProcess; ready: Promise<void>; report: Promise<StormReport> } {
  const args = [script, JSON.stringify(backend), JSON.stringify(storm), String(number)];
  const [file, before] =
    backend.kind === "deno-kv" ? [deno, ["run", "-A", "--unstable-kv", "--no-check", "--quiet"]] : [process.execPath, ["--no-warnings"]];
  const child = spawn(file, [...before, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  let isReady = (): void => undefined;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const report = new Promise<StormReport>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      const last = output.trim().split("\n").at(-1) ?? "";
      if (last.startsWith("{")) resolve(JSON.parse(last));
      else reject(new Error(`The process ended without a report: ${output}`));
    });
  });
  child.stdout?.on("data", (chunk) => {
    output += String(chunk);
    if (output.includes("ready")) isReady();
  });
  return { child, ready: Promise.race([ready, report.then(() => undefined)]), report };
}
