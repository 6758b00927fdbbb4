import { LEVELS } from "../src/protocol.ts";
import type { ScoreBoard, ScoreRow, SubmitResult } from "../src/scores/board.ts";
import { assertEntry, assertLimit, keyRange, levelNumber, scoreRange, withRanks } from "../src/scores/ranking.ts";
import { assertFunction, assertKeys } from "../src/util/assertions.ts";
import { isJsonObject } from "../src/util/json.ts";
import { randomId } from "../src/util/random.ts";
import { decodeText, encodeText, openPostgres, type PostgresClient, type PostgresPlace } from "./_postgres.ts";
import { checkPostgres } from "./_postgres-migrate.ts";

/** Options of {@link postgresBoard}. */
export interface PostgresBoardOptions extends PostgresPlace {
  /** Milliseconds until a call rejects, 1..60000. Default 2000. */
  timeoutMs?: number;
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** A board in PostgreSQL. */
export type PostgresBoard = ScoreBoard & Required<Pick<ScoreBoard, "check" | "close">>;

/**
 * A board in PostgreSQL, 12 or newer, shared by all processes that use the database: every call is one function call, one round trip. `migrate` makes
 * the functions. Submissions to one board are stored one after the other, the histogram of ranks with them; a rank reads at most 256 rows for every
 * 8 bits of the board's range, whatever its size. The client stays yours: a pool, with `pool.on("error", ...)` as pg demands it.
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
  assertKeys("postgresBoard", options, ["schema", "prefix", "timeoutMs", "random"]);
  const { random, timeoutMs } = options;
  if (random !== undefined) assertFunction("random", random);
  const database = openPostgres(client, { place: options, code: "ERR_BOARD_UNAVAILABLE", timeoutMs });
  const find = (wanted: Record<string, unknown>): Promise<ScoreRow | null> =>
    database.ask("board_find", wanted, (answer) => {
      const row = rowsIn(answer)[0];
      if (row === undefined) return null;
      const [rank] = ranksIn(answer);
      const log = recordsIn(answer)[0]?.["log"];
      return { ...row, rank: rank ?? 0, ...(typeof log === "string" ? { log: decodeText(log) } : {}) };
    });
  const moderate = (action: string, whose: { id: string } | { player: string }): Promise<number> =>
    database.ask("board_moderate", { action, ...whose }, ({ changed }) => Number(changed));

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
        low,
        high,
        least: min,
        most: max,
      };
      return database.ask("board_submit", wanted, ({ status, id, rank, best }): SubmitResult => {
        if (status === "banned") return { status, id: "", rank: 0, best: false };
        if (!isStatus(status) || typeof id !== "string" || typeof rank !== "number") throw new TypeError("Cannot read the answer");
        return { status, id, rank, best: best === true };
      });
    },

    async top({ board, period, limit, minLevel = "claimed" }) {
      assertLimit("limit", limit);
      const wanted = { board: encodeText(board), period: encodeText(period), limit, level: levelNumber(minLevel) };
      return database.ask("board_top", wanted, (answer) => withRanks(rowsIn(answer), (index) => index + 1));
    },

    async around(id, n) {
      assertLimit("n", n, 0);
      return database.ask("board_around", { id: encodeText(id), n }, (answer) => {
        const [first = 0, second = 0] = ranksIn(answer);
        return withRanks(rowsIn(answer), (index) => (index === 0 ? first : second));
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
    check: () => checkPostgres(database, options, ["board_rows", "board_hist", "board_seen", "board_bans", "board_lists", "board_rules"]),
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
  if (!Array.isArray(rows)) throw new TypeError("Cannot read the answer");
  return rows.filter(isJsonObject);
}

function ranksIn({ ranks }: Record<string, unknown>): number[] {
  return Array.isArray(ranks) ? ranks.map(Number) : [];
}

function rowsIn(answer: Record<string, unknown>): Omit<ScoreRow, "rank">[] {
  const [board, period] = [decodeText(answer["board"]), decodeText(answer["period"])];
  return recordsIn(answer).map((row) => {
    const flags: unknown = JSON.parse(String(row["flags"]));
    return {
      id: String(row["id"]),
      board,
      period,
      player: decodeText(row["player"]),
      score: Number(row["score"]),
      at: Number(row["at"]),
      submission: decodeText(row["submission"]),
      level: LEVELS[Number(row["level"])] ?? "claimed",
      flags: Array.isArray(flags) ? flags.filter((flag) => typeof flag === "string") : [],
      name: decodeText(row["name"]),
      hidden: Number(row["shown"]) < 0,
      replay: row["replay"] === true,
    };
  });
}
