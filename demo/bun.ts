/** Ember Ring on Bun: store and board in one SQLite file (`DEMO_DB`, default `.data/ember-ring.sqlite`), or with `STORE=redis://host:port` in Redis. */
import { Database } from "bun:sqlite";
import { listening, place } from "./place.ts";
import { createDemo } from "./server.ts";
import { openStorage } from "./storage.ts";

const here = place(process.env);
const demo = createDemo(process.env, await openStorage(here, (path) => new Database(path)));

const server = Bun.serve({ hostname: here.host, port: here.port, fetch: demo.fetch });
listening(demo.mode, here.host, server.port);
