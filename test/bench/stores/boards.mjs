// What a player's rank and the rows around it take on a board of a million rows against one of ten thousand, on SQLite and PostgreSQL, for scores that
// are spread evenly, like a bell, and not at all: `node test/bench/stores/boards.mjs [--rows 1000000]`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { migrate, postgresBoard } from "gatepass/adapters/postgres";
import { sqliteBoard } from "gatepass/adapters/sqlite";
import pg from "pg";
import { postgresFolder } from "../../helpers/backends.ts";
import { startPostgres } from "../../helpers/postgres.ts";
import { ratios } from "../ratios.mjs";

const { values } = parseArgs({ options: { rows: { type: "string", default: "1000000" } } });
const MANY = Number(values.rows);
const FEW = 10_000;
/** Of the speed of the small board: within twice its time. */
const GOAL = 0.5;
const CALLS = 400; // a round
const NEIGHBOURS = 5;
const MAX = 999_999; // the best score
const RULES = { periods: ["all"], order: "desc", operator: "best", min: 0, max: MAX };

/** Scores as SQL over row number i: the hash of i is even enough, the sum of four looks like a bell. */
const hash = (salt) => `((i * 2654435761 + ${salt} * 40503) % 4294967296 / 64 * 7919 % 1000000)`;
const SHAPES = {
  uniform: hash(1),
  "bell-shaped": `(${[1, 2, 3, 4].map(hash).join(" + ")}) / 4`,
  "all equal": "777",
};

const folder = mkdtempSync(join(tmpdir(), "gatepass-bench-"));
try {
  const file = new DatabaseSync(join(folder, "board.db"));
  await compare("SQLite", {
    open: (table) => sqliteBoard(file, { table, timeoutMs: 60_000 }),
    load: (table, rows, score) =>
      file.exec(
        `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${rows}) ${rowsSql(`${table}_rows`, score, "0", "c")}`,
      ),
    better: (table, key) => file.prepare(`SELECT count(*) AS n FROM ${table}_rows WHERE k < ? AND list = 1`).get(key).n,
  });
  file.close();
  if (postgresFolder() === undefined) console.error("!!! SKIPPED: PostgreSQL is not installed !!!");
  else await onPostgres();
} finally {
  rmSync(folder, { recursive: true });
}

async function onPostgres() {
  // As large as the indexes of a million rows; the distribution starts with a quarter of it, which is for machines with little memory.
  const server = await startPostgres({ settings: { shared_buffers: "512MB" } });
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    await compare("PostgreSQL", {
      async open(prefix) {
        await migrate(client, { prefix });
        return postgresBoard(client, { prefix, timeoutMs: 60_000 });
      },
      async load(prefix, rows, score) {
        await client.query(rowsSql(`${prefix}_board_rows`, score, "false", `generate_series(1::bigint, ${rows}) AS c(i)`));
      },
      settle: () => client.query("VACUUM ANALYZE"), // As it does by itself before long.
      better: async (prefix, key) =>
        Number((await client.query(`SELECT count(*) AS n FROM ${prefix}_board_rows WHERE k < $1 AND list = 1`, [key])).rows[0].n),
    });
  } finally {
    await client.end();
    await server.close();
  }
}

/** Rows as the board writes them; `i` is a row's number in `from`. */
function rowsSql(table, score, no, from) {
  return `INSERT INTO ${table} (id, list, player, k, score, at, submission, level, flags, name, hidden, shown, log)
    SELECT 'id' || i, 1, 'player' || i, -(${score}), ${score}, 1750000000000 + i, 'sub' || i, 0, '[]', 'Quiet Otter', ${no}, 0, NULL FROM ${from}`;
}

async function compare(backend, { open, load, settle, better }) {
  for (const [n, [shape, score]] of Object.entries(SHAPES).entries()) {
    const works = { rank: {}, around: {} };
    for (const rows of [MANY, FEW]) {
      const table = `b${n}_${rows}`;
      const board = await open(table);
      // The first submission makes the list; that of a wider range makes the board count anew what was put into its table.
      await board.submit(entry("first", 0), { ...RULES, max: MAX - 1 });
      await load(table, rows, score);
      await board.submit(entry("second", 1), RULES);
      await settle?.();
      await prove(board, table, better);
      const name = `${rows.toLocaleString("en")} rows`;
      const some = () => 1 + Math.floor(Math.random() * rows);
      works.rank[name] = calls(() => board.ofPlayer({ board: "main", period: "all", player: `player${some()}` }));
      works.around[name] = calls(() => board.around(`id${some()}`, NEIGHBOURS));
    }
    for (const [what, makers] of Object.entries(works)) {
      const [many, few] = Object.keys(makers);
      await ratios(`${what} on ${backend}, ${shape} scores`, makers, [[many, few, GOAL]]);
    }
  }
}

/** One after the other: a call's own time, not the queue's. */
function calls(work) {
  return async () => async () => {
    for (let i = 0; i < CALLS; i++) {
      const found = await work();
      if (found === null || found.length === 0) throw new Error("A row is missing");
    }
  };
}

/** What is timed is the right rank: compared with counting all rows. */
async function prove(board, table, better) {
  for (const i of [1, 77, 4321, FEW]) {
    const row = await board.find(`id${i}`);
    const expected = 1 + (await better(table, -row.score));
    if (row.rank !== expected) throw new Error(`${table}: the rank is ${row.rank} instead of ${expected}`);
  }
}

function entry(name, score) {
  return { board: "main", player: name, score, at: 1_750_000_000_000, submission: name, level: "claimed", flags: [], name };
}
