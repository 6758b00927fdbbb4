import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import type { GateOptions } from "../../../src/gate/types.ts";
import { memoryBoard, type ScoresOptions } from "../../../src/scores/index.ts";
import { testGate } from "../../helpers/gate.ts";
import { bearer, codeOf, kit } from "./kit.ts";

describe("options", () => {
  it.each<[string, object, typeof TypeError | typeof RangeError]>([
    ["an unknown option", { bord: 1 }, TypeError],
    ["no board", { boards: {} }, TypeError],
    ["a board's name", { boards: { "a b": {} } }, TypeError],
    ["an unknown board option", { boards: { main: { minlevel: "claimed" } } }, TypeError],
    ["a level", { boards: { main: { minLevel: "sure" } } }, TypeError],
    ["require", { boards: { main: { require: "nothing" } } }, TypeError],
    ["an order", { boards: { main: { order: "up" } } }, TypeError],
    ["an operator", { boards: { main: { operator: "max" } } }, TypeError],
    ["names", { boards: { main: { names: "any" } } }, TypeError],
    ["a fraction", { boards: { main: { max: 1.5 } } }, RangeError],
    ["max below min", { boards: { main: { min: 5, max: 4 } } }, RangeError],
    ["a range of more than 53 bits", { boards: { main: { min: -(2 ** 53) + 1, max: 5 } } }, RangeError],
    ["a short moderation token", { moderation: { tokens: ["x".repeat(31)] } }, RangeError],
    ["no moderation token", { moderation: { tokens: [] } }, TypeError],
    ["a moderation token that no header can carry", { moderation: { tokens: ["ä".repeat(40)] } }, TypeError],
    ["cache", { cache: 5 }, TypeError],
    ["an action", { action: "Score Submit" }, TypeError],
  ])("%s", (_, options, kind) => {
    expect(() => kit(options as Partial<ScoresOptions>)).toThrow(kind);
  });

  it("an action of one's own", async () => {
    const at = kit({ action: "play" }, { session: { actions: ["play"] } });
    expect((await at.submit({ score: 1 }, await at.session().catch(() => ""))).status).toBe(401);
    const turnstileToken = at.emulator.control.mint({ action: "play", hostname: "game.example" });
    const { sessionToken } = await (await at.send("POST", "/session", { turnstileToken })).json();
    expect((await at.submit({ score: 1 }, sessionToken)).status).toBe(201);
  });

  it("check() asks the board", async () => {
    const problem = { code: "GP199", severity: "warning", message: "m", fix: "f" } as const;
    const at = kit({ board: { ...memoryBoard(), check: async () => [problem] } });
    expect(await at.gate.check()).toContainEqual(problem);
  });
});

describe("modes", () => {
  it.each(["monitor", "off"] as const)("%s: writes pass without a session, nothing is signed, the board's rules stay", async (mode) => {
    const at = kit({ boards: { main: { max: 10 }, strict: { require: "commitment" } } }, { mode });
    expect((await at.submit({ score: 5 })).status).toBe(201);
    expect(at.events.find(({ type }) => type === "score_accepted")).toMatchObject({ dry_run: true });
    const committed = await at.send("POST", "/commitments", { score: 5 });
    expect([committed.status, await committed.json()]).toEqual([200, { dryRun: true }]);
    expect(await codeOf(await at.submit({ score: 11 }))).toEqual([422, "SCORE_INVALID"]);
    expect(await codeOf(await at.submit({ score: 1.5 }))).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await at.submit({ score: 5, board: "strict" }))).toEqual([422, "COMMITMENT_INVALID"]);
    expect(await codeOf(await at.submit({ commitment: "x" }))).toEqual([422, "COMMITMENT_INVALID"]);
  });

  it("monitor: a commitment still counts once, whoever brings it", async () => {
    const at = kit({}, { mode: "monitor" });
    const { token, sub } = await at.player();
    const commitment = await at.commit(42, token);
    expect((await at.submit({ commitment })).status).toBe(201);
    expect((await at.board.ofPlayer({ board: "main", period: "all", player: sub }))?.score).toBe(42);
    expect(await codeOf(await at.submit({ commitment }))).toEqual([409, "COMMITMENT_USED"]);
    expect((await at.submit({ commitment }, token)).status).toBe(200);
    const thief = await at.player();
    expect(await codeOf(await at.submit({ commitment }, thief.token))).toEqual([403, "WRONG_PLAYER"]);
  });
});

/** Options of a gate that signs nothing. */
function unsigned(): Partial<GateOptions> {
  const none: Partial<GateOptions> = {};
  Object.defineProperty(none, "secrets", { value: undefined, enumerable: true });
  return none;
}

describe("without a signing secret", () => {
  it("fresh tokens only, no commitments", async () => {
    const at = kit({}, unsigned());
    expect((await at.submit({ score: 1 }, undefined, { "x-turnstile-token": await at.mint() })).status).toBe(201);
    expect(await codeOf(await at.send("POST", "/commitments", { score: 1 }))).toEqual([404, "NOT_FOUND"]);
    expect(await codeOf(await at.submit({ commitment: "a.b.c" }))).toEqual([422, "COMMITMENT_INVALID"]);
  });
  it.each([{ require: "commitment" }, { minLevel: "bounded" }] as const)("a board with %j throws at creation", (board) => {
    expect(() => kit({ boards: { main: board } }, unsigned())).toThrow(TypeError);
  });
});

describe("sqliteBoard behind a gate", () => {
  it("the board survives a restart, and a commitment stays used", async () => {
    const folder = mkdtempSync(join(tmpdir(), "scores-"));
    const path = join(folder, "board.sqlite");
    try {
      const first = new DatabaseSync(path);
      const before = kit({ board: sqliteBoard(first) });
      const { token, playerToken } = await before.player();
      const commitment = await before.commit(42, token);
      const { id } = await (await before.submit({ commitment }, token)).json();
      first.close();
      expect(await codeOf(await before.send("GET", "/scores"))).toEqual([503, "UNAVAILABLE"]);

      const second = new DatabaseSync(path);
      const after = kit({ board: sqliteBoard(second) });
      const again = await after.player(playerToken);
      // The memory store of the second process knows nothing of the commitment: the board does.
      const repeated = await after.submit({ commitment }, again.token);
      expect([repeated.status, await repeated.json()]).toEqual([200, { id, rank: 1, best: true }]);
      expect((await after.list("", bearer(again.token))).me).toMatchObject({ id, rank: 1, score: 42 });
      second.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("100 concurrent improvements through the gate keep the best", async () => {
    const database = new DatabaseSync(":memory:");
    const at = kit({ board: sqliteBoard(database) }, { session: { uses: 1000 } });
    const { token } = await at.player();
    await Promise.all(Array.from({ length: 100 }, (_, i) => at.submit({ score: (i * 37) % 100 }, token)));
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([99]);
    database.close();
  });
});

it("the helper's gate has what the tests rely on", async () => {
  const at = testGate();
  expect(await at.session()).toMatch(/^ey/);
});

describe("the default board", () => {
  const defaultOf = async (boards: object, name?: string): Promise<number> => {
    const at = kit({ boards: boards as Record<string, object>, ...(name !== undefined && { default: name }) });
    const { token } = await at.player();
    return (await at.submit({ score: 50 }, token)).status;
  };

  it("is the first one, or the one that is named", async () => {
    expect(await defaultOf({ small: { max: 10 }, large: { max: 100 } })).toBe(422);
    expect(await defaultOf({ small: { max: 10 }, large: { max: 100 } }, "large")).toBe(201);
    expect(await defaultOf({ main: { max: 100 }, 2026: { max: 10 } }, "main")).toBe(201);
    expect(await defaultOf({ 2026: { max: 100 } })).toBe(201);
    expect(await defaultOf({ main: { max: 100 }, "01": { max: 10 } })).toBe(201);
  });

  it.each(["2026", "1", "0"])("a board called %s, which JavaScript puts first, needs it to be named", (name) => {
    expect(() => kit({ boards: { main: {}, [name]: {} } })).toThrow(/"default"/);
    expect(() => kit({ boards: { main: {}, [name]: {} }, default: "mian" })).toThrow(/"default".*main/);
  });
});
