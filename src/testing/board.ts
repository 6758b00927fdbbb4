import { isGatepassError } from "../errors.ts";
import type { BoardRules, ScoreBoard, ScoreEntry } from "../scores/board.ts";
import { compareWithModel } from "./board-model.ts";

/** What the kits need of a test runner: vitest, `bun:test`, jest, or `node:test` and a matcher library. */
export interface TestKit {
  describe(name: string, suite: () => void): unknown;
  it(name: string, test: () => Promise<void>): unknown;
  expect(value: unknown): { toEqual(expected: unknown): unknown };
}

/** A board to test. */
export interface BoardUnderTest {
  /** Empty. */
  board: ScoreBoard;
  /** A second instance over the same data, as after a restart; without it, persistence is not tested. */
  reopen?(): ScoreBoard | Promise<ScoreBoard>;
  /** Cleans up after one test. */
  dispose?(): void | Promise<void>;
}

const RULES: BoardRules = { periods: ["all"], order: "desc", operator: "best" };
const LONGEST = Number.MAX_SAFE_INTEGER;

/**
 * The contract of a `ScoreBoard` as a test suite: order, operators, ties, periods, ranks, neighbours, moderation, uniqueness, concurrency, bad input, and a
 * comparison with a naive model over random actions. `make` is called for every test and gives an empty board.
 *
 * @example
 * ```ts
 * import { memoryBoard } from "gatepass/scores";
 * import { testBoard } from "gatepass/testing";
 * const names: string[] = [];
 * testBoard(() => ({ board: memoryBoard() }), {
 *   describe: (_, suite) => suite(),
 *   it: (name) => names.push(name),
 *   expect: () => ({ toEqual: () => undefined }),
 * });
 * console.assert(names.length > 15);
 * ```
 */
export function testBoard(make: () => BoardUnderTest | Promise<BoardUnderTest>, { describe, it, expect }: TestKit): void {
  const test = (name: string, body: (board: ScoreBoard, under: BoardUnderTest) => Promise<void>): void => {
    it(name, async () => {
      const under = await make();
      try {
        await body(under.board, under);
      } finally {
        await under.dispose?.();
      }
    });
  };
  let serial = 0;
  const put = (board: ScoreBoard, player: string, score: number, more: Partial<ScoreEntry> = {}, rules: Partial<BoardRules> = {}) =>
    board.submit(entryOf(++serial, player, score, more), { ...RULES, ...rules });
  const listed = async (board: ScoreBoard, period = "all", limit = 100): Promise<[player: string, score: number, rank: number][]> =>
    (await board.top({ board: "main", period, limit })).map(({ player, score, rank }) => [player, score, rank]);
  const rejects = async (name: string, promise: Promise<unknown>): Promise<void> => {
    const error: unknown = await promise.then(
      () => `${name}: no error`,
      (thrown: unknown) => thrown,
    );
    expect(error instanceof RangeError || error instanceof TypeError || error).toEqual(true);
  };

  describe("board: order and operators", () => {
    test("the highest first, ties by time, equal scores share a rank", async (board) => {
      await put(board, "a", 10, { at: 3 });
      await put(board, "b", 30, { at: 4 });
      await put(board, "c", 10, { at: 1 });
      await put(board, "d", 10, { at: 2 });
      await put(board, "e", 5, { at: 0 });
      expect(await listed(board)).toEqual([
        ["b", 30, 1],
        ["c", 10, 2],
        ["d", 10, 2],
        ["a", 10, 2],
        ["e", 5, 5],
      ]);
      expect((await listed(board, "all", 2)).length).toEqual(2);
    });

    test("asc: the lowest first", async (board) => {
      for (const [player, score] of [
        ["a", 10],
        ["b", 30],
        ["c", 7],
      ] as const)
        await put(board, player, score, {}, { order: "asc" });
      const again = await put(board, "b", 6, {}, { order: "asc" });
      expect([again.status, again.rank, again.best]).toEqual(["stored", 1, true]);
      expect(await listed(board)).toEqual([
        ["b", 6, 1],
        ["c", 7, 2],
        ["a", 10, 3],
      ]);
    });

    test("best: keeps the better, the earlier of equals, and says so", async (board) => {
      const first = await put(board, "a", 10, { at: 5, name: "first" });
      const worse = await put(board, "a", 9, { name: "worse" });
      const equal = await put(board, "a", 10, { at: 1, name: "equal" });
      const better = await put(board, "a", 11, { name: "better", submission: "s-better" });
      expect([first, worse, equal, better].map(({ status, best }) => [status, best])).toEqual([
        ["stored", true],
        ["kept", false],
        ["kept", false],
        ["stored", true],
      ]);
      expect(new Set([first, worse, equal, better].map(({ id }) => id)).size).toEqual(1);
      const row = await board.find(first.id);
      expect([row?.score, row?.name, row?.submission]).toEqual([11, "better", "s-better"]);
    });

    test("last: the latest by its time, better or not", async (board) => {
      await put(board, "a", 10, { at: 5 }, { operator: "last" });
      const later = await put(board, "a", 3, { at: 6 }, { operator: "last" });
      const earlier = await put(board, "a", 99, { at: 4 }, { operator: "last" });
      expect([later.status, earlier.status]).toEqual(["stored", "kept"]);
      expect(await listed(board)).toEqual([["a", 3, 1]]);
    });

    test("sum: adds up, each submission once", async (board) => {
      await put(board, "a", 10, { submission: "s1" }, { operator: "sum" });
      await put(board, "a", 5, { submission: "s2" }, { operator: "sum" });
      const again = await put(board, "a", 5, { submission: "s1" }, { operator: "sum" });
      expect(again.status).toEqual("repeated");
      await put(board, "b", 12, { submission: "s3" }, { operator: "sum" });
      expect(await listed(board)).toEqual([
        ["a", 15, 1],
        ["b", 12, 2],
      ]);
      // A sum outgrows the bounds of one submission, and saturates where a double stops being exact.
      const most = { operator: "sum", max: LONGEST } as const;
      await put(board, "b", LONGEST, { submission: "s4" }, most);
      await put(board, "b", LONGEST, { submission: "s5" }, most);
      expect(await listed(board)).toEqual([
        ["b", LONGEST, 1],
        ["a", 15, 2],
      ]);
    });
  });

  describe("board: rows", () => {
    test("a row of its own in each period, and boards apart", async (board) => {
      const periods = ["all", "2026-W47", "2026-11-20"];
      const first = await put(board, "a", 10, {}, { periods });
      await put(board, "a", 4, {}, { periods: ["all", "2026-W48"] });
      await put(board, "a", 99, { board: "other" });
      expect(await listed(board)).toEqual([["a", 10, 1]]);
      expect(await listed(board, "2026-W47")).toEqual([["a", 10, 1]]);
      expect(await listed(board, "2026-W48")).toEqual([["a", 4, 1]]);
      expect(await listed(board, "2026-W49")).toEqual([]);
      const rows = await Promise.all(periods.map((period) => board.ofPlayer({ board: "main", period, player: "a" })));
      expect(rows.map((row) => row?.period)).toEqual(periods);
      expect(rows[0]?.id).toEqual(first.id);
      expect(new Set(rows.map((row) => row?.id)).size).toEqual(3);
      expect(await board.ofPlayer({ board: "main", period: "all", player: "b" })).toEqual(null);
    });

    test("a submission counts once a period, also when its row was removed", async (board) => {
      const first = await put(board, "a", 10, { submission: "s1" });
      const again = await put(board, "a", 99, { submission: "s1" }, { periods: ["all", "2026-W47"] });
      expect(again).toEqual({ status: "repeated", id: first.id, rank: 1, best: true });
      expect([await listed(board), await listed(board, "2026-W47")]).toEqual([[["a", 10, 1]], [["a", 99, 1]]]);
      expect(await board.remove(first.id)).toEqual(true);
      expect(await put(board, "a", 10, { submission: "s1" })).toEqual({ status: "repeated", id: "", rank: 0, best: false });
      expect(await listed(board)).toEqual([]);
    });

    test("keeps what it was given, whatever the texts hold", async (board) => {
      const hostile = `'; DROP TABLE x; --"\\ %_ 🔥 \u202e é {a|b}:\u0000end`;
      const entry = entryOf(1, hostile, 7, {
        board: hostile,
        submission: hostile,
        name: hostile,
        flags: [hostile, "slow"],
        level: "witnessed",
        log: hostile,
        at: 12,
      });
      const { id } = await board.submit(entry, { ...RULES, periods: ["all", "x' OR 1=1"] });
      const { board: name, player } = entry;
      const told = { ...entry, id, period: "all", rank: 1, hidden: false, replay: true };
      expect(await board.find(id)).toEqual(told);
      const { log: _, ...row } = told;
      expect(await board.top({ board: name, period: "all", limit: 5 })).toEqual([row]);
      expect(await board.around(id, 2)).toEqual([row]);
      expect(await board.ofPlayer({ board: name, period: "all", player })).toEqual(row);
      expect((await board.top({ board: name, period: "x' OR 1=1", limit: 5 })).length).toEqual(1);
      expect(await board.purge(player)).toEqual(2);
    });

    test("row ids are random: they tell nothing of the player", async (board) => {
      const ids = new Set<string>();
      for (let i = 0; i < 50; i++) ids.add((await put(board, `player${i}`, 1)).id);
      expect(ids.size).toEqual(50);
      expect([...ids].every((id) => /^[A-Za-z0-9_-]{20,64}$/.test(id) && !id.includes("player"))).toEqual(true);
      const { id } = await put(board, "player1", 2);
      await board.purge("player1");
      expect((await put(board, "player1", 2)).id === id).toEqual(false);
    });

    test("minLevel leaves weaker rows out and ranks the rest among themselves", async (board) => {
      await put(board, "a", 40, { level: "claimed" });
      await put(board, "b", 30, { level: "replayed" });
      await put(board, "c", 20, { level: "bounded" });
      await put(board, "d", 30, { level: "witnessed", at: 1e12 });
      const players = async (minLevel: ScoreEntry["level"]): Promise<unknown> =>
        (await board.top({ board: "main", period: "all", limit: 10, minLevel })).map(({ player, rank }) => `${player}${rank}`);
      expect(await players("claimed")).toEqual(["a1", "b2", "d2", "c4"]);
      expect(await players("bounded")).toEqual(["b1", "d1", "c3"]);
      expect(await players("witnessed")).toEqual(["d1"]);
    });

    test("around: n rows on both sides, fewer at the ends, nothing for what is unknown", async (board) => {
      const ids: string[] = [];
      for (let i = 0; i < 9; i++) ids.push((await put(board, `p${i}`, 100 - i)).id);
      const near = async (at: number, n: number): Promise<unknown> =>
        (await board.around(ids[at] ?? "", n)).map(({ player, rank }) => `${player}#${rank}`);
      expect(await near(4, 1)).toEqual(["p3#4", "p4#5", "p5#6"]);
      expect(await near(0, 2)).toEqual(["p0#1", "p1#2", "p2#3"]);
      expect(await near(8, 1)).toEqual(["p7#8", "p8#9"]);
      expect(await near(4, 0)).toEqual(["p4#5"]);
      expect(await board.around("unknown", 3)).toEqual([]);
    });

    test("many equal scores: one rank, in the order of time", async (board) => {
      const entries = Array.from({ length: 600 }, (_, i) => put(board, `p${i}`, 7, { at: i }));
      const middle = (await Promise.all(entries))[300];
      const rows = await board.around(middle?.id ?? "", 2);
      expect(rows.map(({ player, rank }) => [player, rank])).toEqual([298, 299, 300, 301, 302].map((i) => [`p${i}`, 1]));
      expect((await put(board, "worse", 6)).rank).toEqual(601);
    });
  });

  describe("board: moderation", () => {
    test("a hidden row is left out of lists and ranks until it is shown again", async (board) => {
      const { id } = await put(board, "a", 30);
      const second = await put(board, "b", 20);
      expect(await board.hide(id, true)).toEqual(true);
      expect(await board.hide(id, true)).toEqual(true);
      expect(await listed(board)).toEqual([["b", 20, 1]]);
      expect((await board.around(second.id, 3)).length).toEqual(1);
      expect([await board.around(id, 3), (await board.find(id))?.hidden]).toEqual([[], true]);
      // A better score must not bring a hidden row back.
      expect((await put(board, "a", 31)).id).toEqual(id);
      expect(await listed(board)).toEqual([["b", 20, 1]]);
      expect(await board.hide(id, false)).toEqual(true);
      expect(await listed(board)).toEqual([
        ["a", 31, 1],
        ["b", 20, 2],
      ]);
      expect(await board.hide("unknown", true)).toEqual(false);
    });

    test("a banned player is refused and not shown until the ban is lifted", async (board) => {
      const { id } = await put(board, "a", 30, {}, { periods: ["all", "2026-W47"] });
      await put(board, "b", 20);
      await board.ban("a", true);
      await board.ban("a", true);
      expect(await put(board, "a", 99)).toEqual({ status: "banned", id: "", rank: 0, best: false });
      expect(await put(board, "a", 99, { board: "other" })).toEqual({ status: "banned", id: "", rank: 0, best: false });
      expect([await listed(board), await listed(board, "2026-W47")]).toEqual([[["b", 20, 1]], []]);
      expect((await board.find(id))?.hidden).toEqual(true);
      await board.hide(id, true);
      await board.ban("a", false);
      expect([await listed(board), (await listed(board, "2026-W47")).length]).toEqual([[["b", 20, 1]], 1]);
      await board.ban("a", true);
      await board.hide(id, false);
      expect(await listed(board)).toEqual([["b", 20, 1]]);
      await board.ban("a", false);
      expect((await listed(board)).length).toEqual(2);
      await board.ban("nobody", true);
      expect((await put(board, "nobody", 1)).status).toEqual("banned");
    });

    test("remove takes one row, purge all of a player", async (board) => {
      const { id } = await put(board, "a", 30, {}, { periods: ["all", "2026-W47"] });
      await put(board, "a", 30, { board: "other" });
      await put(board, "b", 20);
      expect([await board.remove(id), await board.remove(id), await board.find(id)]).toEqual([true, false, null]);
      expect([await listed(board), (await listed(board, "2026-W47")).length]).toEqual([[["b", 20, 1]], 1]);
      expect([await board.purge("a"), await board.purge("a"), await board.purge("nobody")]).toEqual([2, 0, 0]);
      expect(await listed(board)).toEqual([["b", 20, 1]]);
      expect((await put(board, "a", 5)).rank).toEqual(2);
    });
  });

  describe("board: guarantees", () => {
    test("100 concurrent submissions of one id store one row, once", async (board) => {
      const results = await Promise.all(Array.from({ length: 100 }, () => put(board, "a", 10, { submission: "s1" }, { operator: "sum" })));
      expect(results.filter(({ status }) => status === "stored").length).toEqual(1);
      expect(results.filter(({ status }) => status === "repeated").length).toEqual(99);
      expect(await listed(board)).toEqual([["a", 10, 1]]);
    });

    test("100 concurrent improvements keep the best, and the ranks stay right", async (board) => {
      await put(board, "b", 50);
      const scores = Array.from({ length: 100 }, (_, i) => (i * 37) % 100);
      await Promise.all(scores.map((score) => put(board, "a", score)));
      expect(await listed(board)).toEqual([
        ["a", 99, 1],
        ["b", 50, 2],
      ]);
      await Promise.all(scores.map((score) => put(board, "c", score, {}, { operator: "sum" })));
      expect((await board.ofPlayer({ board: "main", period: "all", player: "c" }))?.score).toEqual(4950);
    });

    test("the widest ranges: negative scores, 53 bits, a single value", async (board) => {
      const wide = { min: 0, max: LONGEST };
      for (const [i, score] of [0, LONGEST, LONGEST - 1, 2 ** 40, 255, 256].entries()) await put(board, `p${i}`, score, {}, wide);
      expect((await listed(board)).map(([, score, rank]) => [score, rank])).toEqual([
        [LONGEST, 1],
        [LONGEST - 1, 2],
        [2 ** 40, 3],
        [256, 4],
        [255, 5],
        [0, 6],
      ]);
      expect((await board.ofPlayer({ board: "main", period: "all", player: "p5" }))?.rank).toEqual(4);
      const cold = { min: -500, max: 0 };
      for (const score of [-500, -1, 0]) await put(board, `p${score}`, score, { board: "cold" }, cold);
      expect((await board.top({ board: "cold", period: "all", limit: 5 })).map(({ score }) => score)).toEqual([0, -1, -500]);
      expect((await put(board, "p-500", -2, { board: "cold" }, cold)).rank).toEqual(3);
      expect((await put(board, "a", 5, { board: "one" }, { min: 5, max: 5 })).rank).toEqual(1);
    });

    test("a board whose range or order was changed goes on with right ranks", async (board) => {
      for (let i = 0; i < 20; i++) await put(board, `p${i}`, i * 10, {}, { max: 200 });
      expect((await put(board, "new", 1_000_000, {}, { max: 2 ** 30 })).rank).toEqual(1);
      expect((await put(board, "low", 95, {}, { max: 200 })).rank).toEqual(12);
      expect((await put(board, "low", 94, {}, { order: "asc", max: 200 })).rank).toEqual(11);
      expect((await listed(board, "all", 2)).map(([player]) => player)).toEqual(["p0", "p1"]);
      expect((await board.ofPlayer({ board: "main", period: "all", player: "new" }))?.rank).toEqual(22);
    });

    test("bad entries are refused with a TypeError or RangeError, and nothing is stored", async (board) => {
      const scores = [Number.NaN, Infinity, 0.5, -0, -1, 2 ** 24, LONGEST + 1];
      for (const score of scores) await rejects(`score ${score}`, put(board, "a", score));
      await rejects("at", put(board, "a", 1, { at: 1.5 }));
      for (const more of [{ player: "" }, { submission: "" }, { board: "" }, { name: "x".repeat(129) }]) {
        await rejects(JSON.stringify(more), put(board, "a", 1, more));
      }
      for (const periods of [[], ["all", "all"], Array.from({ length: 9 }, (_, i) => `p${i}`)]) {
        await rejects("periods", put(board, "a", 1, {}, { periods }));
      }
      await rejects("range", put(board, "a", 1, {}, { min: 2, max: 1 }));
      await rejects("limit", board.top({ board: "main", period: "all", limit: 0 }));
      await rejects("n", board.around("x", -1));
      expect(await listed(board)).toEqual([]);
    });

    for (const order of ["desc", "asc"] as const) {
      for (const operator of ["best", "last", "sum"] as const) {
        test(`${order}, ${operator}: as a naive model has it, over random actions`, async (board) => {
          const rules: BoardRules = {
            periods: ["all", "2026-W47"],
            order,
            operator,
            ...(operator === "best" ? { min: -40, max: 70_000 } : {}),
          };
          const seed = order.length * 1000 + operator.charCodeAt(0);
          expect(await compareWithModel(board, rules, { seed, steps: 250, players: 12, scores: 9 })).toEqual(null);
        });
      }
    }

    test("all scores equal: as a naive model has it", async (board) => {
      expect(await compareWithModel(board, RULES, { seed: 7, steps: 150, players: 30, scores: 1 })).toEqual(null);
    });

    test("survives a restart, bans and known submissions included", async (board, { reopen }) => {
      if (reopen === undefined) return;
      const first = await put(board, "a", 10, { submission: "s1" });
      await put(board, "b", 20);
      await board.ban("b", true);
      const again = await reopen();
      try {
        expect(await listed(again)).toEqual([["a", 10, 1]]);
        expect((await put(again, "a", 10, { submission: "s1" })).status).toEqual("repeated");
        expect((await put(again, "b", 1)).status).toEqual("banned");
        expect((await put(again, "c", 11)).rank).toEqual(1);
        expect((await board.find(first.id))?.rank).toEqual(2);
      } finally {
        await again.close?.();
      }
    });

    test("after close, every call rejects with ERR_BOARD_UNAVAILABLE", async (board) => {
      if (board.close === undefined) return;
      await board.close();
      const calls = [put(board, "a", 1), board.top({ board: "main", period: "all", limit: 1 }), board.purge("a")];
      for (const result of await Promise.allSettled(calls)) {
        expect(result.status === "rejected" && isGatepassError(result.reason, "ERR_BOARD_UNAVAILABLE")).toEqual(true);
      }
    });
  });
}

function entryOf(serial: number, player: string, score: number, more: Partial<ScoreEntry>): ScoreEntry {
  return {
    board: "main",
    player,
    score,
    at: serial,
    submission: `submission-${serial}`,
    level: "claimed",
    flags: [],
    name: player,
    ...more,
  };
}
