import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { migrate, type SqliteClient, sqliteBoard } from "../../../adapters/sqlite.ts";
import type { ScoreBoard, ScoreEntry } from "../../../src/scores/board.ts";
import { boardV1, wrongAfterMigration } from "../../helpers/board-v1.ts";
import { root } from "../../helpers/sources.ts";

const TABLE = "gatepass_board";
const RULES = { periods: ["all"], order: "desc", operator: "best", group: "main" } as const;
const entry = (more: Partial<ScoreEntry> = {}): ScoreEntry => ({
  board: "main",
  player: "new",
  score: 7,
  at: 10_000,
  submission: "new",
  level: "claimed",
  flags: [],
  name: "New",
  ...more,
});

let folder = "";
let file = "";
const open: DatabaseSync[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "versions-"));
  file = join(folder, "board.sqlite");
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  rmSync(folder, { recursive: true });
});

function database(): DatabaseSync {
  const one = new DatabaseSync(file);
  one.exec("PRAGMA synchronous = OFF");
  open.push(one);
  return one;
}

function version1(count: number): DatabaseSync {
  const one = database();
  for (const sql of boardV1(TABLE, count, "sqlite")) one.exec(sql);
  return one;
}

const tables = (one: DatabaseSync): unknown[] =>
  one
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => name);
const isRight = async (board: ScoreBoard, count: number): Promise<void> => {
  expect(await wrongAfterMigration(board, count)).toEqual([]);
  // What was known is known: the submission, the ban (whatever the group is called), the hidden row.
  expect((await board.submit(entry({ player: "p1", submission: "s1", score: 500 }), RULES)).status).toBe("repeated");
  for (const group of ["", "main", "speed"]) expect(await board.banned({ group, limit: 5 })).toEqual(["cheat"]);
  expect((await board.submit(entry({ player: "cheat" }), RULES)).status).toBe("banned");
  expect((await board.hidden({ group: "main", limit: 5 })).map(({ id }) => id)).toEqual(["hidden-1"]);
  expect((await board.submit(entry({ score: 999 }), RULES)).rank).toBeLessThan(10);
};

describe("data of version 1 in SQLite", () => {
  it("a small board becomes version 2 with its first call, also when ten boards make their first call at once", async () => {
    version1(200);
    const boards = Array.from({ length: 10 }, () => sqliteBoard(database(), { timeoutMs: 20_000 }));
    await Promise.all(boards.map((board) => board.count({ board: "main", period: "all" })));
    for (const board of boards.slice(0, 2)) expect(await wrongAfterMigration(board, 200)).toEqual([]);
    await isRight(boards[0] ?? sqliteBoard(database()), 200);
    expect(tables(database()).filter((name) => String(name).endsWith("_v1"))).toEqual([]);
  });

  it("a larger one is refused by name until it is migrated, and nothing is changed", async () => {
    const client = version1(600);
    const before = client.prepare(`SELECT * FROM ${TABLE}_rows ORDER BY id`).all();
    const board = sqliteBoard(database());
    const calls = [
      () => board.submit(entry(), RULES),
      () => board.top({ board: "main", period: "all", limit: 1 }),
      () => board.ban("p1", true, "main"),
      () => board.sweep(),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({
        code: "ERR_CONFIG_INVALID",
        message: expect.stringMatching(/GP173.*version 1.*version 2.*migrate\(client/),
      });
    }
    expect((await board.check()).map(({ code, severity }) => [code, severity])).toEqual([["GP173", "error"]]);
    expect(client.prepare(`SELECT * FROM ${TABLE}_rows ORDER BY id`).all()).toEqual(before);
    expect(await migrate(database())).toEqual([
      "set the tables of version 1 aside and made those of version 2",
      "copied 1204 rows and 1204 submissions",
      "removed the tables of version 1",
    ]);
    expect([await migrate(database()), await board.check()]).toEqual([[], []]);
    await isRight(board, 600);
  });

  it("four processes that migrate at once do it once, and a submission meanwhile is refused or counted", { timeout: 120_000 }, async () => {
    version1(3000);
    const script = `import { DatabaseSync } from "node:sqlite"; import { migrate } from "${root}adapters/sqlite.ts";
      console.log(JSON.stringify(await migrate(new DatabaseSync(${JSON.stringify(file)}), { timeoutMs: 20000 })));`;
    const args = ["--no-warnings", "--input-type=module-typescript", "-e", script];
    const runs = await Promise.all(Array.from({ length: 4 }, () => promisify(execFile)(process.execPath, args)));
    const done = runs.flatMap(({ stdout }): string[] => JSON.parse(stdout));
    expect(done.filter((one) => one.startsWith("set the tables"))).toHaveLength(1);
    const copied = done.flatMap((one) => /copied (\d+) rows/.exec(one)?.[1] ?? []).reduce((sum, n) => sum + Number(n), 0);
    expect(copied).toBe(6004);
    await isRight(sqliteBoard(database()), 3000);
  });

  it("one that was stopped in its middle is refused, and the next one goes on", async () => {
    version1(1500);
    const inner = database();
    let left = 60;
    const dying: SqliteClient = {
      exec: (sql) => inner.exec(sql),
      prepare(sql) {
        const statement = inner.prepare(sql);
        const count = <T>(work: () => T): T => {
          if (left-- <= 0) throw new Error("The process is killed");
          return work();
        };
        return {
          run: (...values) => count(() => statement.run(...values)),
          get: (...values) => count(() => statement.get(...values)),
          all: (...values) => count(() => statement.all(...values)),
        };
      },
    };
    await expect(migrate(dying)).rejects.toMatchObject({ code: "ERR_BOARD_UNAVAILABLE" });
    inner.exec("ROLLBACK");
    const board = sqliteBoard(database());
    await expect(board.submit(entry(), RULES)).rejects.toMatchObject({
      message: expect.stringMatching(/GP173.*is being migrated to version 2/),
    });
    expect((await migrate(database())).at(-1)).toBe("removed the tables of version 1");
    await isRight(board, 1500);
  });
});

describe("data of other versions in SQLite", () => {
  it("of a newer release: refused with both versions, nothing is read, written or migrated", async () => {
    const board = sqliteBoard(database());
    await board.submit(entry(), RULES);
    const client = database();
    client.exec(`UPDATE ${TABLE}_meta SET version = 3`);
    for (const call of [
      () => board.submit(entry({ submission: "x" }), RULES),
      () => board.find("x"),
      () => board.purge("new", "main"),
      () => migrate(client),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: "ERR_CONFIG_INVALID",
        message: expect.stringMatching(/GP173.*version 3.*version 2.*newer/),
      });
    }
    expect((await board.check()).map(({ code }) => code)).toEqual(["GP173"]);
    expect(client.prepare(`SELECT count(*) AS n FROM ${TABLE}_rows`).get()).toEqual({ n: 1 });
  });

  it("a column that somebody added is no other version", async () => {
    const board = sqliteBoard(database());
    await board.submit(entry(), RULES);
    database().exec(`ALTER TABLE ${TABLE}_rows ADD COLUMN note TEXT`);
    expect((await sqliteBoard(database()).submit(entry({ score: 9, submission: "y" }), RULES)).status).toBe("stored");
  });

  it("what version 1 asks for is not there any more: it fails, and writes nothing", async () => {
    await sqliteBoard(database()).submit(entry(), RULES);
    const old = database();
    for (const sql of [
      `CREATE INDEX IF NOT EXISTS ${TABLE}_rows_sorted ON ${TABLE}_rows (list, shown, k, at, id)`,
      `SELECT ascending, low, high FROM ${TABLE}_rules WHERE board = ?`,
      `SELECT id, k, score FROM ${TABLE}_rows`,
      `INSERT INTO ${TABLE}_bans (player) VALUES ('p') ON CONFLICT DO NOTHING`,
    ]) {
      expect(() => old.prepare(sql).run(...(sql.includes("?") ? ["main"] : []))).toThrow();
    }
  });
});

describe("ranks in SQLite, after what somebody did by hand", () => {
  const fill = async (board: ScoreBoard): Promise<void> => {
    for (let i = 0; i < 50; i++) await board.submit(entry({ player: `p${i}`, submission: `s${i}`, score: i * 300, at: i }), RULES);
  };
  const ranks = async (board: ScoreBoard): Promise<boolean[]> => {
    const rows = await board.top({ board: "main", period: "all", limit: 100 });
    return Promise.all(rows.map(async ({ id, rank }) => (await board.find(id))?.rank === rank));
  };

  it("rows that were deleted and changed by SQL are counted", async () => {
    const board = sqliteBoard(database());
    await fill(board);
    database().exec(
      `DELETE FROM ${TABLE}_rows WHERE score > 9000; UPDATE ${TABLE}_rows SET score = score + 1, down = down - 1 WHERE score < 3000`,
    );
    expect((await ranks(board)).every(Boolean)).toBe(true);
    expect(await board.check()).toEqual([]);
  });

  it("lost triggers, as after an import, are made again with the first write of a process, and all rows are counted", async () => {
    await fill(sqliteBoard(database()));
    const client = database();
    const triggers = client.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").all();
    expect(triggers.length).toBe(5);
    for (const { name } of triggers) client.exec(`DROP TRIGGER ${name}`);
    client.exec(`DELETE FROM ${TABLE}_rows WHERE score > 9000`);
    const board = sqliteBoard(database());
    expect((await board.check()).map(({ code }) => code)).toEqual(["GP174"]);
    await board.submit(entry({ score: 12_345 }), RULES);
    expect(await board.check()).toEqual([]);
    expect((await ranks(board)).every(Boolean)).toBe(true);
  });

  it("a histogram that was changed by hand is told, and counted again by migrate", async () => {
    const board = sqliteBoard(database());
    await fill(board);
    database().exec(`UPDATE ${TABLE}_hist SET n0 = n0 + 1 WHERE depth = 2`);
    expect(await board.check()).toEqual([expect.objectContaining({ code: "GP174", message: expect.stringContaining("in 1 lists") })]);
    expect(await migrate(database())).toEqual(["counted the rows again for the histogram of ranks"]);
    expect([await board.check(), (await ranks(board)).every(Boolean)]).toEqual([[], true]);
  });
});
