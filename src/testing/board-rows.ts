import type { ScoreEntry } from "../scores/board.ts";
import { type BoardTools, entryOf, RULES } from "./board-tools.ts";

/** Order, ties and what a further score of a player does. */
export function testOrder({ test, expect, put, listed }: BoardTools): void {
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
    const most = { operator: "sum", max: Number.MAX_SAFE_INTEGER } as const;
    await put(board, "b", Number.MAX_SAFE_INTEGER, { submission: "s4" }, most);
    await put(board, "b", Number.MAX_SAFE_INTEGER, { submission: "s5" }, most);
    expect(await listed(board)).toEqual([
      ["b", Number.MAX_SAFE_INTEGER, 1],
      ["a", 15, 2],
    ]);
  });
}

/** Periods, uniqueness, what a row holds, lists and neighbours. */
export function testRows({ test, expect, put, listed }: BoardTools): void {
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
    expect(await board.purge(player, "")).toEqual(2);
  });

  test("row ids are random: they tell nothing of the player", async (board) => {
    const ids = new Set<string>();
    for (let i = 0; i < 50; i++) ids.add((await put(board, `player${i}`, 1)).id);
    expect(ids.size).toEqual(50);
    expect([...ids].every((id) => /^[A-Za-z0-9_-]{20,64}$/.test(id) && !id.includes("player"))).toEqual(true);
    const { id } = await put(board, "player1", 2);
    await board.purge("player1", "");
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

  test("after minLevel was raised, a weaker row is replaced by what can be shown, better or not", async (board) => {
    const strict = { minLevel: "bounded" } as const;
    for (const [operator, score] of [
      ["best", 10],
      ["last", 10],
      ["sum", 10],
    ] as const) {
      await put(board, "a", 900, { board: operator, level: "claimed", at: 1e12 }, { operator });
      expect((await put(board, "a", score, { board: operator, level: "replayed" }, { operator, ...strict })).status).toEqual("stored");
      const rows = await board.top({ board: operator, period: "all", limit: 5, ...strict });
      expect(rows.map(({ player, score: held, level, rank }) => [player, held, level, rank])).toEqual([["a", score, "replayed", 1]]);
    }
    expect((await put(board, "a", 9, { board: "best", level: "replayed" }, strict)).status).toEqual("kept");
    expect((await put(board, "a", 5, { board: "sum", level: "bounded" }, { operator: "sum", ...strict })).rank).toEqual(1);
    expect((await board.ofPlayer({ board: "sum", period: "all", player: "a" }))?.score).toEqual(15);
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
}
