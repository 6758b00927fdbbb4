/**
 * Ember Ring on Deno: the store in Deno KV (`DEMO_KV`, default `.data/ember-ring.kv`), which `demo/deno.json` switches on. The board is a ranking, which Deno KV
 * has no means for, so it is in a SQLite file beside it (`DEMO_DB`, default `.data/ember-ring.sqlite`).
 *
 * `deno run --allow-net --allow-env --allow-read=.data --allow-write=.data demo/deno.ts`. On Deno Deploy, which keeps no files, `Deno.openKv()` is the
 * store as it is here, and the board is in a database: `postgresBoard`.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { denoKvStore } from "gatepass/adapters/deno-kv";
import { sqliteBoard } from "gatepass/adapters/sqlite";
import { listening, place } from "./place.ts";
import { createDemo } from "./server.ts";

const { host, port, database, kv, redis } = place(process.env);
if (redis) throw new TypeError('Cannot use "STORE": on Deno the store is Deno KV, at "DEMO_KV"');
for (const path of [database, kv]) mkdirSync(dirname(path), { recursive: true });
const demo = createDemo(process.env, { store: denoKvStore(await Deno.openKv(kv)), board: sqliteBoard(new DatabaseSync(database)) });

Deno.serve({ hostname: host, port, onListen: (address) => listening(demo.mode, host, address.port) }, demo.fetch);
