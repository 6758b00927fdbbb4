/**
 * Ember Ring on Node 24: store and board in one SQLite file (`DEMO_DB`, default `.data/ember-ring.sqlite`), or with `STORE=redis://host:port` in Redis,
 * which several of these processes may share.
 */
import { createServer } from "node:http";
import { DatabaseSync } from "node:sqlite";
import { toNode } from "gatepass/adapters/node";
import { listening, place } from "./place.ts";
import { createDemo } from "./server.ts";
import { openStorage } from "./storage.ts";

const here = place(process.env);
const demo = createDemo(process.env, await openStorage(here, (path) => new DatabaseSync(path)));

const server = createServer(toNode(demo));
server.once("error", ({ message }) => {
  console.error(`Cannot listen: ${message}. Another port: PORT=8788 npm start`);
  process.exit(1);
});
server.listen(here.port, here.host, () => {
  const address = server.address();
  listening(demo.mode, here.host, typeof address === "object" && address ? address.port : here.port);
});
