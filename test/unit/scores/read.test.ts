import { describe, expect, it } from "vitest";
import { bearer, codeOf, kit, ORIGIN } from "./kit.ts";

describe("GET /scores", () => {
  it("shows the board, and nothing of its players", async () => {
    const at = kit();
    const players = [await at.player(), await at.player(), await at.player()];
    for (const [i, { token }] of players.entries()) await at.submit({ score: [10, 30, 10][i] ?? 0 }, token);
    const answer = await at.send("GET", "/scores");
    expect([answer.status, answer.headers.get("cache-control"), answer.headers.get("cdn-cache-control")]).toEqual([
      200,
      "no-store",
      "no-store",
    ]);
    const text = await answer.text();
    for (const { sub } of players) expect(text).not.toContain(sub);
    const { scores, ...rest } = JSON.parse(text);
    expect(rest).toEqual({});
    expect(Object.keys(scores[0])).toEqual(["id", "rank", "name", "score", "at", "level", "replay"]);
    expect(scores.map(({ rank, score }: { rank: number; score: number }) => [rank, score])).toEqual([
      [1, 30],
      [2, 10],
      [2, 10],
    ]);
    expect((await at.list("?limit=1")).scores.length).toBe(1);
    expect((await at.list("?limit=100&board=main&period=2026-W47")).scores.length).toBe(3);
    expect((await at.list("?period=week")).scores.length).toBe(3);
    expect((await at.list("?period=2026-W46")).scores).toEqual([]);
  });

  it("says that a board rises, where it does", async () => {
    const at = kit({ boards: { main: {}, laps: { order: "asc" } } });
    expect("order" in (await at.list())).toBe(false);
    expect(await at.list("?board=laps")).toEqual({ scores: [], order: "asc" });
  });

  it("me: with a session, which is not spent, and never cached", async () => {
    const at = kit({ cache: true }, { session: { uses: 2 } });
    const one = await at.player();
    const other = await at.player();
    await at.submit({ score: 10 }, one.token);
    for (let i = 0; i < 5; i++) {
      const answer = await at.send("GET", "/scores", undefined, bearer(one.token));
      expect(answer.headers.get("cache-control")).toBe("no-store");
      expect((await answer.json()).me).toMatchObject({ rank: 1, score: 10 });
    }
    expect((await at.list("", { "x-gatepass-session": other.token })).me).toBeNull();
    expect("me" in (await at.list("", bearer("not.a.session")))).toBe(false);
    expect((await at.submit({ score: 20 }, one.token)).status).toBe(201);
    expect((await at.submit({ score: 30 }, one.token)).status).toBe(401);
  });

  it("cache: 5 seconds, apart for those who bring a session", async () => {
    const at = kit({ cache: true });
    const { token } = await at.player();
    await at.submit({ score: 1 }, token);
    const open = await at.send("GET", "/scores", undefined, { origin: ORIGIN });
    expect(open.headers.get("cache-control")).toBe("public, max-age=5");
    expect(open.headers.get("cdn-cache-control")).toBeNull();
    const vary = (open.headers.get("vary") ?? "").toLowerCase().split(/,\s*/).sort();
    expect(vary).toEqual(["authorization", "origin", "x-gatepass-session"]);
    for (const headers of [bearer(token), bearer("x"), { "x-gatepass-session": "x" }]) {
      expect((await at.send("GET", "/scores", undefined, headers)).headers.get("cache-control")).toBe("no-store");
    }
    expect((await at.send("GET", "/scores?limit=0")).headers.get("cache-control")).toBe("no-store");
  });

  it("around: a row's neighbours, or mine", async () => {
    const at = kit();
    const ids: string[] = [];
    let token = "";
    for (let i = 0; i < 9; i++) {
      ({ token } = await at.player());
      ids.push((await (await at.submit({ score: 100 - i }, token)).json()).id);
    }
    const ranks = async (query: string, headers = {}) => (await at.list(query, headers)).scores.map(({ rank }) => rank);
    expect(await ranks(`?around=${ids[4]}&limit=5`)).toEqual([3, 4, 5, 6, 7]);
    expect(await ranks(`?around=${ids[4]}&limit=4`)).toEqual([4, 5, 6, 7]);
    // An end of the list: the other side fills the page.
    expect(await ranks(`?around=${ids[0]}&limit=3`)).toEqual([1, 2, 3]);
    expect(await ranks("?around=me&limit=3", bearer(token))).toEqual([7, 8, 9]);
    expect(await ranks(`?around=${ids[0]}&limit=100`)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await ranks(`?around=${ids[4]}&limit=1`)).toEqual([5]);
    expect(await ranks("?around=me&limit=3")).toEqual([]);
    expect(await ranks("?around=unknown")).toEqual([]);
    expect(await ranks(`?around=${ids[4]}&period=week`)).toEqual([]);
    await at.board.hide(ids[4] ?? "", true);
    expect(await ranks(`?around=${ids[4]}`)).toEqual([]);
    expect(await ranks(`?around=${ids[5]}&limit=3`)).toEqual([4, 5, 6]);
  });

  it("hidden, banned and too weak rows are not shown, to their player either", async () => {
    const at = kit({ boards: { main: {}, runs: { minLevel: "replayed" } } });
    const { token, sub } = await at.player();
    const { id } = await (await at.submit({ score: 10 }, token)).json();
    await at.board.hide(id, true);
    expect(await at.list("", bearer(token))).toEqual({ scores: [], me: null });
    await at.board.hide(id, false);
    await at.board.ban(sub, true, "main");
    expect(await at.list("", bearer(token))).toEqual({ scores: [], me: null });
    const entry = { board: "runs", player: sub, score: 5, at: 0, submission: "s", flags: [], name: "x" };
    await at.board.ban(sub, false, "main");
    const rules = { periods: ["all"], order: "desc", operator: "best" } as const;
    const weak = await at.board.submit({ ...entry, level: "claimed" }, rules);
    await at.board.submit({ ...entry, player: "p2", submission: "s2", level: "witnessed", log: "log" }, rules);
    const list = await at.list("?board=runs", bearer(token));
    expect([list.scores.map(({ level, replay }) => [level, replay]), list.me]).toEqual([[["witnessed", true]], null]);
    // What is not shown has no neighbours.
    expect((await at.list(`?board=runs&around=${weak.id}`)).scores).toEqual([]);
  });

  it.each([
    "limit=0",
    "limit=101",
    "limit=5e1",
    "limit=05",
    "limit=",
    "period=2026-02-30",
    "period=today",
    "around=a%20b",
    "around=",
    "limit=1&limit=2",
    "offset=10",
    "page=2",
    "cursor=x",
    "bord=main",
    "Limit=5",
  ])("?%s is 400", async (query) => {
    expect(await codeOf(await kit().send("GET", `/scores?${query}`))).toEqual([400, "BODY_INVALID"]);
  });

  it("an unknown board is 404; the first one is meant where none is named", async () => {
    const at = kit({ boards: { duel: {}, main: {} } });
    const { token } = await at.player();
    await at.submit({ score: 1 }, token);
    expect((await at.list("?board=duel")).scores.length).toBe(1);
    expect((await at.list("?board=main")).scores.length).toBe(0);
    for (const board of ["x", "__proto__", "toString", ""]) expect((await at.send("GET", `/scores?board=${board}`)).status).toBe(404);
  });

  it("120 reads a minute", async () => {
    const at = kit({}, { limits: {} });
    const answers = await Promise.all(Array.from({ length: 125 }, () => at.send("GET", "/scores")));
    expect(answers.filter(({ status }) => status === 200).length).toBe(120);
    expect(answers.filter(({ status }) => status === 429).length).toBe(5);
  });
});
