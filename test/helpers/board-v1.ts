/** A row as version 1 of the boards' tables had it. */
interface OldRow {
  id: string;
  board: "main" | "speed";
  period: string;
  player: string;
  score: number;
  at: number;
  submission: string;
  level: number;
  hidden?: boolean;
}

/** What version 1 held in {@link boardV1}: `main` falls, `speed` rises; "cheat" is banned, one row is hidden. */
export const OLD_ROWS = (count: number): OldRow[] => [
  ...Array.from({ length: count }, (_, i): OldRow[] =>
    ["all", "2026-W47"].map((period) => ({
      id: `m${i}-${period}`,
      board: "main",
      period,
      player: `p${i}`,
      score: (i * 37) % 1000,
      at: i,
      submission: `s${i}`,
      level: i % 4,
    })),
  ).flat(),
  { id: "speed-1", board: "speed", period: "all", player: "p1", score: 90, at: 1, submission: "t1", level: 0 },
  { id: "speed-2", board: "speed", period: "all", player: "p2", score: 80, at: 2, submission: "t2", level: 0 },
  { id: "cheat-1", board: "main", period: "all", player: "cheat", score: 999_999, at: 3, submission: "c1", level: 0 },
  { id: "hidden-1", board: "main", period: "all", player: "shy", score: 999_998, at: 4, submission: "h1", level: 0, hidden: true },
];

/** Statements that make version 1 of a board's tables in SQLite, or in D1, and fill them. */
export function boardV1(table: string, count: number, kind: "sqlite" | "d1"): string[] {
  const levels = kind === "d1" ? ", levels INTEGER NOT NULL" : "";
  const lists = [
    ["main", "all"],
    ["main", "2026-W47"],
    ["speed", "all"],
  ] as const;
  const rows = OLD_ROWS(count).map(({ id, board, period, player, score, at, submission, level, hidden = false }) => {
    const list = 1 + lists.findIndex(([name, key]) => name === board && key === period);
    const shown = hidden || player === "cheat" ? -1 : level;
    const key = board === "speed" ? score : -score;
    return {
      list,
      submission,
      sql: `('${id}', ${list}, '${player}', ${key}, ${score}, ${at}, '${submission}', ${level}, '[]', 'name of ${player}', ${hidden ? 1 : 0}, ${shown}, NULL)`,
    };
  });
  const chunks = Array.from({ length: Math.ceil(rows.length / 100) }, (_, i) => rows.slice(i * 100, i * 100 + 100));
  return [
    `CREATE TABLE ${table}_rules (board TEXT PRIMARY KEY, ascending INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL${levels}) WITHOUT ROWID`,
    `CREATE TABLE ${table}_lists (list INTEGER PRIMARY KEY, board TEXT NOT NULL, period TEXT NOT NULL, UNIQUE (board, period))`,
    `CREATE TABLE ${table}_rows (id TEXT PRIMARY KEY, list INTEGER NOT NULL, player TEXT NOT NULL, k INTEGER NOT NULL, score INTEGER NOT NULL,
      at INTEGER NOT NULL, submission TEXT NOT NULL, level INTEGER NOT NULL, flags TEXT NOT NULL, name TEXT NOT NULL, hidden INTEGER NOT NULL,
      shown INTEGER NOT NULL, log TEXT, UNIQUE (player, list))`,
    `CREATE TABLE ${table}_hist (list INTEGER, depth INTEGER, bucket INTEGER, n INTEGER NOT NULL, PRIMARY KEY (list, depth, bucket)) WITHOUT ROWID`,
    `CREATE TABLE ${table}_seen (list INTEGER, submission TEXT, PRIMARY KEY (list, submission)) WITHOUT ROWID`,
    `CREATE TABLE ${table}_bans (player TEXT PRIMARY KEY) WITHOUT ROWID`,
    ...(kind === "sqlite"
      ? [`CREATE INDEX ${table}_rows_sorted ON ${table}_rows (list, shown, k, at, id)`]
      : [
          `CREATE INDEX ${table}_rows_sorted ON ${table}_rows (list, k, at, id) WHERE shown >= 0`,
          `CREATE INDEX ${table}_rows_levels ON ${table}_rows (list, shown, k, at, id) WHERE shown >= 1`,
          `CREATE TRIGGER ${table}_rows_added AFTER INSERT ON ${table}_rows BEGIN INSERT INTO ${table}_hist VALUES (NEW.list, 0, NEW.k, 1)
            ON CONFLICT DO UPDATE SET n = n + 1; END`,
          `CREATE TRIGGER ${table}_rows_removed AFTER DELETE ON ${table}_rows BEGIN DELETE FROM ${table}_hist WHERE list = OLD.list AND bucket = OLD.k; END`,
          `CREATE TRIGGER ${table}_rows_moved AFTER UPDATE OF k, shown ON ${table}_rows BEGIN DELETE FROM ${table}_hist WHERE list = OLD.list; END`,
        ]),
    `INSERT INTO ${table}_rules VALUES ('main', 0, ${-(2 ** 24 - 1)}, 0${levels && ", 3"}), ('speed', 1, 0, 1000${levels && ", 2"})`,
    `INSERT INTO ${table}_lists VALUES ${lists.map(([board, period], i) => `(${i + 1}, '${board}', '${period}')`).join(", ")}`,
    ...chunks.map((some) => `INSERT INTO ${table}_rows VALUES ${some.map(({ sql }) => sql).join(", ")}`),
    ...chunks.map(
      (some) => `INSERT INTO ${table}_seen VALUES ${some.map(({ list, submission }) => `(${list}, '${submission}')`).join(", ")}`,
    ),
    `INSERT INTO ${table}_bans VALUES ('cheat')`,
  ];
}

/** What is asked of a board over the data of {@link boardV1} after its migration. */
export interface AskedBoard {
  top(query: { board: string; period: string; limit: number }): Promise<{ id: string; player: string; rank: number; name: string }[]>;
  find(id: string): Promise<{ rank: number; hidden: boolean } | null>;
}

/** Where the migrated board differs from what version 1 held: by position, and by the histogram; nothing where all is right. */
export async function wrongAfterMigration(board: AskedBoard, count: number): Promise<string[]> {
  const wrong: string[] = [];
  const shown = OLD_ROWS(count).filter(({ player, hidden }) => !hidden && player !== "cheat");
  for (const [name, period, sign] of [
    ["main", "all", -1],
    ["main", "2026-W47", -1],
    ["speed", "all", 1],
  ] as const) {
    const sorted = shown
      .filter((row) => row.board === name && row.period === period)
      .sort((a, b) => sign * (a.score - b.score) || a.at - b.at);
    const expected = sorted.slice(0, 200).map(({ id, player, score }) => {
      const rank = 1 + sorted.filter((other) => sign * (other.score - score) < 0).length;
      return `${id} ${player} ${rank} name of ${player}`;
    });
    const rows = await board.top({ board: name, period, limit: 200 });
    const told = rows.map(({ id, player, rank, name: shownName }) => `${id} ${player} ${rank} ${shownName}`);
    if (JSON.stringify(told) !== JSON.stringify(expected))
      wrong.push(`${name} ${period}: ${told.slice(0, 3)} instead of ${expected.slice(0, 3)}`);
    for (const { id, rank } of rows.slice(0, 20)) {
      if ((await board.find(id))?.rank !== rank) wrong.push(`${id}: not ${rank}`);
    }
  }
  for (const id of ["cheat-1", "hidden-1"]) if ((await board.find(id))?.hidden !== true) wrong.push(`${id} is shown`);
  return wrong;
}
