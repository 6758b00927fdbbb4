/** Ember Ring on Node 24: store and board in one SQLite file (`DEMO_DB`, default `.data/ember-ring.sqlite`). */
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { toNode } from "gatepass/adapters/node";
import { sqliteBoard, sqliteStore } from "gatepass/adapters/sqlite";
import { listening, place } from "./place.ts";
import { createDemo } from "./server.ts";

const { host, port, database } = place(process.env);
mkdirSync(dirname(database), { recursive: true });
const client = new DatabaseSync(database);
const demo = createDemo(process.env, { store: sqliteStore(client), board: sqliteBoard(client) });

const server = createServer(toNode(demo));
server.listen(port, host, () => {
  const address = server.address();
  listening(demo.mode, host, typeof address === "object" && address ? address.port : port);
});
