import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type D1Client, type D1Statement, d1Board, d1Store } from "../../../adapters/d1.ts";
import type { ScoreBoard, ScoreEntry } from "../../../src/scores/board.ts";
import type { Quota, Store } from "../../../src/store/contract.ts";
import { startWorkerd } from "../../helpers/workerd.ts";

const TIMEOUT = 100;
const statement: D1Statement = { bind: () => statement };
const fake = (batch: () => Promise<unknown>): D1Client => ({
  prepare: () => statement,
  // What a backend sends is never what its types say: that is the test.
  batch: batch as D1Client["batch"],
});
const once: Quota = { key: "once", limit: 1, expiresAt: Date.now() + 60_000 };
const entry: ScoreEntry = {
  board: "main",
  player: "p",
  score: 1,
  at: 1,
  submission: "s",
  level: "claimed",
  flags: [],
  name: "",
};

/** Answers that are none, each with what D1 might have meant by them. */
const ANSWERS: Record<string, unknown> = {
  nothing: undefined,
  "no result": [],
  "a result too many": [
    { results: [] },
    { results: [] },
    { results: [] },
    { results: [] },
    { results: [] },
    { results: [] },
    { results: [] },
  ],
  "no rows": [{ success: true }],
  "an empty result, where a row for each quota belongs": [{ results: [] }],
  "rows that are none": [{ results: [1] }],
  "a row without columns": [{ results: [{}] }],
  "texts for numbers": [
    { results: [{ i: "0", admitted: "1", at: "5", used: "0", newest: "0", dies: "9", why: null, blocked: "0", ready: "5" }] },
  ],
  "admitted and refused": [{ results: [{ i: 0, admitted: 1, at: 5, used: 1, newest: 9, dies: 9, why: "full", blocked: 0, ready: 5 }] }],
  HTML: "<html>",
};

describe("D1 that fails", () => {
  it.each(Object.entries(ANSWERS))("answers %s: typed, and never ok", async (_, answer) => {
    const client = fake(async () => answer);
    await expect(d1Store(client).spend([once])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    await expect(d1Store(client).block("key", Date.now() + 60_000)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    await expect(d1Board(client).submit(entry, { periods: ["all"], order: "desc", operator: "best" })).rejects.toMatchObject({
      code: "ERR_BOARD_UNAVAILABLE",
    });
  });

  it.each([
    ["throws", () => Promise.reject(new Error("D1_ERROR: Network connection lost."))],
    ["is overloaded", () => Promise.reject(new Error("D1_ERROR: D1 DB is overloaded. Requests queued for too long."))],
    ["says that a table is missing, always", () => Promise.reject(new Error("D1_ERROR: no such table: x: SQLITE_ERROR"))],
    ["throws no error", () => Promise.reject("nope")],
    ["hangs", () => new Promise(() => undefined)],
  ])("%s: every call rejects in time, with a typed error", async (_, batch) => {
    const store = d1Store(fake(batch), { timeoutMs: TIMEOUT });
    const board = d1Board(fake(batch), { timeoutMs: TIMEOUT });
    const calls: Record<string, (() => Promise<unknown>)[]> = {
      ERR_STORE_UNAVAILABLE: storeCalls(store),
      ERR_BOARD_UNAVAILABLE: boardCalls(board),
    };
    const start = performance.now();
    for (const [code, all] of Object.entries(calls)) {
      const settled = await Promise.allSettled(all.map((call) => call()));
      expect(settled.map((one) => one.status === "rejected" && one.reason.code)).toEqual(all.map(() => code));
    }
    expect(performance.now() - start).toBeLessThan(2 * TIMEOUT + 500);
  });

  it("recovers: what failed works again with the same store", async () => {
    let down = true;
    const client = fake(async () => {
      if (down) throw new Error("D1_ERROR: Network connection lost.");
      return [{ results: [{ i: 0, admitted: 1, at: 5, used: 0, newest: 0, dies: 9, why: null, blocked: 0, ready: 5 }] }];
    });
    const store = d1Store(client);
    await expect(store.spend([once])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    down = false;
    expect((await store.spend([once])).ok).toBe(true);
  });

  it("wrong options and clients are told at creation", () => {
    const client = fake(async () => []);
    for (const make of [d1Store, d1Board]) {
      expect(() => make(client, { table: "a b" })).toThrow(RangeError);
      expect(() => make(client, { timeoutMs: 0 })).toThrow(RangeError);
      expect(() => make(client, { tabel: "x" } as object)).toThrow(TypeError);
      expect(() => make(undefined as unknown as D1Client)).toThrow(TypeError);
    }
  });
});

function storeCalls(store: Store): (() => Promise<unknown>)[] {
  return [
    () => store.spend([once]),
    () => store.spend([{ ...once, cost: 0 }]),
    () => store.spend([]),
    () => store.refund([once], 1),
    () => store.block("k", 1),
    () => store.sweep?.() ?? Promise.resolve(),
  ];
}

function boardCalls(board: ScoreBoard): (() => Promise<unknown>)[] {
  return [
    () => board.submit(entry, { periods: ["all"], order: "desc", operator: "best" }),
    () => board.top({ board: "main", period: "all", limit: 1 }),
    () => board.around("id", 1),
    () => board.find("id"),
    () => board.ofPlayer({ board: "main", period: "all", player: "p" }),
    () => board.remove("id"),
    () => board.hide("id", true),
    () => board.ban("p", true, ""),
    () => board.purge("p", ""),
  ];
}

describe("many requests at once, each with a handle of its own", async () => {
  const worker = await startWorkerd({ entry: "test/contract/workers/d1.ts", d1: ["DB"] });
  afterAll(() => worker.dispose());

  it("the very first calls to an empty database make its tables once, and admit exactly `limit`", async () => {
    const quotas: Quota[] = [
      { key: "jti", limit: 7, expiresAt: Date.now() + 600_000 },
      { key: "burst", limit: 1000, window: 600 },
    ];
    const body = JSON.stringify(quotas);
    const answers = await Promise.all(Array.from({ length: 150 }, () => worker.fetch("/spend", { method: "POST", body })));
    const results = await Promise.all(answers.map((answer) => answer.json()));
    const ok = results.filter((result) => typeof result === "object" && result !== null && "ok" in result && result.ok === true);
    expect(ok.length).toBe(7);
    const [reads] = await Promise.all([
      worker.fetch("/spend", { method: "POST", body: JSON.stringify(quotas.map((q) => ({ ...q, cost: 0 }))) }),
    ]);
    expect(await reads.json()).toMatchObject({ states: [{ remaining: 0 }, { remaining: 993 }] });
  });
});

it("what was spent stays spent when workerd is started anew", { timeout: 240_000 }, async () => {
  const persist = mkdtempSync(join(tmpdir(), "gatepass-d1-"));
  const worker = await startWorkerd({ entry: "test/contract/workers/d1.ts", d1: ["DB"], persist });
  const spend = async (quotas: Quota[]): Promise<unknown> =>
    (await worker.fetch("/spend", { method: "POST", body: JSON.stringify(quotas) })).json();
  try {
    const rate: Quota = { key: "rate", limit: 3, window: 3600 };
    expect(await spend([once, rate])).toMatchObject({ ok: true });
    await worker.restart();
    expect(await spend([once, rate])).toMatchObject({ ok: false, refused: 0, states: [{ why: "full" }, { remaining: 2 }] });
  } finally {
    await worker.dispose();
    rmSync(persist, { recursive: true });
  }
});
