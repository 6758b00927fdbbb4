import type { BoardRules, ScoreBoard, ScoreEntry, SubmitResult } from "../src/scores/board.ts";
import { heldRules } from "../src/scores/board-check.ts";
import { assertEntry, levelNumber, levelsOf, periodsIn, scoreRange, viewOf } from "../src/scores/ranking.ts";
import { randomId } from "../src/util/random.ts";
import type { LiteDatabase, LiteQuery } from "./_lite.ts";
import { type LiteReader, viewInput } from "./_lite-board-read.ts";
import type { LiteTables } from "./_lite-board-tables.ts";
import { flagIn, numberIn, type SqlRow, textIn } from "./_sql.ts";

/** What the condition of an update is, by the operator: whether the new score replaces the one that is held. */
const REPLACES = { best: "(?1 ->> 'sign') * excluded.score > (?1 ->> 'sign') * score", last: "excluded.at >= at", sum: "true" } as const;

/** The call `submit` of a board in SQLite or D1: one transaction. */
export function liteSubmit(
  database: LiteDatabase,
  tables: LiteTables,
  reader: LiteReader,
  random?: (bytes: number) => Uint8Array,
): ScoreBoard["submit"] {
  const { rules: RULES, list: LIST, row: ROW, seen: SEEN, ban: BAN, name: NAME } = tables;
  const BANNED = `EXISTS (SELECT 1 FROM ${BAN} WHERE grp = ?1 ->> 'group' AND player = ?1 ->> 'player')`;
  const TAKEN = `EXISTS (SELECT 1 FROM ${NAME} WHERE grp = ?1 ->> 'group' AND name = ?1 ->> 'unique' AND player <> ?1 ->> 'player')`;
  // A batch cannot stop in its middle to look: every statement asks for itself whether it may go on.
  const ALLOWED = `NOT ${BANNED} AND NOT ${TAKEN}`;
  // CROSS: in this order. The other way round, every list that the board ever had would be read.
  const LISTS = `json_each(?1, '$.lists') p CROSS JOIN ${LIST} l ON l.board = ?1 ->> 'board' AND l.period = p.value ->> 'period' AND l.tag = p.value ->> 'tag'`;
  const IS_SEEN = `EXISTS (SELECT 1 FROM ${SEEN} s WHERE s.list = l.list AND s.submission = ?1 ->> 'submission')`;

  const BEFORE = `SELECT ${BANNED} AS banned, ${TAKEN} AS taken,
    EXISTS (SELECT 1 FROM ${LIST} l WHERE l.board = ?1 ->> 'board' AND l.period = ?1 ->> 'period' AND l.tag = '' AND ${IS_SEEN}) AS repeated`;
  const SET_RULES = `INSERT INTO ${RULES} (board, grp, rules) SELECT ?1 ->> 'board', ?1 ->> 'group', ?1 ->> 'rules' WHERE ${ALLOWED}
    ON CONFLICT DO UPDATE SET grp = excluded.grp, rules = excluded.rules WHERE rules <> excluded.rules`;
  // Lists are kept as long as any submission asks, and as deep as any needs: two deployments with different settings, as during a roll-out, do not take
  // turns. NULL is for ever, and stays.
  const MAKE_LISTS = `INSERT INTO ${LIST} (board, period, tag, depths, forget)
    SELECT ?1 ->> 'board', value ->> 'period', value ->> 'tag', ?1 ->> 'depths', value ->> 'forget' FROM json_each(?1, '$.lists') WHERE ${ALLOWED}
    ON CONFLICT DO UPDATE SET depths = max(depths, excluded.depths), forget = max(forget, excluded.forget)
    WHERE depths < excluded.depths OR forget < excluded.forget OR (forget IS NOT NULL AND excluded.forget IS NULL)`;
  // What is too weak to be shown must not stand in the way of what can be.
  const WEAK = `level < ?1 ->> 'minLevel'`;
  const SUM = `CASE WHEN ${WEAK} THEN excluded.score ELSE min(?1 ->> 'max', max(?1 ->> 'min', score + excluded.score)) END`;
  // A sum is worth as much as its weakest part.
  const LEVEL = { sum: `CASE WHEN ${WEAK} THEN excluded.level ELSE min(level, excluded.level) END` };
  const SAVE = (operator: keyof typeof REPLACES): string => {
    const [score, level] = operator === "sum" ? [SUM, LEVEL.sum] : ["excluded.score", "excluded.level"];
    return `INSERT INTO ${ROW} (id, list, player, score, down, at, submission, level, flags, name, log, data, hidden, shown)
      SELECT p.value ->> 'id', l.list, ?1 ->> 'player', ?1 ->> 'score', 0 - (?1 ->> 'score'), ?1 ->> 'at', ?1 ->> 'submission', ?1 ->> 'level', ?1 ->> 'flags',
        ?1 ->> 'name', ?1 ->> 'log', ?1 ->> 'data', 0, ?1 ->> 'level'
      FROM ${LISTS} WHERE ${ALLOWED} AND NOT ${IS_SEEN}
      ON CONFLICT (player, list) DO UPDATE SET score = ${score}, down = 0 - (${score}), at = excluded.at, submission = excluded.submission, level = ${level},
        flags = excluded.flags, name = excluded.name, log = excluded.log, data = excluded.data, shown = CASE WHEN shown < 0 THEN -1 ELSE ${level} END
      WHERE ${WEAK} OR ${REPLACES[operator]} RETURNING list`;
  };
  // Directly behind the statement whose changes it asks for. REPLACE takes away the name that the player had before.
  const KEEP_NAME = `INSERT OR REPLACE INTO ${NAME} (grp, player, name) SELECT ?1 ->> 'group', ?1 ->> 'player', ?1 ->> 'unique'
    WHERE changes() > 0 AND ?1 ->> 'unique' IS NOT NULL`;
  const REMEMBER = `INSERT INTO ${SEEN} (list, submission) SELECT l.list, ?1 ->> 'submission' FROM ${LISTS} WHERE ${ALLOWED} ON CONFLICT DO NOTHING`;
  const FIRST_LIST = `SELECT list FROM ${LIST} WHERE board = ?1 ->> 'board' AND period = ?1 ->> 'period' AND tag = ''`;

  return async (entry, rules) => {
    assertEntry(entry, rules);
    const input = submitInput(entry, rules, random);
    const view = viewOf(rules);
    const shown = { ...viewInput({ ...view, board: entry.board, period: String(input["period"]) }), player: entry.player };
    const queries: LiteQuery[] = [
      [BEFORE, input],
      [SET_RULES, input],
      [MAKE_LISTS, input],
      [SAVE(rules.operator), input],
      [KEEP_NAME, input],
      [REMEMBER, input],
      [FIRST_LIST, input],
      [reader.ofPlayer(view), shown],
    ];
    return database.write(queries, (answers) => resultOf(answers, entry.submission));
  };
}

/** @throws {TypeError} an answer of another shape */
function resultOf(answers: readonly SqlRow[][], submission: string): SubmitResult {
  const [[before = {}] = [], , , saved = [], , , [list] = [], [row] = []] = answers;
  const none = { id: "", rank: 0, best: false };
  if (flagIn(before, "banned")) return { status: "banned", ...none };
  if (flagIn(before, "taken")) return { status: "taken", ...none };
  if (list === undefined) throw new TypeError("Cannot read the answer: the list that was made is missing");
  const isSaved = saved.some((one) => numberIn(one, "list") === numberIn(list, "list"));
  const status = flagIn(before, "repeated") ? "repeated" : isSaved ? "stored" : "kept";
  if (row === undefined) return { status, ...none };
  return { status, id: textIn(row, "id"), rank: numberIn(row, "rank"), best: textIn(row, "submission") === submission };
}

/** A submission as the statements read it. */
function submitInput(entry: ScoreEntry, rules: BoardRules, random?: (bytes: number) => Uint8Array): Record<string, unknown> {
  const { board, player, score, at, submission, name, log, data, tag, unique } = entry;
  const held = heldRules(rules);
  const range = scoreRange(rules);
  const periods = periodsIn(rules);
  const tags = tag === undefined ? [""] : ["", tag];
  return {
    ...{ board, player, score, at, submission, name, log, data, unique },
    period: periods[0]?.key,
    // The list of all comes before the list of the tag in every period.
    lists: periods.flatMap(({ key, forget }) => tags.map((one) => ({ period: key, tag: one, forget, id: randomId(random) }))),
    group: held.group,
    rules: JSON.stringify(held),
    depths: levelsOf(range),
    ...range,
    sign: rules.order === "asc" ? -1 : 1,
    level: levelNumber(entry.level),
    minLevel: levelNumber(held.minLevel),
    flags: JSON.stringify(entry.flags),
  };
}
