import { LEVELS } from "../src/protocol.ts";
import type { ScoreBoard, ScoreRow, SubmitResult } from "../src/scores/board.ts";
import { assertEntry, assertLimit, keyRange, levelNumber, scoreRange, withRanks } from "../src/scores/ranking.ts";
import { isJsonObject } from "../src/util/json.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import { decodeText, encodeText, openPostgres, type PostgresClient, type PostgresPlace, unreadable, wholeNumber } from "./_postgres.ts";
import { checkPostgres } from "./_postgres-migrate.ts";

/** Options of {@link postgresBoard}. */
export interface PostgresBoardOptions extends PostgresPlace {
  /** Milliseconds until a call rejects, 1..60000. Default 2000. */
  timeoutMs?: number;
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

const TABLES = ["rules", "lists", "rows", "hist", "seen", "bans"].map((name) => `board_${name}`);
const CALLS = ["submit", "moderate", "top", "around", "find", "rank", "count", "show", "reconcile"];
const FUNCTIONS = ["begin", ...CALLS.map((name) => `board_${name}`)];

/** A board in PostgreSQL. */
export type PostgresBoard = ScoreBoard & Required<Pick<ScoreBoard, "check" | "close">>;

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
 * const answer = JSON.stringify({ board: "main", period: "all", rows: [] });
 * const board = postgresBoard({ query: async () => ({ rows: [{ answer }] }) });
 * console.assert((await board.top({ board: "main", period: "all", limit: 10 })).length === 0);
 * ```
 */
export function postgresBoard(client: PostgresClient, options: PostgresBoardOptions = {}): PostgresBoard {
  const rules: Rules<PostgresBoardOptions> = { schema: "string", prefix: "string", timeoutMs: integer(1, 60_000), random: "function" };
  assertOptions("postgresBoard", options, rules);
  const { random, timeoutMs } = options;
  const database = openPostgres(client, { place: options, code: "ERR_BOARD_UNAVAILABLE", timeoutMs });
  const find = (wanted: Record<string, unknown>): Promise<ScoreRow | null> =>
    database.ask("board_find", wanted, (answer) => {
      const [record, ...others] = recordsIn(answer);
      if (record === undefined) return null;
      const [row] = rowsIn(answer, 1);
      const [rank] = ranksIn(answer);
      if (row === undefined || rank === undefined || others.length > 0) throw unreadable();
      return { ...row, rank, ...(row.replay && "id" in wanted ? { log: decodeText(record["log"]) } : {}) };
    });
  const moderate = (action: string, whose: { id: string } | { player: string }): Promise<number> =>
    database.ask("board_moderate", { action, ...whose }, ({ changed }) => wholeNumber(changed));

  return {
    async submit(entry, rules) {
      assertEntry(entry, rules);
      const { low, high } = keyRange(rules);
      const { min, max } = scoreRange(rules);
      const wanted = {
        entry: {
          board: encodeText(entry.board),
          player: encodeText(entry.player),
          submission: encodeText(entry.submission),
          name: encodeText(entry.name),
          score: entry.score,
          at: entry.at,
          level: levelNumber(entry.level),
          flags: JSON.stringify(entry.flags),
          ...(entry.log === undefined ? {} : { log: encodeText(entry.log) }),
        },
        periods: rules.periods.map(encodeText),
        ids: rules.periods.map(() => randomId(random)),
        ascending: rules.order === "asc",
        operator: rules.operator,
        minLevel: levelNumber(rules.minLevel ?? "claimed"),
        low,
        high,
        least: min,
        most: max,
      };
      return database.ask("board_submit", wanted, ({ status, id, rank, best }): SubmitResult => {
        if (status === "banned") return { status, id: "", rank: 0, best: false };
        if (!isStatus(status) || typeof id !== "string" || typeof best !== "boolean") throw unreadable();
        return { status, id, rank: wholeNumber(rank), best };
      });
    },

    async top({ board, period, limit, minLevel = "claimed" }) {
      assertLimit("limit", limit);
      const wanted = { board: encodeText(board), period: encodeText(period), limit, level: levelNumber(minLevel) };
      return database.ask("board_top", wanted, (answer) => withRanks(rowsIn(answer, limit), (index) => index + 1));
    },

    async around(id, n) {
      assertLimit("n", n, 0);
      return database.ask("board_around", { id: encodeText(id), n }, (answer) => {
        const rows = rowsIn(answer, 2 * n + 1);
        const ranks = ranksIn(answer);
        if (rows.length > 0 && ranks.length !== 2) throw unreadable();
        const [first = 0, second = 0] = ranks;
        return withRanks(rows, (index) => (index === 0 ? first : second));
      });
    },

    find: (id) => find({ id: encodeText(id) }),
    ofPlayer: ({ board, period, player }) => find({ board: encodeText(board), period: encodeText(period), player: encodeText(player) }),
    remove: async (id) => (await moderate("remove", { id: encodeText(id) })) > 0,
    hide: async (id, hidden) => (await moderate(hidden ? "hide" : "unhide", { id: encodeText(id) })) > 0,
    async ban(player, banned) {
      await moderate(banned ? "ban" : "unban", { player: encodeText(player) });
    },
    purge: (player) => moderate("purge", { player: encodeText(player) }),
    check: () => checkPostgres(database, options, TABLES, FUNCTIONS),
    async close() {
      database.close();
    },
  };
}

function isStatus(value: unknown): value is "stored" | "kept" | "repeated" {
  return value === "stored" || value === "kept" || value === "repeated";
}

function recordsIn(answer: Record<string, unknown>): Record<string, unknown>[] {
  const rows = answer["rows"];
  if (!Array.isArray(rows) || !rows.every(isJsonObject)) throw unreadable();
  return rows;
}

function ranksIn({ ranks }: Record<string, unknown>): number[] {
  if (!Array.isArray(ranks)) throw unreadable();
  return ranks.map(wholeNumber);
}

/** @throws {TypeError} more rows than `most`, one twice, or a row of another shape */
function rowsIn(answer: Record<string, unknown>, most: number): Omit<ScoreRow, "rank">[] {
  const records = recordsIn(answer);
  const ids = new Set(records.map(({ id }) => id));
  if (records.length > most || ids.size !== records.length) throw unreadable();
  return records.map((row) => readRow(answer, row));
}

function readRow({ board, period }: Record<string, unknown>, row: Record<string, unknown>): Omit<ScoreRow, "rank"> {
  const { id, flags, replay } = row;
  const level = LEVELS[wholeNumber(row["level"])];
  const read: unknown = typeof flags === "string" ? JSON.parse(flags) : undefined;
  if (typeof id !== "string" || level === undefined || !isTexts(read) || typeof replay !== "boolean") throw unreadable();
  return {
    id,
    board: decodeText(board),
    period: decodeText(period),
    player: decodeText(row["player"]),
    score: wholeNumber(row["score"]),
    at: wholeNumber(row["at"]),
    submission: decodeText(row["submission"]),
    level,
    flags: read,
    name: decodeText(row["name"]),
    hidden: wholeNumber(row["shown"]) < 0,
    replay,
  };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
