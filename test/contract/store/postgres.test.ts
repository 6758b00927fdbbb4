import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testStore } from "../../../src/testing/store.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type Clients, pause, startClients, underTest } from "./postgres-under-test.ts";

describeWith("PostgreSQL", postgresFolder() !== undefined)("postgresStore", () => {
  let clients: Clients;
  const get = (): Clients => clients;
  beforeAll(async () => {
    clients = await startClients();
  });
  afterAll(() => clients.close());

  describe("a pool of pg", () =>
    testStore(
      underTest(get, ({ pool }) => pool(), pause),
      { describe, it, expect },
    ));
  describe("postgres", () =>
    testStore(
      underTest(get, ({ porsager }) => porsager(), pause),
      { describe, it, expect },
    ));
});
