import { GatepassError } from "../src/errors.ts";
import { LEVELS } from "../src/protocol.ts";
import type { BoardRules, ScoreBoard, ScoreEntry, SubmitResult } from "../src/scores/board.ts";
import { assertEntry, assertLimit, keyOf, keyRange, levelNumber, levelsOf, scoreRange, withRanks } from "../src/scores/ranking.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import { type D1Client, type D1Query, type D1Run, openD1 } from "./_d1.ts";
import { d1BoardTables } from "./_d1-board-tables.ts";
import { assertTable, betterRow, flagIn, logIn, numberIn, type SqlRow, scoreRow, scoreRows, textIn } from "./_sql.ts";

/** Options of {@link d1Board}. */
export interface D1BoardOptions {
  /** Beginning of the tables' names, an identifier of at most 48 characters. Default `gatepass_board`. */
  table?: string;
  /** Milliseconds that a call takes at most, 1..60000. Default 2000. */
  timeoutMs?: number;
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** For each operator, the SQL condition under which the new score replaces the stored one. */
const REPLACES = { best: "excluded.k < k", last: "excluded.at >= at", sum: "true" } as const;
/** Attempts at a submission while other submissions change the board's rules. */
const ATTEMPTS = 5;

/**
 * A board in a D1 database. Every method is one `batch`, which D1 runs as a transaction. Triggers keep the histogram of
 * ranks, so ranks are exact, and a rank reads at most 256 rows for every 8 bits of the board's range. A submission
 * writes eight rows for each period, index entries included. Tables, indexes and triggers are created when a call finds
 * them missing.
 *
 * @throws {TypeError} an unknown option; `db` is not a D1 binding
 * @throws {RangeError} `table` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { type D1Client, d1Board } from "gatepass/adapters/d1";
 * import type { ScoreBoard } from "gatepass/scores";
 * // In a Worker: d1Board(env.DB).
 * const boardOf = (env: { DB: D1Client }): ScoreBoard => d1Board(env.DB);
 * console.assert(typeof boardOf === "function");
 * ```
 */
export function d1Board(db: D1Client, options: D1BoardOptions = {}): ScoreBoard {
  const rules: Rules<D1BoardOptions> = { table: assertTable, timeoutMs: integer(1, 60_000), random: "function" };
  assertOptions("d1Board", options, rules);
  const { table = "gatepass_board", timeoutMs, random } = options;
  const tables = d1BoardTables(table);
  const { rules: RULES, list: LIST, row: ROW, hist: HIST, seen: SEEN, ban: BAN, columns: COLUMNS, rank: RANK } = tables;
  const { call } = openD1(db, tables.schema, "ERR_BOARD_UNAVAILABLE", timeoutMs);

  const FROM = `FROM ${LIST} l JOIN ${ROW} r ON r.list = l.list`;
  const IN_LIST = "l.board = ?1 ->> 'board' AND l.period = ?1 ->> 'period'";
  const BANNED = `EXISTS (SELECT 1 FROM ${BAN} WHERE player = ?1 ->> 'player')`;
  // A batch cannot be stopped in the middle. So each statement of a submission checks this condition itself.
  const ALLOWED = `NOT ${BANNED} AND EXISTS (SELECT 1 FROM ${RULES} WHERE board = ?1 ->> 'board' AND ascending = ?1 ->> 'ascending' AND low <= ?1 ->> 'low' AND high >= ?1 ->> 'high')`;
  // CROSS JOIN fixes the order. In the other order SQLite would read every list that the board ever had.
  const PERIODS = `json_each(?1, '$.periods') p CROSS JOIN ${LIST} l ON l.board = ?1 ->> 'board' AND l.period = p.value ->> 'period'`;
  const IS_SEEN = `EXISTS (SELECT 1 FROM ${SEEN} s WHERE s.list = l.list AND s.submission = ?1 ->> 'submission')`;
  const MAKE_RULES = `INSERT INTO ${RULES} (board, ascending, low, high, levels)
    SELECT ?1 ->> 'board', ?1 ->> 'ascending', ?1 ->> 'low', ?1 ->> 'high', ?1 ->> 'levels' WHERE NOT ${BANNED} ON CONFLICT DO NOTHING`;
  const BEFORE = `SELECT ${BANNED} AS banned, ${ALLOWED} AS allowed, b.ascending, b.low, b.high,
    EXISTS (SELECT 1 FROM ${LIST} l WHERE ${IN_LIST} AND ${IS_SEEN}) AS repeated FROM (SELECT 1) LEFT JOIN ${RULES} b ON b.board = ?1 ->> 'board'`;
  const MAKE_LISTS = `INSERT INTO ${LIST} (board, period) SELECT ?1 ->> 'board', value ->> 'period' FROM json_each(?1, '$.periods') WHERE ${ALLOWED} ON CONFLICT DO NOTHING`;
  // A stored score below the minimum level is not shown, so any new score replaces it.
  const WEAK = `${ROW}.level < ?1 ->> 'minLevel'`;
  const SUM = `CASE WHEN ${WEAK} THEN excluded.score ELSE min(?1 ->> 'max', max(?1 ->> 'min', ${ROW}.score + excluded.score)) END`;
  const SAVE = (
    operator: keyof typeof REPLACES,
  ): string => `INSERT INTO ${ROW} (id, list, player, k, score, at, submission, level, flags, name, log, hidden, shown)
    SELECT p.value ->> 'id', l.list, ?1 ->> 'player', ?1 ->> 'k', ?1 ->> 'score', ?1 ->> 'at', ?1 ->> 'submission', ?1 ->> 'level', ?1 ->> 'flags', ?1 ->> 'name', ?1 ->> 'log', 0, ?1 ->> 'level'
    FROM ${PERIODS} WHERE ${ALLOWED} AND NOT ${IS_SEEN}
    ON CONFLICT (player, list) DO UPDATE SET score = ${operator === "sum" ? SUM : "excluded.score"}, k = ${operator === "sum" ? `(?1 ->> 'sign') * ${SUM}` : "excluded.k"},
      at = excluded.at, submission = excluded.submission, level = excluded.level, flags = excluded.flags, name = excluded.name, log = excluded.log,
      shown = CASE WHEN shown < 0 THEN -1 ELSE excluded.level END
    WHERE ${WEAK} OR ${REPLACES[operator]} RETURNING list`;
  const REMEMBER = `INSERT INTO ${SEEN} (list, submission) SELECT l.list, ?1 ->> 'submission' FROM ${PERIODS} WHERE ${ALLOWED} ON CONFLICT DO NOTHING`;
  const OF_PLAYER = `SELECT ${COLUMNS}, ${RANK} AS rank ${FROM} WHERE ${IN_LIST} AND r.player = ?1 ->> 'player'`;

  /**
   * The rows on one side of a row `a`, the nearest first. The plus signs matter: without them SQLite only uses `k` of
   * the index, and reads all equal scores.
   */
  const SIDE = (compare: "<" | ">", order: string): string =>
    `SELECT * FROM (SELECT ${COLUMNS} FROM ${ROW} a JOIN ${ROW} r ON r.list = a.list JOIN ${LIST} l ON l.list = r.list
      WHERE a.id = ?1 ->> 'id' AND a.shown >= 0 AND r.shown >= 0 AND (r.k, r.at, r.id) ${compare} (+a.k, +a.at, +a.id)
      ORDER BY ${order} LIMIT ?1 ->> 'n')`;
  // Only the ranks of the two best scores on the page are counted; the others follow from them.
  const AROUND = `WITH page AS MATERIALIZED (
      ${SIDE("<", "r.k DESC, r.at DESC, r.id DESC")}
      UNION ALL SELECT ${COLUMNS} ${FROM} WHERE r.id = ?1 ->> 'id' AND r.shown >= 0
      UNION ALL ${SIDE(">", "r.k, r.at, r.id")}),
    ranked AS MATERIALIZED (SELECT k, ${RANK} AS rank FROM (SELECT DISTINCT list, k FROM page ORDER BY k LIMIT 2) r)
    SELECT page.*, ranked.rank FROM page LEFT JOIN ranked ON ranked.k = page.k ORDER BY page.k, page.at, page.id`;

  /** One attempt at a submission. Undefined: the board's stored rules differed, and were changed; try again. */
  async function attempt(run: D1Run, entry: ScoreEntry, rules: BoardRules, input: SubmitInput): Promise<SubmitResult | undefined> {
    const [, [before] = [], , saved = [], , [row] = []] = await run(
      [MAKE_RULES, input],
      [BEFORE, input],
      [MAKE_LISTS, input],
      [SAVE(rules.operator), input],
      [REMEMBER, input],
      [OF_PLAYER, input],
    );
    if (before === undefined) throw new TypeError("Cannot read the answer: expected a row");
    const none = { id: "", rank: 0, best: false };
    const repeated = flagIn(before, "repeated");
    if (flagIn(before, "banned")) return { status: "banned", ...none };
    if (!flagIn(before, "allowed")) {
      await run(...widen(before, input));
      return undefined;
    }
    const isSaved = saved.some((one) => row !== undefined && numberIn(one, "list") === numberIn(row, "list"));
    const status = repeated ? "repeated" : isSaved ? "stored" : "kept";
    if (row === undefined) return { status, ...none };
    return { status, id: textIn(row, "id"), rank: numberIn(row, "rank"), best: textIn(row, "submission") === entry.submission };
  }

  /**
   * Rebuilds a board's keys and histogram for a changed order or range, but only if the stored rules are still those
   * that were read. A range only grows: otherwise two deployments with different settings would rebuild it in turn.
   */
  function widen(seen: SqlRow, { board, ascending, low, high }: SubmitInput): D1Query[] {
    const flipped = flagIn(seen, "ascending") !== (ascending === 1);
    const [heldLow, heldHigh] = [numberIn(seen, "low"), numberIn(seen, "high")];
    const range = { low: Math.min(flipped ? 0 - heldHigh : heldLow, low), high: Math.max(flipped ? 0 - heldLow : heldHigh, high) };
    if (range.high - range.low > Number.MAX_SAFE_INTEGER) {
      throw new GatepassError("ERR_CONFIG_INVALID", "Cannot widen the board's range: more than 53 bits");
    }
    const input = {
      board,
      ascending,
      ...range,
      levels: levelsOf(range),
      was: { ascending: seen["ascending"], low: heldLow, high: heldHigh },
    };
    const lists = `list IN (SELECT list FROM ${LIST} WHERE board = ?1 ->> 'board')`;
    // `levels = 0` marks a change by this batch: the triggers count nothing meanwhile, and the next statements only run
    // if this one did.
    const ours = `EXISTS (SELECT 1 FROM ${RULES} WHERE board = ?1 ->> 'board' AND levels = 0)`;
    return [
      [
        `UPDATE ${RULES} SET levels = 0 WHERE board = ?1 ->> 'board' AND ascending = ?1 ->> '$.was.ascending' AND low = ?1 ->> '$.was.low' AND high = ?1 ->> '$.was.high'`,
        input,
      ],
      ...(flipped ? [[`UPDATE ${ROW} SET k = 0 - k WHERE ${lists} AND ${ours}`, input] as const] : []),
      [`DELETE FROM ${HIST} WHERE ${lists} AND ${ours}`, input],
      [`INSERT INTO ${HIST} (list, depth, bucket, n) ${tables.recount} AND ${ours} GROUP BY 1, 2, 3`, input],
      [
        `UPDATE ${RULES} SET ascending = ?1 ->> 'ascending', low = ?1 ->> 'low', high = ?1 ->> 'high', levels = ?1 ->> 'levels' WHERE board = ?1 ->> 'board' AND levels = 0`,
        input,
      ],
    ];
  }

  /** One statement, its rows. */
  const rowsOf = async (run: D1Run, sql: string, input: unknown): Promise<SqlRow[]> => (await run([sql, input]))[0] ?? [];
  const ranked = (row: SqlRow): ReturnType<typeof scoreRow> & { rank: number } => ({ ...scoreRow(row), rank: numberIn(row, "rank") });

  return {
    async submit(entry, rules) {
      assertEntry(entry, rules);
      const input = submitInput(entry, rules, random);
      return call(async (run) => {
        for (let left = ATTEMPTS; left > 0; left--) {
          const answer = await attempt(run, entry, rules, input);
          if (answer !== undefined) return answer;
        }
        throw new Error("Others change the board's rules all the time");
      });
    },

    async top({ board, period, limit, minLevel = "claimed" }) {
      assertLimit("limit", limit);
      const from = levelNumber(minLevel);
      const sorted = "ORDER BY r.k, r.at, r.id LIMIT ?1 ->> 'limit'";
      const queries: D1Query[] =
        from === 0
          ? [[`SELECT ${COLUMNS} ${FROM} WHERE ${IN_LIST} AND r.shown >= 0 ${sorted}`, { board, period, limit }]]
          : LEVELS.slice(from).map((_, i) => [
              `SELECT ${COLUMNS} ${FROM} WHERE ${IN_LIST} AND r.shown >= 1 AND r.shown = ?1 ->> 'level' ${sorted}`,
              { board, period, limit, level: from + i },
            ]);
      return call(async (run) => {
        const rows = (await run(...queries)).flat().sort(betterRow).slice(0, limit);
        return withRanks(scoreRows(rows, limit), (index) => index + 1);
      });
    },

    async around(id, n) {
      assertLimit("n", n, 0);
      return call(async (run) => {
        const rows = await rowsOf(run, AROUND, { id, n });
        return withRanks(scoreRows(rows, 2 * n + 1), (index) => numberIn(rows[index] ?? {}, "rank"));
      });
    },

    async find(id) {
      return call(async (run) => {
        const [row] = await rowsOf(run, `SELECT ${COLUMNS}, r.log, ${RANK} AS rank ${FROM} WHERE r.id = ?1 ->> 'id'`, { id });
        if (row === undefined) return null;
        return { ...ranked(row), ...logIn(row) };
      });
    },

    async ofPlayer({ board, period, player }) {
      return call(async (run) => {
        const [row] = await rowsOf(run, OF_PLAYER, { board, period, player });
        return row ? ranked(row) : null;
      });
    },

    async remove(id) {
      return call(async (run) => (await rowsOf(run, `DELETE FROM ${ROW} WHERE id = ?1 ->> 'id' RETURNING id`, { id })).length > 0);
    },

    async hide(id, hidden) {
      const sql = `UPDATE ${ROW} SET hidden = ?1 ->> 'hidden', shown = CASE WHEN ?1 ->> 'hidden' OR EXISTS (SELECT 1 FROM ${BAN} b WHERE b.player = ${ROW}.player) THEN -1 ELSE level END
        WHERE id = ?1 ->> 'id' RETURNING id`;
      return call(async (run) => (await rowsOf(run, sql, { id, hidden: hidden ? 1 : 0 })).length > 0);
    },

    async ban(player, banned) {
      const change = banned
        ? `INSERT INTO ${BAN} (player) VALUES (?1 ->> 'player') ON CONFLICT DO NOTHING`
        : `DELETE FROM ${BAN} WHERE player = ?1 ->> 'player'`;
      const show = `UPDATE ${ROW} SET shown = ${banned ? "-1" : "level"} WHERE player = ?1 ->> 'player' AND hidden = 0`;
      await call((run) => run([change, { player }], [show, { player }]));
    },

    async purge(player) {
      return call(async (run) => (await rowsOf(run, `DELETE FROM ${ROW} WHERE player = ?1 ->> 'player' RETURNING id`, { player })).length);
    },
  };
}

/** A submission in the form that the statements read. */
interface SubmitInput {
  board: string;
  ascending: number;
  low: number;
  high: number;
  [more: string]: unknown;
}

function submitInput(entry: ScoreEntry, rules: BoardRules, random?: (bytes: number) => Uint8Array): SubmitInput {
  const range = keyRange(rules);
  const { board, player, score, at, submission, name, log } = entry;
  const ascending = rules.order === "asc" ? 1 : 0;
  return {
    ...{ board, player, score, at, submission, name, log },
    period: rules.periods[0],
    periods: rules.periods.map((period) => ({ period, id: randomId(random) })),
    k: keyOf(score, rules.order),
    sign: ascending === 1 ? 1 : -1,
    level: levelNumber(entry.level),
    minLevel: levelNumber(rules.minLevel ?? "claimed"),
    flags: JSON.stringify(entry.flags),
    ascending,
    ...range,
    levels: levelsOf(range),
    ...scoreRange(rules),
  };
}
