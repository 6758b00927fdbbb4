import type { PGlite } from "@electric-sql/pglite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate, postgresBoard } from "../../../adapters/postgres.ts";
import { testBoard } from "../../../src/testing/board.ts";
import { embeddedPostgres } from "../../helpers/postgres.ts";

describe("postgresBoard on PGlite", () => {
  let database: PGlite;
  beforeAll(async () => {
    database = await embeddedPostgres();
    await migrate(database);
  });
  afterAll(() => database.close());
  testBoard(
    async () => {
      const tables = ["rules", "lists", "rows", "hist", "seen", "bans", "names"].map((table) => `gatepass_board_${table}`);
      await database.query(`TRUNCATE ${tables.join(", ")}`);
      return { board: postgresBoard(database, { timeoutMs: 20_000 }), reopen: () => postgresBoard(database, { timeoutMs: 20_000 }) };
    },
    { describe, it, expect },
  );
});
