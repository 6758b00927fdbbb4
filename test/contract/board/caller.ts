// One of several processes that a request reaches, ten times at once: where the store and the board are (a file, or a
// `redis:` or `postgres:` address), and the call.
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { createClient } from "redis";
import { postgresBoard, postgresStore } from "../../../adapters/postgres.ts";
import { redisBoard, redisStore } from "../../../adapters/redis.ts";
import { sqliteBoard, sqliteStore } from "../../../adapters/sqlite.ts";
import { tenTimes } from "./calls.ts";

const [, , where = "", shared = ""] = process.argv;
const options = { timeoutMs: 20_000 };
if (where.startsWith("redis:")) {
  const client = await createClient({ url: where }).connect();
  console.log(JSON.stringify(await tenTimes(redisStore(client, options), redisBoard(client, options), JSON.parse(shared))));
  await client.close();
} else if (where.startsWith("postgres:")) {
  const pool = new pg.Pool({ connectionString: where, max: 6 });
  console.log(JSON.stringify(await tenTimes(postgresStore(pool, options), postgresBoard(pool, options), JSON.parse(shared))));
  await pool.end();
} else {
  const database = new DatabaseSync(where);
  database.exec("PRAGMA busy_timeout = 10000; PRAGMA synchronous = NORMAL");
  console.log(JSON.stringify(await tenTimes(sqliteStore(database, options), sqliteBoard(database, options), JSON.parse(shared))));
  database.close();
}
