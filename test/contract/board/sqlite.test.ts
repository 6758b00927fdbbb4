import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import type { SqliteClient } from "../../../adapters/sqlite.ts";
import { testBoard } from "../../../src/testing/board.ts";
import { betterSqlite } from "../../helpers/better-sqlite.ts";

describe.each([
  ["node:sqlite", (database: DatabaseSync): SqliteClient => database],
  ["a driver shaped as better-sqlite3", betterSqlite],
] as const)("sqliteBoard on a file, %s", (_, driver) =>
  testBoard(
    () => {
      const folder = mkdtempSync(join(tmpdir(), "board-"));
      const open: DatabaseSync[] = [];
      const database = (): DatabaseSync => {
        const one = new DatabaseSync(join(folder, "board.sqlite"));
        // A killed process loses nothing by it, and a test does not wait for the disk.
        one.exec("PRAGMA synchronous = NORMAL");
        open.push(one);
        return one;
      };
      return {
        board: sqliteBoard(driver(database())),
        reopen: () => sqliteBoard(driver(database())),
        dispose() {
          for (const one of open) one.close();
          rmSync(folder, { recursive: true });
        },
      };
    },
    { describe, it, expect },
  ),
);
