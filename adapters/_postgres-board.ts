import type { ConfigProblem } from "../src/errors.ts";
import type { BoardCheck, BoardView, ScoreBoard, ScoreRow, SubmitResult } from "../src/scores/board.ts";
import { heldRules, histogramProblem, outsideProblem, rulesProblem } from "../src/scores/board-check.ts";
import {
  assertEntry,
  assertGroup,
  assertLimit,
  assertPlayers,
  assertView,
  levelNumber,
  levelsOf,
  periodsIn,
  scoreRange,
  viewOf,
  withRanks,
} from "../src/scores/ranking.ts";
import { assertInteger, assertString } from "../src/util/assertions.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import {
  decodeText,
  encodeText,
  openPostgres,
  type Postgres,
  type PostgresClient,
  type PostgresPlace,
  unreadable,
  wholeNumber,
} from "./_postgres.ts";
import { bareRowsIn, boardsIn, logIn, ranksIn, rowsIn } from "./_postgres-board-answer.ts";
import { BOARD_FUNCTIONS, BOARD_TABLES } from "./_postgres-board-sql.ts";
import { checkPostgres } from "./_postgres-migrate.ts";
import { boardVersionProblem, withBoardVersions } from "./_postgres-versions.ts";

/** Options of {@link postgresBoard}. */
export interface PostgresBoardOptions extends PostgresPlace {
  /** Milliseconds until a call rejects, 1..60000. Default 2000. */
  timeoutMs?: number;
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** A board in PostgreSQL. */
export type PostgresBoard = ScoreBoard & Required<Pick<ScoreBoard, "check" | "close">>;

/** Rows that one call of the function `sweep` deletes at most: others do not wait long for it. */
const STEP = 500;

/**
 * A board in PostgreSQL, 12 or newer, shared by all processes that use the database. Every call is one function call
 * and one round trip. `migrate` creates the functions. Submissions to one board are stored one after another, together
 * with the histogram of ranks. A rank reads at most 256 rows for every 8 bits of the board's range, however many rows
 * the board has. You open and close the client yourself; use a pool, with `pool.on("error", ...)` as pg requires.
 *
 * @throws {TypeError} an unknown option, no client @throws {RangeError} an invalid `schema`, `prefix` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { postgresBoard } from "gatepass/adapters/postgres";
 * // As `new pg.Pool({ connectionString })`: whatever has query(text, values).
 * const answer = JSON.stringify({ rows: [], ranks: [] });
 * const board = postgresBoard({ query: async () => ({ rows: [{ answer }] }) });
 * console.assert((await board.top({ board: "main", period: "all", limit: 10 })).length === 0);
 * ```
 */
export function postgresBoard(client: PostgresClient, options: PostgresBoardOptions = {}): PostgresBoard {
  const rules: Rules<PostgresBoardOptions> = { schema: "string", prefix: "string", timeoutMs: integer(1, 60_000), random: "function" };
  assertOptions("postgresBoard", options, rules);
  const { random, timeoutMs } = options;
  const database = withBoardVersions(openPostgres(client, { place: options, code: "ERR_BOARD_UNAVAILABLE", timeoutMs }), options);

  return {
    async submit(entry, rules) {
      assertEntry(entry, rules);
      const { min, max } = scoreRange(rules);
      const held = heldRules(rules);
      const tags = entry.tag === undefined ? [""] : ["", encodeText(entry.tag)];
      const wanted = {
        entry: {
          ...encoded({ board: entry.board, player: entry.player, submission: entry.submission, name: entry.name }),
          ...encoded({ log: entry.log, data: entry.data, unique: entry.unique }),
          score: entry.score,
          at: entry.at,
          level: levelNumber(entry.level),
          flags: JSON.stringify(entry.flags),
        },
        lists: periodsIn(rules).flatMap(({ key, forget }) =>
          tags.map((tag) => ({ period: encodeText(key), tag, forget, id: randomId(random) })),
        ),
        group: encodeText(held.group),
        rules: JSON.stringify({ ...held, group: encodeText(held.group) }),
        depths: levelsOf({ min, max }),
        operator: rules.operator,
        sign: rules.order === "asc" ? -1 : 1,
        minLevel: levelNumber(held.minLevel),
        least: min,
        most: max,
        view: viewIn(viewOf(rules)),
      };
      return database.ask("boards_submit", wanted, ({ status, id, rank, best }): SubmitResult => {
        if (status === "banned" || status === "taken") return { status, id: "", rank: 0, best: false };
        if (!isStatus(status) || typeof id !== "string" || typeof best !== "boolean") throw unreadable();
        return { status, id, rank: wholeNumber(rank), best };
      });
    },

    ...readingOf(database),
    ...moderationOf(database),

    async clear(board, period) {
      return database.ask("boards_clear", encoded({ board, period }), ({ changed }) => wholeNumber(changed));
    },

    async sweep(max = 1000, now = Date.now()) {
      assertInteger("max", max, 1);
      assertInteger("now", now, 0);
      let gone = 0;
      for (let goesOn = true; goesOn && gone < max; ) {
        const answer = await database.ask("boards_sweep", { max: Math.min(STEP, max - gone), now }, ({ gone: some, more }) => {
          if (typeof more !== "boolean") throw unreadable();
          return { some: wholeNumber(some), more };
        });
        gone += answer.some;
        goesOn = answer.more;
      }
      return gone;
    },

    async check(boards = []) {
      const version = await boardVersionProblem(database, options);
      const found = await checkPostgres(database, options, BOARD_TABLES, BOARD_FUNCTIONS);
      // GP150 would say the same of the functions.
      const problems = version ? [version, ...found.filter(({ code }) => code !== "GP150")] : found;
      // What is not prepared, or not allowed, cannot be asked.
      return problems.some(({ severity }) => severity === "error") ? problems : [...problems, ...(await checkBoards(database, boards))];
    },

    async close() {
      database.close();
    },
  };
}

/** What repairs the counts. */
const RECOUNT = '`migrate(client, { recount: true })` of "gatepass/adapters/postgres"';

const NOT_COUNTING: ConfigProblem = {
  code: "GP174",
  severity: "error",
  message: "The trigger that counts the board's rows for their ranks is missing or disabled: every change makes ranks wrong",
  fix: `Run ${RECOUNT}, which makes the trigger and counts the rows again`,
};

type Reading = "top" | "around" | "near" | "count" | "find" | "ofPlayer" | "ofPlayers" | "hidden" | "banned" | "rowsOf";

function readingOf(database: Postgres): Pick<ScoreBoard, Reading> {
  const page = (name: string, wanted: Record<string, unknown>, most: number): Promise<ScoreRow[]> =>
    database.ask(name, wanted, (answer) => pageIn(answer, most));
  return {
    async top({ limit, after, ...view }) {
      assertLimit("limit", limit);
      assertView(view);
      const place = after && { score: after.score, at: after.at, after: encodeText(after.id) };
      return page("boards_top", { view: viewIn(view), n: limit, ...place }, limit);
    },

    async around(id, n, view = {}) {
      assertLimit("n", n, 0);
      assertView(view);
      return page("boards_around", { view: viewIn(view), id: encodeText(id), n }, 2 * n + 1);
    },

    async near({ score, n, ...view }) {
      assertLimit("n", n, 0);
      assertInteger("score", score, Number.MIN_SAFE_INTEGER);
      assertView(view);
      return database.ask("boards_near", { view: viewIn(view), score, n }, (answer) => ({
        rank: wholeNumber(answer["rank"]),
        rows: pageIn(answer, 2 * n),
      }));
    },

    async count(view) {
      assertView(view);
      return database.ask("boards_length", { view: viewIn(view) }, ({ count }) => wholeNumber(count));
    },

    async find(id) {
      const wanted = { action: "id", id: encodeText(id), view: viewIn({}) };
      const [row] = await database.ask("boards_rows", wanted, (answer) => loggedRowsIn(answer, 1));
      return row ?? null;
    },

    async ofPlayer({ player, ...view }) {
      assertView(view);
      const wanted = { action: "player", players: [encodeText(player)], view: viewIn(view) };
      const [row] = await database.ask("boards_rows", wanted, (answer) => rowsIn(answer, 1));
      return row ?? null;
    },

    async ofPlayers({ players, ...view }) {
      assertPlayers(players);
      assertView(view);
      const unique = [...new Set(players)].map(encodeText);
      return database.ask("boards_rows", { action: "players", players: unique, view: viewIn(view) }, (answer) =>
        rowsIn(answer, unique.length),
      );
    },

    async hidden({ group, limit, after = "" }) {
      assertGroup(group);
      assertLimit("limit", limit);
      const wanted = { action: "hidden", view: viewIn({}), limit, ...encoded({ group, after }) };
      return database.ask("boards_rows", wanted, (answer) => rowsIn(answer, limit));
    },

    async banned({ group, limit, after = "" }) {
      assertGroup(group);
      assertLimit("limit", limit);
      return database.ask("boards_banned", { limit, ...encoded({ group, after }) }, ({ players }) => {
        if (!Array.isArray(players) || players.length > limit) throw unreadable();
        return players.map(decodeText);
      });
    },

    async rowsOf(player, group) {
      assertGroup(group);
      const wanted = { action: "all", view: viewIn({}), ...encoded({ player, group }) };
      return database.ask("boards_rows", wanted, (answer) => loggedRowsIn(answer, Infinity));
    },
  };
}

function moderationOf(database: Postgres): Pick<ScoreBoard, "remove" | "hide" | "ban" | "purge" | "rename" | "claim"> {
  const change = (name: string, wanted: Record<string, unknown>): Promise<number> =>
    database.ask(name, wanted, ({ changed }) => wholeNumber(changed));
  const moderate = (action: string, whose: Record<string, string>): Promise<number> => change("boards_moderate", { action, ...whose });
  return {
    remove: async (id) => (await moderate("remove", encoded({ id }))) > 0,
    hide: async (id, hidden) => (await moderate(hidden ? "hide" : "unhide", encoded({ id }))) > 0,
    async ban(player, banned, group) {
      assertGroup(group);
      await moderate(banned ? "ban" : "unban", encoded({ player, group }));
    },
    async purge(player, group) {
      assertGroup(group);
      return moderate("purge", encoded({ player, group }));
    },
    async rename(player, name, { group, unique }) {
      assertGroup(group);
      assertString("name", name, 0, 128);
      return (await change("boards_rename", encoded({ player, name, group, unique }))) > 0;
    },
    async claim(from, to, group) {
      assertGroup(group);
      return from === to ? 0 : change("boards_claim", encoded({ from, to, group }));
    },
  };
}

async function checkBoards(database: Postgres, boards: readonly BoardCheck[]): Promise<ConfigProblem[]> {
  const wanted = boards.map(({ board, rules }) => ({ board: encodeText(board), ...scoreRange(rules) }));
  const found = await database.ask("boards_check", { boards: wanted }, ({ counting, ...answer }) => {
    if (typeof counting !== "boolean") throw unreadable();
    return { counting, wrong: wholeNumber(answer["wrong"]), boards: boardsIn(answer, boards.length) };
  });
  return [
    ...(found.counting ? histogramProblem(found.wrong, RECOUNT) : [NOT_COUNTING]),
    ...boards.flatMap(({ board, rules }, i) => {
      const { outside = 0, held } = found.boards[i] ?? {};
      return [...outsideProblem(board, outside, rules), ...rulesProblem(board, held, rules)];
    }),
  ];
}

/** A view as the functions read it: what is not there has no bound. */
function viewIn({ board, period, tag = "", order, min, max, minLevel = "claimed" }: Partial<BoardView>): Record<string, unknown> {
  return { ...encoded({ board, period, tag }), order, min, max, level: levelNumber(minLevel) };
}

/** Texts as PostgreSQL can hold them; what is undefined stays away. */
function encoded(texts: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).flatMap(([name, text]) => (text === undefined ? [] : [[name, encodeText(text)]])));
}

function isStatus(value: unknown): value is "stored" | "kept" | "repeated" {
  return value === "stored" || value === "kept" || value === "repeated";
}

function pageIn(answer: Record<string, unknown>, most: number): ScoreRow[] {
  const rows = bareRowsIn(answer, most);
  const ranks = ranksIn(answer);
  if (rows.length > 0 && ranks.length !== 2) throw unreadable();
  const [first = 0, second = 0] = ranks;
  return withRanks(rows, (index) => (index === 0 ? first : second));
}

function loggedRowsIn(answer: Record<string, unknown>, most: number): ScoreRow[] {
  return rowsIn(answer, most).map((row, i) => ({ ...row, ...logIn(answer, i, row) }));
}
