import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate, type PostgresClient, postgresStore } from "../../../adapters/postgres.ts";
import { type StoreUnderTest, testStore } from "../../../src/testing/store.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { embeddedPostgres, type PostgresServer, startPostgres } from "../../helpers/postgres.ts";

const TIMEOUT = 400;

/** A driver's client, and how to run statements on it and end it. */
interface Connection {
  client: PostgresClient;
  run(sql: string): PromiseLike<unknown>;
  end(): Promise<void>;
}

const DRIVERS: Record<string, (url: string) => Connection> = {
  "a pool of pg"(url) {
    const pool = new pg.Pool({ connectionString: url, max: 4 });
    pool.on("error", () => undefined);
    return { client: pool, run: (sql) => pool.query(sql), end: () => pool.end() };
  },
  postgres(url) {
    const sql = postgres(url, { max: 4, onnotice: () => undefined });
    return { client: sql, run: (text) => sql.unsafe(text), end: () => sql.end() };
  },
  "postgres as behind a pooler"(url) {
    const sql = postgres(url, { max: 4, prepare: false, onnotice: () => undefined });
    return { client: sql, run: (text) => sql.unsafe(text), end: () => sql.end() };
  },
};

describeWith("PostgreSQL", postgresFolder() !== undefined)("postgresStore on PostgreSQL", () => {
  let server: PostgresServer;
  const connections: Connection[] = [];
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(async () => {
    await Promise.all(connections.map(({ end }) => end()));
    await server.close();
  });

  describe.each(Object.entries(DRIVERS))("%s", (_, connect) => {
    const opened: Connection[] = [];
    const connection = (i: number): Connection => {
      const open = opened[i] ?? connect(server.url);
      opened[i] = open;
      if (!connections.includes(open)) connections.push(open);
      return open;
    };
    testStore(
      async () => {
        const { client, run } = connection(0);
        await migrate(client);
        await run("TRUNCATE gatepass_store");
        let time = 1_750_000_000_000;
        const options = { clock: () => time, timeoutMs: TIMEOUT };
        return {
          store: postgresStore(client, options),
          another: () => postgresStore(connection(1).client, options),
          advance(ms) {
            time += ms;
          },
          dump: async () => (await server.run("SELECT key FROM gatepass_store")).map(({ key }) => String(key)),
          hang() {
            server.pause();
            return () => server.resume();
          },
          timeoutMs: TIMEOUT,
        };
      },
      { describe, it, expect },
    );
  });

  describe("by the server's clock", () => {
    testStore(
      async () => {
        const { client, run } =
          connections[0] ??
          Object.values(DRIVERS)[0]?.(server.url) ??
          (() => {
            throw new Error("none");
          })();
        await migrate(client);
        await run("TRUNCATE gatepass_store");
        return { store: postgresStore(client) };
      },
      { describe, it, expect },
    );
  });
});
