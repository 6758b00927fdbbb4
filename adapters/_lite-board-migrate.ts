import { heldRules } from "../src/scores/board-check.ts";
import { type LiteDatabase, type LiteQuery, nothing } from "./_lite.ts";
import type { LiteTables } from "./_lite-board-tables.ts";

/** Rows that one transaction copies: others do not wait long for it. */
const STEP = 500;

/** How version 1 of a board's tables becomes version 2. */
export interface Migration {
  /** The table of the rows that are not copied yet. */
  rows: string;
  /**
   * Goes on from version 1, or from 0 where another process, or this one, has begun. What was done is added to `done`, also when a later step fails: another
   * process may have ended the migration meanwhile.
   */
  run(database: LiteDatabase, version: number, done: string[]): Promise<void>;
}

/**
 * Version 1 had no version, tags, groups, data or names; its keys were scores with the sign of the order, counted from the range's beginning.
 * First the old tables are set aside, the new ones take their names, and the version is 0: from then on neither an older nor this release reads or writes
 * them. Then rows and submissions are copied in steps, by any number of processes.
 */
export function migrationSql(tables: LiteTables): Migration {
  const { meta: META, rules: RULES, list: LIST, row: ROW, hist: HIST, seen: SEEN, ban: BAN } = tables;
  const old = (table: string): string => `${table}_v1`;
  const aside = [RULES, LIST, ROW, HIST, SEEN, BAN].map((table) => `ALTER TABLE ${table} RENAME TO ${old(table)}`);
  // Names that the new tables need. Those of a migration before this one cannot be there: the first statement that fails ends the transaction.
  const indexes = [`${ROW}_sorted`, `${ROW}_levels`].map((index) => `DROP INDEX IF EXISTS ${index}`);
  const triggers = ["added", "removed", "moved"].map((trigger) => `DROP TRIGGER IF EXISTS ${ROW}_${trigger}`);
  // The operator was not stored: until the next submission it is `best`.
  const { order: _order, min: _min, max: _max, group: _group, ...rest } = heldRules({ order: "desc", operator: "best" });
  const [min, max] = ["CASE ascending WHEN 1 THEN low ELSE 0 - high END", "CASE ascending WHEN 1 THEN high ELSE 0 - low END"];
  const depths = [0, 1, 2, 3, 4, 5].map((d) => `WHEN (b.max >> ${8 * d}) - (b.min >> ${8 * d}) <= 255 THEN ${d + 1}`).join(" ");
  const first = [
    ...triggers,
    ...indexes,
    ...aside,
    ...tables.schema,
    `INSERT INTO ${META} (kind, version) VALUES ('board', 0)`,
    `INSERT INTO ${RULES} (board, grp, rules) SELECT board, board, json_object('order', CASE ascending WHEN 1 THEN 'asc' ELSE 'desc' END,
      'operator', '${rest.operator}', 'min', ${min}, 'max', ${max}, 'minLevel', '${rest.minLevel}', 'group', board) FROM ${old(RULES)}`,
    `INSERT INTO ${LIST} (list, board, period, tag, depths, forget) SELECT l.list, l.board, l.period, '', CASE ${depths} ELSE 7 END, NULL
      FROM ${old(LIST)} l JOIN (SELECT board, ${min} AS min, ${max} AS max FROM ${old(RULES)}) b ON b.board = l.board`,
    // Bans were those of all boards. The group of a gate is its first board, which may be any of these.
    `INSERT INTO ${BAN} (grp, player) SELECT g.grp, o.player FROM ${old(BAN)} o, (SELECT '' AS grp UNION SELECT board FROM ${old(RULES)}) g`,
  ].map((sql): LiteQuery => [sql]);

  const some = `SELECT id FROM ${old(ROW)} ORDER BY id LIMIT ${STEP}`;
  const seen = `SELECT list, submission FROM ${old(SEEN)} ORDER BY list, submission LIMIT ${STEP}`;
  const step = [
    `SELECT version FROM ${META} WHERE version = 0`,
    `INSERT INTO ${ROW} (id, list, player, score, down, at, submission, level, flags, name, hidden, shown, log, data)
      SELECT id, list, player, score, 0 - score, at, submission, level, flags, name, hidden, shown, log, NULL FROM ${old(ROW)} WHERE id IN (${some})`,
    `DELETE FROM ${old(ROW)} WHERE id IN (${some}) RETURNING id`,
    `INSERT INTO ${SEEN} (list, submission) ${seen}`,
    `DELETE FROM ${old(SEEN)} WHERE (list, submission) IN (${seen}) RETURNING list`,
  ].map((sql): LiteQuery => [sql]);
  const last = [
    // Only what is empty is dropped: a table with rows would say so here.
    `SELECT abs(CASE WHEN EXISTS (SELECT 1 FROM ${old(ROW)}) OR EXISTS (SELECT 1 FROM ${old(SEEN)}) THEN -9223372036854775808 ELSE 1 END) AS ok`,
    ...[RULES, LIST, ROW, HIST, SEEN, BAN].map((table) => `DROP TABLE ${old(table)}`),
    `UPDATE ${META} SET version = 2 WHERE kind = 'board'`,
  ].map((sql): LiteQuery => [sql]);

  return {
    rows: old(ROW),
    async run(database, version, done) {
      if (version === 1) {
        await database.write(first, nothing);
        done.push("set the tables of version 1 aside and made those of version 2");
      }
      const count = { rows: 0, submissions: 0 };
      try {
        for (let left = 1; left > 0; ) {
          const [rows, submissions] = await database.write(step, ([, , some = [], , others = []]) => [some.length, others.length] as const);
          count.rows += rows;
          count.submissions += submissions;
          left = rows + submissions;
        }
      } finally {
        if (count.rows + count.submissions > 0) done.push(`copied ${count.rows} rows and ${count.submissions} submissions`);
      }
      await database.write(last, nothing);
      done.push("removed the tables of version 1");
    },
  };
}
