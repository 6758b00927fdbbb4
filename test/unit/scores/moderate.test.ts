import { describe, expect, it } from "vitest";
import { memoryBoard } from "../../../src/scores/index.ts";
import { bearer, codeOf, kit, MODERATOR } from "./kit.ts";

const moderation = { tokens: ["another moderation token, long enough", MODERATOR] };
const moderator = bearer(MODERATOR);

async function setUp() {
  const at = kit({ moderation });
  const one = await at.player();
  const other = await at.player();
  const { id }: { id: string } = await (await at.submit({ score: 20 }, one.token)).json();
  await at.submit({ score: 10 }, other.token);
  const shown = async (query = ""): Promise<number[]> => (await at.list(query)).scores.map(({ score }) => score);
  const act = (method: string, path: string, body?: unknown, headers: Record<string, string> = moderator) =>
    at.send(method, path, body, headers);
  return { ...at, one, id, shown, act };
}

describe("moderation", () => {
  it("removes the rows of a submission in all its periods", async () => {
    const { act, id, shown, events, one } = await setUp();
    const answer = await act("DELETE", `/scores/${id}`);
    expect([answer.status, await answer.text(), answer.headers.get("cache-control")]).toEqual([204, "", "no-store"]);
    expect([await shown(), await shown("?period=week"), await shown("?period=day")]).toEqual([[10], [10], [10]]);
    expect(await codeOf(await act("DELETE", `/scores/${id}`))).toEqual([404, "NOT_FOUND"]);
    expect(events.filter(({ reason }) => reason === "moderation_remove")).toEqual([
      expect.objectContaining({ type: "score_rejected", outcome: "info", player: one.sub, route: "DELETE /api/scores/:id" }),
    ]);
  });

  it("hides the rows of a submission in all its periods, and shows them again", async () => {
    const { act, id, shown, events } = await setUp();
    expect((await act("POST", `/scores/${id}/hide`)).status).toBe(204);
    expect([await shown(), await shown("?period=week"), await shown("?period=day")]).toEqual([[10], [10], [10]]);
    expect((await act("POST", `/scores/${id}/hide`, { hidden: false })).status).toBe(204);
    expect(await shown()).toEqual([20, 10]);
    expect((await act("POST", `/scores/${id}/hide`, {})).status).toBe(204);
    expect(await shown()).toEqual([10]);
    expect(events.map(({ reason }) => reason).filter((reason) => reason?.startsWith("moderation"))).toEqual([
      "moderation_hide",
      "moderation_show",
      "moderation_hide",
    ]);
  });

  it("bans a row's player, and lifts it", async () => {
    const { act, id, shown, submit, one } = await setUp();
    expect((await act("POST", `/scores/${id}/ban`)).status).toBe(204);
    expect([await shown(), await shown("?period=day")]).toEqual([[10], [10]]);
    expect(await codeOf(await submit({ score: 99 }, one.token))).toEqual([403, "PLAYER_BANNED"]);
    expect((await act("POST", `/scores/${id}/ban`, { banned: false })).status).toBe(204);
    expect((await submit({ score: 99 }, one.token)).status).toBe(201);
    expect(await shown()).toEqual([99, 10]);
  });

  it("purges all rows of a row's player", async () => {
    const { act, id, shown } = await setUp();
    expect((await act("POST", `/scores/${id}/purge`)).status).toBe(204);
    expect([await shown(), await shown("?period=week"), await shown("?period=day")]).toEqual([[10], [10], [10]]);
    expect((await act("POST", `/scores/${id}/purge`)).status).toBe(404);
  });

  it("every token of the list will do, also with spaces in it", async () => {
    const { act, id } = await setUp();
    for (const token of moderation.tokens) expect((await act("POST", `/scores/${id}/hide`, undefined, bearer(token))).status).toBe(204);
  });

  it.each(["hide", "ban", "purge"])("bad bodies of %s change nothing", async (verb) => {
    const { act, id, shown } = await setUp();
    const cases: [unknown, number][] = [
      ["{", 400],
      ["null", 400],
      [[], 400],
      [{ hidden: "no", banned: "no" }, 400],
      [{ all: true }, 400],
      ["x".repeat(9000), 413],
    ];
    for (const [body, status] of cases) expect((await act("POST", `/scores/${id}/${verb}`, body)).status).toBe(status);
    expect((await act("POST", `/scores/${id}/${verb}`, "a=1", { ...moderator, "content-type": "text/plain" })).status).toBe(415);
    expect(await shown()).toEqual([20, 10]);
  });

  it("without the right bearer: 401, and after 5 failures 429, for the right one too", async () => {
    const { act, id, shown, events, advance } = await setUp();
    const wrong: Record<string, string>[] = [
      {},
      bearer("x"),
      { authorization: MODERATOR },
      bearer(`${MODERATOR}x`),
      bearer(MODERATOR.slice(0, -1)),
    ];
    for (const headers of wrong) {
      const answer = await act("DELETE", `/scores/${id}`, undefined, headers);
      expect([...(await codeOf(answer)), answer.headers.get("www-authenticate")]).toEqual([401, "UNAUTHORIZED", "Bearer"]);
    }
    expect(await codeOf(await act("DELETE", `/scores/${id}`, undefined, bearer("y")))).toEqual([429, "RATE_LIMITED"]);
    expect(await codeOf(await act("DELETE", `/scores/${id}`))).toEqual([429, "RATE_LIMITED"]);
    expect(await shown()).toEqual([20, 10]);
    expect(events.filter(({ reason, outcome }) => reason === "unauthorized" && outcome === "deny").length).toBe(5);
    advance(1_000_000);
    expect((await act("DELETE", `/scores/${id}`)).status).toBe(204);
  });

  it("100 guesses at once: five are answered", async () => {
    const { act, id } = await setUp();
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => act("DELETE", `/scores/${id}`, undefined, bearer(`guess ${i}`))),
    );
    expect(answers.filter(({ status }) => status === 401).length).toBe(5);
    expect(answers.filter(({ status }) => status === 429).length).toBe(95);
  });

  it("successes are not counted", async () => {
    const { act, id } = await setUp();
    for (let i = 0; i < 30; i++) expect((await act("POST", `/scores/${id}/hide`, { hidden: i % 2 === 0 })).status).toBe(204);
  });

  it("without tokens there are no such routes", async () => {
    const at = kit();
    expect(await codeOf(await at.send("POST", "/scores/x/hide", undefined, moderator))).toEqual([404, "NOT_FOUND"]);
  });

  it("beside a looser rate store failures stay on the exact one: many successes lock nobody out, and guesses still do", async () => {
    const rateStore = { consistency: "approximate" as const, spend: () => Promise.reject(new Error("The looser store was asked")) };
    const { send } = kit({ moderation }, { rateStore });
    const act = (token: string): Promise<Response> => send("POST", "/scores/unknown/hide", undefined, bearer(token));
    for (let i = 0; i < 12; i++) expect((await act(MODERATOR)).status).toBe(404);
    const guesses = await Promise.all(Array.from({ length: 20 }, () => act("a guess that is long enough to be one")));
    expect(guesses.map(({ status }) => status).sort()).toEqual([...Array(5).fill(401), ...Array(15).fill(429)]);
  });
});

describe("a cheat that is removed", () => {
  it("goes from the list of its week by the row of its day, and an honest score of the player's in another day stays", async () => {
    const at = kit({ moderation });
    const first = await at.player();
    await at.submit({ score: 20 }, first.token);
    at.advance(86_400_000);
    const again = await at.player(first.playerToken);
    expect(again.sub).toBe(first.sub);
    await at.submit({ score: 999 }, again.token);
    const lists = async (): Promise<number[][]> =>
      Promise.all(
        ["all", "week", "day", "2026-11-20"].map(async (period) => (await at.list(`?period=${period}`)).scores.map(({ score }) => score)),
      );
    expect(await lists()).toEqual([[999], [999], [999], [20]]);
    const [row] = (await at.list("?period=day")).scores;
    expect((await at.send("DELETE", `/scores/${row?.id}`, undefined, moderator)).status).toBe(204);
    expect(await lists()).toEqual([[], [], [], [20]]);
  });

  it("goes with every sum that it was added to", async () => {
    const at = kit({ moderation, boards: { main: { operator: "sum" } } });
    const { token } = await at.player();
    await at.submit({ score: 20 }, token);
    const { id } = await (await at.submit({ score: 999 }, token)).json();
    await at.send("POST", `/scores/${id}/hide`, undefined, moderator);
    expect([(await at.list()).scores, (await at.list("?period=week")).scores]).toEqual([[], []]);
    await at.send("POST", `/scores/${id}/hide`, { hidden: false }, moderator);
    expect((await at.list("?period=day")).scores.map(({ score }) => score)).toEqual([1019]);
    await at.send("DELETE", `/scores/${id}`, undefined, moderator);
    expect([(await at.list()).scores, (await at.list("?period=day")).scores]).toEqual([[], []]);
  });
});

describe("two games on one storage", () => {
  it("a moderator of one reaches no row of the other: 404, and nothing is changed", async () => {
    const board = memoryBoard();
    const ours = kit({ board, moderation, boards: { ours: {} } });
    const theirs = kit({ board, moderation, boards: { theirs: {} } });
    const { token } = await theirs.player();
    const { id } = await (await theirs.submit({ score: 20 }, token)).json();
    for (const [method, path] of [
      ["DELETE", ""],
      ["POST", "/hide"],
      ["POST", "/ban"],
      ["POST", "/purge"],
    ] as const) {
      expect(await codeOf(await ours.send(method, `/scores/${id}${path}`, undefined, moderator))).toEqual([404, "NOT_FOUND"]);
    }
    expect((await theirs.list()).scores.map(({ score }) => score)).toEqual([20]);
    expect((await theirs.submit({ score: 30 }, token)).status).toBe(201);
    expect((await theirs.send("DELETE", `/scores/${id}`, undefined, moderator)).status).toBe(204);
  });
});
