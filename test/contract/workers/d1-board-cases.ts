import { d1Board } from "../../../adapters/d1.ts";
import type { BoardRules, ScoreEntry } from "../../../src/scores/board.ts";
import type { TestKit } from "../../../src/testing/board.ts";
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
      INSERT INTO ${name}_rows SELECT 'id' || i, 1, 'q' || i, -7, 7, i, 't' || i, i % 4, '[]', '', 0, i % 4, NULL FROM c`;
    const lists = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300)
      INSERT INTO ${name}_lists (board, period) SELECT 'main', 'd' || i FROM c`;
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
    await board.purge("q9");
    expect(costs.filter(({ rows_read }) => rows_read > 150)).toEqual([]);
    // Two periods: a new row, and a better score of it, which changes no bucket that it shares with the old one.
    const most = [16, 10, 0, 0, 0, 0, 0, 4, 4];
    expect(costs.map(({ rows_written }, i) => Math.max(rows_written, most[i] ?? 0))).toEqual(most);
  });

  it("texts that are no Unicode are kept apart", async () => {
    const board = d1Board(real, { table: table() });
    const players = ["\ud800", "\ud801", "\ufffd"];
    for (const [i, player] of players.entries()) await board.submit(entryOf(i, { player, score: i }), RULES);
    expect((await board.top({ board: "main", period: "all", limit: 9 })).length).toEqual(3);
    expect((await board.ofPlayer({ board: "main", period: "all", player: "\ud801" }))?.score).toEqual(1);
  });
}
