// Runs the published contract suite under Bun, on bun:sqlite, and prints `{ passed, failures }` as JSON.
import { Database } from "bun:sqlite";
import { deepStrictEqual } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteStore } from "../../../../adapters/sqlite.ts";
import { memoryStore } from "../../../../src/store/index.ts";
import { testStore } from "../../../../src/testing/store.ts";

const TIMEOUT = 300;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;
const tests = [];
let group = "";
const kit = {
  describe: (_, suite) => suite(),
  it: (name, test) => tests.push([`${group}: ${name}`, test]),
  expect: (value) => ({ toEqual: (expected) => deepStrictEqual(plain(value), plain(expected)) }),
};

group = "memory";
testStore(() => {
  let time = 1_750_000_000_000;
  const clock = () => time;
  const store = memoryStore({ clock });
  const advance = (ms) => {
    time += ms;
  };
  return { store, advance, dump: () => store.keys(), bounded: (maxKeys) => memoryStore({ maxKeys, clock }) };
}, kit);

group = "bun:sqlite";
testStore(() => {
  const folder = mkdtempSync(join(tmpdir(), "gatepass-bun-"));
  let time = 1_750_000_000_000;
  const clock = () => time;
  const open = [];
  const connect = () => {
    const database = new Database(join(folder, "store.db"));
    database.exec("PRAGMA synchronous = OFF");
    open.push(database);
    return database;
  };
  const first = connect();
  const store = sqliteStore(first, { clock, timeoutMs: PATIENT });
  return {
    store,
    timeoutMs: TIMEOUT,
    advance(ms) {
      time += ms;
    },
    another: () => sqliteStore(connect(), { clock, timeoutMs: PATIENT }),
    impatient: () => sqliteStore(connect(), { clock, timeoutMs: TIMEOUT }),
    dump: () =>
      first
        .query("SELECT key FROM gatepass_store")
        .all()
        .map(({ key }) => key),
    hang() {
      const other = connect();
      other.exec("BEGIN EXCLUSIVE");
      return () => other.exec("ROLLBACK");
    },
    async dispose() {
      await store.close();
      for (const database of open) database.close();
      rmSync(folder, { recursive: true });
    },
  };
}, kit);

const report = { passed: 0, failures: [] };
for (const [name, test] of tests) {
  try {
    await test();
    report.passed += 1;
  } catch (error) {
    report.failures.push(`${name}: ${error.message}`);
  }
}
console.log(JSON.stringify(report));

/** As the matchers of test runners: a member that is undefined is none. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, one]) => (one === undefined ? [] : [[key, plain(one)]])));
}
