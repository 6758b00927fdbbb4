import type { ScoreBoard } from "../scores/board.ts";
import type { BoardTools } from "./board-tools.ts";

const NONE = { id: "", rank: 0, best: false };

/** Groups, removal in all periods, players, names. */
export function testPlayers({ test, expect, put, listed }: BoardTools): void {
  const periods = ["all", "2026-W47", "2026-11-20"];
  const names = async (board: ScoreBoard, player: string, group = ""): Promise<unknown> =>
    (await board.rowsOf(player, group)).map(({ board: name, period, score, name: shown }) => `${name} ${period} ${score} ${shown}`);

  test("what is removed or hidden goes from all periods of its submission, and better rows of others stay", async (board) => {
    await put(board, "a", 10, { submission: "old" }, { periods: ["all", "2026-W47", "2026-11-19"] });
    const cheat = await put(board, "a", 99, { submission: "cheat" }, { periods });
    await put(board, "b", 5, {}, { periods });
    expect(await board.hide(cheat.id, true)).toEqual(true);
    for (const period of periods) expect(await listed(board, period)).toEqual([["b", 5, 1]]);
    expect((await board.hidden({ group: "", limit: 10 })).map(({ period, score }) => `${period} ${score}`).sort()).toEqual(
      periods.map((one) => `${one} 99`).sort(),
    );
    expect(await board.hide(cheat.id, false)).toEqual(true);
    expect([await board.hidden({ group: "", limit: 10 }), await board.remove(cheat.id)]).toEqual([[], true]);
    for (const period of periods) expect(await listed(board, period)).toEqual([["b", 5, 1]]);
    expect(await listed(board, "2026-11-19")).toEqual([["a", 10, 1]]);
  });

  test("on a board that adds up, every sum with the removed submission in it goes", async (board) => {
    const rules = { operator: "sum", periods: ["all", "2026-11-20"] } as const;
    const cheat = await put(board, "a", 1_000, {}, rules);
    await put(board, "a", 1, {}, { operator: "sum", periods: ["all", "2026-11-21"] });
    const row = await board.find(cheat.id);
    expect([row?.score, await board.remove(cheat.id)]).toEqual([1_001, true]);
    expect([await listed(board), await listed(board, "2026-11-21")]).toEqual([[], []]);
    expect(await listed(board, "2026-11-20")).toEqual([["a", 1_000, 1]]);
  });

  test("a group's bans, removals and lists reach only its own boards", async (board) => {
    await put(board, "a", 10, {}, { group: "one" });
    await put(board, "a", 20, { board: "other" }, { group: "two" });
    await board.ban("a", true, "one");
    expect((await put(board, "a", 30, {}, { group: "one" })).status).toEqual("banned");
    expect((await put(board, "a", 30, { board: "other" }, { group: "two" })).status).toEqual("stored");
    expect([await listed(board), (await board.top({ board: "other", period: "all", limit: 5 })).length]).toEqual([[], 1]);
    expect([await board.banned({ group: "one", limit: 5 }), await board.banned({ group: "two", limit: 5 })]).toEqual([["a"], []]);
    expect([await names(board, "a", "one"), await names(board, "a", "two"), await names(board, "a")]).toEqual([
      ["main all 10 a"],
      ["other all 30 a"],
      [],
    ]);
    expect([await board.purge("a", "two"), (await board.rowsOf("a", "one")).length]).toEqual([1, 1]);
    await board.ban("a", false, "one");
    expect((await listed(board)).length).toEqual(1);
  });

  test("a board that moves to another group takes over that one's bans", async (board) => {
    await put(board, "a", 10, {}, { group: "one" });
    await board.ban("a", true, "two");
    await put(board, "b", 5, {}, { group: "two" });
    expect(await listed(board)).toEqual([["b", 5, 1]]);
    await put(board, "c", 4, {}, { group: "one" });
    expect((await listed(board)).map(([player]) => player)).toEqual(["a", "b", "c"]);
  });

  test("banned players and hidden rows are listed page by page", async (board) => {
    for (let i = 0; i < 5; i++) await board.hide((await put(board, `p${i}`, i)).id, true);
    for (const player of ["p3", "p1", "p2"]) await board.ban(player, true, "");
    expect([await board.banned({ group: "", limit: 2 }), await board.banned({ group: "", limit: 2, after: "p2" })]).toEqual([
      ["p1", "p2"],
      ["p3"],
    ]);
    const first = await board.hidden({ group: "", limit: 3 });
    const second = await board.hidden({ group: "", limit: 3, after: first.at(-1)?.id ?? "" });
    expect([first.length, second.length, new Set([...first, ...second].map(({ id }) => id)).size]).toEqual([3, 2, 5]);
  });

  test("ban, purge, unban: a player is addressed after its rows are gone", async (board) => {
    await put(board, "a", 10);
    await board.ban("a", true, "");
    expect([await board.purge("a", ""), await board.banned({ group: "", limit: 5 })]).toEqual([1, ["a"]]);
    await board.ban("a", false, "");
    expect([(await put(board, "a", 3)).status, await board.banned({ group: "", limit: 5 })]).toEqual(["stored", []]);
  });

  test("a unique name is one player's within its group until it is given up", async (board) => {
    expect((await put(board, "a", 10, { name: "Ada", unique: "ada" })).status).toEqual("stored");
    expect(await put(board, "b", 20, { name: "ADA", unique: "ada" })).toEqual({ status: "taken", ...NONE });
    expect((await put(board, "b", 20, { name: "ADA", unique: "ada", board: "other" }, { group: "two" })).status).toEqual("stored");
    expect((await put(board, "a", 11, { name: "Ada", unique: "ada" })).status).toEqual("stored");
    expect([
      await board.rename("b", "Ada", { group: "", unique: "ada" }),
      await board.rename("a", "Grace", { group: "", unique: "grace" }),
    ]).toEqual([false, true]);
    expect([await names(board, "a"), (await put(board, "b", 20, { name: "Ada", unique: "ada" })).status]).toEqual([
      ["main all 11 Grace"],
      "stored",
    ]);
    await board.purge("b", "");
    expect((await put(board, "c", 1, { unique: "ada" })).status).toEqual("stored");
  });

  test("50 submissions at once: one of them gets the name", async (board) => {
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => put(board, `p${i}`, i + 1, { unique: "ada" })));
    expect([all.filter(({ status }) => status === "stored").length, all.filter(({ status }) => status === "taken").length]).toEqual([
      1, 49,
    ]);
  });

  test("claim: rows are merged by the operator, and ten at once are one", async (board) => {
    await put(board, "guest", 30, { at: 5, name: "guest" }, { periods: ["all", "2026-W47"] });
    await put(board, "user", 20, { at: 9, name: "user" });
    await put(board, "guest", 7, { board: "sums" }, { operator: "sum" });
    await put(board, "user", 5, { board: "sums" }, { operator: "sum" });
    await put(board, "guest", 1, { board: "lasts", at: 50 }, { operator: "last" });
    await put(board, "user", 9, { board: "lasts", at: 40 }, { operator: "last" });
    const moved = await Promise.all(Array.from({ length: 10 }, () => board.claim("guest", "user", "")));
    expect(moved.sort((a, b) => b - a)).toEqual([4, ...Array.from({ length: 9 }, () => 0)]);
    expect(await names(board, "user")).toEqual(["lasts all 1 user", "main 2026-W47 30 guest", "main all 30 user", "sums all 12 user"]);
    expect([await board.rowsOf("guest", ""), await listed(board), await board.count({ board: "main", period: "all" })]).toEqual([
      [],
      [["user", 30, 1]],
      1,
    ]);
    expect(await board.claim("user", "user", "")).toEqual(0);
  });

  test("claim: a ban, a hidden row and a name go along", async (board) => {
    const { id } = await put(board, "guest", 30, { unique: "ada" });
    await put(board, "user", 20);
    await board.hide(id, true);
    await board.claim("guest", "user", "");
    expect([await listed(board), (await put(board, "x", 1, { unique: "ada" })).status]).toEqual([[], "taken"]);
    expect((await put(board, "user", 40, { unique: "ada" })).status).toEqual("stored");
    await put(board, "cheat", 5);
    await board.ban("cheat", true, "");
    await board.claim("cheat", "other", "");
    expect([await board.banned({ group: "", limit: 5 }), (await put(board, "other", 50)).status]).toEqual([["other"], "banned"]);
  });

  test("rowsOf tells everything of a player, logs included", async (board) => {
    await put(board, "a", 10, { log: "replay", data: "[1]" }, { periods: ["all", "2026-W47"] });
    const rows = await board.rowsOf("a", "");
    expect(rows.map(({ period, log, data, rank, replay }) => [period, log, data, rank, replay])).toEqual([
      ["2026-W47", "replay", "[1]", 1, true],
      ["all", "replay", "[1]", 1, true],
    ]);
    expect(await board.rowsOf("nobody", "")).toEqual([]);
  });
}

/** Lists that end. */
export function testForgetting({ test, expect, put, listed }: BoardTools): void {
  const sweepAll = async (board: ScoreBoard, now?: number): Promise<void> => {
    for (let i = 0; i < 100 && (await board.sweep(50, now)) > 0; i++);
  };

  test("clear empties a period or a board at once, and bans and names stay", async (board) => {
    await put(board, "a", 10, { submission: "s1", unique: "ada", tag: "red" }, { periods: ["all", "2026-W47"] });
    await put(board, "b", 5, { board: "other" });
    await board.ban("c", true, "");
    expect([await board.clear("main", "2026-W47"), await listed(board, "2026-W47"), (await listed(board)).length]).toEqual([2, [], 1]);
    const [row] = await board.top({ board: "main", period: "all", limit: 1 });
    expect([await board.clear("main"), await board.clear("main"), await listed(board)]).toEqual([2, 0, []]);
    expect([await board.find(row?.id ?? ""), await board.around(row?.id ?? "", 1), await board.rowsOf("a", "")]).toEqual([null, [], []]);
    await sweepAll(board);
    expect((await board.top({ board: "other", period: "all", limit: 5 })).length).toEqual(1);
    // A cleared list begins anew: it knows no submission.
    expect(await put(board, "b", 7, { submission: "s1" })).toEqual({
      status: "stored",
      id: (await board.ofPlayer({ board: "main", period: "all", player: "b" }))?.id,
      rank: 1,
      best: true,
    });
    expect([(await put(board, "d", 7, { unique: "ada" })).status, (await put(board, "c", 7)).status]).toEqual(["taken", "banned"]);
  });

  test("a list is gone once its time is over and it was swept; the latest time that was asked for counts", async (board) => {
    const soon = Date.now() + 60_000;
    const later = soon + 3_600_000;
    await put(board, "a", 10, {}, { periods: ["all", { key: "day", forget: soon }] });
    await put(board, "b", 20, {}, { periods: ["all", { key: "day", forget: later }] });
    await put(board, "c", 5, {}, { periods: ["all", { key: "day", forget: soon }] });
    await sweepAll(board);
    expect((await listed(board, "day")).length).toEqual(3);
    await put(board, "a", 1, {}, { periods: [{ key: "old", forget: 1_000 }] });
    await sweepAll(board);
    expect([await listed(board, "old"), (await listed(board, "day")).length]).toEqual([[], 3]);
    expect(await board.rowsOf("a", "").then((rows) => rows.map(({ period }) => period))).toEqual(["all", "day"]);
  });

  test("sweep goes on in steps, and an end that is taken back keeps the list", async (board) => {
    const old = { key: "old", forget: 1_000 };
    for (let i = 0; i < 30; i++) await put(board, `p${i}`, i, {}, { periods: [{ key: "kept", forget: 9e15 }] });
    await put(board, "a", 1, {}, { periods: [{ key: "kept" }] });
    await put(board, "a", 1, {}, { periods: [old] });
    await sweepAll(board);
    expect([await board.count({ board: "main", period: "kept" }), await board.count({ board: "main", period: "old" })]).toEqual([31, 0]);
    expect(await board.sweep(10)).toEqual(0);
  });
}
