import { LEVELS } from "../src/protocol.ts";
import type { ScoreBoard } from "../src/scores/board.ts";
import { assertGroup } from "../src/scores/ranking.ts";
import { assertString } from "../src/util/assertions.ts";
import { type LiteDatabase, type LiteQuery, nothing } from "./_lite.ts";
import type { LiteTables } from "./_lite-board-tables.ts";
import { flagIn, numberIn } from "./_sql.ts";

/** Moderation and players of a board in SQLite or D1: every call is one transaction. */
export function liteModeration(
  database: LiteDatabase,
  tables: LiteTables,
): Pick<ScoreBoard, "remove" | "hide" | "ban" | "purge" | "rename" | "claim"> {
  const { rules: RULES, list: LIST, row: ROW, seen: SEEN, ban: BAN, name: NAME, showing } = tables;
  // The lists of cleared boards have no rules, hence no group.
  const OF_GROUP = `IN (SELECT list FROM ${LIST} l JOIN ${RULES} u ON u.board = l.board WHERE l.list = ${ROW}.list AND u.grp = ?1 ->> 'group')`;
  const PLAYER = `player = ?1 ->> 'player' AND list ${OF_GROUP}`;
  /** Rows of the same player and submission as the row `id`; of a board that adds up, those that the submission was added to. */
  const SAME = `id IN (SELECT r.id FROM ${ROW} a CROSS JOIN ${LIST} la ON la.list = a.list LEFT JOIN ${RULES} u ON u.board = la.board
    CROSS JOIN ${ROW} r ON r.player = a.player CROSS JOIN ${LIST} l ON l.list = r.list AND l.board = la.board
    WHERE a.id = ?1 ->> 'id' AND la.board <> '' AND CASE u.rules ->> 'operator'
      WHEN 'sum' THEN EXISTS (SELECT 1 FROM ${SEEN} s WHERE s.list = r.list AND s.submission = a.submission) ELSE r.submission = a.submission END)`;
  const SHOWING = showing(ROW);
  /** Shows or hides rows by what else is stored. */
  const show = (which: string): string => `UPDATE ${ROW} SET shown = ${SHOWING} WHERE ${which} AND shown <> ${SHOWING}`;
  const TAKEN = `EXISTS (SELECT 1 FROM ${NAME} WHERE grp = ?1 ->> 'group' AND name = ?1 ->> 'unique' AND player <> ?1 ->> 'player')`;
  const changed = (...queries: LiteQuery[]): Promise<number> => database.write(queries, ([rows = []]) => rows.length);

  return {
    async remove(id) {
      return (await changed([`DELETE FROM ${ROW} WHERE ${SAME} RETURNING id`, { id }])) > 0;
    },

    async hide(id, hidden) {
      const flag = `UPDATE ${ROW} SET hidden = ?1 ->> 'hidden' WHERE ${SAME} RETURNING id`;
      const input = { id, hidden: hidden ? 1 : 0 };
      return (await changed([flag, input], [show(SAME), input])) > 0;
    },

    async ban(player, banned, group) {
      assertGroup(group);
      const change = banned
        ? `INSERT INTO ${BAN} (grp, player) VALUES (?1 ->> 'group', ?1 ->> 'player') ON CONFLICT DO NOTHING`
        : `DELETE FROM ${BAN} WHERE grp = ?1 ->> 'group' AND player = ?1 ->> 'player'`;
      const input = { player, group };
      await database.write(
        [
          [change, input],
          [show(PLAYER), input],
        ],
        nothing,
      );
    },

    async purge(player, group) {
      assertGroup(group);
      const input = { player, group };
      return changed(
        [`DELETE FROM ${ROW} WHERE ${PLAYER} RETURNING id`, input],
        // What was cleared and not yet swept belongs to no group any more.
        [`DELETE FROM ${ROW} WHERE player = ?1 ->> 'player' AND list IN (SELECT list FROM ${LIST} WHERE board = '')`, input],
        [`DELETE FROM ${NAME} WHERE grp = ?1 ->> 'group' AND player = ?1 ->> 'player'`, input],
      );
    },

    async rename(player, name, { group, unique }) {
      assertGroup(group);
      assertString("name", name, 0, 128);
      const input = { player, name, group, unique };
      const queries: LiteQuery[] = [
        [`SELECT ${TAKEN} AS taken`, input],
        [`UPDATE ${ROW} SET name = ?1 ->> 'name' WHERE ${PLAYER} AND NOT ${TAKEN}`, input],
        // Without a unique form, the name that the player had is free again.
        [`DELETE FROM ${NAME} WHERE grp = ?1 ->> 'group' AND player = ?1 ->> 'player' AND NOT ${TAKEN}`, input],
        [
          `INSERT INTO ${NAME} (grp, player, name) SELECT ?1 ->> 'group', ?1 ->> 'player', ?1 ->> 'unique' WHERE ?1 ->> 'unique' IS NOT NULL AND NOT ${TAKEN}`,
          input,
        ],
      ];
      return database.write(queries, ([[taken = {}] = []]) => !flagIn(taken, "taken"));
    },

    async claim(from, to, group) {
      assertGroup(group);
      if (from === to) return 0;
      const input = { from, to, player: to, group };
      const queries = claimSql(tables, OF_GROUP, show(PLAYER)).map((sql): LiteQuery => [sql, input]);
      return database.write(queries, ([[before = {}] = []]) => numberIn(before, "n"));
    },
  };
}

/** The statements that give the rows, the ban and the name of one player to another: `mergedRow` of src/scores/ranking.ts. */
function claimSql({ rules: RULES, list: LIST, row: ROW, ban: BAN, name: NAME }: LiteTables, ofGroup: string, show: string): string[] {
  const FROM = `player = ?1 ->> 'from' AND list ${ofGroup}`;
  const rule = (name: string, fallback: string): string => `coalesce(u.rules ->> '${name}', '${fallback}')`;
  const levels = LEVELS.map((level, number) => `WHEN '${level}' THEN ${number}`).join(" ");
  /** Pairs of rows of both players in one list: `f` is merged into `t`, by the rules of their board. */
  const PAIRS = `SELECT t.id, f.score, f.at, f.submission, f.level, f.flags, f.log, f.data, f.hidden, t.score AS old_score, t.at AS old_at, t.level AS old_level,
    ${rule("operator", "best")} AS operator, CASE ${rule("order", "desc")} WHEN 'asc' THEN -1 ELSE 1 END AS sign,
    f.level < CASE u.rules ->> 'minLevel' ${levels} ELSE 0 END AS weak, t.level < CASE u.rules ->> 'minLevel' ${levels} ELSE 0 END AS old_weak
    FROM ${ROW} f JOIN ${ROW} t ON t.player = ?1 ->> 'to' AND t.list = f.list JOIN ${LIST} l ON l.list = f.list JOIN ${RULES} u ON u.board = l.board
    WHERE f.player = ?1 ->> 'from' AND u.grp = ?1 ->> 'group'`;
  const WINS = `CASE WHEN m.weak <> m.old_weak THEN m.old_weak
    WHEN m.operator = 'best' THEN m.sign * m.score > m.sign * m.old_score OR (m.score = m.old_score AND m.at < m.old_at) ELSE m.at > m.old_at END`;
  const ADDS = "m.operator = 'sum' AND m.weak = m.old_weak";
  const chosen = (column: string): string => `${column} = CASE WHEN m.wins THEN m.${column} ELSE ${ROW}.${column} END`;
  const score = `CASE WHEN m.adds THEN min(9007199254740991, max(-9007199254740991, m.old_score + m.score)) WHEN m.wins THEN m.score ELSE m.old_score END`;
  const level = "CASE WHEN m.adds THEN min(m.level, m.old_level) WHEN m.wins THEN m.level ELSE m.old_level END";
  return [
    `SELECT count(*) AS n FROM ${ROW} WHERE ${FROM}`,
    `UPDATE ${ROW} SET score = ${score}, down = 0 - (${score}), level = ${level}, ${["at", "submission", "flags", "log", "data"].map(chosen).join(", ")},
      hidden = max(${ROW}.hidden, m.hidden), shown = CASE WHEN shown < 0 OR m.hidden = 1 THEN -1 ELSE ${level} END
      FROM (SELECT m.*, ${WINS} AS wins, ${ADDS} AS adds FROM (${PAIRS}) m) m WHERE ${ROW}.id = m.id`,
    `DELETE FROM ${ROW} WHERE ${FROM} AND EXISTS (SELECT 1 FROM ${ROW} t WHERE t.player = ?1 ->> 'to' AND t.list = ${ROW}.list)`,
    `UPDATE ${ROW} SET player = ?1 ->> 'to' WHERE ${FROM}`,
    `INSERT INTO ${BAN} (grp, player) SELECT grp, ?1 ->> 'to' FROM ${BAN} WHERE grp = ?1 ->> 'group' AND player = ?1 ->> 'from' ON CONFLICT DO NOTHING`,
    `DELETE FROM ${BAN} WHERE grp = ?1 ->> 'group' AND player = ?1 ->> 'from'`,
    show,
    // Where the other has a unique name of its own, the one of the first is free again.
    `UPDATE OR IGNORE ${NAME} SET player = ?1 ->> 'to' WHERE grp = ?1 ->> 'group' AND player = ?1 ->> 'from'`,
    `DELETE FROM ${NAME} WHERE grp = ?1 ->> 'group' AND player = ?1 ->> 'from'`,
  ];
}
