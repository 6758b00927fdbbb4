import type { PGlite } from "@electric-sql/pglite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate, postgresStore } from "../../../adapters/postgres.ts";
import { testStore } from "../../../src/testing/store.ts";
import { embeddedPostgres } from "../../helpers/postgres.ts";

describe("postgresStore on PGlite", () => {
  let database: PGlite;
  beforeAll(async () => {
    database = await embeddedPostgres();
    await migrate(database);
  });
  afterAll(() => database.close());
  testStore(
    async () => {
      await database.query("TRUNCATE gatepass_store");
      let time = 1_750_000_000_000;
      const options = { clock: () => time, timeoutMs: 20_000 };
      return {
        store: postgresStore(database, options),
        another: () => postgresStore(database, options),
        dump: async () => (await database.query<{ key: string }>("SELECT key FROM gatepass_store")).rows.map(({ key }) => key),
        advance(ms) {
          time += ms;
        },
      };
    },
    { describe, it, expect },
  );
});
