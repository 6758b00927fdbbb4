/** What `STORE` names, for Node and Bun: one SQLite file (the default), or Redis. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type SqliteClient, sqliteBoard, sqliteStore } from "gatepass/adapters/sqlite";
import type { Storage } from "./gate.ts";
import type { Place } from "./place.ts";

/** Opens store and board. `sqlite` opens a file with what the runtime has. */
export async function openStorage({ database, redis }: Place, sqlite: (path: string) => SqliteClient): Promise<Storage> {
  if (redis !== undefined) return openRedis(redis);
  mkdirSync(dirname(database), { recursive: true });
  const client = sqlite(database);
  return { store: sqliteStore(client), board: sqliteBoard(client) };
}

/**
 * A Redis that cannot be reached, now or later, is said once, and connected to as soon as it can be. Meanwhile the page is served, and the gate
 * refuses every write: commands are not queued up, since whoever made them has been refused long before they could run.
 */
async function openRedis(url: URL): Promise<Storage> {
  const [{ createClient }, { redisBoard, redisStore }] = await Promise.all([import("redis"), import("gatepass/adapters/redis")]);
  const client = createClient({ url: url.href, disableOfflineQueue: true, socket: { connectTimeout: 2000 } });
  let told = false;
  await new Promise<void>((resolve) => {
    client.on("error", (error: unknown) => {
      // Never the URL as it is: it may hold a password.
      if (!told)
        console.error(`Cannot reach Redis at ${url.host}: ${reasonOf(error)}. Nothing is written until it answers; the page is served`);
      told = true;
      resolve();
    });
    client.on("ready", () => {
      console.log(told ? `Redis at ${url.host} answers` : `Store and board are in Redis at ${url.host}`);
      told = false;
      resolve();
    });
    // Everything that it could reject with was an "error" before.
    client.connect().catch(() => resolve());
  });
  return { store: redisStore(client), board: redisBoard(client) };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown reason";
  return error.message || ("code" in error ? String(error.code) : error.name);
}
