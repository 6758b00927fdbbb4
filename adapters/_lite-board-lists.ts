import type { ConfigProblem } from "../src/errors.ts";
import type { ScoreBoard } from "../src/scores/board.ts";
import { type HeldRules, histogramProblem, isHeldRules, outsideProblem, rulesProblem } from "../src/scores/board-check.ts";
import { scoreRange } from "../src/scores/ranking.ts";
import { assertInteger } from "../src/util/assertions.ts";
import type { LiteDatabase, LiteQuery } from "./_lite.ts";
import { type LiteTables, wrongLists } from "./_lite-board-tables.ts";
import type { LiteVersions } from "./_lite-board-versions.ts";
import { numberIn, type SqlRow, textIn } from "./_sql.ts";

/** Rows that one transaction deletes at most: others do not wait long for it. */
const STEP = 500;

/** Lists that end, and the check, of a board in SQLite or D1. */
export function liteLists(
  database: LiteDatabase,
  tables: LiteTables,
  versions: LiteVersions,
): Pick<ScoreBoard, "clear" | "sweep"> & Required<Pick<ScoreBoard, "check">> {
  const { rules: RULES, list: LIST, row: ROW, hist: HIST, seen: SEEN } = tables;
  // Without a board nothing finds the list, and with no depths the triggers do not count its rows down one by one.
  const GONE = `UPDATE ${LIST} SET board = '', period = list, tag = '', depths = 0, forget = 0`;
  const some = (table: string, key: string): string =>
    `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key.replace("list", "l.list")} FROM ${LIST} l CROSS JOIN ${table} x ON x.list = l.list WHERE l.board = '' LIMIT ?1 ->> 'max') RETURNING list`;
  const isEmpty = [ROW, SEEN, HIST].map((table) => `NOT EXISTS (SELECT 1 FROM ${table} x WHERE x.list = ${LIST}.list)`).join(" AND ");

  /** Deletes at most `max` rows and about as many submissions and counts; tells how many rows and submissions, and whether there was anything. */
  async function step(max: number, now: number): Promise<{ gone: number; any: boolean }> {
    const queries: LiteQuery[] = [
      [`${GONE} WHERE forget <= ?1 ->> 'now' AND board <> ''`, { now }],
      [some(ROW, "id, list"), { max }],
      [some(SEEN, "list, submission"), { max }],
      [some(HIST, "list, depth, bucket"), { max }],
      [`DELETE FROM ${LIST} WHERE board = '' AND ${isEmpty}`],
    ];
    return database.write(queries, ([, rows = [], seen = [], hist = []]) => ({
      gone: rows.length + seen.length,
      any: rows.length + seen.length + hist.length > 0,
    }));
  }

  return {
    async clear(board, period) {
      const which = `board = ?1 ->> 'board' AND board <> '' AND (?1 ->> 'period' IS NULL OR period = ?1 ->> 'period')`;
      return database.write([[`${GONE} WHERE ${which} RETURNING list`, { board, period }]], ([lists = []]) => lists.length);
    },

    async sweep(max = 1000, now = Date.now()) {
      assertInteger("max", max, 1);
      assertInteger("now", now, 0);
      let gone = 0;
      for (let more = true; more && gone < max; ) {
        const done = await step(Math.min(STEP, max - gone), now);
        gone += done.gone;
        more = done.any;
      }
      return gone;
    },

    async check(boards = []) {
      const problem = await versions.problem();
      if (problem) return [problem];
      const queries = boards.flatMap(({ board, rules }): LiteQuery[] => {
        const levels = "r.shown IN (-1, 0, 1, 2, 3)";
        const count = (bound: string): string =>
          `(SELECT count(*) FROM ${LIST} l CROSS JOIN ${ROW} r ON r.list = l.list WHERE l.board = ?1 ->> 'board' AND ${levels} AND r.score ${bound})`;
        return [
          [`SELECT ${count("< ?1 ->> 'min'")} + ${count("> ?1 ->> 'max'")} AS n`, { board, ...scoreRange(rules) }],
          [`SELECT rules FROM ${RULES} WHERE board = ?1 ->> 'board'`, { board }],
        ];
      });
      return database.read([[`SELECT count(*) AS n FROM (${wrongLists(tables)})`], ...queries], ([[wrong = {}] = [], ...answers]) => [
        ...histogramProblem(numberIn(wrong, "n"), versions.command),
        ...boards.flatMap(({ board, rules }, index): ConfigProblem[] => {
          const [[outside = {}] = [], [held] = []] = [answers[2 * index], answers[2 * index + 1]];
          return [...outsideProblem(board, numberIn(outside, "n"), rules), ...rulesProblem(board, held && heldIn(held), rules)];
        }),
      ]);
    },
  };
}

/** The rules that a board's last submission came with. */
function heldIn(row: SqlRow): HeldRules {
  const rules: unknown = JSON.parse(textIn(row, "rules"));
  if (!isHeldRules(rules)) throw new TypeError('Cannot read the column "rules": expected the rules of a board');
  return rules;
}
