import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Backend } from "./open.ts";
import type { Storm, StormReport } from "./plan.ts";

const script = fileURLToPath(new URL("spender.ts", import.meta.url));
const deno = fileURLToPath(new URL("../../node_modules/.bin/deno", import.meta.url));

/** What came of a storm. */
export interface StormOutcome {
  /** Empty when all went right. */
  faults: string[];
  reports: StormReport[];
  seconds: number;
}

/** Starts the processes, lets them go at once, and compares what they say with what the backend holds. `onProgress` hears how many spends are done. */
export async function runStorm(backend: Backend, storm: Storm, onProgress?: (done: number) => void): Promise<StormOutcome> {
  const done = new Map<string, number>();
  const note = (number: string, spends: number): void => {
    done.set(number, spends);
    onProgress?.([...done.values()].reduce((sum, one) => sum + one, 0));
  };
  const start = (number: number | "check"): Child => spawnChild(backend, storm, String(number), note);
  const spenders = Array.from({ length: storm.processes }, (_, i) => start(i));
  try {
    // All wait until all are there: then nobody, not even the first to open the backend, is alone.
    await Promise.all(spenders.map(({ ready }) => ready));
    const begin = performance.now();
    for (const { go } of spenders) go("go");
    const reports: StormReport[] = await Promise.all(spenders.map(async ({ result }) => JSON.parse(await result)));
    const seconds = (performance.now() - begin) / 1000;
    // A process of its own: it has the runtime that the backend needs.
    const checker = start("check");
    spenders.push(checker);
    await checker.ready;
    checker.go(JSON.stringify(reports));
    return { faults: JSON.parse(await checker.result), reports, seconds };
  } finally {
    for (const { child } of spenders) child.kill();
  }
}

interface Child {
  child: ChildProcess;
  ready: Promise<void>;
  go(line: string): void;
  /** The last line that it wrote. */
  result: Promise<string>;
}

function spawnChild(backend: Backend, storm: Storm, number: string, note: (number: string, spends: number) => void): Child {
  const args = [script, JSON.stringify(backend), JSON.stringify(storm), number];
  const [file, before] =
    backend.kind === "deno-kv" ? [deno, ["run", "-A", "--unstable-kv", "--no-check", "--quiet"]] : [process.execPath, ["--no-warnings"]];
  const child = spawn(file, [...before, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  let isReady = (): void => undefined;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const result = new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      const last = output.trim().split("\n").at(-1) ?? "";
      if (/^[[{]/.test(last)) resolve(last);
      else reject(new Error(`The process ended without a report: ${output}`));
    });
  });
  child.stdout?.on("data", (chunk) => {
    output += String(chunk);
    if (output.includes("ready")) isReady();
    const [, spends] = /^done (\d+)$/m.exec(String(chunk)) ?? [];
    if (spends !== undefined && number !== "check") note(number, Number(spends));
  });
  return { child, ready: Promise.race([ready, result.then(() => undefined)]), go: (line) => child.stdin?.write(`${line}\n`), result };
}
