import { describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import { generatedName, signCommitment } from "../../../src/scores/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { createTokens } from "../../../src/tokens/index.ts";
import { forged, SECRET } from "../../helpers/gate.ts";
import { bearer, codeOf, kit } from "./kit.ts";

const strict = { boards: { main: {}, strict: { require: "commitment" } } } as const;

describe("POST /scores with a score", () => {
  it("stores it once, for one spend and one board write", async () => {
    const at = kit();
    const { token, sub, jti } = await at.player();
    at.calls.spends.length = 0;
    const answer = await at.submit({ score: 1200 }, token);
    expect(answer.status).toBe(201);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("ratelimit")).toContain("scores.write");
    const receipt = await answer.json();
    expect(receipt).toEqual({ id: expect.stringMatching(/^[\w-]{22}$/), rank: 1, best: true });
    expect([at.calls.spends.length, at.calls.writes, at.calls.reads]).toEqual([1, 1, 0]);
    const row = await at.board.find(receipt.id);
    expect(row).toMatchObject({ board: "main", period: "all", player: sub, score: 1200, level: "claimed", name: generatedName(sub) });
    expect((await at.board.top({ board: "main", period: "2026-W47", limit: 5 })).length).toBe(1);
    expect((await at.board.top({ board: "main", period: "2026-11-20", limit: 5 })).length).toBe(1);
    expect(at.events.filter(({ type }) => type === "score_accepted")).toEqual([
      expect.objectContaining({ outcome: "allow", player: sub, session: jti, route: "POST /api/scores", ip_prefix: "203.0.113.0/24" }),
    ]);
  });

  it("keeps the best, says which it is, and ranks", async () => {
    const at = kit();
    const a = await at.player();
    const b = await at.player();
    expect(await (await at.submit({ score: 10 }, a.token)).json()).toMatchObject({ rank: 1, best: true });
    expect(await (await at.submit({ score: 20 }, b.token)).json()).toMatchObject({ rank: 1, best: true });
    const worse = await at.submit({ score: 5 }, a.token);
    expect([worse.status, await worse.json()]).toMatchObject([201, { rank: 2, best: false }]);
    expect((await at.list()).scores.map(({ rank, score }) => [rank, score])).toEqual([
      [1, 20],
      [2, 10],
    ]);
  });

  it("a player that comes back with its token has one row", async () => {
    const at = kit();
    const first = await at.player();
    await at.submit({ score: 10 }, first.token);
    const again = await at.player(first.playerToken);
    await at.submit({ score: 30 }, again.token);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([30]);
  });

  it("names: generated ones ignore what is sent, but never let a hostile one pass", async () => {
    const at = kit({
      boards: { main: {}, typed: { names: "typed" }, picky: { names: { filter: (_, folded) => !folded.includes("bad") } } },
    });
    const { token, sub } = await at.player();
    await at.submit({ score: 1, name: "Ada" }, token);
    expect(await codeOf(await at.submit({ score: 2, name: "a\u202Eb" }, token))).toEqual([422, "NAME_INVALID"]);
    expect((await at.list()).scores[0]?.name).toBe(generatedName(sub));
    await at.submit({ score: 1, name: " Ａda ", board: "typed" }, token);
    expect((await at.list("?board=typed")).scores[0]?.name).toBe("Ada");
    expect(await codeOf(await at.submit({ score: 1, name: "B4D", board: "picky" }, token))).toEqual([422, "NAME_INVALID"]);
    expect((await at.list("?board=picky")).scores).toEqual([]);
    expect(at.rejected().map(({ reason, code }) => [reason, code])).toEqual([
      ["name", "NAME_INVALID"],
      ["name", "NAME_INVALID"],
    ]);
    // What a player typed is nobody's business but the board's.
    expect(JSON.stringify(at.events)).not.toMatch(/Ada|B4D/);
  });

  it("what is wrong in itself is refused before anything is charged", async () => {
    const at = kit({ boards: { main: { max: 1000, min: -5 }, strict: { require: "commitment" }, runs: { minLevel: "replayed" } } });
    const { token } = await at.player();
    at.calls.spends.length = 0;
    const cases: [unknown, number, string][] = [
      [{ score: 1001 }, 422, "SCORE_INVALID"],
      [{ score: -6 }, 422, "SCORE_INVALID"],
      [{ score: 1, board: "nowhere" }, 404, "NOT_FOUND"],
      [{ score: 1, board: "__proto__" }, 404, "NOT_FOUND"],
      [{ score: 1, board: "constructor" }, 404, "NOT_FOUND"],
      [{ score: 1, board: "strict" }, 422, "COMMITMENT_INVALID"],
      [{ score: 1, board: "runs" }, 403, "LEVEL_TOO_LOW"],
      [{ score: 1, name: "" }, 422, "NAME_INVALID"],
      [{ score: 1, name: 5 }, 400, "BODY_INVALID"],
      [{ score: 1, name: null }, 400, "BODY_INVALID"],
      [{ score: 1, commitment: "x" }, 400, "BODY_INVALID"],
      [{ commitment: "x", board: "main" }, 400, "BODY_INVALID"],
      [{ name: "Ada" }, 400, "BODY_INVALID"],
      [{ score: 1, level: "witnessed" }, 400, "BODY_INVALID"],
      ["[]", 400, "BODY_INVALID"],
      ['{"score":1,"__proto__":{}}', 400, "BODY_INVALID"],
      [{ commitment: "not.a.token" }, 422, "COMMITMENT_INVALID"],
      [{ commitment: "" }, 422, "COMMITMENT_INVALID"],
      [{ commitment: token }, 422, "COMMITMENT_INVALID"],
    ];
    for (const literal of ["1.5", "-0", "1e400", "-1e400", '"7"', "null", "true", "[1]", "9007199254740992"]) {
      cases.push([`{"score":${literal}}`, 400, "BODY_INVALID"]);
    }
    for (const [body, status, code] of cases) expect([body, ...(await codeOf(await at.submit(body, token)))]).toEqual([body, status, code]);
    expect([at.calls.spends.length, at.calls.writes]).toEqual([0, 0]);
    expect(at.errors).toEqual([]);
  });

  it("a duplicate member: the last one wins", async () => {
    const at = kit();
    const { token } = await at.player();
    expect((await at.submit('{"score":1,"score":2}', token)).status).toBe(201);
    expect((await at.list()).scores[0]?.score).toBe(2);
  });

  it("needs a session, or a fresh token, which is one write", async () => {
    const at = kit();
    expect(await codeOf(await at.submit({ score: 1 }))).toEqual([401, "SESSION_MISSING"]);
    const fresh = { "x-turnstile-token": await at.mint() };
    expect((await at.submit({ score: 1 }, undefined, fresh)).status).toBe(201);
    expect((await at.submit({ score: 2 }, undefined, fresh)).status).toBeGreaterThanOrEqual(400);
    expect(at.calls.writes).toBe(1);
  });

  it("default limits: 15 a minute", async () => {
    const at = kit({}, { limits: {} });
    const { token } = await at.player();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => at.submit({ score: i }, token)));
    expect(answers.filter(({ status }) => status === 201).length).toBe(15);
    const refused = answers.find(({ status }) => status === 429);
    expect([...(refused ? await codeOf(refused) : []), Number(refused?.headers.get("retry-after")) > 0]).toEqual([
      429,
      "RATE_LIMITED",
      true,
    ]);
  });

  it("a banned player is told so, and pays", async () => {
    const at = kit();
    const { token, sub } = await at.player();
    await at.board.ban(sub, true, "main");
    expect(await codeOf(await at.submit({ score: 1 }, token))).toEqual([403, "PLAYER_BANNED"]);
    expect(at.rejected()).toEqual([
      expect.objectContaining({ reason: "player_banned", code: "PLAYER_BANNED", player: sub, outcome: "deny" }),
    ]);
  });

  it("a board that is down costs the player nothing", async () => {
    const at = kit({}, { session: { uses: 1 } });
    const { token } = await at.player();
    at.breakBoard(new GatepassError("ERR_BOARD_UNAVAILABLE", "Cannot use the database"));
    const down = await at.submit({ score: 1 }, token);
    expect([...(await codeOf(down)), down.headers.has("retry-after")]).toEqual([503, "UNAVAILABLE", true]);
    expect(await codeOf(await at.send("GET", "/scores"))).toEqual([503, "UNAVAILABLE"]);
    expect(at.events.filter(({ type }) => type === "store_unavailable").map(({ reason }) => reason)).toEqual(["board_down", "board_down"]);
    at.breakBoard(new TypeError("A defect"));
    expect(await codeOf(await at.submit({ score: 1 }, token))).toEqual([500, "INTERNAL"]);
    at.breakBoard(undefined);
    expect((await at.submit({ score: 1 }, token)).status).toBe(201);
    expect(await codeOf(await at.submit({ score: 1 }, token))).toEqual([401, "SESSION_EXHAUSTED"]);
  });
});

describe("commitments", () => {
  it("commit, then submit within 15 minutes, by the same player", async () => {
    const at = kit(strict);
    const { token, sub, jti } = await at.player();
    const answer = await at.send("POST", "/commitments", { board: "strict", score: 42 }, bearer(token));
    const { commitment, expiresIn } = await answer.json();
    expect([answer.status, expiresIn]).toEqual([200, 900]);
    expect(at.events.filter(({ type }) => type === "score_committed")).toEqual([
      expect.objectContaining({ outcome: "allow", player: sub, session: jti }),
    ]);
    at.advance(200_000);
    at.calls.spends.length = 0;
    const stored = await at.submit({ commitment, name: "Ada" }, token);
    expect(stored.status).toBe(201);
    expect([at.calls.spends.length, at.calls.writes]).toEqual([1, 1]);
    const row = await at.board.find((await stored.json()).id);
    expect(row).toMatchObject({ board: "strict", score: 42, level: "claimed", at: Date.UTC(2026, 10, 20, 12) });
  });

  it("periods are those of the commitment: a name typed over midnight changes no day", async () => {
    const at = kit();
    at.advance(12 * 3_600_000 - 60_000);
    const { token } = await at.player();
    const commitment = await at.commit(7, token);
    at.advance(120_000);
    expect((await at.submit({ commitment }, token)).status).toBe(201);
    expect((await at.list("?period=2026-11-20")).scores.length).toBe(1);
    expect((await at.list("?period=day")).scores.length).toBe(0);
  });

  it("the same commitment again: 200 and the row as it stands, charged as a read", async () => {
    const at = kit();
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    const { id } = await (await at.submit({ commitment }, token)).json();
    const writes = at.calls.writes;
    const again = await at.submit({ commitment, name: "Other" }, token);
    expect([again.status, await again.json()]).toEqual([200, { id, rank: 1, best: true }]);
    expect(again.headers.get("ratelimit")).toContain("scores.read");
    await at.submit({ score: 50 }, token);
    expect(await (await at.submit({ commitment }, token)).json()).toEqual({ id, rank: 1, best: false });
    expect(at.calls.writes).toBe(writes + 1);
    expect(at.rejected()).toEqual([]);
  });

  it("a beaten commitment again: the better row, not the best", async () => {
    const at = kit();
    const { token } = await at.player();
    const low = await at.commit(10, token);
    await at.submit({ commitment: low }, token);
    await at.submit({ score: 90 }, token);
    const again = await at.submit({ commitment: low }, token);
    expect([again.status, await again.json()]).toMatchObject([200, { rank: 1, best: false }]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([90]);
  });

  it("the retry's reads are limited", async () => {
    const rule = (name: string, limit: number) => [{ name, limit, window: 60, by: "ip" as const }];
    const at = kit({}, { limits: { "scores.read": rule("reads", 2) } });
    const { token } = await at.player();
    const commitment = await at.commit(10, token);
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await at.submit({ commitment }, token)).status);
    expect(statuses).toEqual([201, 200, 200, 429]);
  });

  it("somebody else's commitment is refused, and stays good for its player", async () => {
    const at = kit(strict);
    const owner = await at.player();
    const thief = await at.player();
    const commitment = await at.commit(42, owner.token, "strict");
    expect(await codeOf(await at.submit({ commitment }, thief.token))).toEqual([403, "WRONG_PLAYER"]);
    // Without a session the player is only known after the charge.
    const fresh = { "x-turnstile-token": await at.mint() };
    expect(await codeOf(await at.submit({ commitment }, undefined, fresh))).toEqual([403, "WRONG_PLAYER"]);
    expect((await at.submit({ commitment }, owner.token)).status).toBe(201);
    expect(await codeOf(await at.submit({ commitment }, thief.token))).toEqual([403, "WRONG_PLAYER"]);
    const late = { "x-turnstile-token": await at.mint() };
    expect(await codeOf(await at.submit({ commitment }, undefined, late))).toEqual([409, "COMMITMENT_USED"]);
    expect((await at.submit({ commitment }, owner.token)).status).toBe(200);
    expect(at.rejected().map(({ reason }) => reason)).toEqual(["wrong_player", "wrong_player", "wrong_player", "commitment_used"]);
  });

  it("the player's own fresh token will do, with the player token beside it", async () => {
    const at = kit();
    const owner = await at.player();
    const commitment = await at.commit(42, owner.token);
    const headers = { "x-turnstile-token": await at.mint(), "x-gatepass-player": owner.playerToken };
    expect((await at.submit({ commitment }, undefined, headers)).status).toBe(201);
    expect((await at.list()).scores.length).toBe(1);
  });

  it("the same commitment again, where only fresh tokens can be had: the player's row, to the player alone", async () => {
    const at = kit();
    const owner = await at.player();
    const commitment = await at.commit(42, owner.token);
    const fresh = async (playerToken: string) => ({ "x-turnstile-token": await at.mint(), "x-gatepass-player": playerToken });
    const first = await at.submit({ commitment }, undefined, await fresh(owner.playerToken));
    const { id } = await first.json();
    const again = await at.submit({ commitment }, undefined, await fresh(owner.playerToken));
    expect([first.status, again.status, await again.json()]).toEqual([201, 200, { id, rank: 1, best: true }]);
    expect(again.headers.get("ratelimit")).toContain("scores.read");
    const stranger = await at.player();
    expect(await codeOf(await at.submit({ commitment }, undefined, await fresh(stranger.playerToken)))).toEqual([409, "COMMITMENT_USED"]);
    expect(at.calls.writes).toBe(1);
  });

  it("a refused name leaves the commitment good", async () => {
    const at = kit({ boards: { main: { names: { filter: (name) => name !== "Nope" } } } });
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    expect(await codeOf(await at.submit({ commitment, name: "Nope" }, token))).toEqual([422, "NAME_INVALID"]);
    expect(await codeOf(await at.submit({ commitment, name: "" }, token))).toEqual([422, "NAME_INVALID"]);
    expect((await at.submit({ commitment, name: "Ada" }, token)).status).toBe(201);
  });

  it("also where only fresh tokens can be had", async () => {
    const at = kit({ boards: { main: { names: { filter: (name) => name !== "Nope" } } } });
    const owner = await at.player();
    const commitment = await at.commit(42, owner.token);
    const fresh = async (playerToken?: string) => ({
      "x-turnstile-token": await at.mint(),
      ...(playerToken === undefined ? {} : { "x-gatepass-player": playerToken }),
    });
    expect(await codeOf(await at.submit({ commitment, name: "Nope" }, undefined, await fresh(owner.playerToken)))).toEqual([
      422,
      "NAME_INVALID",
    ]);
    expect(await codeOf(await at.submit({ commitment }, undefined, await fresh()))).toEqual([403, "WRONG_PLAYER"]);
    expect((await at.submit({ commitment, name: "Ada" }, undefined, await fresh(owner.playerToken))).status).toBe(201);
  });

  it("expired, forged, changed and foreign ones are refused", async () => {
    const at = kit({ boards: { main: { max: 100 }, runs: { minLevel: "replayed" } } });
    const { token, sub } = await at.player();
    const commitment = await at.commit(42, token);
    const time = Date.UTC(2026, 10, 20, 12);
    const ring = (secrets: string, audience = "game.example") => createTokens({ secrets, audience, clock: () => time });
    const claims = { score: 5, ts: time, game: "g", board: "main", sub, level: "claimed" } as const;
    const sign = (more: object, tokens = ring(SECRET)): Promise<string> => signCommitment(tokens, { ...claims, ...more });
    const cases: [string, number, string][] = [
      [await sign({}, ring("another signing secret of at least 32 bytes")), 422, "COMMITMENT_INVALID"],
      [await sign({}, ring(SECRET, "preview.example")), 422, "COMMITMENT_INVALID"],
      [await sign({ score: 1.5 }), 422, "COMMITMENT_INVALID"],
      [await sign({ score: "5" }), 422, "COMMITMENT_INVALID"],
      [await sign({ level: "certain" }), 422, "COMMITMENT_INVALID"],
      [await sign({ sub: "" }), 422, "COMMITMENT_INVALID"],
      [await sign({ flags: "slow" }), 422, "COMMITMENT_INVALID"],
      [await sign({ run: 7 }), 422, "COMMITMENT_INVALID"],
      [await ring(SECRET).sign("gp-session+jwt", claims, { ttl: 60 }), 422, "COMMITMENT_INVALID"],
      [await sign({ score: 101 }), 422, "SCORE_INVALID"],
      [await sign({ board: "gone" }), 404, "NOT_FOUND"],
      [await sign({ board: "runs" }), 403, "LEVEL_TOO_LOW"],
      [forged(commitment), 422, "COMMITMENT_INVALID"],
      ["x".repeat(5000), 422, "COMMITMENT_INVALID"],
    ];
    for (const [proof, status, code] of cases) expect(await codeOf(await at.submit({ commitment: proof }, token))).toEqual([status, code]);
    expect(at.calls.writes).toBe(0);
    expect(
      (await at.submit({ commitment: await sign({ board: "runs", level: "witnessed", run: "r1", flags: ["slow"] }) }, token)).status,
    ).toBe(201);
    expect(await at.board.top({ board: "runs", period: "all", limit: 1 })).toEqual([
      expect.objectContaining({ level: "witnessed", flags: ["slow"] }),
    ]);
    at.advance(906_000);
    const later = await at.player();
    expect(await codeOf(await at.submit({ commitment }, later.token))).toEqual([410, "COMMITMENT_EXPIRED"]);
    expect(at.rejected().some(({ reason }) => reason === "token_expired")).toBe(true);
  });

  it("what no board would take is not signed", async () => {
    const at = kit({ boards: { main: { max: 100 }, runs: { minLevel: "replayed" } } });
    const { token } = await at.player();
    const ask = (body: unknown) => at.send("POST", "/commitments", body, bearer(token));
    expect(await codeOf(await ask({ score: 101 }))).toEqual([422, "SCORE_INVALID"]);
    expect(await codeOf(await ask({ score: 1, board: "runs" }))).toEqual([403, "LEVEL_TOO_LOW"]);
    expect(await codeOf(await ask({ score: 1, board: "gone" }))).toEqual([404, "NOT_FOUND"]);
    expect(await codeOf(await ask({ score: 1, name: "Ada" }))).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await ask({ score: 0.5 }))).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await at.send("POST", "/commitments", { score: 1 }))).toEqual([401, "SESSION_MISSING"]);
  });

  it("a board that is down gives the commitment back", async () => {
    const at = kit();
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    at.breakBoard(new GatepassError("ERR_BOARD_UNAVAILABLE", "Cannot use the database"));
    expect((await at.submit({ commitment }, token)).status).toBe(503);
    at.breakBoard(undefined);
    expect((await at.submit({ commitment }, token)).status).toBe(201);
  });

  it("charged and never written (a crash in between): the retry writes it", async () => {
    const at = kit();
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    const { submit } = at.board;
    await new Promise<void>((reached) => {
      at.board.submit = () => {
        reached();
        return new Promise(() => {});
      };
      void at.submit({ commitment }, token);
    });
    at.board.submit = submit;
    const retry = await at.submit({ commitment }, token);
    expect([retry.status, await retry.json()]).toMatchObject([201, { rank: 1, best: true }]);
    expect((await at.submit({ commitment }, token)).status).toBe(200);
  });

  it("older than a store that forgot what was spent before it started: expired, not played again", async () => {
    const before = kit();
    const { token, playerToken } = await before.player();
    const commitment = await before.commit(42, token);
    await before.submit({ commitment }, token);
    const after = kit({}, { store: memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) + 10_000 }) });
    after.advance(10_000);
    const again = await after.player(playerToken);
    expect(await codeOf(await after.submit({ commitment }, again.token))).toEqual([410, "COMMITMENT_EXPIRED"]);
    expect(after.calls.writes).toBe(0);
  });

  it("removed by a moderator: the commitment does not bring it back", async () => {
    const at = kit();
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    const { id } = await (await at.submit({ commitment }, token)).json();
    await at.board.remove(id);
    expect(await codeOf(await at.submit({ commitment }, token))).toEqual([409, "COMMITMENT_USED"]);
    expect((await at.list()).scores).toEqual([]);
  });
});

describe("concurrency", () => {
  it("100 concurrent submissions of one commitment store one row", async () => {
    const at = kit({}, { session: { uses: 1000 } });
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    const answers = await Promise.all(Array.from({ length: 100 }, () => at.submit({ commitment }, token)));
    expect(answers.filter(({ status }) => status === 201).length).toBe(1);
    expect(answers.filter(({ status }) => status === 200).length).toBe(99);
    const receipts = await Promise.all(answers.map((answer) => answer.json()));
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(1);
    expect((await at.list()).scores.length).toBe(1);
    expect(at.events.filter(({ type }) => type === "score_accepted").length).toBe(1);
    // One use for the commitment, one for the submission; refused attempts cost none.
    const rest = await Promise.all(Array.from({ length: 1000 }, () => at.submit({ score: 1 }, token)));
    expect(rest.filter(({ status }) => status === 201).length).toBe(998);
  });

  it("on a sum board, too, a commitment adds once", async () => {
    const at = kit({ boards: { main: { operator: "sum" } } }, { session: { uses: 1000 } });
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    await Promise.all(Array.from({ length: 50 }, () => at.submit({ commitment }, token)));
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([42]);
  });

  it("100 concurrent improvements keep the best", async () => {
    const at = kit({}, { session: { uses: 1000 } });
    const { token } = await at.player();
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => at.submit({ score: (i * 37) % 100 }, token)));
    expect(answers.every(({ status }) => status === 201)).toBe(true);
    expect((await at.list()).scores.map(({ score, rank }) => [score, rank])).toEqual([[99, 1]]);
  });
});

describe("a commitment that was signed while nobody could check the challenge", () => {
  const time = Date.UTC(2026, 10, 20, 12);
  const unchecked = (player: string, deg: unknown): Promise<string> =>
    createTokens({ secrets: SECRET, audience: "game.example", clock: () => time }).sign(
      "gp-score+jwt",
      { score: 5, ts: time, game: "main", board: "main", sub: player, level: "claimed", deg },
      { ttl: 900 },
    );

  it("is refused by a gate of the same secret that writes nothing unchecked", async () => {
    const at = kit();
    const { token, sub } = await at.player();
    expect(await codeOf(await at.submit({ commitment: await unchecked(sub, true) }, token))).toEqual([422, "COMMITMENT_INVALID"]);
    expect((await at.list()).scores).toEqual([]);
    expect((await at.submit({ commitment: await unchecked(sub, false) }, token)).status).toBe(201);
  });

  it.each([1, "true", null])("with a mark that is %j is none", async (deg) => {
    const at = kit();
    const { token, sub } = await at.player();
    expect(await codeOf(await at.submit({ commitment: await unchecked(sub, deg) }, token))).toEqual([422, "COMMITMENT_INVALID"]);
  });
});
