import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import { root } from "../../helpers/sources.ts";

it("four processes on one file: the best is kept, each submission counts once, the ranks add up", async () => {
  const folder = mkdtempSync(join(tmpdir(), "board-"));
  try {
    const path = join(folder, "board.sqlite");
    const script = `${root}test/contract/board/submitter.ts`;
    const runs = await Promise.all(["1", "2", "3", "4"].map((own) => promisify(execFile)(process.execPath, [script, path, own])));
    const stored = runs.map(({ stdout }): { stored?: number; repeated?: number } => JSON.parse(stdout));
    expect(stored.reduce((sum, one) => sum + (one.stored ?? 0), 0)).toBe(60);
    expect(stored.reduce((sum, one) => sum + (one.repeated ?? 0), 0)).toBe(180);

    const database = new DatabaseSync(path);
    const board = sqliteBoard(database);
    expect((await board.ofPlayer({ board: "main", period: "all", player: "everybody" }))?.score).toBe(100);
    expect((await board.top({ board: "sums", period: "all", limit: 5 })).map(({ score }) => score)).toEqual([60]);
    for (const period of ["all", "2026-W47"]) {
      const rows = await board.top({ board: "main", period, limit: 100 });
      expect(rows.length).toBeGreaterThan(20);
      for (const row of rows) {
        // By position here, by the histogram there.
        expect(await board.find(row.id)).toEqual(row);
      }
    }
    database.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);
