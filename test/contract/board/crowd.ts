import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "vitest";
import type { ScoreBoard } from "../../../src/scores/board.ts";
import { root } from "../../helpers/sources.ts";

/** Four processes write to the board at `where` (see submitter.ts), which is `board` here, and it is as if they had done so one after the other. */
export async function expectOrderOf(where: string, board: ScoreBoard): Promise<void> {
  const script = `${root}test/contract/board/submitter.ts`;
  const runs = await Promise.all(["1", "2", "3", "4"].map((own) => promisify(execFile)(process.execPath, [script, where, own])));
  const stored = runs.map(({ stdout }): { stored?: number; repeated?: number } => JSON.parse(stdout));
  expect(stored.reduce((sum, one) => sum + (one.stored ?? 0), 0)).toBe(60);
  expect(stored.reduce((sum, one) => sum + (one.repeated ?? 0), 0)).toBe(180);

  expect((await board.ofPlayer({ board: "main", period: "all", player: "everybody" }))?.score).toBe(100);
  expect((await board.top({ board: "sums", period: "all", limit: 5 })).map(({ score }) => score)).toEqual([60]);
  for (const period of ["all", "2026-W47"]) {
    const rows = await board.top({ board: "main", period, limit: 100 });
    expect(rows.length).toBeGreaterThan(20);
    for (const row of rows) {
      // By position here, by counting there.
      expect(await board.find(row.id)).toEqual(row);
    }
  }
}
