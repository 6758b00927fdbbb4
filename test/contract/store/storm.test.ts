import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { migrate } from "../../../adapters/postgres.ts";
import { describeWith, hasRedis, postgresFolder } from "../../helpers/backends.ts";
import { startPostgres } from "../../helpers/postgres.ts";
import { startCluster, startRedis } from "../../helpers/redis.ts";
import { startUpstash } from "../../helpers/upstash.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import type { Backend } from "../../storm/open.ts";
import { runStorm } from "../../storm/run.ts";
import { STORM } from "../../storm/size.ts";

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Guarantees 1 and 2 with 8 processes of 64 callers each: not a unit too many, and since no call rejects not one too few. */
function storm(name: string, start: () => Promise<Backend>): void {
  it(`8 processes with 64 callers each on ${name}`, { timeout: 180_000 }, async () => {
    const { faults, reports, seconds } = await runStorm(await start(), STORM());
    expect(faults).toEqual([]);
    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
    console.log(`${name}: ${Math.round(20_000 / seconds)} spends a second`);
  });
}

describeWith("Redis", hasRedis())("a storm on Redis", () => {
  storm("one Redis", async () => {
    const server = await startRedis();
    ends.push(() => server.dispose());
    return { kind: "redis", url: server.url };
  });
  storm("a Redis Cluster", async () => {
    const cluster = await startCluster();
    ends.push(() => cluster.dispose());
    return { kind: "redis-cluster", ports: cluster.nodes.map(({ port }) => port) };
  });
  storm("Upstash's REST", async () => {
    const server = await startRedis();
    ends.push(() => server.dispose());
    const front = await startUpstash(server.url);
    ends.push(() => front.close());
    return { kind: "upstash", url: front.url, token: front.token };
  });
});

describeWith("PostgreSQL", postgresFolder() !== undefined)("a storm on PostgreSQL", () => {
  storm("PostgreSQL", async () => {
    const server = await startPostgres();
    ends.push(() => server.close());
    const { default: pg } = await import("pg");
    const pool = new pg.Pool({ connectionString: server.url });
    await migrate(pool);
    await pool.end();
    return { kind: "postgres", url: server.url };
  });
});

storm("one Deno KV file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gatepass-storm-"));
  ends.push(() => rmSync(folder, { recursive: true }));
  return { kind: "deno-kv", path: join(folder, "kv.db") };
});

storm("one D1 database", async () => {
  const worker = await startWorkerd({ entry: "test/storm/d1.worker.ts", d1: ["DB"] });
  ends.push(() => worker.dispose());
  return { kind: "remote", url: await worker.url() };
});
