import { LEVELS } from "../src/protocol.ts";

/** Names and definitions of a board's tables in SQLite or D1, and the SQL that more than one statement needs. */
export interface LiteTables {
  schema: readonly string[];
  /** Names of the triggers: the histogram is right only as long as all of them are there. */
  triggers: readonly string[];
  /** Kind and version of the data. */
  meta: string;
  /** The rules and the group of each board, as its last submission had them. */
  rules: string;
  /** One board in one period, of all or of one tag. One that was cleared has no board: nothing finds it any more. */
  list: string;
  row: string;
  /** How many rows are shown, by the bucket of their score and by level: the triggers' alone. */
  hist: string;
  seen: string;
  ban: string;
  /** Players by their unique names. */
  name: string;
  /** Rows with their lists: `r` and `l`. */
  from: string;
  /** Everything that a row says but its log; of `r` and `l`. */
  columns: string;
  /** The level that the row `r` is shown with, -1 when it is not: hidden itself, or its player is banned in its board's group. */
  showing(r: string): string;
  /** SQL that fills the histograms of some lists from their rows. */
  recount(lists: string): string;
}

/** Levels that a histogram can have: 53 bits, 8 a level. */
export const DEPTHS = "(VALUES (0), (1), (2), (3), (4), (5), (6))";
/** The histogram's columns, one for each level of trust. */
const COUNTS = LEVELS.map((_, level) => `n${level}`);

/** The histogram's columns of this level and of the stronger ones, added up. */
export const countsFrom = (level: number): string => COUNTS.slice(level).join(" + ");

/**
 * The tables whose names begin with `table`. D1 has no transactions that can be interrupted to think, so triggers on the rows keep the histogram: whatever
 * statement changes a row, by hand as well, changes its counts in the same step, and none can forget it.
 *
 * The buckets are those of `bucketOf` in src/scores/ranking.ts: a shift to the right by 8 bits a depth rounds down, negative numbers too.
 */
export function liteTables(table: string): LiteTables {
  const of = (what: string): string => `${table}_${what}`;
  const [meta, rules, list, row, hist] = [of("meta"), of("rules"), of("lists"), of("rows"), of("hist")];
  const [seen, ban, name] = [of("seen"), of("bans"), of("names")];
  const names = COUNTS.join(", ");
  const changes = COUNTS.map((n) => `${n} = ${n} + excluded.${n}`).join(", ");
  const groupOf = (r: string): string => `(SELECT u.grp FROM ${list} q JOIN ${rules} u ON u.board = q.board WHERE q.list = ${r}.list)`;
  const showing = (r: string): string =>
    `CASE WHEN ${r}.hidden = 1 OR EXISTS (SELECT 1 FROM ${ban} b WHERE b.player = ${r}.player AND b.grp = ${groupOf(r)}) THEN -1 ELSE ${r}.level END`;
  /** What a row counts for, by level, times `sign`. */
  const weights = (r: string, sign: number): string => COUNTS.map((_, level) => `${sign} * (${r}.shown = ${level})`).join(", ");
  const buckets = (r: "OLD" | "NEW", sign: number): string =>
    `SELECT q.list, d.column1, ${r}.score >> (8 * d.column1), ${weights(r, sign)} FROM ${list} q JOIN ${DEPTHS} d ON d.column1 < q.depths WHERE q.list = ${r}.list AND ${r}.shown >= 0`;
  const count = (r: "OLD" | "NEW", sign: number): string =>
    `INSERT INTO ${hist} (list, depth, bucket, ${names}) ${buckets(r, sign)} ON CONFLICT DO UPDATE SET ${changes};`;
  const tidy = `DELETE FROM ${hist} WHERE list = OLD.list AND ${COUNTS.join(" + ")} < 1
      AND (depth, bucket) IN (SELECT d.column1, OLD.score >> (8 * d.column1) FROM ${DEPTHS} d);`;
  const triggers = [
    `CREATE TRIGGER IF NOT EXISTS ${row}_added AFTER INSERT ON ${row} WHEN NEW.shown >= 0 BEGIN ${count("NEW", 1)} END`,
    `CREATE TRIGGER IF NOT EXISTS ${row}_removed AFTER DELETE ON ${row} WHEN OLD.shown >= 0 BEGIN ${count("OLD", -1)} ${tidy} END`,
    `CREATE TRIGGER IF NOT EXISTS ${row}_moved AFTER UPDATE OF score, shown ON ${row} WHEN OLD.score <> NEW.score OR OLD.shown <> NEW.shown
      BEGIN ${count("OLD", -1)} ${count("NEW", 1)} ${tidy} END`,
    // A wider range of scores: each coarser level is made of the coarsest that was there.
    `CREATE TRIGGER IF NOT EXISTS ${list}_deeper AFTER UPDATE OF depths ON ${list} WHEN OLD.depths > 0 AND NEW.depths > OLD.depths BEGIN
      INSERT INTO ${hist} (list, depth, bucket, ${names})
      SELECT h.list, d.column1, h.bucket >> (8 * (d.column1 - h.depth)), ${COUNTS.map((n) => `sum(h.${n})`).join(", ")}
      FROM ${hist} h JOIN ${DEPTHS} d ON d.column1 >= OLD.depths AND d.column1 < NEW.depths
      WHERE h.list = NEW.list AND h.depth = OLD.depths - 1 GROUP BY 1, 2, 3; END`,
    // A board that moves to another group: the bans of that one hold.
    `CREATE TRIGGER IF NOT EXISTS ${rules}_moved AFTER UPDATE OF grp ON ${rules} WHEN OLD.grp <> NEW.grp BEGIN
      UPDATE ${row} SET shown = ${showing(row)} WHERE player IN (SELECT player FROM ${ban} WHERE grp IN (OLD.grp, NEW.grp))
      AND list IN (SELECT list FROM ${list} WHERE board = NEW.board); END`,
  ];

  return {
    meta,
    rules,
    list,
    row,
    hist,
    seen,
    ban,
    name,
    from: `${row} r JOIN ${list} l ON l.list = r.list`,
    columns:
      "r.id, l.board, l.period, l.tag, r.player, r.score, r.at, r.submission, r.level, r.flags, r.name, r.shown, r.data, r.log IS NOT NULL AS replay",
    showing,
    recount: (lists) => `INSERT INTO ${hist} (list, depth, bucket, ${names})
      SELECT r.list, d.column1, r.score >> (8 * d.column1), ${COUNTS.map((_, level) => `sum(r.shown = ${level})`).join(", ")}
      FROM ${list} l JOIN ${row} r ON r.list = l.list JOIN ${DEPTHS} d ON d.column1 < l.depths WHERE r.shown >= 0 AND l.list IN (${lists}) GROUP BY 1, 2, 3`,
    triggers: [`${row}_added`, `${row}_removed`, `${row}_moved`, `${list}_deeper`, `${rules}_moved`],
    schema: [
      `CREATE TABLE IF NOT EXISTS ${meta} (kind TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${rules} (board TEXT PRIMARY KEY, grp TEXT NOT NULL, rules TEXT NOT NULL) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${list} (list INTEGER PRIMARY KEY, board TEXT NOT NULL, period TEXT NOT NULL, tag TEXT NOT NULL, depths INTEGER NOT NULL,
        forget INTEGER, UNIQUE (board, period, tag))`,
      `CREATE INDEX IF NOT EXISTS ${list}_ends ON ${list} (forget) WHERE forget IS NOT NULL`,
      // `shown` is the level of a row that is shown, else -1; `down` is the score with the other sign, for the boards where more is better.
      `CREATE TABLE IF NOT EXISTS ${row} (id TEXT PRIMARY KEY, list INTEGER NOT NULL, player TEXT NOT NULL, score INTEGER NOT NULL,
        down INTEGER NOT NULL CHECK (down = 0 - score), at INTEGER NOT NULL, submission TEXT NOT NULL, level INTEGER NOT NULL, flags TEXT NOT NULL,
        name TEXT NOT NULL, hidden INTEGER NOT NULL, shown INTEGER NOT NULL, log TEXT, data TEXT, UNIQUE (player, list))`,
      `CREATE INDEX IF NOT EXISTS ${row}_rising ON ${row} (list, shown, score, at, id)`,
      `CREATE INDEX IF NOT EXISTS ${row}_falling ON ${row} (list, shown, down, at, id)`,
      `CREATE INDEX IF NOT EXISTS ${row}_hidden ON ${row} (id) WHERE hidden = 1`,
      `CREATE TABLE IF NOT EXISTS ${hist} (list INTEGER, depth INTEGER, bucket INTEGER, ${COUNTS.map((n) => `${n} INTEGER NOT NULL`).join(", ")},
        PRIMARY KEY (list, depth, bucket)) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${seen} (list INTEGER, submission TEXT, PRIMARY KEY (list, submission)) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${ban} (grp TEXT NOT NULL, player TEXT NOT NULL, PRIMARY KEY (grp, player)) WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS ${name} (grp TEXT NOT NULL, player TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (grp, name), UNIQUE (grp, player)) WITHOUT ROWID`,
      ...triggers,
    ],
  };
}

/** The lists whose coarsest counts are not those of their rows. */
export function wrongLists({ list: LIST, row: ROW, hist: HIST }: LiteTables): string {
  const shift = "(8 * (l.depths - 1))";
  const levels = [0, 1, 2, 3];
  const rows = `SELECT l.list, r.score >> ${shift} AS bucket, ${levels.map((level) => `sum(r.shown = ${level})`).join(", ")}
    FROM ${LIST} l JOIN ${ROW} r ON r.list = l.list WHERE l.depths > 0 AND r.shown >= 0 GROUP BY 1, 2`;
  const counted = `SELECT l.list, h.bucket, ${levels.map((level) => `h.n${level}`).join(", ")}
    FROM ${LIST} l JOIN ${HIST} h ON h.list = l.list AND h.depth = l.depths - 1 WHERE l.depths > 0`;
  return `SELECT list FROM (SELECT * FROM (${rows}) EXCEPT SELECT * FROM (${counted})) UNION SELECT list FROM (SELECT * FROM (${counted}) EXCEPT SELECT * FROM (${rows}))`;
}
