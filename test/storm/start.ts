import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgres } from "../helpers/postgres.ts";
import { startCluster, startRedis } from "../helpers/redis.ts";
import { startUpstash } from "../helpers/upstash.ts";
import type { Backend } from "./open.ts";

/** A backend of a storm's own, and how to end it. */
interface Started {
  backend: Backend;
  end(): Promise<unknown>;
}

/** The backends that {@link startBackend} knows. */
export const KINDS = ["redis", "sqlite", "redis-cluster", "upstash", "postgres", "deno-kv"] as const;

/** Starts a real backend with nothing in it. */
export async function startBackend(kind: (typeof KINDS)[number]): Promise<Started> {
  switch (kind) {
    case "redis": {
      const server = await startRedis();
      return { backend: { kind, url: server.url }, end: () => server.dispose() };
    }
    case "redis-cluster": {
      const cluster = await startCluster();
      return { backend: { kind, ports: cluster.nodes.map(({ port }) => port) }, end: () => cluster.dispose() };
    }
    case "upstash": {
      const server = await startRedis();
      const front = await startUpstash(server.url);
      const end = (): Promise<unknown> => front.close().finally(() => server.dispose());
      return { backend: { kind, url: front.url, token: front.token }, end };
    }
    case "postgres": {
      const [server, { default: pg }, { migrate }] = await Promise.all([
        startPostgres(),
        import("pg"),
        import("../../adapters/postgres.ts"),
      ]);
      const pool = new pg.Pool({ connectionString: server.url });
      await migrate(pool);
      await pool.end();
      return { backend: { kind, url: server.url }, end: () => server.close() };
    }
    case "sqlite":
    case "deno-kv": {
      const folder = await mkdtemp(join(tmpdir(), "gatepass-storm-"));
      return { backend: { kind, path: join(folder, "store.db") }, end: () => rm(folder, { recursive: true, force: true }) };
    }
  }
}
