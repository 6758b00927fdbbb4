// One of several processes that write to one board. Arguments: the file, or a `redis:` or `postgres:` address; a number of
// its own.
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { createClient } from "redis";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import { postgresBoard } from "../../../adapters/postgres.ts";
import { redisBoard } from "../../../adapters/redis.ts";
import type { BoardRules, ScoreBoard, ScoreEntry } from "../../../src/scores/board.ts";

const [, , where = "", own = "0"] = process.argv;
const { board, end } = await (where.startsWith("redis:")
  ? openRedis(where)
  : where.startsWith("postgres:")
    ? openPostgres(where)
    : openFile(where));
const best: BoardRules = { periods: ["all", "2026-W47"], order: "desc", operator: "best" };
const entry = (i: number, more: Partial<ScoreEntry>): ScoreEntry => ({
  board: "main",
  player: "everybody",
  score: (i * 37 + Number(own)) % 101,
  at: i,
  submission: `${own}-${i}`,
  level: "claimed",
  flags: [],
  name: own,
  ...more,
});

const statuses: Record<string, number> = {};
await Promise.all(
  Array.from({ length: 60 }, async (_, i) => {
    // One player of all processes, one of our own, and a submission that every process sends.
    await board.submit(entry(i, {}), best);
    await board.submit(entry(i, { player: `p${own}-${i % 7}`, submission: `${own}-own-${i}` }), best);
    const { status } = await board.submit(entry(i, { board: "sums", submission: `shared-${i}`, score: 1 }), { ...best, operator: "sum" });
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (i % 20 === 19) await board.purge(`p${own}-0`, "");
  }),
);
await end();
console.log(JSON.stringify(statuses));

function openFile(path: string): { board: ScoreBoard; end(): void } {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA busy_timeout = 10000; PRAGMA synchronous = NORMAL");
  return { board: sqliteBoard(database, { timeoutMs: 20_000 }), end: () => database.close() };
}

async function openRedis(url: string): Promise<{ board: ScoreBoard; end(): Promise<void> }> {
  const client = await createClient({ url }).connect();
  return { board: redisBoard(client, { timeoutMs: 20_000 }), end: () => client.close() };
}

function openPostgres(url: string): { board: ScoreBoard; end(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: url, max: 6 });
  return { board: postgresBoard(pool, { timeoutMs: 20_000 }), end: () => pool.end() };
}
