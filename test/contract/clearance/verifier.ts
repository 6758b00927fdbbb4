// One of several processes that verify solved challenges on one store, all at once: the store (a file, or the `redis:` address), the address of siteverify.
// Reads the verifications as JSON from standard input, says that it is ready, waits for a line, and prints what each was answered.
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { createClient } from "redis";
import { redisStore } from "../../../adapters/redis.ts";
import { sqliteStore } from "../../../adapters/sqlite.ts";
import type { Store } from "../../../src/store/contract.ts";
import { gateOn, type Verification, verified } from "./gate.ts";

const [, , where = "", siteverify = ""] = process.argv;
const { store, end } = await (where.startsWith("redis:") ? openRedis(where) : openFile(where));
const gate = gateOn(store, siteverify);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const asked: Verification[] = JSON.parse(String((await lines.next()).value));
console.log("ready");
await lines.next();
const answers = await Promise.all(asked.map((one) => verified(gate, one)));
console.log(JSON.stringify(answers));
await end();
process.exit();

function openFile(path: string): { store: Store; end(): void } {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA synchronous = OFF");
  return { store: sqliteStore(database, { timeoutMs: 60_000 }), end: () => database.close() };
}

async function openRedis(url: string): Promise<{ store: Store; end(): Promise<void> }> {
  const client = await createClient({ url }).connect();
  return { store: redisStore(client, { timeoutMs: 60_000 }), end: () => client.close() };
}
