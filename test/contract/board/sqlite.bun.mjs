// Run by `bun test`: the contract suite on bun:sqlite, from sources.
import { Database } from "bun:sqlite";
import { describe, expect, it } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import { testBoard } from "../../../src/testing/board.ts";

testBoard(
  () => {
    const folder = mkdtempSync(join(tmpdir(), "board-"));
    const open = [];
    const database = () => {
      const one = new Database(join(folder, "board.sqlite"));
      one.exec("PRAGMA synchronous = NORMAL");
      open.push(one);
      return one;
    };
    return {
      board: sqliteBoard(database()),
      reopen: () => sqliteBoard(database()),
      dispose() {
        for (const one of open) one.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
  { describe, it, expect },
);
