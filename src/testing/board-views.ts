import type { BoardView, ScoreBoard, ScoreEntry } from "../scores/board.ts";
import type { BoardTools } from "./board-tools.ts";

const MAIN: BoardView = { board: "main", period: "all" };

/** Views, pages, counts and chosen players. */
export function testViews({ test, expect, put }: BoardTools): void {
  /** Players and ranks, short. */
  const told = (rows: readonly { player: string; rank: number }[]): string[] => rows.map(({ player, rank }) => `${player}#${rank}`);
  const ladder = async (board: ScoreBoard, count: number): Promise<string[]> => {
    const ids: string[] = [];
    for (let i = 0; i < count; i++) ids.push((await put(board, `p${i}`, 100 - 10 * i)).id);
    return ids;
  };

  test("rows outside the bounds of a view are neither shown nor counted in a rank", async (board) => {
    const ids = await ladder(board, 6);
    const bounds = { min: 60, max: 90 };
    expect(told(await board.top({ ...MAIN, ...bounds, limit: 10 }))).toEqual(["p1#1", "p2#2", "p3#3", "p4#4"]);
    expect(told(await board.around(ids[2] ?? "", 5, bounds))).toEqual(["p1#1", "p2#2", "p3#3", "p4#4"]);
    expect(await board.around(ids[0] ?? "", 5, bounds)).toEqual([]);
    expect(await board.count({ ...MAIN, ...bounds })).toEqual(4);
    expect((await board.ofPlayer({ ...MAIN, ...bounds, player: "p3" }))?.rank).toEqual(3);
    expect(told(await board.top({ ...MAIN, ...bounds, order: "asc", limit: 2 }))).toEqual(["p4#1", "p3#2"]);
  });

  test("a maximum that is lowered puts a higher score aside, for a receipt too", async (board) => {
    await put(board, "cheat", 999_999, {}, { max: 1_000_000 });
    const honest = await put(board, "honest", 500, {}, { max: 1_000 });
    expect(honest.rank).toEqual(1);
    expect(told(await board.top({ ...MAIN, max: 1_000, limit: 5 }))).toEqual(["honest#1"]);
    const found = (await board.check?.([{ board: "main", rules: { order: "desc", operator: "best", max: 1_000 } }])) ?? [];
    expect(found.filter(({ code }) => code === "GP171").length).toEqual(1);
  });

  test("rules that differ from those of the last submission are a problem (GP172)", async (board) => {
    await put(board, "a", 5, {}, { max: 1_000 });
    const codes = async (max: number): Promise<string[]> =>
      ((await board.check?.([{ board: "main", rules: { order: "desc", operator: "best", max } }])) ?? []).map(({ code }) => code);
    expect([(await codes(1_000)).includes("GP172"), (await codes(2_000)).includes("GP172")]).toEqual([false, true]);
  });

  test("a weaker row does not stand in the way after minLevel was raised", async (board) => {
    await put(board, "a", 900, { level: "claimed" });
    await put(board, "b", 500, { level: "claimed" });
    const strict = { minLevel: "bounded" } as const;
    const first = await put(board, "a", 400, { level: "bounded" }, strict);
    expect([first.status, first.rank]).toEqual(["stored", 1]);
    expect(told(await board.top({ ...MAIN, ...strict, limit: 5 }))).toEqual(["a#1"]);
    expect(told(await board.around(first.id, 2, strict))).toEqual(["a#1"]);
    expect((await board.ofPlayer({ ...MAIN, ...strict, player: "a" }))?.rank).toEqual(1);
    const sums = { ...strict, operator: "sum" } as const;
    await put(board, "c", 1_000, { board: "sums" }, { operator: "sum" });
    await put(board, "c", 1, { board: "sums", level: "replayed" }, sums);
    expect((await board.top({ board: "sums", period: "all", limit: 1 })).map(({ score, level }) => [score, level])).toEqual([
      [1, "replayed"],
    ]);
  });

  test("a sum is worth as much as its weakest part", async (board) => {
    await put(board, "a", 1_000, { level: "claimed" }, { operator: "sum" });
    await put(board, "a", 1, { level: "witnessed" }, { operator: "sum" });
    expect((await board.top({ ...MAIN, limit: 1 })).map(({ score, level }) => [score, level])).toEqual([[1_001, "claimed"]]);
  });

  test("pages follow each other without a gap and without an end at 100, also when rows come and go between", async (board) => {
    const count = 250;
    await Promise.all(Array.from({ length: count }, (_, i) => put(board, `p${String(i).padStart(3, "0")}`, i % 7, { at: i })));
    for (const order of ["desc", "asc"] as const) {
      const seen: string[] = [];
      let after: { score: number; at: number; id: string } | undefined;
      for (;;) {
        const page = await board.top({ ...MAIN, order, limit: 60, ...(after && { after }) });
        seen.push(...page.map(({ player }) => player));
        const last = page.at(-1);
        if (!last) break;
        after = { score: last.score, at: last.at, id: last.id };
      }
      expect([seen.length, new Set(seen).size]).toEqual([count, count]);
    }
    const [first] = await board.top({ ...MAIN, limit: 1 });
    if (first) await board.remove(first.id);
    expect((await board.top({ ...MAIN, limit: 1, ...(first && { after: first }) })).map(({ rank }) => rank)).toEqual([1]);
  });

  test("near: the rank that a score would have, and the rows around its place", async (board) => {
    await ladder(board, 6);
    const near = async (score: number, n: number): Promise<unknown> => {
      const { rank, rows } = await board.near({ ...MAIN, score, n });
      return [rank, ...told(rows)];
    };
    expect(await near(75, 1)).toEqual([4, "p2#3", "p3#4"]);
    expect(await near(70, 2)).toEqual([4, "p2#3", "p3#4", "p4#5", "p5#6"]);
    expect(await near(1_000, 1)).toEqual([1, "p0#1"]);
    expect(await near(0, 1)).toEqual([7, "p5#6"]);
    expect(await board.near({ board: "empty", period: "all", score: 1, n: 3 })).toEqual({ rank: 1, rows: [] });
    expect((await board.near({ ...MAIN, order: "asc", score: 75, n: 0 })).rank).toEqual(4);
  });

  test("chosen players, with their ranks on the whole board", async (board) => {
    await ladder(board, 6);
    const { id } = await put(board, "hidden", 95);
    await board.hide(id, true);
    expect(told(await board.ofPlayers({ ...MAIN, players: ["p4", "unknown", "p1", "hidden", "p1"] }))).toEqual(["p1#2", "p4#5"]);
    const many = Array.from({ length: 101 }, (_, i) => `p${i}`);
    for (const players of [[], many, [""]]) {
      const error: unknown = await board.ofPlayers({ ...MAIN, players }).catch((thrown: unknown) => thrown);
      expect(error instanceof RangeError || error instanceof TypeError).toEqual(true);
    }
    expect(told(await board.ofPlayers({ ...MAIN, players: many.slice(0, 100) })).length).toEqual(6);
  });

  test("a tag has a list of its own: one row for each tag of a player, and one for all", async (board) => {
    await put(board, "a", 30, { tag: "red", data: '{"ship":"red"}' });
    await put(board, "a", 20, { tag: "blue", data: '{"ship":"blue"}' });
    await put(board, "b", 25, { tag: "blue" });
    const list = async (tag?: string): Promise<unknown> =>
      (await board.top({ ...MAIN, limit: 9, ...(tag !== undefined && { tag }) })).map(
        ({ player, score, rank, data = "" }) => `${player} ${score} #${rank} ${data}`,
      );
    expect(await list()).toEqual(['a 30 #1 {"ship":"red"}', "b 25 #2 "]);
    expect(await list("blue")).toEqual(["b 25 #1 ", 'a 20 #2 {"ship":"blue"}']);
    expect(await list("green")).toEqual([]);
    expect((await board.ofPlayer({ ...MAIN, tag: "red", player: "a" }))?.tag).toEqual("red");
  });

  test("data of 256 bytes is kept with the row that it came with, anything else is refused", async (board) => {
    const data = JSON.stringify({ t: "é".repeat(124) });
    await put(board, "a", 5, { data });
    expect((await board.ofPlayer({ ...MAIN, player: "a" }))?.data).toEqual(data);
    await put(board, "a", 6);
    expect("data" in ((await board.ofPlayer({ ...MAIN, player: "a" })) ?? {})).toEqual(false);
    const wrong: Partial<ScoreEntry>[] = [
      { data: JSON.stringify({ t: "é".repeat(125) }) },
      { data: "{" },
      { data: "" },
      { tag: "" },
      { tag: "x".repeat(65) },
    ];
    for (const more of wrong) {
      const error: unknown = await put(board, "b", 1, more).catch((thrown: unknown) => thrown);
      expect(error instanceof RangeError || error instanceof TypeError).toEqual(true);
    }
  });

  test("widening the range step by step never loses count, in either order", async (board) => {
    const scores = [3, 200, 70_000, 2 ** 24 + 5, 2 ** 33, 2 ** 45 + 1];
    for (const [i, score] of scores.entries()) await put(board, `p${i}`, score, {}, { max: 2 ** (8 * (i + 1)) });
    const ranks = async (order: "desc" | "asc"): Promise<number[]> =>
      Promise.all(scores.map(async (_, i) => (await board.ofPlayer({ ...MAIN, order, player: `p${i}` }))?.rank ?? 0));
    expect([await ranks("desc"), await ranks("asc")]).toEqual([
      [6, 5, 4, 3, 2, 1],
      [1, 2, 3, 4, 5, 6],
    ]);
    await put(board, "cold", -(2 ** 40), {}, { min: -(2 ** 41) });
    expect((await board.ofPlayer({ ...MAIN, player: "cold" }))?.rank).toEqual(7);
    expect([await board.count(MAIN), await board.count({ ...MAIN, min: 0, max: 70_000 })]).toEqual([7, 3]);
  });
}
