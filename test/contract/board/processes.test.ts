import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { it } from "vitest";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import { expectOrderOf } from "./crowd.ts";

it("four processes on one file: the best is kept, each submission counts once, the ranks add up", async () => {
  const folder = mkdtempSync(join(tmpdir(), "board-"));
  const path = join(folder, "board.sqlite");
  const database = new DatabaseSync(path);
  try {
    await expectOrderOf(path, sqliteBoard(database));
  } finally {
    database.close();
    rmSync(folder, { recursive: true });
  }
}, 120_000);
