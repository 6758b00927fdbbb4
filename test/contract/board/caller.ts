// One of several processes that a request reaches, ten times at once: where the store and the board are (a file, or a `redis:` address), and the call.
import { DatabaseSync } from "node:sqlite";
import { createClient } from "redis";
import { redisBoard, redisStore } from "../../../adapters/redis.ts";
import { sqliteBoard, sqliteStore } from "../../../adapters/sqlite.ts";
import { tenTimes } from "./calls.ts";

const [, , where = "", shared = ""] = process.argv;
const options = { timeoutMs: 20_000 };
if (where.startsWith("redis:")) {
  const client = await createClient({ url: where }).connect();
  console.log(JSON.stringify(await tenTimes(redisStore(client, options), redisBoard(client, options), JSON.parse(shared))));
  await client.close();
} else {
  const database = new DatabaseSync(where);
  database.exec("PRAGMA busy_timeout = 10000; PRAGMA synchronous = NORMAL");
  console.log(JSON.stringify(await tenTimes(sqliteStore(database, options), sqliteBoard(database, options), JSON.parse(shared))));
  database.close();
}
