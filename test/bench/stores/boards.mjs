// What reading a board of a million rows takes against one of ten thousand, on SQLite, PostgreSQL and Redis, for scores that are spread evenly, like a
// bell, and not at all: `node test/bench/stores/boards.mjs [--rows 1000000] [--only SQLite]`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { migrate, postgresBoard } from "gatepass/adapters/postgres";
import { redisBoard } from "gatepass/adapters/redis";
import { migrate as migrateSqlite, sqliteBoard } from "gatepass/adapters/sqlite";
import pg from "pg";
import { createClient } from "redis";
import { hasRedis, postgresFolder } from "../../helpers/backends.ts";
import { startPostgres } from "../../helpers/postgres.ts";
import { startRedis } from "../../helpers/redis.ts";
import { ratios } from "../ratios.mjs";

const { values } = parseArgs({ options: { rows: { type: "string", default: "1000000" }, only: { type: "string" } } });
const MANY = Number(values.rows);
const FEW = 10_000;
/** Of the speed of the small board: within 1.3 times its time. */
const GOAL = 0.77;
const CALLS = 300; // a round
const NEIGHBOURS = 5;
const FRIENDS = 20;
const MAX = 999_999; // the best score
const RULES = { periods: ["all"], order: "desc", operator: "best", min: 0, max: MAX, group: "main" };
const VIEW = { board: "main", period: "all", order: "desc", min: 0, max: MAX };

/** Scores over row number i, as SQL and here: the hash of i is even enough, the sum of four looks like a bell. */
const hash = (salt) => `((i * 2654435761 + ${salt} * 40503) % 4294967296 / 64 * 7919 % 1000000)`;
const hashed = (i, salt) => Number(((((BigInt(i) * 2654435761n + BigInt(salt) * 40503n) % 4294967296n) / 64n) * 7919n) % 1000000n);
const SHAPES = {
  uniform: [hash(1), (i) => hashed(i, 1)],
  "bell-shaped": [
    `(${[1, 2, 3, 4].map(hash).join(" + ")}) / 4`,
    (i) => Math.floor([1, 2, 3, 4].reduce((sum, salt) => sum + hashed(i, salt), 0) / 4),
  ],
  "all equal": ["777", () => 777],
};

const folder = mkdtempSync(join(tmpdir(), "gatepass-bench-"));
const BACKENDS = { SQLite: onSqlite, PostgreSQL: onPostgres, Redis: onRedis };
try {
  for (const [name, run] of Object.entries(BACKENDS)) if (values.only === undefined || values.only === name) await run();
} finally {
  rmSync(folder, { recursive: true });
}

async function onSqlite() {
  const file = new DatabaseSync(join(folder, "board.db"));
  await compare("SQLite", {
    open: (table) => sqliteBoard(file, { table, timeoutMs: 60_000 }),
    async load(table, rows, [score]) {
      // Without the triggers, which count each row by itself; `migrate` counts all of them at once.
      for (const name of ["added", "removed", "moved"]) file.exec(`DROP TRIGGER ${table}_rows_${name}`);
      file.exec(
        `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${rows})
          INSERT INTO ${table}_rows (id, list, player, score, down, at, submission, level, flags, name, hidden, shown)
          SELECT 'id' || i, 1, 'player' || i, ${score}, 0 - (${score}), 1750000000000 + i, 'sub' || i, 0, '[]', 'Quiet Otter', 0, 0 FROM c`,
      );
      await migrateSqlite(file, { table, timeoutMs: 60_000 });
    },
  });
  file.close();
}

async function onPostgres() {
  if (postgresFolder() === undefined) return console.error("!!! SKIPPED: PostgreSQL is not installed !!!");
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
      async load(prefix, rows, [score]) {
        await client.query(`ALTER TABLE ${prefix}_board_rows DISABLE TRIGGER counted`);
        await client.query(`INSERT INTO ${prefix}_board_rows (id, list, player, score, at, submission, level, flags, name, hidden, shown)
          SELECT 'id' || i, 1, 'player' || i, ${score}, 1750000000000 + i, 'sub' || i, 0, '[]', 'Quiet Otter', false, 0 FROM generate_series(1::bigint, ${rows}) AS c(i)`);
        await migrate(client, { prefix, recount: true, timeoutMs: 60_000 });
        await client.query("VACUUM ANALYZE"); // As it does by itself before long.
      },
    });
  } finally {
    await client.end();
    await server.close();
  }
}

async function onRedis() {
  if (!hasRedis()) return console.error("!!! SKIPPED: redis-server is not installed !!!");
  const server = await startRedis();
  const client = await createClient({ url: server.url }).connect();
  try {
    await compare("Redis", {
      open: (prefix) => redisBoard(client, { prefix, timeoutMs: 60_000 }),
      async load(_, rows, [, score], board, ids) {
        for (let from = 1; from <= rows; from += 2000) {
          const some = Array.from({ length: Math.min(2000, rows - from + 1) }, (_one, k) => from + k);
          const told = await Promise.all(some.map((i) => board.submit(entry(`player${i}`, score(i), i), RULES)));
          for (const [k, { id }] of told.entries()) ids[from + k] = id;
        }
      },
    });
  } finally {
    client.destroy();
    await server.dispose();
  }
}

async function compare(backend, { open, load }) {
  for (const [n, [shape, score]] of Object.entries(SHAPES).entries()) {
    const works = {};
    const add = (what, name, work) => {
      works[what] = { ...works[what], [name]: calls(work) };
    };
    for (const rows of [MANY, FEW]) {
      const table = `b${n}_${rows}`;
      const board = await open(table);
      // The first submission makes the list.
      await board.submit(entry("first", 0, 0), RULES);
      const ids = [];
      await load(table, rows, score, board, ids);
      const idOf = (i) => ids[i] ?? `id${i}`;
      await prove(board, rows, score[1], idOf);
      const name = `${rows.toLocaleString("en")} rows`;
      const some = () => 1 + Math.floor(Math.random() * rows);
      const place = () => ({ score: score[1](some()), at: 1_750_000_000_000 + some(), id: "id" });
      add("rank", name, () => board.ofPlayer({ ...VIEW, player: `player${some()}` }));
      add("around", name, () => board.around(idOf(some()), NEIGHBOURS, { order: "desc", min: 0, max: MAX }));
      add("a page in the middle", name, () => board.top({ ...VIEW, limit: 10, after: place() }));
      add("a score that is not submitted", name, async () => (await board.near({ ...VIEW, score: score[1](some()), n: NEIGHBOURS })).rows);
      add("how many", name, async () => [await board.count(VIEW)]);
      add(`${FRIENDS} chosen players`, name, () =>
        board.ofPlayers({ ...VIEW, players: Array.from({ length: FRIENDS }, () => `player${some()}`) }),
      );
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
      if (found === null || (found.length === 0 && i === 0)) throw new Error("A row is missing");
    }
  };
}

/** What is timed is the right rank: compared with counting all scores. */
async function prove(board, rows, score, idOf) {
  const asked = [1, 77, 4321, FEW];
  const scores = asked.map(score);
  const better = asked.map(() => 0);
  for (let i = 1; i <= rows; i++) {
    const one = score(i);
    for (const [k, own] of scores.entries()) if (one > own) better[k] += 1;
  }
  for (const [k, i] of asked.entries()) {
    const row = await board.find(idOf(i));
    if (row?.rank !== 1 + better[k]) throw new Error(`The rank is ${row?.rank} instead of ${1 + better[k]}`);
  }
}

function entry(name, score, i) {
  return { board: "main", player: name, score, at: 1_750_000_000_000 + i, submission: name, level: "claimed", flags: [], name };
}
