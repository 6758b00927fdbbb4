/** Ember Ring on Deno: store and board in memory, `deno run --allow-net --allow-env demo/deno.ts`. */
import process from "node:process";
import { memoryStore } from "gatepass";
import { memoryBoard } from "gatepass/scores";
import { listening, place } from "./place.ts";
import { createDemo } from "./server.ts";

const { host, port } = place(process.env);
const demo = createDemo(process.env, { store: memoryStore(), board: memoryBoard() });

Deno.serve({ hostname: host, port, onListen: (address) => listening(demo.mode, host, address.port) }, demo.fetch);
