import type { Store } from "../../src/store/contract.ts";
import { remoteStore } from "../helpers/remote-store.ts";

/** Where a storm blows: a backend that several processes share, as JSON for their command line. */
export type Backend =
  | { kind: "sqlite"; path: string }
  | { kind: "redis"; url: string }
  | { kind: "redis-cluster"; ports: number[] }
  | { kind: "upstash"; url: string; token: string }
  | { kind: "postgres"; url: string }
  | { kind: "deno-kv"; path: string }
  | { kind: "remote"; url: string };

/** Milliseconds: a storm on a small machine is slow, and what is asked is whether it is right. */
const timeoutMs = 60_000;

/** A store over `backend` with a connection of its own, and how to end that. Drivers are loaded only where they are used. */
export async function open(backend: Backend): Promise<{ store: Store; end(): Promise<void> }> {
  switch (backend.kind) {
    case "sqlite": {
      const [{ DatabaseSync }, { sqliteStore }] = await Promise.all([import("node:sqlite"), import("../../adapters/sqlite.ts")]);
      const database = new DatabaseSync(backend.path);
      return { store: sqliteStore(database, { timeoutMs }), end: async () => database.close() };
    }
    case "redis": {
      const [{ createClient }, { redisStore }] = await Promise.all([import("redis"), import("../../adapters/redis.ts")]);
      const client = createClient({ url: backend.url });
      await client.connect();
      return { store: redisStore(client, { timeoutMs }), end: () => client.close() };
    }
    case "redis-cluster": {
      const [{ createCluster }, { redisStore }] = await Promise.all([import("redis"), import("../../adapters/redis.ts")]);
      const cluster = createCluster({ rootNodes: backend.ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });
      await cluster.connect();
      return { store: redisStore(cluster, { timeoutMs }), end: () => cluster.close() };
    }
    case "upstash": {
      const { upstashStore } = await import("../../adapters/upstash.ts");
      return { store: upstashStore({ url: backend.url, token: backend.token }, { timeoutMs }), end: async () => undefined };
    }
    case "postgres": {
      const [{ default: pg }, { postgresStore }] = await Promise.all([import("pg"), import("../../adapters/postgres.ts")]);
      const pool = new pg.Pool({ connectionString: backend.url, max: 4 });
      return { store: postgresStore(pool, { timeoutMs }), end: () => pool.end() };
    }
    case "deno-kv": {
      const { denoKvStore } = await import("../../adapters/deno-kv.ts");
      const kv = await Deno.openKv(backend.path);
      return { store: denoKvStore(kv, { timeoutMs }), end: async () => kv.close() };
    }
    case "remote": {
      const [{ Agent, request }, { text }] = await Promise.all([import("node:http"), import("node:stream/consumers")]);
      // A few connections, as a pool has them: workerd resets what is more than it can take, and that is not what is asked here.
      const agent = new Agent({ keepAlive: true, maxSockets: 8 });
      const post = (body: string): Promise<{ text(): Promise<string> }> =>
        new Promise((resolve, reject) => {
          request(backend.url, { method: "POST", agent }, (answer) => resolve({ text: () => text(answer) }))
            .on("error", reject)
            .end(body);
        });
      return { store: remoteStore(post).store, end: async () => agent.destroy() };
    }
  }
}

/** What of Deno is used here; this file runs on Node as well. */
declare const Deno: {
  openKv(path: string): Promise<Parameters<typeof import("../../adapters/deno-kv.ts").denoKvStore>[0] & { close(): void }>;
};
