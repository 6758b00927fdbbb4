import { describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import { memoryBoard } from "../../../src/scores/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { randomId } from "../../../src/util/random.ts";
import { bearer, codeOf, kit, ORIGIN, type ScoresKit } from "../scores/kit.ts";

// A browser sends a POST again when the answer is lost on a connection that was used before; proxies and service workers do the same.
// Without a name for the call, one `submitScore({ score: 10 })` became 20 points.

const TEN = Array.from({ length: 10 }, (_, i) => i);
const named = (key = randomId()): { "idempotency-key": string } => ({ "idempotency-key": `"${key}"` });
const accepted = ({ events }: ScoresKit): number => events.filter(({ type }) => type === "score_accepted").length;
const statuses = (answers: readonly Response[]): number[] => answers.map(({ status }) => status).sort();
const down = new GatepassError("ERR_BOARD_UNAVAILABLE", "Cannot use the database");

describe.each(["sum", "best", "last"] as const)("a request that arrives ten times counts once on a %s board", (operator) => {
  const boards = { main: { operator } };

  it("at once, with a session: one use, one event, one row", async () => {
    const at = kit({ boards }, { session: { uses: 3 } });
    const { token } = await at.player();
    const headers = named();
    const answers = await Promise.all(TEN.map(() => at.submit({ score: 10 }, token, headers)));
    expect(statuses(answers)).toEqual([...Array(9).fill(200), 201]);
    const receipts = await Promise.all(answers.map((answer) => answer.json()));
    expect(new Set(receipts.map((receipt) => JSON.stringify(receipt))).size).toBe(1);
    expect(receipts[0]).toEqual({ id: expect.stringMatching(/^[\w-]{22}$/), rank: 1, best: true });
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
    expect(accepted(at)).toBe(1);
    const rest = await Promise.all(TEN.map(() => at.submit({ score: 1 }, token)));
    expect(statuses(rest)).toEqual([201, 201, ...Array(8).fill(401)]);
  });

  it("one after the other, with other calls in between: the row as it stands", async () => {
    const at = kit({ boards }, { session: { uses: 3 } });
    const { token } = await at.player();
    const headers = named();
    const { id } = await (await at.submit({ score: 10 }, token, headers)).json();
    await at.submit({ score: 30 }, token, named());
    const again = await at.submit({ score: 10 }, token, headers);
    expect([again.status, await again.json()]).toEqual([200, { id, rank: 1, best: false }]);
    expect(again.headers.get("ratelimit")).toContain("scores.read");
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([operator === "sum" ? 40 : 30]);
    expect(accepted(at)).toBe(2);
    expect(at.rejected()).toEqual([]);
  });

  it("with a session of one use, which the first request used up", async () => {
    const at = kit({ boards }, { session: { uses: 1 } });
    const { token } = await at.player();
    const headers = named();
    const answers = await Promise.all(TEN.map(() => at.submit({ score: 10 }, token, headers)));
    expect(statuses(answers)).toEqual([...Array(9).fill(200), 201]);
    expect(await codeOf(await at.submit({ score: 10 }, token, named()))).toEqual([401, "SESSION_EXHAUSTED"]);
    expect(at.events.some(({ type }) => type === "session_replay_detected")).toBe(true);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
  });

  it.each([
    ["a fresh token", {}],
    ["a fresh token of a test key, which is the same for everybody", { testKey: true }],
    ["no credential, while the gate only watches", { mode: "monitor" }],
    ["no credential, while the gate is off", { mode: "off" }],
    ["no credential, while the gate is off and has no signing secret", { mode: "off", unsigned: true }],
  ] as const)("with %s", async (_, { mode, testKey, unsigned }: { mode?: "monitor" | "off"; testKey?: boolean; unsigned?: boolean }) => {
    const turnstile = { secret: "1x0000000000000000000000000000000AA", allowedHostnames: ["game.example"], allowTestKeys: true };
    const at = kit(
      { boards },
      {
        ...(mode && { mode }),
        ...(unsigned && { secrets: [] }),
        ...(testKey && { turnstile: { ...turnstile, siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify" } }),
      },
    );
    const token = testKey ? "XXXX.DUMMY.TOKEN.XXXX" : await at.mint();
    const headers = { ...named(), ...(mode ? {} : { "x-turnstile-token": token }) };
    const first = await at.submit({ score: 10 }, undefined, headers);
    const answers = await Promise.all(TEN.map(() => at.submit({ score: 10 }, undefined, headers)));
    expect([first.status, ...statuses(answers)]).toEqual([201, ...Array(10).fill(200)]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
    expect(accepted(at)).toBe(1);
    // Another call is another one.
    const other = testKey ? token : await at.mint();
    expect((await at.submit({ score: 10 }, undefined, { ...named(), ...(mode ? {} : { "x-turnstile-token": other }) })).status).toBe(201);
    expect((await at.list()).scores).toHaveLength(2);
  });

  it("with a fresh token, and no signing secret: Cloudflare takes the token once, and the repeat is refused", async () => {
    const at = kit({ boards }, { secrets: [] });
    const headers = { ...named(), "x-turnstile-token": await at.mint() };
    const answers = await Promise.all(TEN.map(() => at.submit({ score: 10 }, undefined, headers)));
    expect(statuses(answers)).toEqual([201, ...Array(9).fill(403)]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
    expect(accepted(at)).toBe(1);
  });

  it("by the same player with the next session: the board knows the submission", async () => {
    const at = kit({ boards });
    const first = await at.player();
    const headers = named();
    const { id } = await (await at.submit({ score: 10 }, first.token, headers)).json();
    const next = await at.player(first.playerToken);
    expect(next.jti).not.toBe(first.jti);
    const again = await at.submit({ score: 10 }, next.token, headers);
    expect([again.status, (await again.json()).id]).toEqual([200, id]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
    expect(accepted(at)).toBe(1);
  });

  it("after a restart that forgot the session and the call, but not the board", async () => {
    const board = memoryBoard();
    const before = kit({ board, boards });
    const { token, playerToken } = await before.player();
    const headers = named();
    expect((await before.submit({ score: 10 }, token, headers)).status).toBe(201);
    const after = kit({ board, boards }, { store: memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) + 10_000 }) });
    after.advance(10_000);
    // What the client does on this code: a new session, and the same request.
    expect(await codeOf(await after.submit({ score: 10 }, token, headers))).toEqual([401, "SESSION_EXPIRED"]);
    const again = await after.player(playerToken);
    expect((await after.submit({ score: 10 }, again.token, headers)).status).toBe(200);
    expect((await after.list()).scores.map(({ score }) => score)).toEqual([10]);
  });

  it("before and after a rotation of the secret", async () => {
    const [old, fresh] = ["the old signing secret, at least 32 bytes", "the new signing secret, at least 32 bytes"];
    const before = kit({ boards }, { secrets: old, session: { uses: 1 } });
    const { token } = await before.player();
    const headers = named();
    expect((await before.submit({ score: 10 }, token, headers)).status).toBe(201);
    const after = kit({ board: before.board, boards }, { secrets: [fresh, old], store: before.store, session: { uses: 1 } });
    expect((await after.submit({ score: 10 }, token, headers)).status).toBe(200);
    expect((await after.list()).scores.map(({ score }) => score)).toEqual([10]);
  });

  it("a call that failed on our side gives its id back: the repeat writes it, once", async () => {
    const at = kit({ boards }, { session: { uses: 1 } });
    const { token } = await at.player();
    const headers = named();
    at.breakBoard(down);
    const failed = await Promise.all(TEN.map(() => at.submit({ score: 10 }, token, headers)));
    expect(new Set(statuses(failed))).toEqual(new Set([503]));
    at.breakBoard(undefined);
    expect((await at.submit({ score: 10 }, token, headers)).status).toBe(201);
    expect((await at.submit({ score: 10 }, token, headers)).status).toBe(200);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
  });

  it("a board that times out after it has written: the repeat finds the row, and adds nothing", async () => {
    const inner = memoryBoard();
    let lost = true;
    const board = {
      ...inner,
      async submit(...values: Parameters<typeof inner.submit>) {
        const result = await inner.submit(...values);
        if (lost) throw down;
        return result;
      },
    };
    const at = kit({ board, boards });
    const { token } = await at.player();
    const headers = named();
    expect((await at.submit({ score: 10 }, token, headers)).status).toBe(503);
    lost = false;
    expect((await at.submit({ score: 10 }, token, headers)).status).toBe(200);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
  });
});

describe("a key names a call of one player on one board", () => {
  const boards = { main: { operator: "sum" }, other: { operator: "sum" } } as const;

  it("another player's key is another call: nobody can use up or read somebody else's", async () => {
    const at = kit({ boards });
    const [one, two] = [await at.player(), await at.player()];
    const headers = named();
    const answers = [await at.submit({ score: 10 }, one.token, headers), await at.submit({ score: 20 }, two.token, headers)];
    expect(statuses(answers)).toEqual([201, 201]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([20, 10]);
  });

  it("the same key on another board is a call of its own, and costs a use of its own", async () => {
    const at = kit({ boards }, { session: { uses: 2 } });
    const { token } = await at.player();
    const headers = named();
    expect((await at.submit({ score: 10 }, token, headers)).status).toBe(201);
    expect((await at.submit({ score: 10, board: "other" }, token, headers)).status).toBe(201);
    expect(await codeOf(await at.submit({ score: 10 }, token, named()))).toEqual([401, "SESSION_EXHAUSTED"]);
  });

  it("the same key with another score writes nothing more", async () => {
    const at = kit({ boards });
    const { token } = await at.player();
    const headers = named();
    await at.submit({ score: 10 }, token, headers);
    const more = await Promise.all([50, 60, 70].map((score) => at.submit({ score }, token, headers)));
    expect(statuses(more)).toEqual([200, 200, 200]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
  });

  it("a client of before, which names no call, counts as ever", async () => {
    const at = kit({ boards });
    const { token } = await at.player();
    expect(statuses([await at.submit({ score: 10 }, token), await at.submit({ score: 10 }, token)])).toEqual([201, 201]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([20]);
  });

  it.each([
    "kQ3vY8bN0aZt5cRw7eXuLg",
    '""',
    '"short"',
    '"kQ3vY8bN0aZt5cRw7eXuLg',
    '"kQ3vY8bN0aZt5cRw7eXuLg";a=1',
    '"kQ3vY8bN0aZt5cRw7eXuLg", "kQ3vY8bN0aZt5cRw7eXuLg"',
    '"kQ3vY8bN0a t5cRw7eXuLg"',
    '"kQ3vY8bN0a\\"5cRw7eXuLg"',
    '"kQ3vY8bN0aÿ5cRw7eXuLg"',
    ":kQ3vY8bN0aZt5cRw7eXuLg:",
    `"${"a".repeat(65)}"`,
    "",
  ])("a malformed header %j is a 400, before anything is charged", async (value) => {
    const at = kit({ boards });
    const { token } = await at.player();
    const commitment = await at.commit(5, token);
    at.calls.spends.length = 0;
    const headers = { "idempotency-key": value };
    expect(await codeOf(await at.submit({ score: 10 }, token, headers))).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await at.submit({ commitment }, token, headers))).toEqual([400, "BODY_INVALID"]);
    const committing = await at.send("POST", "/commitments", { score: 1 }, { ...bearer(token), ...headers });
    expect(await codeOf(committing)).toEqual([400, "BODY_INVALID"]);
    expect([at.calls.spends, at.calls.writes]).toEqual([[], 0]);
  });

  it.each(["kQ3vY8bN0aZt5cRw7eXuLg", "0123456789abcdef0123456789abcdef", crypto.randomUUID(), "4294967295-17-4294967295-0"])(
    "16 bytes in any spelling, e.g. %s",
    async (key) => {
      const at = kit({ boards });
      const { token } = await at.player();
      expect((await at.submit({ score: 10 }, token, named(key))).status).toBe(201);
      expect((await at.submit({ score: 10 }, token, named(key))).status).toBe(200);
    },
  );

  it("an allowed origin may send the header", async () => {
    const at = kit({ boards }, { allowedOrigins: ["https://arcade.example"] });
    const headers = {
      origin: "https://arcade.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,idempotency-key",
    };
    const answer = await at.gate.fetch(new Request(`${ORIGIN}/api/scores`, { method: "OPTIONS", headers }));
    expect([answer.status, answer.headers.get("access-control-allow-headers")?.split(/, */)]).toEqual([
      204,
      expect.arrayContaining(["idempotency-key"]),
    ]);
  });
});

describe.each(["monitor", "off"] as const)("%s: who pays nothing leaves nothing in the store but rates", (mode) => {
  it("200 strangers, and a session that is used up, with a new name for each call", async () => {
    const strict = kit({}, { session: { uses: 1 } });
    const { token } = await strict.player();
    await strict.submit({ score: 1 }, token);
    const at = kit({ boards: { main: { operator: "sum" } } }, { mode, store: strict.store, session: { uses: 1 } });
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => at.submit({ score: 1 }, i % 2 ? token : undefined, named())));
    expect(new Set(statuses(answers))).toEqual(new Set([201]));
    const kept = at.calls.spends.filter((quotas, i) => at.calls.results[i]?.ok && quotas.some((quota) => "expiresAt" in quota));
    expect(kept).toEqual([]);
  });

  it("a store that is down lets a monitored call pass, as one without a name", async () => {
    const down = { ...memoryStore(), spend: () => Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot reach the store")) };
    const strict = kit();
    const { token } = await strict.player();
    const at = kit({}, { mode, store: down });
    for (const session of [token, undefined]) expect((await at.submit({ score: 1 }, session, named())).status).toBe(201);
  });
});

describe("what a repeat may not do", () => {
  const boards = { main: { operator: "sum" } } as const;

  it("it costs no use, but the limit of reads", async () => {
    const rule = (name: string, limit: number) => [{ name, limit, window: 60, by: "ip" as const }];
    const at = kit({ boards }, { limits: { "scores.read": rule("reads", 2) } });
    const { token } = await at.player();
    const headers = named();
    const answers: number[] = [];
    for (let i = 0; i < 4; i++) answers.push((await at.submit({ score: 10 }, token, headers)).status);
    expect(answers).toEqual([201, 200, 200, 429]);
  });

  it("a revoked session is told nothing", async () => {
    const at = kit({ boards });
    const { token, jti } = await at.player();
    const headers = named();
    await at.submit({ score: 10 }, token, headers);
    await at.gate.sessions.revoke(jti);
    expect(await codeOf(await at.submit({ score: 10 }, token, headers))).toEqual([401, "SESSION_REVOKED"]);
  });

  it("a repeat after midnight adds nothing to the new day", async () => {
    const at = kit({ boards });
    at.advance(12 * 3_600_000 - 30_000);
    const { token } = await at.player();
    const headers = named();
    await at.submit({ score: 10 }, token, headers);
    await at.submit({ score: 1 }, token, named());
    at.advance(60_000);
    expect((await at.submit({ score: 10 }, token, headers)).status).toBe(200);
    expect((await at.list("?period=2026-11-20")).scores.map(({ score }) => score)).toEqual([11]);
    expect((await at.list("?period=2026-11-21")).scores).toEqual([]);
  });

  it("a row that a moderator removed does not come back", async () => {
    const at = kit({ boards });
    const { token } = await at.player();
    const headers = named();
    const { id } = await (await at.submit({ score: 10 }, token, headers)).json();
    await at.board.remove(id);
    expect(await codeOf(await at.submit({ score: 10 }, token, headers))).toEqual([409, "REQUEST_REPLAYED"]);
    expect((await at.list()).scores).toEqual([]);
  });

  it("a refused name is refused again, for the one use", async () => {
    const at = kit({ boards: { main: { names: { filter: () => false } } } }, { session: { uses: 2 } });
    const { token } = await at.player();
    const headers = named();
    for (let i = 0; i < 5; i++) {
      expect(await codeOf(await at.submit({ score: 1, name: "Ada" }, token, headers))).toEqual([422, "NAME_INVALID"]);
    }
    expect((await at.submit({ score: 1 }, token)).status).toBe(201);
    expect((await at.submit({ score: 1 }, token)).status).toBe(401);
  });
});

describe("a banned player is told so", () => {
  it.each(["best", "sum", "last"] as const)("by a repeated commitment and by a repeated call, on a %s board", async (operator) => {
    const at = kit({ boards: { main: { operator } } });
    const { token, sub } = await at.player();
    const commitment = await at.commit(42, token);
    const headers = named();
    await at.submit({ commitment }, token);
    await at.submit({ score: 1 }, token, headers);
    await at.board.ban(sub, true, "main");
    expect(await codeOf(await at.submit({ commitment }, token))).toEqual([403, "PLAYER_BANNED"]);
    expect(await codeOf(await at.submit({ score: 1 }, token, headers))).toEqual([403, "PLAYER_BANNED"]);
    await at.board.purge(sub, "main");
    expect(await codeOf(await at.submit({ commitment }, token))).toEqual([403, "PLAYER_BANNED"]);
    expect(at.rejected().map(({ reason }) => reason)).toEqual(Array(3).fill("player_banned"));
    await at.board.ban(sub, false, "main");
    expect(await codeOf(await at.submit({ commitment }, token))).toEqual([409, "COMMITMENT_USED"]);
  });

  it("a row that is hidden, and its player not banned, is a repeat as ever", async () => {
    const at = kit();
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    const { id } = await (await at.submit({ commitment }, token)).json();
    await at.board.hide(id, true);
    const again = await at.submit({ commitment }, token);
    expect([again.status, (await again.json()).id]).toEqual([200, id]);
    expect((await at.list()).scores).toEqual([]);
  });
});

describe("charged and never written, since the process died in between", () => {
  /** A submission whose spend is done and whose board write never happens. */
  async function crashed(at: ScoresKit, send: () => Promise<Response>): Promise<void> {
    const { submit } = at.board;
    await new Promise<void>((reached) => {
      at.board.submit = () => {
        reached();
        return new Promise(() => {});
      };
      void send();
    });
    at.board.submit = submit;
  }

  it.each(["best", "sum", "last"] as const)("the retry writes a commitment, over a lower row of the player's too: %s", async (operator) => {
    const at = kit({ boards: { main: { operator } } });
    const { token } = await at.player();
    await at.submit({ score: 5 }, token);
    const commitment = await at.commit(42, token);
    await crashed(at, () => at.submit({ commitment }, token));
    const retry = await at.submit({ commitment }, token);
    expect([retry.status, await retry.json()]).toMatchObject([201, { rank: 1, best: true }]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([operator === "sum" ? 47 : 42]);
    expect((await at.submit({ commitment }, token)).status).toBe(200);
    expect(accepted(at)).toBe(2);
  });

  it("below a better row of another day the retry still writes the day", async () => {
    const at = kit();
    const { token, playerToken } = await at.player();
    await at.submit({ score: 90 }, token);
    at.advance(24 * 3_600_000);
    const { token: today } = await at.player(playerToken);
    const commitment = await at.commit(42, today);
    await crashed(at, () => at.submit({ commitment }, today));
    expect((await at.submit({ commitment }, today)).status).toBe(201);
    expect((await at.list("?period=day")).scores.map(({ score }) => score)).toEqual([42]);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([90]);
  });

  it.each(["best", "sum"] as const)("the repeat of a call writes it: %s", async (operator) => {
    const at = kit({ boards: { main: { operator } } }, { session: { uses: 1 } });
    const { token } = await at.player();
    const headers = named();
    await crashed(at, () => at.submit({ score: 10 }, token, headers));
    expect((await at.submit({ score: 10 }, token, headers)).status).toBe(201);
    expect((await at.submit({ score: 10 }, token, headers)).status).toBe(200);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10]);
  });
});

describe("POST /commitments, sent ten times", () => {
  const commit = (at: ScoresKit, token: string, score: number, headers = {}) =>
    at.send("POST", "/commitments", { score }, { ...bearer(token), ...headers });

  it("is one commitment: one use, one event, one row", async () => {
    const at = kit({ boards: { main: { operator: "sum" } } }, { session: { uses: 3 } });
    const { token } = await at.player();
    const headers = named();
    const answers = await Promise.all(TEN.map(() => commit(at, token, 42, headers)));
    expect(statuses(answers)).toEqual(Array(10).fill(200));
    const signed = new Set((await Promise.all(answers.map((answer) => answer.json()))).map(({ commitment }) => commitment));
    expect(signed.size).toBe(1);
    expect(at.events.filter(({ type }) => type === "score_committed")).toHaveLength(1);
    for (const commitment of signed) await at.submit({ commitment }, token);
    // The commitment, its submission, and one more.
    expect((await at.submit({ score: 1 }, token)).status).toBe(201);
    expect((await at.submit({ score: 1 }, token)).status).toBe(401);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([43]);
  });

  it("a minute later it is still of the time of the first, and counts once with it", async () => {
    const at = kit({ boards: { main: { operator: "sum" } } });
    const { token } = await at.player();
    const headers = named();
    const first = await (await commit(at, token, 42, headers)).json();
    at.advance(60_000);
    const second = await (await commit(at, token, 42, headers)).json();
    for (const { commitment } of [second, first]) await at.submit({ commitment }, token);
    const [row] = await at.board.top({ board: "main", period: "all", limit: 10 });
    expect(row).toMatchObject({ score: 42, at: Date.UTC(2026, 10, 20, 12) });
  });

  it("another score under the same key is another call: it is paid for", async () => {
    const at = kit({}, { session: { uses: 2 } });
    const { token } = await at.player();
    const headers = named();
    expect(statuses([await commit(at, token, 1, headers), await commit(at, token, 2, headers)])).toEqual([200, 200]);
    expect(await codeOf(await commit(at, token, 3, headers))).toEqual([401, "SESSION_EXHAUSTED"]);
    expect((await commit(at, token, 2, headers)).status).toBe(200);
  });

  it.each(["monitor", "off"] as const)("%s: what a mode let pass is not signed by its repeat either", async (mode) => {
    const strict = kit({}, { session: { uses: 1 } });
    const { token } = await strict.player();
    await strict.submit({ score: 1 }, token);
    const at = kit({}, { mode, store: strict.store, session: { uses: 1 } });
    for (const credential of [bearer(token), {}]) {
      const headers = { ...named(), ...credential };
      const answers = await Promise.all(TEN.map(() => at.send("POST", "/commitments", { score: 1 }, headers)));
      expect(await Promise.all(answers.map((answer) => answer.json()))).toEqual(Array(10).fill({ dryRun: true }));
    }
  });
});
