import { describe, expect, it } from "vitest";
import * as z from "zod/mini";
import { bearer, kit, type ScoresKit } from "./kit.ts";

const answer = async (at: ScoresKit, query: string, headers = {}): Promise<Record<string, unknown>> =>
  (await at.send("GET", `/scores${query}`, undefined, headers)).json();
const scoresIn = (page: Record<string, unknown>): number[] =>
  Array.isArray(page["scores"]) ? page["scores"].map((row: { score: number }) => row.score) : [];

/** Players with these scores. */
async function fill(at: ScoresKit, scores: readonly number[]): Promise<{ id: string; token: string; sub: string; playerToken: string }[]> {
  const made = [];
  for (const score of scores) {
    const player = await at.player();
    const { id }: { id: string } = await (await at.submit({ score }, player.token)).json();
    made.push({ ...player, id });
  }
  return made;
}

describe("pages", () => {
  it("follow each other to the end of 250 rows, whatever is submitted meanwhile", async () => {
    const at = kit();
    const rules = { periods: ["all"], order: "desc", operator: "best", group: "main" } as const;
    const put = (player: string, score: number): Promise<unknown> =>
      at.board.submit({ board: "main", player, score, at: score, submission: player, level: "claimed", flags: [], name: "" }, rules);
    for (let i = 0; i < 250; i++) await put(`p${i}`, i * 2);
    const seen: number[] = [];
    let next: unknown;
    for (let page = 0; page < 10; page++) {
      const one = await answer(at, `?limit=60${next === undefined ? "" : `&after=${next}`}`);
      seen.push(...scoresIn(one));
      next = one["next"];
      if (next === undefined) break;
      // Above the place, so that rows move down: none is shown twice.
      await put(`late ${page}`, 499 + page);
    }
    expect(seen).toEqual(Array.from({ length: 250 }, (_, i) => 498 - i * 2));
  });

  it.each(["x", "bm8", "WzEsMl0", "WzEsMiwiLi4vIl0", "W251bGwsMSwiYSJd", "WzEsMSwiYSIsMV0", "a".repeat(300)])(
    "the cursor %s is refused",
    async (after) => {
      expect((await kit().send("GET", `/scores?after=${after}`)).status).toBe(400);
    },
  );

  it.each([
    "after=x&around=me",
    "score=1&around=me",
    "score=1.5",
    "score=",
    "score=1e3",
    "total=2",
    "total=true",
    "tag=",
    `tag=${"x".repeat(65)}`,
  ])("?%s is refused", async (query) => {
    expect((await kit().send("GET", `/scores?${query}`)).status).toBe(400);
  });
});

describe("totals, percentiles and scores that are not submitted", () => {
  it("tells how many rows there are, and where a player and a score stand", async () => {
    const at = kit();
    const players = await fill(at, [100, 80, 60, 40]);
    const [, second] = players;
    const page = await answer(at, "?total=1&limit=2", bearer(second?.token ?? ""));
    expect([page["total"], page["me"], scoresIn(page)]).toEqual([4, expect.objectContaining({ rank: 2, percentile: 75 }), [100, 80]]);
    expect(await answer(at, "?score=70&total=1&limit=2")).toMatchObject({ rank: 3, percentile: 50, total: 4 });
    expect(scoresIn(await answer(at, "?score=70&limit=2"))).toEqual([80, 60]);
    // Behind its equals: an earlier one comes first.
    expect(scoresIn(await answer(at, "?score=80&limit=2"))).toEqual([80, 60]);
    // Near the ends the other side fills the page.
    expect(scoresIn(await answer(at, "?score=1000&limit=3"))).toEqual([100, 80, 60]);
    expect(scoresIn(await answer(at, "?score=0&limit=3"))).toEqual([80, 60, 40]);
    expect(await answer(at, "?score=7&period=2026-11-19")).toEqual({ scores: [], rank: 1 });
    expect((await answer(at, "?limit=2"))["total"]).toBeUndefined();
    expect(await answer(kit(), "?score=7&total=1")).toEqual({ scores: [], rank: 1, total: 0, percentile: 100 });
  });
});

describe("data on a score", () => {
  const schema = z.strictObject({ ship: z.enum(["red", "blue"]), note: z.optional(z.string()) });
  const boards = { main: { data: { schema, key: "ship" } }, plain: {} };

  it("is checked, stored with the score that it came with, and returned", async () => {
    const at = kit({ boards });
    const { token } = await at.player();
    expect((await at.submit({ score: 5, data: { ship: "red" } }, token)).status).toBe(201);
    expect((await answer(at, ""))["scores"]).toEqual([expect.objectContaining({ score: 5, data: { ship: "red" } })]);
    expect((await at.submit({ score: 4, data: { ship: "blue" } }, token)).status).toBe(201);
    expect((await answer(at, ""))["scores"]).toEqual([expect.objectContaining({ score: 5, data: { ship: "red" } })]);
    expect((await answer(at, "?tag=blue"))["scores"]).toEqual([expect.objectContaining({ rank: 1, score: 4, data: { ship: "blue" } })]);
  });

  it.each([[{ ship: "green" }], [{}], ["red"], [null], [undefined], [{ ship: "red", cheat: 1 }], [{ ship: "red", note: "é".repeat(130) }]])(
    "%j is DATA_INVALID, and costs as a refused name does",
    async (data) => {
      const at = kit({ boards });
      const refused = await at.submit({ score: 5, data }, (await at.player()).token);
      expect([refused.status, (await refused.json()).error]).toEqual([422, "DATA_INVALID"]);
      expect(at.rejected()).toEqual([expect.objectContaining({ reason: "score_data", code: "DATA_INVALID" })]);
      expect(await answer(at, "")).toEqual({ scores: [] });
    },
  );

  it("a board that takes none refuses it", async () => {
    const at = kit({ boards });
    expect((await at.submit({ score: 5, board: "plain", data: { ship: "red" } }, (await at.player()).token)).status).toBe(422);
  });

  it("is signed in a commitment: what is submitted with it cannot be changed", async () => {
    const at = kit({ boards: { main: { ...boards.main, require: "commitment" } } });
    const { token } = await at.player();
    const { commitment } = await (await at.send("POST", "/commitments", { score: 9, data: { ship: "red" } }, bearer(token))).json();
    expect((await at.submit({ commitment, data: { ship: "blue" } }, token)).status).toBe(400);
    expect((await at.submit({ commitment }, token)).status).toBe(201);
    expect((await answer(at, "?tag=red"))["scores"]).toEqual([expect.objectContaining({ data: { ship: "red" } })]);
    expect((await at.send("POST", "/commitments", { score: 9, data: { ship: "green" } }, bearer(token))).status).toBe(422);
  });
});

describe("boards at run time", () => {
  it("a function names the boards, is asked at each request, and forgets them", async () => {
    let closed = false;
    const at = kit({ boards: (name) => (name.startsWith("level-") && !closed ? { max: 10 } : undefined), default: "level-1" });
    const { token } = await at.player();
    expect((await at.submit({ score: 7, board: "level-2" }, token)).status).toBe(201);
    expect((await at.submit({ score: 70, board: "level-2" }, token)).status).toBe(422);
    expect((await at.submit({ score: 3 }, token)).status).toBe(201);
    expect(scoresIn(await answer(at, "?board=level-2"))).toEqual([7]);
    expect(scoresIn(await answer(at, ""))).toEqual([3]);
    for (const name of ["other", "__proto__", "constructor", "level-1%00", "level-/x", "x".repeat(49)]) {
      expect((await at.send("GET", `/scores?board=${name}`)).status).toBe(404);
    }
    closed = true;
    expect((await at.send("GET", "/scores?board=level-2")).status).toBe(404);
  });

  it("clear empties a board, and a period alone", async () => {
    const at = kit();
    await fill(at, [5]);
    expect(await at.board.clear("main", "2026-11-20")).toBe(1);
    expect([scoresIn(await answer(at, "?period=day")), scoresIn(await answer(at, "?period=week"))]).toEqual([[], [5]]);
    expect(await at.board.clear("main")).toBe(2);
    expect(scoresIn(await answer(at, ""))).toEqual([]);
  });
});
