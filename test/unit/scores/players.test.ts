import { describe, expect, it } from "vitest";
import { memoryBoard } from "../../../src/scores/index.ts";
import { bearer, kit, MODERATOR, type ScoresKit } from "./kit.ts";

const moderation = { tokens: [MODERATOR] };
const typed = { main: { names: "typed" as const } };
const namesOn = async (at: ScoresKit): Promise<string[]> => (await at.list()).scores.map(({ name, score }) => `${name} ${score}`);
const submit = async (at: ScoresKit, body: object, token?: string): Promise<[number, string | undefined]> => {
  const answer = await at.submit(body, token ?? (await at.player()).token);
  return [answer.status, (await answer.json()).error];
};

describe("names", () => {
  it("a unique name is one player's, in every spelling, until it is given up", async () => {
    const at = kit({ boards: { main: { names: { unique: true } }, other: { names: { unique: true } } } });
    const ada = await at.player();
    const eve = await at.player();
    expect(await submit(at, { score: 5, name: "Ada" }, ada.token)).toEqual([201, undefined]);
    for (const name of ["Ada", "ADA", "\u0410da", "\u0410d\u0430"]) {
      expect(await submit(at, { score: 9, name }, eve.token)).toEqual([409, "NAME_TAKEN"]);
      expect(await submit(at, { score: 9, name, board: "other" }, eve.token)).toEqual([409, "NAME_TAKEN"]);
    }
    expect(at.rejected().at(-1)).toMatchObject({ reason: "name_taken", code: "NAME_TAKEN" });
    expect(await submit(at, { score: 6, name: "Ada" }, ada.token)).toEqual([201, undefined]);
    expect(await at.gate.players.rename(ada.sub, "Countess")).toBe(true);
    expect(await submit(at, { score: 9, name: "Ada" }, eve.token)).toEqual([201, undefined]);
    expect([await at.gate.players.rename(ada.sub, "ada"), await at.gate.players.rename(ada.sub, "\u202e")]).toEqual([false, false]);
    expect(await namesOn(at)).toEqual(["Ada 9", "Countess 6"]);
  });

  it("twenty players who type one name at once: one has it", async () => {
    const at = kit({ boards: { main: { names: { unique: true } } } });
    const players = await Promise.all(Array.from({ length: 20 }, () => at.player()));
    const all = await Promise.all(players.map(({ token }, i) => submit(at, { score: i, name: "Ada" }, token)));
    expect(all.filter(([status]) => status === 201)).toHaveLength(1);
    expect(all.filter(([, code]) => code === "NAME_TAKEN")).toHaveLength(19);
  });

  it("a reserved name can be typed by nobody, and a filter is told the player and the board", async () => {
    const about: unknown[] = [];
    const filter = (name: string, folded: string, who: object): boolean => about.push([name, folded, who]) > 0;
    const at = kit({ boards: { main: { names: { reserved: ["Ember Studio"], filter } } } });
    const { token, sub } = await at.player();
    for (const name of ["Ember Studio", "ember studio", "Emb\u0435r Studio"]) {
      expect(await submit(at, { score: 1, name }, token)).toEqual([422, "NAME_INVALID"]);
    }
    expect(await submit(at, { score: 1, name: "Ember" }, token)).toEqual([201, undefined]);
    expect(about).toEqual([["Ember", "ember", { player: sub, board: "main" }]]);
  });
});

describe("gate.players", () => {
  it("exports and erases what boards keep of a player, of its own group alone", async () => {
    const board = memoryBoard();
    const [one, two] = [kit({ board, boards: { one: {} } }), kit({ board, boards: { two: {} } })];
    const { token, sub, playerToken } = await one.player();
    await submit(one, { score: 5 }, token);
    const there = await two.player(playerToken);
    expect(there.sub).toBe(sub);
    await submit(two, { score: 6 }, there.token);
    expect(await one.gate.players.export(sub)).toEqual({
      scores: ["2026-11-20", "2026-W47", "all"].map((period) => expect.objectContaining({ board: "one", period, score: 5, player: sub })),
    });
    expect([await one.gate.players.erase(sub), await one.gate.players.erase(sub)]).toEqual([3, 0]);
    expect([await namesOn(one), (await two.list()).scores.length]).toEqual([[], 1]);
    for (const wrong of ["", "x".repeat(257)]) await expect(one.gate.players.erase(wrong)).rejects.toThrow(RangeError);
  });

  it("a guest who logs in: rows are merged, ten calls at once are one, and a ban goes along", async () => {
    const at = kit({ boards: { main: { operator: "sum" } }, moderation });
    const guest = await at.player();
    await submit(at, { score: 5 }, guest.token);
    await at.board.submit(
      { board: "main", player: "account-7", score: 30, at: 1, submission: "a", level: "claimed", flags: [], name: "Ada" },
      { periods: ["all"], order: "desc", operator: "sum", group: "main" },
    );
    const moved = await Promise.all(Array.from({ length: 10 }, () => at.gate.players.claim(guest.playerToken, "account-7")));
    expect(moved.sort()).toEqual([...Array(9).fill(0), 3]);
    expect(await namesOn(at)).toEqual(["Ada 35"]);
    const cheat = await at.player();
    await at.board.ban(cheat.sub, true, "main");
    await at.gate.players.claim(cheat.playerToken, "account-8");
    expect(await at.board.banned({ group: "main", limit: 5 })).toEqual(["account-8"]);
  });

  it("nobody claims what is another's: an account's token, one of another secret, a session, junk", async () => {
    let account: string | undefined = "account-1";
    const at = kit({}, { session: { subject: () => account } });
    const owner = await at.player();
    account = undefined;
    const stranger = kit({}, { secrets: "another secret of at least 32 characters" });
    for (const token of [owner.playerToken, owner.token, (await stranger.player()).playerToken, "junk", ""]) {
      await expect(at.gate.players.claim(token, "thief")).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_TOKEN_/) });
    }
    const own = await at.player();
    expect(await at.gate.players.claim(own.playerToken, own.sub)).toBe(0);
  });
});

describe("moderation of players", () => {
  const asModerator = (at: ScoresKit, method: string, path: string, body?: object): Promise<Response> =>
    at.send(method, `/moderation${path}`, body, bearer(MODERATOR));

  it("bans, purges, lifts and renames by id, also where no row is left, and lists", async () => {
    const at = kit({ moderation, boards: typed });
    const players = await Promise.all([1, 2, 3].map(() => at.player()));
    for (const [i, { token }] of players.entries()) await submit(at, { score: 10 + i, name: `n${i}` }, token);
    const [first, second, third] = players.map(({ sub }) => sub);
    expect((await asModerator(at, "POST", "/purge", { player: first })).status).toBe(204);
    expect((await asModerator(at, "POST", "/ban", { player: first })).status).toBe(204);
    expect(await submit(at, { score: 99 }, players[0]?.token)).toEqual([403, "PLAYER_BANNED"]);
    expect(await (await asModerator(at, "GET", "/banned")).json()).toEqual({ banned: [first] });
    expect((await asModerator(at, "POST", "/ban", { player: first, banned: false })).status).toBe(204);
    expect(await submit(at, { score: 99, name: "back" }, players[0]?.token)).toEqual([201, undefined]);
    expect((await asModerator(at, "POST", "/rename", { player: second, name: "Renamed" })).status).toBe(204);
    expect((await asModerator(at, "POST", "/rename", { player: third, name: "\u202e" })).status).toBe(422);
    expect(await namesOn(at)).toEqual(["back 99", "n2 12", "Renamed 11"]);
    expect(at.events.filter(({ type }) => type.startsWith("score_")).map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(["moderation_purge", "moderation_ban", "moderation_unban", "moderation_rename"]),
    );
  });

  it("hidden rows are listed page by page, with their players", async () => {
    const at = kit({ moderation });
    const { token, sub } = await at.player();
    const { id } = await (await at.submit({ score: 5 }, token)).json();
    await at.send("POST", `/scores/${id}/hide`, undefined, bearer(MODERATOR));
    const page = await (await asModerator(at, "GET", "/hidden?limit=2")).json();
    const rest = await (await asModerator(at, "GET", `/hidden?limit=2&after=${page.next}`)).json();
    expect([...page.hidden, ...rest.hidden].map(({ player, period, hidden }) => [player, period, hidden]).sort()).toEqual(
      ["2026-11-20", "2026-W47", "all"].map((period) => [sub, period, true]),
    );
    for (const query of ["limit=0", "limit=1001", "page=2", "limit=1&limit=2"]) {
      expect((await asModerator(at, "GET", `/hidden?${query}`)).status).toBe(400);
    }
    expect((await at.send("GET", "/moderation/hidden")).status).toBe(401);
    for (const body of [{}, { player: "" }, { player: "p", more: 1 }])
      expect((await asModerator(at, "POST", "/ban", body)).status).toBe(400);
  });

  it("two games on one storage: neither's moderators reach the other's rows, players or bans; a group of one name is shared by choice", async () => {
    const board = memoryBoard();
    const one = kit({ board, boards: { one: {} }, moderation });
    const two = kit({ board, boards: { two: {} }, moderation });
    const player = await two.player();
    const { id } = await (await two.submit({ score: 5 }, player.token)).json();
    expect((await one.send("DELETE", `/scores/${id}`, undefined, bearer(MODERATOR))).status).toBe(404);
    for (const path of ["/ban", "/purge"]) expect((await asModerator(one, "POST", path, { player: player.sub })).status).toBe(204);
    expect((await two.list()).scores.map(({ score }) => score)).toEqual([5]);
    expect(await submit(two, { score: 6 }, player.token)).toEqual([201, undefined]);
    const shared = kit({ board, boards: { three: {} }, group: "two", moderation });
    await asModerator(shared, "POST", "/ban", { player: player.sub });
    expect(await submit(two, { score: 7 }, player.token)).toEqual([403, "PLAYER_BANNED"]);
  });
});
