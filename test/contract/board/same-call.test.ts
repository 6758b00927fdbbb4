import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import pg from "pg";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate, postgresBoard, postgresStore } from "../../../adapters/postgres.ts";
import { redisBoard, redisStore } from "../../../adapters/redis.ts";
import { sqliteBoard, sqliteStore } from "../../../adapters/sqlite.ts";
import { memoryBoard, type ScoreBoard } from "../../../src/scores/index.ts";
import { memoryStore, type Store } from "../../../src/store/index.ts";
import { randomId } from "../../../src/util/random.ts";
import { describeWith, hasRedis, postgresFolder } from "../../helpers/backends.ts";
import { type PostgresServer, startPostgres } from "../../helpers/postgres.ts";
import { type RedisServer, startRedis } from "../../helpers/redis.ts";
import { root } from "../../helpers/sources.ts";
import { type Answers, sharedGate, tenTimes } from "./calls.ts";

const folder = mkdtempSync(join(tmpdir(), "same-call-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** One call for a score and one for a commitment reach every process ten times: one row, one use each, one event each. */
async function expectOnce(store: Store, board: ScoreBoard, operator: "best" | "sum", where?: string): Promise<void> {
  const { send, session } = sharedGate(store, board, operator);
  const shared = { operator, token: await session(), key: randomId() };
  const script = `${root}test/contract/board/caller.ts`;
  const all: Answers[] = where
    ? await Promise.all(
        Array.from({ length: 3 }, async () => {
          const { stdout } = await promisify(execFile)(process.execPath, [script, where, JSON.stringify(shared)]);
          return JSON.parse(stdout);
        }),
      )
    : [await tenTimes(store, board, shared)];
  const statuses = all.flatMap((one) => one.statuses);
  expect(statuses.filter((status) => status !== 200)).toEqual([201]);
  expect(new Set(all.flatMap(({ ids }) => ids)).size).toBe(1);
  expect(all.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(1);
  expect(all.reduce((sum, { committed }) => sum + committed, 0)).toBe(1);
  const { scores } = await (await send("GET", "/scores")).json();
  expect(scores.map(({ score }: { score: number }) => score)).toEqual([10]);
  // Whichever of the signed commitments comes: they are one.
  const headers = { authorization: `Bearer ${shared.token}` };
  const submitted: number[] = [];
  for (const commitment of new Set(all.flatMap(({ commitments }) => commitments))) {
    submitted.push((await send("POST", "/scores", { commitment }, headers)).status);
  }
  expect(submitted.filter((status) => status !== 200)).toEqual([201]);
  // Of five uses: the score, the commitment and its submission.
  const rest: number[] = [];
  for (let i = 0; i < 3; i++) rest.push((await send("POST", "/scores", { score: 1 }, headers)).status);
  expect(rest).toEqual([201, 201, 401]);
}

describe.each(["sum", "best"] as const)("a call that is sent again and again, on a %s board", (operator) => {
  it("in memory", () => expectOnce(memoryStore(), memoryBoard(), operator));

  it("in three processes on one SQLite file", { timeout: 120_000 }, async () => {
    const path = join(folder, `${operator}.sqlite`);
    const database = new DatabaseSync(path);
    await expectOnce(sqliteStore(database), sqliteBoard(database), operator, path);
    database.close();
  });
});

describeWith("redis-server", hasRedis())("a call that is sent again and again, in three processes on one Redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.dispose());

  it.each(["sum", "best"] as const)("on a %s board", { timeout: 120_000 }, async (operator) => {
    await server.command("FLUSHALL");
    const client = await createClient({ url: server.url }).connect();
    try {
      await expectOnce(redisStore(client), redisBoard(client), operator, server.url);
    } finally {
      client.destroy();
    }
  });
});

describeWith("PostgreSQL", postgresFolder() !== undefined)(
  "a call that is sent again and again, in three processes on one PostgreSQL",
  () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startPostgres();
    });
    afterAll(() => server.close());

    it.each(["sum", "best"] as const)("on a %s board", { timeout: 120_000 }, async (operator) => {
      const url = await server.database(operator);
      const pool = new pg.Pool({ connectionString: url, max: 6 });
      try {
        await migrate(pool);
        await expectOnce(postgresStore(pool), postgresBoard(pool), operator, url);
      } finally {
        await pool.end();
      }
    });
  },
);
