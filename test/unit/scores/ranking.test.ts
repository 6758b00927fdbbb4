import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import type { BoardRules } from "../../../src/scores/board.ts";
import { memoryBoard } from "../../../src/scores/memory-board.ts";
import { bucketOf, levelsOf, nextScore, scoreRange, withRanks } from "../../../src/scores/ranking.ts";
import { compareWithModel } from "../../../src/testing/board-random.ts";

const MAX = Number.MAX_SAFE_INTEGER;

describe("the histogram's levels", () => {
  it.each([
    [0, 0, 1],
    [0, 255, 1],
    [0, 256, 2],
    [5, 260, 1],
    [0, 2 ** 24 - 1, 3],
    [0, 2 ** 24, 4],
    [-(2 ** 23), 2 ** 23 - 1, 3],
    [-1, 0, 1],
    [0, MAX, 7],
    [-MAX, 0, 7],
  ])("%d..%d: %d", (min, max, levels) => {
    expect(levelsOf({ min, max })).toBe(levels);
  });

  const ranges = fc
    .tuple(fc.maxSafeInteger(), fc.maxSafeInteger())
    .map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }))
    .filter(({ min, max }) => max - min <= MAX);

  it("buckets nest whatever the range is, the coarsest level has at most 256, and they order scores", () => {
    fc.assert(
      fc.property(ranges, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (range, x, y) => {
        const [a = 0, b = 0] = [x, y].map((part) => range.min + Math.floor((range.max - range.min) * part));
        const top = levelsOf(range) - 1;
        expect(bucketOf(range.max, top) - bucketOf(range.min, top)).toBeLessThan(256);
        if (top > 0) expect(bucketOf(range.max, top - 1) - bucketOf(range.min, top - 1)).toBeGreaterThan(255);
        expect(bucketOf(a, 0)).toBe(a);
        for (let depth = 1; depth <= top; depth++) {
          expect(Math.floor(bucketOf(a, depth - 1) / 256)).toBe(bucketOf(a, depth));
          if (a <= b) expect(bucketOf(a, depth)).toBeLessThanOrEqual(bucketOf(b, depth));
        }
      }),
    );
  });
});

describe("rules", () => {
  const rules = { periods: ["all"], order: "desc", operator: "sum" } as const;
  it("a sum saturates at the ends of what is exact", () => {
    const entry = { board: "b", player: "p", at: 0, submission: "s", level: "claimed", flags: [], name: "" } as const;
    const held = (score: number): { score: number; at: number; level: "claimed" } => ({ score, at: 0, level: "claimed" });
    expect(nextScore(held(MAX - 1), { ...entry, score: 5 }, rules)).toEqual({ score: MAX, level: "claimed" });
    const both = { ...rules, min: -10 };
    expect(nextScore(held(2 ** 52 - 2), { ...entry, score: 9 }, both)).toEqual({ score: 2 ** 52 - 1, level: "claimed" });
    expect(nextScore(held(-(2 ** 52) + 2), { ...entry, score: -9 }, both)).toEqual({ score: -(2 ** 52) + 1, level: "claimed" });
    const { min, max } = scoreRange(both);
    expect(max - min).toBeLessThanOrEqual(MAX);
  });
  it("ranks of a window are asked for twice at most", () => {
    const row = {
      id: "",
      board: "",
      period: "",
      player: "",
      name: "",
      at: 0,
      submission: "",
      level: "claimed",
      flags: [],
      hidden: false,
      replay: false,
    } as const;
    const asked: number[] = [];
    const rows = [9, 9, 8, 8, 8, 3, 2].map((score) => ({ ...row, score }));
    const ranked = withRanks(rows, (index) => {
      asked.push(index);
      return index === 0 ? 8 : index + 11;
    });
    expect(ranked.map(({ rank }) => rank)).toEqual([8, 8, 13, 13, 13, 16, 17]);
    expect(asked).toEqual([0, 2]);
  });
});

describe("a rank's price on SQLite", () => {
  it.each([
    ["all equal", () => 7],
    ["spread", (i: number) => (i * 7_919_017) % 2 ** 24],
  ] as const)("%s: at most 256 rows a level", async (_, score) => {
    const database = new DatabaseSync(":memory:");
    const board = sqliteBoard(database);
    const rules: BoardRules = { periods: ["all"], order: "desc", operator: "best" };
    for (let i = 0; i < 3000; i++) {
      await board.submit(
        { board: "b", player: `p${i}`, score: score(i), at: i, submission: `s${i}`, level: "claimed", flags: [], name: "" },
        rules,
      );
    }
    const parents = database
      .prepare("SELECT depth, bucket / 256 AS parent, count(*) AS n FROM gatepass_board_hist GROUP BY list, depth, parent")
      .all();
    expect(Math.max(...parents.map(({ n }) => Number(n)))).toBeLessThanOrEqual(256);
    const depths = database.prepare("SELECT depth, sum(n0) AS shown FROM gatepass_board_hist GROUP BY depth ORDER BY depth").all();
    expect(depths.map(({ depth, shown }) => [depth, shown])).toEqual([
      [0, 3000],
      [1, 3000],
      [2, 3000],
    ]);
    for (let i = 0; i < 3000; i++) if (i % 3) await board.purge(`p${i}`, "");
    const rest = database.prepare("SELECT min(n0) AS least, sum(n0) AS shown FROM gatepass_board_hist WHERE depth = 0").get();
    expect([rest?.["least"], rest?.["shown"]]).toEqual([expect.any(Number), 1000]);
    expect(Number(rest?.["least"])).toBeGreaterThan(0);
    database.close();
  });
});

describe("boards are as a naive model has them", () => {
  const settings = fc.record({
    seed: fc.nat(),
    order: fc.constantFrom("desc", "asc"),
    operator: fc.constantFrom("best", "last", "sum"),
    scores: fc.integer({ min: 1, max: 300 }),
    players: fc.integer({ min: 1, max: 25 }),
    max: fc.constantFrom(255, 300, 70_000, 2 ** 24 - 1, 2 ** 40),
  });
  it.each([
    ["memoryBoard", () => memoryBoard(), 40],
    ["sqliteBoard", () => sqliteBoard(new DatabaseSync(":memory:")), 15],
  ] as const)("%s", async (_, make, numRuns) => {
    await fc.assert(
      fc.asyncProperty(settings, async ({ seed, order, operator, max, ...rest }) => {
        const rules: BoardRules = { periods: ["all", "2026-W47"], order, operator, max };
        expect(await compareWithModel(make(), rules, { seed, steps: 80, ...rest })).toBeNull();
      }),
      { numRuns },
    );
  });
});
