import { LEVELS } from "../src/protocol.ts";
import type { ScoreBoard, ScoreEntry, SubmitResult } from "../src/scores/board.ts";
import {
  assertEntry,
  assertLimit,
  bucketsOf,
  type KeyRange,
  keyOf,
  keyRange,
  levelNumber,
  nextScore,
  withRanks,
} from "../src/scores/ranking.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import { assertTable, betterRow, flagIn, logIn, numberIn, type SqlRow, scoreRow, scoreRows, textIn } from "./_sql.ts";
import { openSqlite, type SqliteClient, type SqliteSession, type SqliteValue } from "./_sqlite.ts";
import { boardTables, type Place, reconcile } from "./_sqlite-board-tables.ts";

/** Options of {@link sqliteBoard}. */
export interface SqliteBoardOptions {
  /** Beginning of the tables' names, an identifier of at most 48 characters. Default `gatepass_board`. */
  table?: string;
  /** Milliseconds that a call waits for the database's lock, 1..60000. Default 2000. */
  timeoutMs?: number;
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/**
 * A board in an SQLite file, shared by all processes that open it: `DatabaseSync` of node:sqlite, `Database` of
 * bun:sqlite, better-sqlite3. Every submission, moderation and removal is one transaction, which includes the histogram
 * of ranks. A rank reads at most 256 rows for every 8 bits of the board's range. The first call creates the tables. You
 * close the client yourself.
 *
 * @throws {TypeError} an unknown option; `client` is no SQLite client
 * @throws {RangeError} `table` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { sqliteBoard } from "gatepass/adapters/sqlite";
 * import { DatabaseSync } from "node:sqlite";
 * const board = sqliteBoard(new DatabaseSync(":memory:"));
 * console.assert((await board.top({ board: "main", period: "all", limit: 10 })).length === 0);
 * ```
 */
export function sqliteBoard(client: SqliteClient, options: SqliteBoardOptions = {}): ScoreBoard {
  const rules: Rules<SqliteBoardOptions> = { table: assertTable, timeoutMs: integer(1, 60_000), random: "function" };
  assertOptions("sqliteBoard", options, rules);
  const { table = "gatepass_board", timeoutMs, random } = options;
  const tables = boardTables(table);
  const database = openSqlite(client, { schema: tables.schema, code: "ERR_BOARD_UNAVAILABLE", timeoutMs, erases: true });
  const { list: LIST, row: ROW, seen: SEEN, ban: BAN, hist: HIST } = tables;
  // Lists do not include logs. `shown` is the level of a visible row, else -1: one index serves every minimum level.
  const COLUMNS =
    "id, r.list AS list, board, period, player, k, score, at, submission, level, flags, name, shown, log IS NOT NULL AS replay";
  const FROM = `FROM ${ROW} r JOIN ${LIST} l ON l.list = r.list`;
  const SORTED = `SELECT ${COLUMNS} ${FROM} WHERE r.list = ? AND shown = ?`;

  function listOf(db: SqliteSession, board: string, period: string): number | undefined {
    const found = db.get(`SELECT list FROM ${LIST} WHERE board = ? AND period = ?`, board, period);
    return found && numberIn(found, "list");
  }

  function makeList(db: SqliteSession, board: string, period: string): number {
    const known = listOf(db, board, period);
    if (known !== undefined) return known;
    db.run(`INSERT INTO ${LIST} (board, period) VALUES (?, ?)`, board, period);
    const made = listOf(db, board, period);
    if (made === undefined) throw new TypeError("Cannot read the answer: the list that was made is missing");
    return made;
  }

  /**
   * Whether a table has such a row. The query always answers with a number, so that a missing answer is not taken for
   * "no".
   */
  const has = (db: SqliteSession, from: string, ...values: SqliteValue[]): boolean =>
    flagIn(db.get(`SELECT EXISTS (SELECT 1 FROM ${from}) AS found`, ...values) ?? {}, "found");
  const isBanned = (db: SqliteSession, player: string): boolean => has(db, `${BAN} WHERE player = ?`, player);
  const byId = (db: SqliteSession, id: string): SqlRow | undefined => db.get(`SELECT ${COLUMNS}, log, hidden ${FROM} WHERE id = ?`, id);
  const byPlayer = (db: SqliteSession, list: number, player: string): SqlRow | undefined =>
    db.get(`SELECT ${COLUMNS} ${FROM} WHERE player = ? AND r.list = ?`, player, list);

  /**
   * 1 plus the number of visible rows with a better key: the buckets before its own, at each depth of the histogram.
   */
  function rankOf(db: SqliteSession, { list, key }: Place, range = tables.rangeOf(db, list)): number {
    const buckets = bucketsOf(key, range);
    const values = buckets.flatMap((bucket, depth) => [list, depth, bucket - (depth === 0 ? bucket : bucket % 256), bucket]);
    const parts = buckets.map(() => `SELECT n FROM ${HIST} WHERE list = ? AND depth = ? AND bucket >= ? AND bucket < ?`);
    const row = db.get(`SELECT coalesce(sum(n), 0) AS better FROM (${parts.join(" UNION ALL ")})`, ...values);
    return 1 + numberIn(row ?? {}, "better");
  }

  /** Changes the histogram for a row that becomes visible (1) or invisible (-1). */
  function count(db: SqliteSession, { list, key }: Place, by: 1 | -1, range: KeyRange): void {
    for (const [depth, bucket] of bucketsOf(key, range).entries()) {
      if (by > 0)
        db.run(`INSERT INTO ${HIST} (list, depth, bucket, n) VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1`, list, depth, bucket);
      else {
        db.run(`UPDATE ${HIST} SET n = n - 1 WHERE list = ? AND depth = ? AND bucket = ?`, list, depth, bucket);
        db.run(`DELETE FROM ${HIST} WHERE list = ? AND depth = ? AND bucket = ? AND n < 1`, list, depth, bucket);
      }
    }
  }

  /** Sets a row's `shown`, and changes the histogram accordingly. */
  function show(db: SqliteSession, row: SqlRow, shown: number): void {
    const before = numberIn(row, "shown");
    if (before === shown) return;
    const place = placeOf(row);
    if (before < 0 || shown < 0) count(db, place, shown < 0 ? -1 : 1, tables.rangeOf(db, place.list));
    db.run(`UPDATE ${ROW} SET shown = ? WHERE id = ?`, shown, textIn(row, "id"));
  }

  function drop(db: SqliteSession, row: SqlRow): void {
    show(db, row, -1);
    db.run(`DELETE FROM ${ROW} WHERE id = ?`, textIn(row, "id"));
  }

  /** Writes a player's row with its new score. */
  function store(
    db: SqliteSession,
    entry: ScoreEntry,
    list: number,
    score: number,
    key: number,
    held: SqlRow | undefined,
    range: KeyRange,
  ): void {
    const level = levelNumber(entry.level);
    const shown = held && numberIn(held, "shown") < 0 ? -1 : level;
    const values = [key, score, entry.at, entry.submission, level, JSON.stringify(entry.flags), entry.name, entry.log ?? null, shown];
    if (held) {
      const sql = `UPDATE ${ROW} SET k = ?, score = ?, at = ?, submission = ?, level = ?, flags = ?, name = ?, log = ?, shown = ? WHERE id = ?`;
      if (shown >= 0) count(db, placeOf(held), -1, range);
      db.run(sql, ...values, textIn(held, "id"));
    } else {
      const names = "k, score, at, submission, level, flags, name, log, shown, id, list, player, hidden";
      db.run(
        `INSERT INTO ${ROW} (${names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
        ...values,
        randomId(random),
        list,
        entry.player,
      );
    }
    if (shown >= 0) count(db, { list, key }, 1, range);
  }

  /**
   * The best `limit` rows of the levels from `from` on. With `anchor`: the rows after it, or with `backwards` those
   * before it, nearest first.
   */
  function sorted(db: SqliteSession, list: number, limit: number, from: number, anchor?: SqlRow, backwards = false): SqlRow[] {
    const found: SqlRow[] = [];
    const compare = backwards ? " AND (k, at, id) < (?, ?, ?)" : anchor ? " AND (k, at, id) > (?, ?, ?)" : "";
    const values = anchor ? [numberIn(anchor, "k"), numberIn(anchor, "at"), textIn(anchor, "id")] : [];
    const order = backwards ? "k DESC, at DESC, id DESC" : "k, at, id";
    for (let level = from; level < LEVELS.length; level++) {
      found.push(...db.all(`${SORTED}${compare} ORDER BY ${order} LIMIT ?`, list, level, ...values, limit));
    }
    return found.sort(backwards ? (a, b) => betterRow(b, a) : betterRow).slice(0, limit);
  }

  return {
    async submit(entry, rules) {
      assertEntry(entry, rules);
      return database.write((db): SubmitResult => {
        if (isBanned(db, entry.player)) return { status: "banned", id: "", rank: 0, best: false };
        const range = reconcile(db, tables, entry.board, rules.order, keyRange(rules));
        let answer: SubmitResult | undefined;
        for (const period of rules.periods) {
          const list = makeList(db, entry.board, period);
          const held = byPlayer(db, list, entry.player);
          let status: SubmitResult["status"] = "repeated";
          if (!has(db, `${SEEN} WHERE list = ? AND submission = ?`, list, entry.submission)) {
            db.run(`INSERT INTO ${SEEN} (list, submission) VALUES (?, ?)`, list, entry.submission);
            const score = nextScore(held && scoreRow(held), entry, rules);
            status = score === null ? "kept" : "stored";
            if (score !== null) store(db, entry, list, score, keyOf(score, rules.order), held, range);
          }
          if (answer) continue;
          const row = status === "stored" ? byPlayer(db, list, entry.player) : held;
          answer = { status, id: "", rank: 0, best: false };
          if (row) {
            answer = {
              status,
              id: textIn(row, "id"),
              rank: rankOf(db, placeOf(row), range),
              best: textIn(row, "submission") === entry.submission,
            };
          }
        }
        return answer ?? { status: "kept", id: "", rank: 0, best: false };
      });
    },

    async top({ board, period, limit, minLevel = "claimed" }) {
      assertLimit("limit", limit);
      return database.read((db) => {
        const list = listOf(db, board, period);
        const rows = list === undefined ? [] : sorted(db, list, limit, levelNumber(minLevel));
        return withRanks(scoreRows(rows, limit), (index) => index + 1);
      });
    },

    async around(id, n) {
      assertLimit("n", n, 0);
      return database.read((db) => {
        const row = byId(db, id);
        if (row === undefined || numberIn(row, "shown") < 0) return [];
        const list = numberIn(row, "list");
        const rows = [...sorted(db, list, n, 0, row, true).reverse(), row, ...sorted(db, list, n, 0, row)];
        return withRanks(scoreRows(rows, 2 * n + 1), (index) => rankOf(db, placeOf(rows[index] ?? row)));
      });
    },

    async find(id) {
      return database.read((db) => {
        const row = byId(db, id);
        if (row === undefined) return null;
        return { ...scoreRow(row), rank: rankOf(db, placeOf(row)), ...logIn(row) };
      });
    },

    async ofPlayer({ board, period, player }) {
      return database.read((db) => {
        const list = listOf(db, board, period);
        const row = list === undefined ? undefined : byPlayer(db, list, player);
        return row ? { ...scoreRow(row), rank: rankOf(db, placeOf(row)) } : null;
      });
    },

    async remove(id) {
      return database.write((db) => {
        const row = byId(db, id);
        if (row) drop(db, row);
        return row !== undefined;
      });
    },

    async hide(id, hidden) {
      return database.write((db) => {
        const row = byId(db, id);
        if (row === undefined) return false;
        db.run(`UPDATE ${ROW} SET hidden = ? WHERE id = ?`, hidden ? 1 : 0, id);
        show(db, row, hidden || isBanned(db, textIn(row, "player")) ? -1 : numberIn(row, "level"));
        return true;
      });
    },

    async ban(player, banned) {
      await database.write((db) => {
        db.run(banned ? `INSERT INTO ${BAN} (player) VALUES (?) ON CONFLICT DO NOTHING` : `DELETE FROM ${BAN} WHERE player = ?`, player);
        for (const row of db.all(`SELECT ${COLUMNS} ${FROM} WHERE player = ? AND hidden = 0`, player)) {
          show(db, row, banned ? -1 : numberIn(row, "level"));
        }
      });
    },

    async purge(player) {
      const count = await database.write((db) => {
        const rows = db.all(`SELECT ${COLUMNS} ${FROM} WHERE player = ?`, player);
        for (const row of rows) drop(db, row);
        return rows.length;
      });
      // Erase name and player from the write-ahead log too.
      database.checkpoint();
      return count;
    },

    async close() {
      database.close();
    },
  };
}

function placeOf(row: SqlRow): Place {
  return { list: numberIn(row, "list"), key: numberIn(row, "k") };
}
