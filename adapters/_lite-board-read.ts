import { LEVELS } from "../src/protocol.ts";
import type { BoardPlace, BoardView, Order, ScoreBoard, ScoreRow } from "../src/scores/board.ts";
import { assertGroup, assertLimit, assertPlayers, assertView, levelNumber, withRanks } from "../src/scores/ranking.ts";
import { assertInteger } from "../src/util/assertions.ts";
import type { LiteDatabase, LiteQuery } from "./_lite.ts";
import { countsFrom, DEPTHS, type LiteTables } from "./_lite-board-tables.ts";
import { logIn, numberIn, type SqlRow, scoreRow, scoreRows, textIn } from "./_sql.ts";

/** Behind every row of its score: no row has such a time. */
const LATEST = 2 ** 53;
const LOWEST = Number.MIN_SAFE_INTEGER;
const HIGHEST = Number.MAX_SAFE_INTEGER;
const BY_NAME = "l.board = ?1 ->> 'board' AND l.period = ?1 ->> 'period' AND l.tag = ?1 ->> 'tag'";

/** A view without its list. */
type Part = Omit<BoardView, "board" | "period" | "tag">;

/** Where a page begins: SQL of the tables, of the condition that finds the one list in `l`, and of the place in it. */
interface Anchor {
  from: string;
  where: string;
  place: readonly [key: string, at: string, id: string];
}

/** The statements that read a board in SQLite or D1. */
export interface LiteReader {
  /** The player's row in the list that `?1` names, with its rank in the view of `?1`. */
  ofPlayer(view: Part): string;
  methods: Pick<ScoreBoard, "top" | "around" | "near" | "count" | "find" | "ofPlayer" | "ofPlayers" | "hidden" | "banned" | "rowsOf">;
}

/** What `?1` says of a list and of the bounds of its view. */
export function viewInput({ board, period, tag = "", min = LOWEST, max = HIGHEST }: BoardView): Record<string, unknown> {
  return { board, period, tag, min, max };
}

export function liteReader(database: LiteDatabase, tables: LiteTables): LiteReader {
  const { rules: RULES, list: LIST, row: ROW, hist: HIST, ban: BAN, columns: COLUMNS, from: FROM } = tables;
  const ranks = rankSql(LIST, HIST);
  /** The order of the list `l`, as SQL: of the view, else the one of the board's last submission. */
  const orderOf = ({ order }: Part): string =>
    order === undefined ? `coalesce((SELECT u.rules ->> 'order' FROM ${RULES} u WHERE u.board = l.board), 'desc')` : `'${order}'`;
  /** The rank of the row `r` in a view, bounded by `?1` unless the view is whole. */
  const rankOf = (view: Part, score = "r.score"): string => ranks.rank("l.list", score, orderOf(view), levelOf(view), isBounded(view));

  /** A page around the anchor in one order: `before` rows before its place, and `behind` at it or behind it, with the ranks of the two best scores. */
  function page(order: Order, view: Part, { from, where, place }: Anchor, includes: boolean): string {
    const key = order === "asc" ? "score" : "down";
    const side = (level: number, before: boolean): string => {
      const compare = before ? "<" : includes ? ">=" : ">";
      const end = before ? `r.${key} >= ?1 ->> '${order}First'` : `r.${key} <= ?1 ->> '${order}Last'`;
      const sorted = before ? `r.${key} DESC, r.at DESC, r.id DESC` : `r.${key}, r.at, r.id`;
      return `SELECT * FROM (SELECT r.* FROM ${from} JOIN ${ROW} r ON r.list = l.list WHERE ${where} AND r.shown = ${level}
        AND (r.${key}, r.at, r.id) ${compare} (${place.join(", ")}) AND ${end} ORDER BY ${sorted} LIMIT ?1 ->> '${before ? "before" : "behind"}')`;
    };
    const levels = LEVELS.map((_, level) => level).slice(levelOf(view));
    const half = (before: boolean): string => {
      const sides = levels.map((level) => side(level, before)).join(" UNION ALL ");
      const sorted = before ? `${key} DESC, at DESC, id DESC` : `${key}, at, id`;
      return `SELECT * FROM (${sides}) ORDER BY ${sorted} LIMIT ?1 ->> '${before ? "before" : "behind"}'`;
    };
    const chosen = view.order === undefined ? `WHERE (SELECT ${orderOf(view)} FROM ${LIST} l WHERE l.list = r.list) = '${order}'` : "";
    return `WITH page AS MATERIALIZED (SELECT * FROM (${half(true)}) UNION ALL SELECT * FROM (${half(false)})),
      best AS MATERIALIZED (SELECT score, list FROM (SELECT DISTINCT score, list, ${key} AS k FROM page ORDER BY k LIMIT 2)),
      ranked AS MATERIALIZED (SELECT l.score, ${ranks.rank("l.list", "l.score", `'${order}'`, levelOf(view), isBounded(view))} AS rank FROM best l)
      SELECT ${COLUMNS}, ranked.rank FROM page r JOIN ${LIST} l ON l.list = r.list LEFT JOIN ranked ON ranked.score = r.score ${chosen}
      ORDER BY r.${key}, r.at, r.id`;
  }

  /** The page in the view's order, or in both where the database alone knows which: one of the two is empty. */
  function pages(
    view: Part,
    anchorOf: (order: Order, view: Part) => Anchor,
    inputOf: (order: Order) => object,
    includes = false,
  ): LiteQuery[] {
    const orders: readonly Order[] = view.order === undefined ? ["desc", "asc"] : [view.order];
    return orders.map((order) => [page(order, view, anchorOf(order, view), includes), { ...inputOf(order), ...ends(view) }]);
  }

  const byPlace = (): Anchor => ({ from: `${LIST} l`, where: BY_NAME, place: ["?1 ->> 'k'", "?1 ->> 'at'", "?1 ->> 'id'"] });
  /** Without the plus signs only the first column is looked up in the index, and of equal scores all are read. */
  const byRow = (order: Order, view: Part): Anchor => ({
    from: `${ROW} a JOIN ${LIST} l ON l.list = a.list`,
    where: `a.id = ?1 ->> 'anchor' AND a.shown >= ${levelOf(view)} AND a.score BETWEEN ?1 ->> 'min' AND ?1 ->> 'max' AND l.board <> ''`,
    place: [order === "asc" ? "+a.score" : "+a.down", "+a.at", "+a.id"],
  });
  const rowsOfPage = (answers: readonly SqlRow[][], most: number): ScoreRow[] => {
    const rows = answers.flat();
    return withRanks(scoreRows(rows, most), (index) => numberIn(rows[index] ?? {}, "rank"));
  };
  const ranked = (row: SqlRow): ScoreRow => ({ ...scoreRow(row), rank: numberIn(row, "rank") });
  const one = <T>(sql: string, input: object, tell: (rows: SqlRow[]) => T): Promise<T> =>
    database.read([[sql, input]], ([rows = []]) => tell(rows));
  const ofPlayer = (view: Part): string =>
    `SELECT ${COLUMNS}, ${rankOf(view)} AS rank FROM ${FROM} WHERE ${BY_NAME} AND r.player = ?1 ->> 'player'`;

  return {
    ofPlayer,
    methods: {
      async top({ limit, after, ...view }) {
        assertLimit("limit", limit);
        assertView(view);
        const inputOf = (order: Order): object => ({ ...viewInput(view), ...placeIn(order, view, after), before: 0, behind: limit });
        return database.read(pages(view, byPlace, inputOf), (answers) => rowsOfPage(answers, limit));
      },

      async around(id, n, view = {}) {
        assertLimit("n", n, 0);
        assertView(view);
        const { min = LOWEST, max = HIGHEST } = view;
        const inputOf = (): object => ({ anchor: id, min, max, before: n, behind: n + 1 });
        return database.read(pages(view, byRow, inputOf, true), (answers) => rowsOfPage(answers, 2 * n + 1));
      },

      async near({ score, n, ...view }) {
        assertLimit("n", n, 0);
        assertInteger("score", score, LOWEST);
        assertView(view);
        const at = { score, at: LATEST, id: "" };
        const inputOf = (order: Order): object => ({ ...viewInput(view), ...placeIn(order, view, at), before: n, behind: n });
        const rank = `SELECT ${rankOf(view, "(?1 ->> 'score')")} AS rank FROM ${LIST} l WHERE ${BY_NAME}`;
        const queries: LiteQuery[] = [[rank, { ...viewInput(view), score }], ...pages(view, byPlace, inputOf)];
        return database.read(queries, ([found = [], ...answers]) => ({
          rank: found[0] ? numberIn(found[0], "rank") : 1,
          rows: rowsOfPage(answers, 2 * n),
        }));
      },

      async count(view) {
        assertView(view);
        const sql = `SELECT ${ranks.length("l.list", levelOf(view), isBounded(view))} AS n FROM ${LIST} l WHERE ${BY_NAME}`;
        return one(sql, viewInput(view), ([row]) => (row ? numberIn(row, "n") : 0));
      },

      async find(id) {
        const sql = `SELECT ${COLUMNS}, r.log, ${rankOf({})} AS rank FROM ${FROM} WHERE r.id = ?1 ->> 'id' AND l.board <> ''`;
        return one(sql, { id }, ([row]) => (row ? { ...ranked(row), ...logIn(row) } : null));
      },

      async ofPlayer({ player, ...view }) {
        assertView(view);
        return one(ofPlayer(view), { ...viewInput(view), player }, ([row]) => (row ? ranked(row) : null));
      },

      async ofPlayers({ players, ...view }) {
        assertPlayers(players);
        assertView(view);
        const sql = `SELECT ${COLUMNS}, ${rankOf(view)} AS rank FROM (SELECT DISTINCT value AS player FROM json_each(?1, '$.players')) p
          CROSS JOIN ${LIST} l JOIN ${ROW} r ON r.list = l.list AND r.player = p.player
          WHERE ${BY_NAME} AND r.shown >= ${levelOf(view)} AND r.score BETWEEN ?1 ->> 'min' AND ?1 ->> 'max'
          ORDER BY CASE ${orderOf(view)} WHEN 'asc' THEN r.score ELSE r.down END, r.at, r.id`;
        return one(sql, { ...viewInput(view), players }, (rows) => rows.map(ranked));
      },

      async hidden({ group, limit, after = "" }) {
        assertGroup(group);
        assertLimit("limit", limit);
        const sql = `SELECT ${COLUMNS}, ${rankOf({})} AS rank FROM ${FROM} JOIN ${RULES} u ON u.board = l.board
          WHERE r.hidden = 1 AND u.grp = ?1 ->> 'group' AND r.id > ?1 ->> 'after' ORDER BY r.id LIMIT ?1 ->> 'limit'`;
        return one(sql, { group, limit, after }, (rows) => rows.map(ranked));
      },

      async banned({ group, limit, after = "" }) {
        assertGroup(group);
        assertLimit("limit", limit);
        const sql = `SELECT player FROM ${BAN} WHERE grp = ?1 ->> 'group' AND player > ?1 ->> 'after' ORDER BY player LIMIT ?1 ->> 'limit'`;
        return one(sql, { group, limit, after }, (rows) => rows.map((row) => textIn(row, "player")));
      },

      async rowsOf(player, group) {
        assertGroup(group);
        const sql = `SELECT ${COLUMNS}, r.log, ${rankOf({})} AS rank FROM ${ROW} r CROSS JOIN ${LIST} l ON l.list = r.list JOIN ${RULES} u ON u.board = l.board
          WHERE r.player = ?1 ->> 'player' AND u.grp = ?1 ->> 'group' ORDER BY l.board, l.period, l.tag`;
        return one(sql, { player, group }, (rows) => rows.map((row) => ({ ...ranked(row), ...logIn(row) })));
      },
    },
  };
}

const levelOf = ({ minLevel = "claimed" }: Part): number => levelNumber(minLevel);
const isBounded = ({ min, max }: Part): boolean => min !== undefined || max !== undefined;

/** The keys that a view begins and ends with, in both orders. */
function ends({ min = LOWEST, max = HIGHEST }: Part): Record<string, number> {
  return { ascFirst: min, ascLast: max, descFirst: 0 - max, descLast: 0 - min };
}

/** A place as a key, moved into the view where it is outside: the scan then begins at the view's first or last row. Default: before the first. */
function placeIn(order: Order, view: Part, place?: BoardPlace): { k: number; at: number; id: string } {
  const { [`${order}First`]: first = LOWEST, [`${order}Last`]: last = HIGHEST } = ends(view);
  const k = place && (order === "asc" ? place.score : 0 - place.score);
  if (place === undefined || k === undefined || k < first) return { k: first, at: -1, id: "" };
  return k > last ? { k: last, at: LATEST, id: "" } : { k, at: place.at, id: place.id };
}

/** SQL that counts by the histogram. At most 256 of its rows are read for every 8 bits of the board's range. */
function rankSql(
  LIST: string,
  HIST: string,
): {
  rank(list: string, score: string, order: string, level: number, bounded: boolean): string;
  length(list: string, level: number, bounded: boolean): string;
} {
  /** Shown rows of a list with a higher or a lower score: at each depth the buckets beyond the score's own that share its parent, at the coarsest all. */
  const beyond = (compare: "<" | ">", list: string, score: string, level: number): string => {
    const bucket = `((${score}) >> (8 * d.column1))`;
    // The numbers are the highest and the lowest that SQLite has.
    const last = (most: string, sibling: string): string => `CASE WHEN d.column1 = q.depths - 1 THEN ${most} ELSE ${sibling} END`;
    const siblings =
      compare === ">"
        ? `h.bucket <= ${last("9223372036854775807", `${bucket} | 255`)}`
        : `h.bucket >= ${last("-9223372036854775808", `${bucket} & -256`)}`;
    return `(SELECT coalesce(sum(${countsFrom(level)}), 0) FROM ${LIST} q JOIN ${DEPTHS} d ON d.column1 < q.depths
      CROSS JOIN ${HIST} h ON h.list = q.list AND h.depth = d.column1 AND h.bucket ${compare} ${bucket} AND ${siblings} WHERE q.list = ${list})`;
  };
  const whole = (list: string, level: number): string =>
    `(SELECT coalesce(sum(${countsFrom(level)}), 0) FROM ${LIST} q JOIN ${HIST} h ON h.list = q.list AND h.depth = q.depths - 1 WHERE q.list = ${list})`;
  const length = (list: string, level: number, bounded: boolean): string =>
    bounded
      ? `max(0, ${whole(list, level)} - ${beyond(">", list, "?1 ->> 'max'", level)} - ${beyond("<", list, "?1 ->> 'min'", level)})`
      : whole(list, level);
  return {
    length,
    rank(list, score, order, level, bounded) {
      const better = (compare: "<" | ">", bound: string): string =>
        beyond(compare, list, score, level) + (bounded ? ` - ${beyond(compare, list, `?1 ->> '${bound}'`, level)}` : "");
      const count = `CASE ${order} WHEN 'asc' THEN ${better("<", "min")} ELSE ${better(">", "max")} END`;
      return bounded ? `1 + min(${length(list, level, true)}, max(0, ${count}))` : `1 + ${count}`;
    },
  };
}
