import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { sqliteStore } from "../../../adapters/sqlite.ts";
import { type ConfigProblem, GatepassError } from "../../../src/errors.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { RateStore, Store } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { betterSqlite } from "../../helpers/better-sqlite.ts";
import { counting, SECRET } from "./kit.ts";

const exact = (store: Store): Store => ({ ...store, consistency: "exact" });
const codes = async (store: Store, rateStore?: RateStore): Promise<string[]> =>
  (await problemsOf(store, rateStore)).map(({ code }) => code);
/** What is found of the stores. */
async function problemsOf(store: Store, rateStore?: RateStore): Promise<ConfigProblem[]> {
  const turnstile = { secret: "0x4AAAAAAA_a_secret", allowedHostnames: ["game.example"] };
  const gate = createGate({ secrets: SECRET, turnstile, store, ...(rateStore && { rateStore }) });
  return (await gate.check()).filter(({ code }) => /^GP1[2-9]/.test(code));
}
const failing = (cause: unknown): Store =>
  exact({
    ...memoryStore(),
    spend: async (quotas) => {
      // What reads works, what writes does not: a check that only reads finds nothing.
      if (quotas.some(({ cost }) => cost !== 0)) throw new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot use the backend", { cause });
      return { ok: true, at: Date.now(), refused: null, retryAfter: 0, states: [] };
    },
  });

describe("gate.check() spends once for nobody", () => {
  it("and gives it back: nothing stays in a store that works", async () => {
    const inner = memoryStore();
    const { store, spends, refunded } = counting(exact(inner));
    expect(await codes(store)).toEqual([]);
    expect([spends.map((quotas) => quotas.length), refunded.map((quotas) => quotas.length), inner.keys()]).toEqual([[0, 2], [2], []]);
  });

  it("a store of any kind that takes none is told, with the backend's own code and nothing else of what it says", async () => {
    for (const [cause, code] of [
      [Object.assign(new Error("permission denied for function gatepass_spend"), { code: "42501" }), "42501"],
      [new Error("NOPERM User anna has no permissions to run the 'evalsha' command at 203.0.113.9"), "NOPERM"],
      [new Error("no"), undefined],
      ["no", undefined],
      [undefined, undefined],
      [{ code: "a b: 203.0.113.9" }, undefined],
    ] as const) {
      const told = await problemsOf(failing(cause));
      const message = `The store takes no spend${code === undefined ? "" : ` (${code})`}: every request that is counted is answered 503`;
      expect(told).toEqual([{ code: "GP121", severity: "error", message, fix: expect.any(String) }]);
    }
    expect(
      await codes(exact({ ...memoryStore(), spend: async () => ({ ok: false, at: 1, refused: 0, retryAfter: 0, states: [] }) })),
    ).toEqual(["GP121"]);
    expect(await codes(memoryStore(), failing(undefined))).toEqual(["GP121"]);
  });

  it("a looser store that only counts rates is asked for nothing but whether it is there", async () => {
    const asked: unknown[] = [];
    const rates = (works: boolean): RateStore => ({
      consistency: "approximate",
      spend: async (quotas) => {
        asked.push(quotas);
        if (!works) throw new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot use the backend");
        return { ok: true, at: Date.now(), refused: null, retryAfter: 0, states: [] };
      },
    });
    expect(await codes(memoryStore(), rates(true))).toEqual([]);
    expect(asked).toEqual([[]]);
    expect(await codes(memoryStore(), rates(false))).toEqual(["GP121"]);
  });

  it("is not tried where the store's own check has found why, or fails: each defect is told once", async () => {
    const own = (severity: "error" | "warning"): Store => ({
      ...failing(undefined),
      check: async () => [{ code: "GP199", severity, message: "m", fix: "f" }],
    });
    expect(await codes(own("error"))).toEqual(["GP199"]);
    expect(await codes(own("warning"))).toEqual(["GP199", "GP121"]);
    const down: Store = { ...failing(undefined), check: () => Promise.reject(new Error("down")) };
    expect(await codes(down)).toEqual(["GP120"]);
    expect(await codes(memoryStore(), down)).toEqual(["GP120"]);
  });
});

describe("a SQLite database that cannot be written", () => {
  const folder = mkdtempSync(join(tmpdir(), "gatepass-doctor-"));
  const path = join(folder, "store.db");
  afterAll(() => rmSync(folder, { recursive: true }));
  it.each([
    ["node:sqlite", (database: DatabaseSync) => database],
    ["a driver shaped as better-sqlite3", betterSqlite],
  ])("over %s", async (_, driver) => {
    const writable = new DatabaseSync(path);
    const store = sqliteStore(driver(writable));
    await store.spend([{ key: "k", limit: 1, window: 1 }]);
    expect([await store.check(), await codes(store)]).toEqual([[], []]);
    const readOnly = new DatabaseSync(path, { readOnly: true });
    const stuck = sqliteStore(driver(readOnly));
    expect(await stuck.check()).toMatchObject([{ code: "GP160", severity: "error" }]);
    expect(await codes(stuck)).toEqual(["GP160"]);
    await expect(stuck.spend([{ key: "other", limit: 1, window: 1 }])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    readOnly.close();
    // Down is not read-only.
    await expect(stuck.check()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    expect(await codes(stuck)).toEqual(["GP120"]);
    writable.close();
  });
});
