/** Names and definitions of a board's tables, and SQL that several statements share. */
export interface D1BoardTables {
  schema: readonly string[];
  /** Order and key range of each board. */
  rules: string;
  /** One board in one period. */
  list: string;
  row: string;
  /** Counts of visible rows by the bucket of their key. Only triggers write it. */
  hist: string;
  /** Submissions that were counted. */
  seen: string;
  /** Banned players. */
  ban: string;
  /** All columns of a row but its log, from `r` (rows) and `l` (lists). */
  columns: string;
  /**
   * The rank of the row `r`: 1 plus the visible rows with a better key in its list. It reads at most 255 rows of the
   * histogram for each depth.
   */
  rank: string;
  /** The bucket counts of all visible rows of a board, for the new range in `?1`. */
  recount: string;
}

/** The depths of a histogram: 53 bits of a key, 8 for each depth. */
const DEPTHS = "(VALUES (0), (1), (2), (3), (4), (5), (6))";

/**
 * The tables whose names begin with `table`. A D1 transaction cannot pause for decisions of the Worker. So triggers on
 * the rows keep the histogram: every statement that changes a row changes its counts in the same step.
 *
 * The buckets are those of `bucketsOf` in src/scores/ranking.ts.
 */
export function d1BoardTables(table: string): D1BoardTables {
  const [rules, list, row, hist, seen, ban] = ["rules", "lists", "rows", "hist", "seen", "bans"].map((name) => `${table}_${name}`);
  const shift = (levels: string): string => `(8 * (${levels} - 1 - d.column1))`;
  const bucket = (of: string): string => `((${of}.k - b.low) >> ${shift("b.levels")})`;
  /** The buckets of one row; without those that it shares with `other`, when that is shown. */
  const buckets = (of: string, other?: string): string =>
    `SELECT d.column1 AS depth, ${bucket(of)} AS bucket FROM ${list} l JOIN ${rules} b ON b.board = l.board JOIN ${DEPTHS} d ON d.column1 < b.levels
      WHERE l.list = ${of}.list AND ${of}.shown >= 0${other ? ` AND (${other}.shown < 0 OR ${bucket(of)} <> ${bucket(other)})` : ""}`;
  const add = (other?: string): string =>
    `INSERT INTO ${hist} (list, depth, bucket, n) SELECT NEW.list, depth, bucket, 1 FROM (${buckets("NEW", other)}) WHERE true
      ON CONFLICT (list, depth, bucket) DO UPDATE SET n = n + 1;`;
  const take = (other?: string): string =>
    `UPDATE ${hist} SET n = n - 1 WHERE list = OLD.list AND (depth, bucket) IN (${buckets("OLD", other)});
    DELETE FROM ${hist} WHERE list = OLD.list AND (depth, bucket) IN (${buckets("OLD", other)}) AND n < 1;`;

  return {
    rules: rules ?? "",
    list: list ?? "",
    row: row ?? "",
    hist: hist ?? "",
    seen: seen ?? "",
    ban: ban ?? "",
    columns:
      "r.id, r.list, l.board, l.period, r.player, r.k, r.score, r.at, r.submission, r.level, r.flags, r.name, r.shown, r.log IS NOT NULL AS replay",
    rank: `1 + (SELECT coalesce(sum(h.n), 0) FROM ${list} q JOIN ${rules} b ON b.board = q.board JOIN ${DEPTHS} d ON d.column1 < b.levels
      CROSS JOIN ${hist} h ON h.list = q.list AND h.depth = d.column1 AND h.bucket >= (${bucket("r")} & -256) AND h.bucket < ${bucket("r")} WHERE q.list = r.list)`,
    recount: `SELECT r.list, d.column1, (r.k - (?1 ->> 'low')) >> ${shift("(?1 ->> 'levels')")}, count(*) FROM ${list} l JOIN ${row} r ON r.list = l.list
      JOIN ${DEPTHS} d ON d.column1 < (?1 ->> 'levels') WHERE l.board = ?1 ->> 'board' AND r.shown >= 0`,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${rules} (board TEXT PRIMARY KEY, ascending INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL, levels INTEGER NOT NULL) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${list} (list INTEGER PRIMARY KEY, board TEXT NOT NULL, period TEXT NOT NULL, UNIQUE (board, period))`,
      `CREATE TABLE IF NOT EXISTS ${row} (id TEXT PRIMARY KEY, list INTEGER NOT NULL, player TEXT NOT NULL, k INTEGER NOT NULL, score INTEGER NOT NULL,
        at INTEGER NOT NULL, submission TEXT NOT NULL, level INTEGER NOT NULL, flags TEXT NOT NULL, name TEXT NOT NULL, hidden INTEGER NOT NULL,
        shown INTEGER NOT NULL, log TEXT, UNIQUE (player, list))`,
      // `shown` is the level of a visible row, else -1. D1 bills index entries as written rows. So only rows of a
      // higher level are in the second index.
      `CREATE INDEX IF NOT EXISTS ${row}_sorted ON ${row} (list, k, at, id) WHERE shown >= 0`,
      `CREATE INDEX IF NOT EXISTS ${row}_levels ON ${row} (list, shown, k, at, id) WHERE shown >= 1`,
      `CREATE TABLE IF NOT EXISTS ${hist} (list INTEGER, depth INTEGER, bucket INTEGER, n INTEGER NOT NULL, PRIMARY KEY (list, depth, bucket)) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${seen} (list INTEGER, submission TEXT, PRIMARY KEY (list, submission)) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${ban} (player TEXT PRIMARY KEY) WITHOUT ROWID`,
      `CREATE TRIGGER IF NOT EXISTS ${row}_added AFTER INSERT ON ${row} WHEN NEW.shown >= 0 BEGIN ${add()} END`,
      `CREATE TRIGGER IF NOT EXISTS ${row}_removed AFTER DELETE ON ${row} WHEN OLD.shown >= 0 BEGIN ${take()} END`,
      `CREATE TRIGGER IF NOT EXISTS ${row}_moved AFTER UPDATE OF k, shown ON ${row} WHEN OLD.k <> NEW.k OR (OLD.shown < 0) <> (NEW.shown < 0)
        BEGIN ${take("NEW")} ${add("OLD")} END`,
    ],
  };
}
