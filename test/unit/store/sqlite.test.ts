import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { type SqliteClient, sqliteStore } from "../../../adapters/sqlite.ts";
import { isGatepassError } from "../../../src/errors.ts";

const folders: string[] = [];
function file(): string {
  const folder = mkdtempSync(join(tmpdir(), "gatepass-sqlite-"));
  folders.push(folder);
  return join(folder, "store.db");
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const unavailable = (error: unknown): boolean => isGatepassError(error, "ERR_STORE_UNAVAILABLE");
const once = (key = "k"): { key: string; limit: number; expiresAt: number } => ({ key, limit: 1, expiresAt: Date.now() + 60_000 });

describe("sqliteStore", () => {
  it("refuses bad options: a table's name is part of the SQL", () => {
    const database = new DatabaseSync(":memory:");
    for (const table of ["", "a b", "a;DROP TABLE b", '"', "1a", "x".repeat(49)])
      expect(() => sqliteStore(database, { table })).toThrow(RangeError);
    for (const timeoutMs of [0, -1, 1.5, 60_001]) expect(() => sqliteStore(database, { timeoutMs })).toThrow(RangeError);
    // @ts-expect-error: a misspelt option
    expect(() => sqliteStore(database, { timeout: 5 })).toThrow(TypeError);
  });

  it("creation touches nothing; the first call makes the table and sets WAL", async () => {
    const database = new DatabaseSync(file());
    const store = sqliteStore(database, { table: "counters" });
    const tables = (): unknown[] => database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    expect(tables()).toEqual([]);
    await store.spend([once()]);
    expect(tables()).toEqual([{ name: "counters" }]);
    expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(database.prepare("PRAGMA busy_timeout").get()).toEqual({ timeout: 25 });
    database.close();
  });

  it("survives a restart, and two tables of one file share nothing", async () => {
    const path = file();
    const quota = once();
    const first = new DatabaseSync(path);
    expect((await sqliteStore(first).spend([quota])).ok).toBe(true);
    first.close();
    const second = new DatabaseSync(path);
    expect((await sqliteStore(second).spend([quota])).ok).toBe(false);
    expect((await sqliteStore(second, { table: "other" }).spend([quota])).ok).toBe(true);
    second.close();
  });

  it("a database that is closed, broken or read-only is ERR_STORE_UNAVAILABLE at once, and the cause is kept", async () => {
    const closed = new DatabaseSync(":memory:");
    const store = sqliteStore(closed);
    await store.spend([once()]);
    closed.close();
    for (const call of [
      store.spend([once()]),
      store.spend([{ ...once(), cost: 0 }]),
      store.refund([once()], 0),
      store.block("k", 0),
      store.sweep(),
    ]) {
      await expect(call).rejects.toSatisfy(unavailable);
    }
    await expect(store.spend([once()])).rejects.toHaveProperty("cause");

    const readOnly = new DatabaseSync(":memory:");
    readOnly.exec("PRAGMA query_only = 1");
    await expect(sqliteStore(readOnly).spend([once()])).rejects.toSatisfy(unavailable);
    readOnly.exec("PRAGMA query_only = 0");

    readOnly.exec("CREATE TABLE gatepass_store (key TEXT)");
    await expect(sqliteStore(readOnly).spend([once()])).rejects.toSatisfy(unavailable);
    readOnly.close();
  });

  it("fails typed after close, and leaves the client open", async () => {
    const database = new DatabaseSync(":memory:");
    const store = sqliteStore(database);
    await store.spend([once()]);
    await store.close();
    await expect(store.spend([once()])).rejects.toSatisfy(unavailable);
    expect(database.isOpen).toBe(true);
    database.close();
  });

  it("an error in the middle of a batch leaves nothing behind", async () => {
    const database = new DatabaseSync(":memory:");
    const store = sqliteStore(database);
    await store.spend([once("first")]);
    database.exec("CREATE TRIGGER fault BEFORE INSERT ON gatepass_store WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END");
    await expect(store.spend([once("good"), once("bad")])).rejects.toSatisfy(unavailable);
    expect(database.prepare("SELECT key FROM gatepass_store").all()).toEqual([{ key: "first" }]);
    database.exec("DROP TRIGGER fault");
    expect((await store.spend([once("good"), once("bad")])).ok).toBe(true);
    database.close();
  });

  it("does not stop the process while another holds the lock, reads meanwhile, and goes on when it is free", async () => {
    const path = file();
    const database = new DatabaseSync(path);
    const store = sqliteStore(database);
    await store.spend([once("first")]);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const gaps: number[] = [];
    let last = performance.now();
    const ticker = setInterval(() => {
      gaps.push(performance.now() - last);
      last = performance.now();
    }, 2);
    const all = Promise.all(Array.from({ length: 64 }, () => store.spend([{ ...once("shared"), limit: 40 }])));
    const state = await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 250, "waiting"))]);
    expect(state).toBe("waiting");
    other.exec("ROLLBACK");
    expect((await all).filter(({ ok }) => ok).length).toBe(40);
    clearInterval(ticker);
    // Without the queue each of the 64 callers would stop the process for 25 ms in turn: 1.6 s.
    expect(Math.max(...gaps)).toBeLessThan(400);
    expect(gaps.length).toBeGreaterThan(2);
    for (const one of [database, other]) one.close();
  });

  it("reads while another process writes", async () => {
    const path = file();
    const database = new DatabaseSync(path);
    const store = sqliteStore(database, { timeoutMs: 200 });
    await store.spend([once()]);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    expect((await store.spend([{ ...once(), cost: 0 }])).states[0]?.why).toBe("full");
    other.exec("ROLLBACK");
    for (const one of [database, other]) one.close();
  });

  it("takes drivers that read integers as bigint, and that answer null for no row", async () => {
    const database = new DatabaseSync(":memory:");
    const client: SqliteClient = {
      exec: (sql) => database.exec(sql),
      prepare(sql) {
        const statement = database.prepare(sql);
        statement.setReadBigInts(true);
        return {
          run: (...values: SQLInputValue[]) => statement.run(...values),
          get: (...values: SQLInputValue[]) => statement.get(...values) ?? null,
          all: (...values: SQLInputValue[]) => statement.all(...values),
        };
      },
    };
    const store = sqliteStore(client);
    const quotas = [
      { ...once(), limit: 2 },
      { key: "r", limit: 2, window: 60 },
    ];
    expect((await store.spend(quotas)).ok).toBe(true);
    expect((await store.spend(quotas)).states.map(({ remaining }) => remaining)).toEqual([0, 0]);
    expect((await store.spend(quotas)).ok).toBe(false);
    expect(await store.sweep()).toBe(0);
    database.close();
  });

  it("keeps large numbers exact", async () => {
    const store = sqliteStore(new DatabaseSync(":memory:"));
    const limit = Number.MAX_SAFE_INTEGER;
    const quotas = [
      { key: "u", limit, cost: limit - 1, expiresAt: limit },
      { key: "r", limit, cost: limit - 1, window: 315_360_000 },
    ];
    expect((await store.spend(quotas)).states.map(({ remaining }) => remaining)).toEqual([1, 1]);
    expect((await store.spend(quotas.map((quota) => ({ ...quota, cost: 0 })))).states.map(({ remaining }) => remaining)).toEqual([1, 1]);
  });

  it("does not grow where nobody sweeps", async () => {
    let time = Date.now();
    const database = new DatabaseSync(":memory:");
    const store = sqliteStore(database, { clock: () => time });
    // A row waits two hours beyond its life, so that no clock that is ahead takes it away from others: what is left is that much, and no more.
    for (let i = 0; i < 400; i++) {
      time += 3_600_000;
      await store.spend([
        { key: `u${i}`, limit: 1, expiresAt: time + 1000 },
        { key: `r${i}`, limit: 1, window: 1 },
      ]);
    }
    expect(Number(database.prepare("SELECT count(*) AS n FROM gatepass_store").get()?.["n"])).toBeLessThan(40);
    database.close();
  });
});
