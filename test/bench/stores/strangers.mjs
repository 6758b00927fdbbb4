// How a store grows by requests of strangers who have solved nothing: keys and kilobytes for 1,000 of them. Fails where one leaves what must not be
// forgotten. The table is in SECURITY. `node --expose-gc`.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import pg from "pg";
import { migrate, postgresStore } from "../../../adapters/postgres.ts";
import { redisStore } from "../../../adapters/redis.ts";
import { sqliteStore } from "../../../adapters/sqlite.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { postgresFolder } from "../../helpers/backends.ts";
import { startPostgres } from "../../helpers/postgres.ts";
import { startRedis } from "../../helpers/redis.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import { report } from "../report.mjs";
import { FORMS, flood, perThousand } from "./strangers-traffic.mjs";

const patient = { timeoutMs: 60_000 };

const forms = {};
let lasting = 0;
for (const form of FORMS) {
  const store = memoryStore();
  const requests = await flood(store, [form]);
  forms[form] = perThousand({ keys: store.size, bytes: 0 }, requests).keys;
  lasting += store.keys().filter((key) => key.startsWith("u")).length;
}
console.table({ "keys for 1,000 requests": forms });
report(lasting === 0, `${lasting} keys that a store must not forget, of requests that no solve paid for`);

const stores = { memory: await inMemory(), SQLite: await inSqlite(), Redis: await inRedis() };
if (postgresFolder() === undefined) console.error("!!! SKIPPED: PostgreSQL is not installed !!!");
else stores.PostgreSQL = await inPostgres();
Object.assign(stores, await inWorkerd());
stores["Deno KV"] = await inDeno();
console.table(stores);

async function inMemory() {
  const store = memoryStore();
  const before = used();
  const requests = await flood(store);
  return perThousand({ keys: store.size, bytes: used() - before }, requests);
}

async function inSqlite() {
  const folder = mkdtempSync(`${tmpdir()}/gatepass-strangers-`);
  const database = new DatabaseSync(`${folder}/store.db`);
  database.exec("PRAGMA synchronous = OFF");
  try {
    const store = sqliteStore(database, patient);
    await store.spend([{ key: "a table is made once", limit: 1, window: 1 }]);
    const pages = () =>
      Number(database.prepare("PRAGMA page_count").get().page_count) * Number(database.prepare("PRAGMA page_size").get().page_size);
    const before = pages();
    const requests = await flood(store);
    const keys = Number(database.prepare("SELECT count(*) AS n FROM gatepass_store").get().n);
    return perThousand({ keys, bytes: pages() - before }, requests);
  } finally {
    database.close();
    rmSync(folder, { recursive: true });
  }
}

async function inRedis() {
  const server = await startRedis();
  const client = new Redis(server.url);
  try {
    const store = redisStore(client, patient);
    await store.spend([{ key: "scripts are loaded once", limit: 1, window: 1 }]);
    const memory = async () => Number((await server.info("memory")).used_memory);
    const before = await memory();
    const requests = await flood(store);
    return perThousand({ keys: Number(await server.command("DBSIZE")), bytes: (await memory()) - before }, requests);
  } finally {
    client.disconnect();
    await server.dispose();
  }
}

async function inPostgres() {
  const server = await startPostgres();
  const pool = new pg.Pool({ connectionString: server.url });
  pool.on("error", () => undefined);
  try {
    await migrate(pool);
    const size = "SELECT sum(pg_total_relation_size(relid))::bigint AS bytes, sum(n_live_tup)::bigint AS keys FROM pg_stat_user_tables";
    const look = async () => {
      await pool.query("VACUUM ANALYZE");
      const { bytes, keys } = (await pool.query(size)).rows[0];
      return { bytes: Number(bytes), keys: Number(keys) };
    };
    const before = await look();
    const requests = await flood(postgresStore(pool, patient));
    const after = await look();
    return perThousand({ keys: after.keys - before.keys, bytes: after.bytes - before.bytes }, requests);
  } finally {
    await pool.end();
    await server.close();
  }
}

async function inWorkerd() {
  const entry = "test/bench/stores/strangers.worker.js";
  const worker = await startWorkerd({ entry, durableObjects: { GATE: "Gate" }, d1: ["DB"], kv: ["KV"] });
  try {
    const answers = {};
    for (const name of ["D1", "Durable Object", "Workers KV"]) {
      answers[name] = await (await worker.fetch(`/${encodeURIComponent(name)}`)).json();
    }
    return answers;
  } finally {
    await worker.dispose();
  }
}

async function inDeno() {
  const deno = fileURLToPath(new URL("../../../node_modules/.bin/deno", import.meta.url));
  const script = fileURLToPath(new URL("strangers.deno.mjs", import.meta.url));
  const flags = ["run", "-A", "--no-check", "--unstable-kv", "--no-lock", "--quiet", "--node-modules-dir=manual"];
  return JSON.parse(execFileSync(deno, [...flags, script], { encoding: "utf8" }));
}

/** Bytes that live: the heap, and what typed arrays hold outside of it. */
function used() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
