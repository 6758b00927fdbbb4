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
        const tables = ["rules", "lists", "rows", "hist", "seen", "bans", "names"].map((table) => `gatepass_board_${table}`);
        await server.run(`TRUNCATE ${tables.join(", ")}`);
        const own = client;
        return { board: postgresBoard(own, { timeoutMs: 20_000 }), reopen: () => postgresBoard(own, { timeoutMs: 20_000 }) };
      },
      { describe, it, expect },
    );
  });

  it("the sequence of the lists stands behind its rows, as after an import: new days are stored at once", async () => {
    const pool = new pg.Pool({ connectionString: server.url, max: 8 });
    opened.push({ client: pool, end: () => pool.end() });
    await migrate(pool, { schema: "imported" });
    let errors = 0;
    const counted: PostgresClient = {
      query: (text, values) =>
        pool.query(text, values).catch((error: unknown) => {
          errors += 1;
          throw error;
        }),
    };
    const board = postgresBoard(counted, { schema: "imported", timeoutMs: 60_000 });
    await pool.query(
      "INSERT INTO imported.gatepass_board_lists (list, board, period, tag, depths) SELECT n, 'main', 'day ' || n, '', 3 FROM generate_series(1, 3000) AS n",
    );
    const rules = { order: "desc", operator: "best" } as const;
    const entry = { board: "main", score: 1, at: 1, level: "claimed", flags: [], name: "n" } as const;
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        board.submit(
          { ...entry, board: i % 2 ? "main" : "other", player: `p${i}`, submission: `s${i}` },
          { ...rules, periods: ["all", `new day ${i % 10}`] },
        ),
      ),
    );
    expect(all.every(({ status }) => status === "stored")).toBe(true);
    expect(errors).toBe(0);
    expect(await board.top({ board: "main", period: "all", limit: 100 })).toHaveLength(20);
  });
});
