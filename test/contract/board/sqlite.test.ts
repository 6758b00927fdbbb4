import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
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

describe.each([
  ["node:sqlite", (file: string): SqliteClient => new DatabaseSync(file)],
  ["a driver shaped as better-sqlite3", (file: string): SqliteClient => betterSqlite(new DatabaseSync(file))],
])("%s: what was purged", (_, open) => {
  it("is in none of the database's files any more: neither the player nor any name that it had", async () => {
    const folder = mkdtempSync(join(tmpdir(), "board-"));
    const client = open(join(folder, "board.sqlite"));
    const reader = open(join(folder, "board.sqlite"));
    try {
      const board = sqliteBoard(client);
      const put = (player: string, score: number, name: string): Promise<unknown> =>
        board.submit(
          {
            board: "main",
            player,
            score,
            at: score,
            submission: `submission-${score}`,
            level: "claimed",
            flags: [],
            name,
            log: `log of ${name}`,
          },
          { periods: ["all", "2026-W47"], order: "desc", operator: "best" },
        );
      for (let i = 0; i < 60; i++) await put(`other-${i}`, i, `Other ${i}`);
      const names = Array.from({ length: 20 }, (_, i) => `Ada the ${i}th of her name`);
      for (const [i, name] of names.entries()) await put("player-to-erase", 100 + i, name);
      const bytes = (): string =>
        readdirSync(folder)
          .map((file) => readFileSync(join(folder, file), "latin1"))
          .join("");
      expect(names.some((name) => bytes().includes(name)) && bytes().includes("player-to-erase")).toBe(true);
      expect(await board.purge("player-to-erase", "")).toBe(2);
      expect(["player-to-erase", ...names].filter((text) => bytes().includes(text))).toEqual([]);
      expect((await sqliteBoard(reader).top({ board: "main", period: "all", limit: 1 })).map(({ name }) => name)).toEqual(["Other 59"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
