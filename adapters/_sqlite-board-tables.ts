import { GatepassError } from "../src/errors.ts";
import type { Order } from "../src/scores/board.ts";
import { bucketsOf, type KeyRange, keyOf } from "../src/scores/ranking.ts";
import { flagIn, numberIn } from "./_sql.ts";
import type { SqliteSession } from "./_sqlite.ts";

/** The list and sort key of a row. */
export interface Place {
  list: number;
  key: number;
}

/** Names and definitions of a board's tables. */
export interface BoardTables {
  schema: readonly string[];
  /** Order and key range of each board. */
  board: string;
  /** One board in one period. */
  list: string;
  row: string;
  /** Counts of visible rows by the bucket of their key. */
  hist: string;
  /** Submissions that were counted. */
  seen: string;
  /** Banned players. */
  ban: string;
  /** The key range of a list's board. */
  rangeOf(db: SqliteSession, list: number): KeyRange;
}

/** The tables whose names begin with `table`. */
export function boardTables(table: string): BoardTables {
  const [board, list, row, hist, seen, ban] = [
    `${table}_rules`,
    `${table}_lists`,
    `${table}_rows`,
    `${table}_hist`,
    `${table}_seen`,
    `${table}_bans`,
  ];
  return {
    board,
    list,
    row,
    hist,
    seen,
    ban,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${board} (board TEXT PRIMARY KEY, ascending INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${list} (list INTEGER PRIMARY KEY, board TEXT NOT NULL, period TEXT NOT NULL, UNIQUE (board, period))`,
      `CREATE TABLE IF NOT EXISTS ${row} (id TEXT PRIMARY KEY, list INTEGER NOT NULL, player TEXT NOT NULL, k INTEGER NOT NULL, score INTEGER NOT NULL,
        at INTEGER NOT NULL, submission TEXT NOT NULL, level INTEGER NOT NULL, flags TEXT NOT NULL, name TEXT NOT NULL, hidden INTEGER NOT NULL,
        shown INTEGER NOT NULL, log TEXT, UNIQUE (player, list))`,
      `CREATE INDEX IF NOT EXISTS ${row}_sorted ON ${row} (list, shown, k, at, id)`,
      `CREATE TABLE IF NOT EXISTS ${hist} (list INTEGER, depth INTEGER, bucket INTEGER, n INTEGER NOT NULL, PRIMARY KEY (list, depth, bucket)) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${seen} (list INTEGER, submission TEXT, PRIMARY KEY (list, submission)) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${ban} (player TEXT PRIMARY KEY) WITHOUT ROWID`,
    ],
    rangeOf(db, id) {
      const found = db.get(`SELECT low, high FROM ${board} b JOIN ${list} l ON l.board = b.board WHERE list = ?`, id);
      if (!found) throw new TypeError("Cannot read the board's rules: a list has none");
      return { low: numberIn(found, "low"), high: numberIn(found, "high") };
    },
  };
}

/**
 * The key range of the board's histogram. If the board's order or range changed since the last submission, its keys and
 * histogram are rebuilt, once, in the caller's transaction. A range only grows: otherwise two processes with different
 * settings, as during a deployment, would rebuild it in turn.
 *
 * @throws {GatepassError} `ERR_CONFIG_INVALID`: both ranges together are wider than 53 bits
 */
export function reconcile(db: SqliteSession, tables: BoardTables, board: string, order: Order, range: KeyRange): KeyRange {
  const ascending = order === "asc" ? 1 : 0;
  const known = db.get(`SELECT ascending, low, high FROM ${tables.board} WHERE board = ?`, board);
  if (known === undefined) {
    db.run(`INSERT INTO ${tables.board} (board, ascending, low, high) VALUES (?, ?, ?, ?)`, board, ascending, range.low, range.high);
    return range;
  }
  const flipped = flagIn(known, "ascending") !== (ascending === 1);
  const held = { low: numberIn(known, "low"), high: numberIn(known, "high") };
  const before = flipped ? { low: 0 - held.high, high: 0 - held.low } : held;
  const low = Math.min(before.low, range.low);
  const high = Math.max(before.high, range.high);
  if (!flipped && low === before.low && high === before.high) return before;
  if (high - low > Number.MAX_SAFE_INTEGER)
    throw new GatepassError("ERR_CONFIG_INVALID", "Cannot widen the board's range: more than 53 bits");
  db.run(`UPDATE ${tables.board} SET ascending = ?, low = ?, high = ? WHERE board = ?`, ascending, low, high, board);
  const lists = `SELECT list FROM ${tables.list} WHERE board = ?`;
  if (flipped) db.run(`UPDATE ${tables.row} SET k = 0 - k WHERE list IN (${lists})`, board);
  db.run(`DELETE FROM ${tables.hist} WHERE list IN (${lists})`, board);
  for (const found of db.all(lists, board)) recount(db, tables, numberIn(found, "list"), order, { low, high });
  return { low, high };
}

function recount(db: SqliteSession, { row, hist }: BoardTables, list: number, order: Order, range: KeyRange): void {
  const counts = new Map<string, [depth: number, bucket: number, n: number]>();
  for (const found of db.all(`SELECT score, count(*) AS n FROM ${row} WHERE list = ? AND shown >= 0 GROUP BY score`, list)) {
    for (const [depth, bucket] of bucketsOf(keyOf(numberIn(found, "score"), order), range).entries()) {
      const cell = counts.get(`${depth}:${bucket}`) ?? [depth, bucket, 0];
      cell[2] += numberIn(found, "n");
      counts.set(`${depth}:${bucket}`, cell);
    }
  }
  for (const cell of counts.values()) db.run(`INSERT INTO ${hist} (list, depth, bucket, n) VALUES (?, ?, ?, ?)`, list, ...cell);
}
