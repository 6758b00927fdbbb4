import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate, type PostgresClient, postgresBoard } from "../../../adapters/postgres.ts";
import { testBoard } from "../../../src/testing/board.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type PostgresServer, startPostgres } from "../../helpers/postgres.ts";

describeWith("PostgreSQL", postgresFolder() !== undefined)("postgresBoard on PostgreSQL", () => {
  let server: PostgresServer;
  const opened: { client: PostgresClient; end(): Promise<void> }[] = [];
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(async () => {
    await Promise.all(opened.map(({ end }) => end()));
    await server.close();
  });
  const connect: Record<string, () => { client: PostgresClient; end(): Promise<void> }> = {
    "a pool of pg"() {
      const pool = new pg.Pool({ connectionString: server.url, max: 4 });
      pool.on("error", () => undefined);
      return { client: pool, end: () => pool.end() };
    },
    postgres() {
      const sql = postgres(server.url, { max: 4, onnotice: () => undefined });
      return { client: sql, end: () => sql.end() };
    },
  };
  describe.each(Object.entries(connect))("%s", (_, open) => {
    let client: PostgresClient | undefined;
    testBoard(
      async () => {
        if (client === undefined) {
          const one = open();
          opened.push(one);
          client = one.client;
        }
        await migrate(client);
        const tables = ["rules", "lists", "rows", "hist", "seen", "bans"].map((table) => `gatepass_board_${table}`);
        await server.run(`TRUNCATE ${tables.join(", ")}`);
        const own = client;
        return { board: postgresBoard(own, { timeoutMs: 20_000 }), reopen: () => postgresBoard(own, { timeoutMs: 20_000 }) };
      },
      { describe, it, expect },
    );
  });
});
