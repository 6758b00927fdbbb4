import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { sqliteStore } from "../../../adapters/sqlite.ts";
import type { Quota } from "../../../src/store/contract.ts";

const PROCESSES = 4;
const CALLERS = 64;
const ROUNDS = 4;
const folder = mkdtempSync(join(tmpdir(), "gatepass-processes-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("guarantees 1 and 2 hold for 4 processes with 64 callers each on one SQLite file", { timeout: 60_000 }, async () => {
  const path = join(folder, "store.db");
  const expiresAt = Date.now() + 600_000;
  const script = fileURLToPath(new URL("spender.ts", import.meta.url));
  const children = Array.from({ length: PROCESSES }, () => start(script, [path, CALLERS, ROUNDS, expiresAt].map(String)));
  // All wait until all are there: then nobody, not even the first to open the file, is alone.
  await Promise.all(children.map(({ ready }) => ready));
  for (const { child } of children) child.stdin?.write("go\n");
  const reports = await Promise.all(children.map(({ report }) => report));

  const total: Record<string, number> = {};
  for (const { admitted, rejected } of reports) {
    expect(rejected).toBe(0);
    for (const [key, units] of Object.entries(admitted)) total[key] = (total[key] ?? 0) + units;
  }
  const database = new DatabaseSync(path);
  const store = sqliteStore(database);
  const uses = [0, 1, 2, 3, 4].map((n) => ({ key: `u${n}`, limit: 37, cost: 0, expiresAt }));
  const rates = [0, 1].map((n) => ({ key: `r${n}`, limit: 60, cost: 0, window: 3600 }));
  const { states } = await store.spend([...uses, ...rates]);
  // What the processes believe to have charged is what the file holds: nothing was lost, nothing charged for a refusal.
  expect([...uses, ...rates].map(({ key, limit }, i) => [key, limit - (states[i]?.remaining ?? 0)])).toEqual(
    [...uses, ...rates].map(({ key }) => [key, total[key]]),
  );
  expect(total["alone"]).toBe(100);
  // Whoever was refused was so for a reason: nothing has come back since, so each of those batches is refused again.
  const refused = reports.flatMap((report) => report.refused);
  expect(refused.length).toBeGreaterThan(PROCESSES * CALLERS * ROUNDS);
  for (const wanted of refused) expect((await store.spend(wanted)).ok).toBe(false);
  database.close();
});

interface Report {
  admitted: Record<string, number>;
  refused: Quota[][];
  rejected: number;
}

function start(script: string, args: string[]): { child: ChildProcess; ready: Promise<void>; report: Promise<Report> } {
  const child = spawn(process.execPath, [script, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  let isReady = (): void => undefined;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const report = new Promise<Report>((resolve, reject) => {
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
