import { isGatepassError } from "../errors.ts";
import type { BoardRules } from "../scores/board.ts";
import { compareWithModel } from "./board-random.ts";
import { type BoardTools, RULES } from "./board-tools.ts";

/** Hiding, bans, removal. */
export function testModeration({ test, expect, put, listed }: BoardTools): void {
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
    await board.ban("a", true, "");
    await board.ban("a", true, "");
    expect(await put(board, "a", 99)).toEqual({ status: "banned", id: "", rank: 0, best: false });
    expect(await put(board, "a", 99, { board: "other" })).toEqual({ status: "banned", id: "", rank: 0, best: false });
    expect([await listed(board), await listed(board, "2026-W47")]).toEqual([[["b", 20, 1]], []]);
    expect((await board.find(id))?.hidden).toEqual(true);
    await board.hide(id, true);
    await board.ban("a", false, "");
    expect([await listed(board), await listed(board, "2026-W47")]).toEqual([[["b", 20, 1]], []]);
    await board.ban("a", true, "");
    await board.hide(id, false);
    expect(await listed(board)).toEqual([["b", 20, 1]]);
    await board.ban("a", false, "");
    expect((await listed(board)).length).toEqual(2);
    await board.ban("nobody", true, "");
    expect((await put(board, "nobody", 1)).status).toEqual("banned");
  });

  test("remove takes the rows of a submission, purge all of a player", async (board) => {
    const { id } = await put(board, "a", 30, {}, { periods: ["all", "2026-W47"] });
    await put(board, "a", 30, { board: "other" });
    await put(board, "a", 3, {}, { periods: ["2026-W48"] });
    await put(board, "b", 20);
    expect([await board.remove(id), await board.remove(id), await board.find(id)]).toEqual([true, false, null]);
    expect([await listed(board), (await listed(board, "2026-W47")).length]).toEqual([[["b", 20, 1]], 0]);
    expect([await board.purge("a", ""), await board.purge("a", ""), await board.purge("nobody", "")]).toEqual([2, 0, 0]);
    expect(await listed(board)).toEqual([["b", 20, 1]]);
    expect((await put(board, "a", 5)).rank).toEqual(2);
  });
}

const LONGEST = Number.MAX_SAFE_INTEGER;

/** Concurrency, ranges, bad input, the model, restarts. */
export function testGuarantees({ test, expect, put, listed, rejects }: BoardTools): void {
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
    expect((await put(board, "low", 95, {}, { max: 200 })).rank).toEqual(11);
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
    // A ban of no group would be nobody's.
    const none: { group: string } = JSON.parse("{}");
    for (const [name, call] of Object.entries({
      ban: () => board.ban("a", true, none.group),
      purge: () => board.purge("a", none.group),
      rowsOf: () => board.rowsOf("a", none.group),
      claim: () => board.claim("a", "b", none.group),
      rename: () => board.rename("a", "b", none),
      hidden: () => board.hidden({ ...none, limit: 1 }),
      banned: () => board.banned({ ...none, limit: 1 }),
    })) {
      await rejects(name, call());
    }
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
    await board.ban("b", true, "");
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
    const calls = [put(board, "a", 1), board.top({ board: "main", period: "all", limit: 1 }), board.purge("a", "")];
    for (const result of await Promise.allSettled(calls)) {
      expect(result.status === "rejected" && isGatepassError(result.reason, "ERR_BOARD_UNAVAILABLE")).toEqual(true);
    }
  });
}
