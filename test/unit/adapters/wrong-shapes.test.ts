import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { type SqliteClient, type SqliteStatement, sqliteBoard, sqliteStore } from "../../../adapters/sqlite.ts";
import { isGatepassError } from "../../../src/errors.ts";
import { expectNoAdmissionByWrongShape, expectNoWrongRowsByWrongShape, type Tampering } from "../../helpers/wrong-shapes.ts";

function tampered({ through }: Tampering): SqliteClient {
  const database = new DatabaseSync(":memory:");
  return {
    exec: (sql) => database.exec(sql),
    prepare(sql): SqliteStatement {
      const statement = database.prepare(sql);
      return {
        run: (...values) => statement.run(...values),
        get: (...values) => through(statement.get(...values)),
        all: (...values) => through(statement.all(...values)),
      };
    },
  };
}

describe("SQLite behind a driver that answers in wrong shapes", () => {
  it("sqliteStore: what is used up, revoked or full is never admitted", () =>
    expectNoAdmissionByWrongShape((tampering, clock) => sqliteStore(tampered(tampering), { clock })));

  it("sqliteBoard: no wrong row, no wrong rank, and never nothing where something is", () =>
    expectNoWrongRowsByWrongShape((tampering) => sqliteBoard(tampered(tampering))));

  it("a database that gives rows as arrays (returnArrays) writes no session 60 times, and opens no revoked one", async () => {
    const store = sqliteStore(new DatabaseSync(":memory:", { returnArrays: true }));
    const session = { key: "session", limit: 20, expiresAt: Date.now() + 60_000 };
    const writes = await Promise.allSettled(Array.from({ length: 60 }, () => store.spend([session])));
    expect(writes.filter((one) => one.status === "fulfilled" && one.value.ok).length).toBeLessThanOrEqual(20);
    expect(
      writes.filter((one) => one.status === "rejected" && isGatepassError(one.reason, "ERR_STORE_UNAVAILABLE")).length,
    ).toBeGreaterThanOrEqual(40);
    await store.block("revoked", Date.now() + 60_000);
    await expect(store.spend([{ ...session, key: "revoked" }])).rejects.toSatisfy((error) =>
      isGatepassError(error, "ERR_STORE_UNAVAILABLE"),
    );
  });
});
