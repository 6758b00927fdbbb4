import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import { root } from "../../helpers/sources.ts";

const MINUTE = 60_000;
/** When the day 2026-11-20 is over. */
const END = Date.UTC(2026, 10, 21);
let folder = "";
let file = "";
const running = new Set<ChildProcess>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "periods-"));
  file = join(folder, "gate.sqlite");
  const database = new DatabaseSync(file);
  const board = sqliteBoard(database);
  const rules = { periods: ["all", "2026-11-20"], order: "desc", operator: "best", group: "main" } as const;
  for (const score of [5, 9, 7]) {
    const entry = {
      board: "main",
      player: `p${score}`,
      score,
      at: 1,
      submission: `s${score}`,
      level: "claimed",
      flags: [],
      name: "",
    } as const;
    await board.submit(entry, rules);
  }
  database.close();
});
afterAll(() => {
  for (const one of running) one.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** What a process tells that runs the job at this time; with `hang` as soon as it has told the first, while it stands still. */
function tell(now: number, mode = ""): Promise<{ told: unknown[]; process: ChildProcess }> {
  const one = spawn(process.execPath, ["--no-warnings", `${root}test/contract/board/period-teller.ts`, file, String(now), mode]);
  running.add(one);
  let [output, errors] = ["", ""];
  return new Promise((resolve, reject) => {
    const done = (): void =>
      resolve({
        told: output
          .split("\n")
          .filter(Boolean)
          .map((line): unknown => JSON.parse(line)),
        process: one,
      });
    one.stderr.on("data", (text) => {
      errors += text;
    });
    one.stdout.on("data", (text) => {
      output += text;
      if (mode === "hang") done();
    });
    one.on("exit", (code) => {
      running.delete(one);
      if (code === 0) done();
      else reject(new Error(`It ended with ${code}: ${errors}`));
    });
  });
}

const day = ["main", "2026-11-20", [9, 7, 5], "main/main/2026-11-20"];
const ofAll = async (now: number): Promise<unknown[]> =>
  (await Promise.all(Array.from({ length: 4 }, () => tell(now))))
    .flatMap(({ told }) => told)
    .filter((one) => JSON.stringify(one).includes("2026-11-20"));

it("the end of a period is told once by many processes, again under the same key when one is killed in its middle, and never before it is settled", async () => {
  // Yesterday's ends were told before; of the day itself nothing comes until no score can come any more.
  await tell(END - MINUTE);
  expect(await ofAll(END + 19 * MINUTE)).toEqual([]);
  const hanging = await tell(END + 21 * MINUTE, "hang");
  expect(hanging.told).toEqual([day]);
  hanging.process.kill("SIGKILL");
  await new Promise((resolve) => hanging.process.on("exit", resolve));
  // Nobody knows that it is dead: it has its time.
  expect(await ofAll(END + 21 * MINUTE)).toEqual([]);
  expect(await ofAll(END + 32 * MINUTE)).toEqual([day]);
  expect(await ofAll(END + 33 * MINUTE)).toEqual([]);
  expect(await ofAll(END + 3 * 24 * 60 * MINUTE)).toEqual([]);
}, 120_000);
