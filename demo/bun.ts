/** Ember Ring on Bun: store and board in one SQLite file (`DEMO_DB`, default `.data/ember-ring.sqlite`). */
import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { sqliteBoard, sqliteStore } from "gatepass/adapters/sqlite";
import { listening, place } from "./place.ts";
import { createDemo } from "./server.ts";

const { host, port, database } = place(process.env);
mkdirSync(dirname(database), { recursive: true });
const client = new Database(database);
const demo = createDemo(process.env, { store: sqliteStore(client), board: sqliteBoard(client) });

const server = Bun.serve({ hostname: host, port, fetch: demo.fetch });
listening(demo.mode, host, server.port);
