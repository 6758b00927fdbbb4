import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { type SqliteClient, sqliteStore } from "../../../adapters/sqlite.ts";
import { type StoreUnderTest, testStore } from "../../../src/testing/store.ts";
import { betterSqlite } from "../../helpers/better-sqlite.ts";

const TIMEOUT = 300;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;

describe("sqliteStore on node:sqlite in memory", () => {
  testStore(() => underTest(":memory:"), { describe, it, expect });
});

describe("sqliteStore on a node:sqlite file", () => {
  testStore(
    () => {
      const folder = mkdtempSync(join(tmpdir(), "gatepass-store-"));
      return underTest(join(folder, "store.db"), () => rmSync(folder, { recursive: true }));
    },
    { describe, it, expect },
  );
});

describe("sqliteStore on a driver shaped as better-sqlite3, on a file", () => {
  testStore(
    () => {
      const folder = mkdtempSync(join(tmpdir(), "gatepass-store-"));
      return underTest(join(folder, "store.db"), () => rmSync(folder, { recursive: true }), betterSqlite);
    },
    { describe, it, expect },
  );
});

function underTest(
  path: string,
  remove?: () => void,
  driver: (database: DatabaseSync) => SqliteClient = (database) => database,
): StoreUnderTest {
  let time = 1_750_000_000_000;
  const clock = (): number => time;
  const open: DatabaseSync[] = [];
  const connect = (): DatabaseSync => {
    const database = new DatabaseSync(path);
    // The suite makes thousands of commits; what a power cut would do to them is not its question.
    database.exec("PRAGMA synchronous = OFF");
    open.push(database);
    return database;
  };
  const first = connect();
  const store = sqliteStore(driver(first), { clock, timeoutMs: PATIENT });
  const shared: Partial<StoreUnderTest> = {
    another: () => sqliteStore(driver(connect()), { clock, timeoutMs: PATIENT }),
    impatient: () => sqliteStore(driver(connect()), { clock, timeoutMs: TIMEOUT }),
    hang() {
      const other = connect();
      other.exec("BEGIN EXCLUSIVE");
      return () => other.exec("ROLLBACK");
    },
  };
  return {
    store,
    advance(ms) {
      time += ms;
    },
    dump: () =>
      first
        .prepare("SELECT key FROM gatepass_store")
        .all()
        .map((row) => String(row["key"])),
    timeoutMs: TIMEOUT,
    ...(path === ":memory:" ? {} : shared),
    async dispose() {
      await store.close();
      for (const database of open) database.close();
      remove?.();
    },
  };
}
