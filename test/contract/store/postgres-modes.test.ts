import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testStore } from "../../../src/testing/store.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type Clients, holdTable, startClients, underTest } from "./postgres-under-test.ts";

describeWith("PostgreSQL", postgresFolder() !== undefined)("postgresStore", () => {
  let clients: Clients;
  const get = (): Clients => clients;
  beforeAll(async () => {
    clients = await startClients();
  });
  afterAll(() => clients.close());

  describe("by the server's clock, one connection", () => {
    testStore(
      underTest(get, ({ pool }) => pool({ max: 1 }), holdTable, false),
      { describe, it, expect },
    );
  });
  describe("postgres as behind a pooler, to a database with another isolation level", () => {
    testStore(
      underTest(
        get,
        ({ porsager }) => porsager({ prepare: false, connection: { default_transaction_isolation: "repeatable read" } }),
        holdTable,
      ),
      { describe, it, expect },
    );
  });
});
