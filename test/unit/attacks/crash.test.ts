import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { sqliteBoard, sqliteStore } from "../../../adapters/sqlite.ts";

const folder = mkdtempSync(join(tmpdir(), "crash-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const [file, log] = [join(folder, "all.sqlite"), join(folder, "log")];
const WRITER = fileURLToPath(new URL("writer.ts", import.meta.url));

const acknowledged = (): number => (existsSync(log) ? statSync(log).size : 0);

async function killed(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await gone;
}

test("processes that are killed in the middle of their writes take nothing back and leave nothing halved", async () => {
  const ROUNDS = 3;
  const EACH = 2;
  for (let round = 0; round < ROUNDS; round++) {
    const before = acknowledged();
    const children = Array.from({ length: EACH }, () => spawn(process.execPath, [WRITER, file, log], { stdio: "ignore" }));
    // Some hundred writes, and then at any point of the next.
    while (acknowledged() < before + 200 + 37 * round) {
      if (children.every(({ exitCode }) => exitCode !== null)) throw new Error("The writers ended by themselves");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(children.map(killed));
  }

  const client = new DatabaseSync(file);
  const store = sqliteStore(client);
  const { states } = await store.spend([
    { key: "uses", limit: 1_000_000, cost: 0, expiresAt: 4_000_000_000_000 },
    { key: "rate", limit: 1_000_000, cost: 0, window: 86_400 },
  ]);
  const [uses = 0, rate = 0] = states.map(({ remaining }) => 1_000_000 - remaining);
  // All or nothing of each batch; whoever was told that it spent did spend; at most one spend of each process was not told.
  expect(uses).toBe(rate);
  expect(uses).toBeGreaterThanOrEqual(acknowledged());
  expect(uses).toBeLessThanOrEqual(acknowledged() + ROUNDS * EACH);

  const board = sqliteBoard(client);
  for (const period of ["all", "day"]) {
    const rows = await board.top({ board: "b", period, limit: 100 });
    expect(rows.length).toBe(40);
    const ranks = await Promise.all(rows.map(async ({ id }) => (await board.find(id))?.rank));
    expect(ranks).toEqual(rows.map(({ score }) => 1 + rows.filter((other) => other.score > score).length));
  }
  client.close();
}, 60_000);
