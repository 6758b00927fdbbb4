import { d1Board, migrate } from "../../../adapters/d1.ts";
import type { BoardRules, ScoreEntry } from "../../../src/scores/board.ts";
import type { TestKit } from "../../../src/testing/board.ts";
import { boardV1, wrongAfterMigration } from "../../helpers/board-v1.ts";
import { countedD1, type RealD1 } from "./tools.ts";

const RULES: BoardRules = { periods: ["all", "2026-W47"], order: "desc", operator: "best" };
const entryOf = (serial: number, more: Partial<ScoreEntry> = {}): ScoreEntry => ({
  board: "main",
  player: `p${serial}`,
  score: 7,
  at: serial,
  submission: `s${serial}`,
  level: "claimed",
  flags: [],
  name: "",
  ...more,
});

/** What the contract does not ask of every board: what D1 is charged for, and what a batch leaves behind when it fails. */
export function testD1Board(real: RealD1, table: () => string, { it, expect }: TestKit): void {
  it("a batch that fails in its middle leaves nothing behind", async () => {
    const name = table();
    const board = d1Board(real, { table: name });
    await board.submit(entryOf(1), RULES);
    const count = async (): Promise<unknown> => {
      const tables = ["rows", "hist", "seen", "lists"];
      const answers = await real.batch(tables.map((one) => real.prepare(`SELECT count(*) AS n FROM ${name}_${one}`)));
      return answers.map(({ results }) => results[0]);
    };
    const before = await count();
    const forbid = `CREATE TRIGGER ${name}_full BEFORE INSERT ON ${name}_seen BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`;
    await real.batch([real.prepare(forbid)]);
    const failed = await board.submit(entryOf(2), { ...RULES, periods: ["all", "2026-W48"] }).catch((error: unknown) => error);
    expect(failed instanceof Error && "code" in failed && failed.code).toEqual("ERR_BOARD_UNAVAILABLE");
    expect(await count()).toEqual(before);
    await real.batch([real.prepare(`DROP TRIGGER ${name}_full`)]);
    expect((await board.submit(entryOf(2), { ...RULES, periods: ["all", "2026-W48"] })).status).toEqual("stored");
  });

  it("a board whose order and range are changed by turns, while others submit, keeps right ranks", async () => {
    const name = table();
    const wide = { ...RULES, max: 2 ** 40 };
    const boards = [d1Board(real, { table: name }), d1Board(real, { table: name })];
    const sent = Array.from({ length: 60 }, (_, i) => {
      const rules = i % 3 === 0 ? wide : RULES;
      return boards[i % 2]?.submit(entryOf(i, { score: (i * 37) % 25 }), i % 20 === 19 ? { ...rules, order: "asc" } : rules);
    });
    await Promise.all(sent);
    const { rank } = (await boards[0]?.submit(entryOf(99, { score: 12 }), RULES)) ?? {};
    const rows = (await boards[1]?.top({ board: "main", period: "all", limit: 100 })) ?? [];
    expect(rows.length).toEqual(61);
    expect(rows.find(({ player }) => player === "p99")?.rank).toEqual(rank);
    // By position there, by the histogram here.
    for (const row of rows) expect(await boards[0]?.find(row.id)).toEqual(row);
  });

  it("a board whose lowest score alone is lowered goes on with right ranks", async () => {
    const board = d1Board(real, { table: table() });
    for (let i = 0; i < 5; i++) await board.submit(entryOf(i, { score: i * 1000 }), RULES);
    const deep = { ...RULES, min: -(2 ** 20) };
    const ranks: number[] = [];
    for (const [i, score] of [-(2 ** 20), -7, -(2 ** 19), 1].entries())
      ranks.push((await board.submit(entryOf(10 + i, { score }), deep)).rank);
    expect(ranks).toEqual([6, 6, 7, 5]);
    expect((await board.ofPlayer({ board: "main", period: "all", player: "p10" }))?.rank).toEqual(9);
  });

  it("what D1 reads and writes does not grow with the rows, equal scores and periods", async () => {
    const { client, costs } = countedD1(real);
    const name = table();
    const board = d1Board(client, { table: name });
    const { id } = await board.submit(entryOf(1000), RULES);
    // 2000 rows of one score, and 300 more periods.
    const rows = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000)
      INSERT INTO ${name}_rows SELECT 'id' || i, 1, 'q' || i, 7, -7, i, 't' || i, i % 4, '[]', '', 0, i % 4, NULL, NULL FROM c`;
    const lists = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300)
      INSERT INTO ${name}_lists (board, period, tag, depths) SELECT 'main', 'd' || i, '', 3 FROM c`;
    await real.batch([real.prepare(rows), real.prepare(lists)]);
    costs.length = 0;
    await board.submit(entryOf(3000), RULES);
    await board.submit(entryOf(3000, { score: 8, submission: "again" }), RULES);
    await board.around(id, 3);
    await board.top({ board: "main", period: "all", limit: 5 });
    await board.top({ board: "main", period: "all", limit: 5, minLevel: "replayed" });
    await board.find(id);
    await board.ofPlayer({ board: "main", period: "all", player: "q7" });
    await board.hide(id, true);
    await board.purge("q9", "");
    expect(costs.filter(({ rows_read }) => rows_read > 250)).toEqual([]);
    // Two periods: a new row, a better score of it, and both rows of its submission hidden.
    const most = [18, 20, 0, 0, 0, 0, 0, 17, 4];
    expect(costs.map(({ rows_written }, i) => Math.max(rows_written, most[i] ?? 0))).toEqual(most);
  });

  it("texts that are no Unicode are kept apart", async () => {
    const board = d1Board(real, { table: table() });
    const players = ["\ud800", "\ud801", "\ufffd"];
    for (const [i, player] of players.entries()) await board.submit(entryOf(i, { player, score: i }), RULES);
    expect((await board.top({ board: "main", period: "all", limit: 9 })).length).toEqual(3);
    expect((await board.ofPlayer({ board: "main", period: "all", player: "\ud801" }))?.score).toEqual(1);
  });

  const codeOf = async (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => "no error",
      (error: unknown) => error instanceof Error && "code" in error && `${error.code} ${error.message}`,
    );

  it("data of version 1: a small board is migrated with its first call, by ten at once", async () => {
    const name = table();
    await real.batch(boardV1(name, 60, "d1").map((sql) => real.prepare(sql)));
    const boards = Array.from({ length: 10 }, () => d1Board(real, { table: name, timeoutMs: 20_000 }));
    await Promise.all(boards.map((board) => board.count({ board: "main", period: "all" })));
    for (const board of boards.slice(0, 2)) expect(await wrongAfterMigration(board, 60)).toEqual([]);
    expect((await boards[0]?.submit(entryOf(1, { submission: "s1" }), RULES))?.status).toEqual("repeated");
    expect(await boards[0]?.banned({ group: "main", limit: 5 })).toEqual(["cheat"]);
  });

  it("data of version 1: a larger board is refused until migrate has run, and data of a newer release always", async () => {
    const name = table();
    const statements = boardV1(name, 600, "d1");
    for (let i = 0; i < statements.length; i += 20) await real.batch(statements.slice(i, i + 20).map((sql) => real.prepare(sql)));
    const board = d1Board(real, { table: name, timeoutMs: 20_000 });
    const refused = String(await codeOf(board.submit(entryOf(1), RULES)));
    expect(/^ERR_CONFIG_INVALID GP173: .*version 1, .*version 2\. .*migrate\(env\.DB/.test(refused) || refused).toEqual(true);
    expect((await board.check()).map(({ code }) => code)).toEqual(["GP173"]);
    const done = (await Promise.all([1, 2, 3].map(() => migrate(real, { table: name })))).flat();
    expect(done.filter((one) => one.startsWith("set the tables")).length).toEqual(1);
    expect([await migrate(real, { table: name }), await board.check(), await wrongAfterMigration(board, 600)]).toEqual([[], [], []]);
    await real.batch([real.prepare(`UPDATE ${name}_meta SET version = 3`)]);
    const newer = String(await codeOf(board.find("m1-all")));
    expect(/GP173: .*version 3, .*version 2/.test(newer) || newer).toEqual(true);
  });

  it("an export that is imported again brings no triggers: they are made with the first write, and ranks are as before", async () => {
    const name = table();
    const board = d1Board(real, { table: name });
    for (let i = 0; i < 30; i++) await board.submit(entryOf(i, { score: i * 300 }), RULES);
    const before = await board.top({ board: "main", period: "all", limit: 100 });
    const triggers = [`rows_added`, `rows_removed`, `rows_moved`, `lists_deeper`, `rules_moved`].map(
      (one) => `DROP TRIGGER ${name}_${one}`,
    );
    await real.batch([...triggers, `DELETE FROM ${name}_hist`].map((sql) => real.prepare(sql)));
    const again = d1Board(real, { table: name });
    expect((await again.check()).map(({ code }) => code)).toEqual(["GP174"]);
    expect((await again.submit(entryOf(99, { score: 4500 }), RULES)).rank).toEqual(15);
    const rows = await again.top({ board: "main", period: "all", limit: 100 });
    expect(rows.length).toEqual(before.length + 1);
    for (const row of rows) expect(await again.find(row.id)).toEqual(row);
    expect(await again.check()).toEqual([]);
  });
}
