import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import { memoryBoard } from "../../../src/scores/index.ts";
import { bearer, codeOf, kit, MODERATOR } from "../scores/kit.ts";

// What a client pays for is given back when our own work fails. If all of it were given back, one session could make the failing work happen without end.

const PER_MINUTE = 15;
/** Of a session; and as many requests are under way at once. */
const USES = 5;
const down = new GatepassError("ERR_BOARD_UNAVAILABLE", "Cannot use the database");

async function all<T>(count: number, work: (i: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  for (let i = 0; i < count; i += USES) done.push(...(await Promise.all(Array.from({ length: USES }, (_, j) => work(i + j)))));
  return done;
}

function tally(answers: readonly Response[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describe("work of ours that fails is bounded by the limits, and costs the player no use", () => {
  it("the board is down: 500 requests of one session are 15 board calls a minute", async () => {
    const inner = memoryBoard();
    let asked = 0;
    let broken = true;
    const board = {
      ...inner,
      async submit(...values: Parameters<typeof inner.submit>) {
        asked += 1;
        if (broken) throw down;
        return inner.submit(...values);
      },
    };
    const at = kit({ board }, { limits: {}, session: { uses: USES } });
    const { token } = await at.player();
    expect(tally(await all(500, () => at.submit({ score: 10 }, token)))).toEqual({ 503: PER_MINUTE, 429: 500 - PER_MINUTE });
    expect(asked).toBe(PER_MINUTE);
    broken = false;
    at.advance(70_000);
    expect(tally(await all(10, () => at.submit({ score: 10 }, token)))).toEqual({ 201: 5, 401: 5 });
  });

  it("the board is down: commitments are bounded as well, and stay good", async () => {
    const at = kit({ boards: { main: { operator: "sum" } } }, { limits: {}, session: { uses: USES } });
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    at.breakBoard(down);
    expect(tally(await all(500, () => at.submit({ commitment }, token)))).toEqual({ 503: PER_MINUTE, 429: 500 - PER_MINUTE });
    at.breakBoard(undefined);
    at.advance(70_000);
    expect((await at.submit({ commitment }, token)).status).toBe(201);
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([42]);
  });

  it.each([
    ["filter", { filter: () => Promise.reject(new Error("The word list is gone")) }],
    ["generate", { generate: () => "\n" }],
  ] as const)("a name %s that throws is asked at most 15 times a minute by one session, which keeps its uses", async (which, names) => {
    let asked = 0;
    const counted = Object.fromEntries(
      Object.entries(names).map(([name, work]) => [
        name,
        () => {
          asked += 1;
          return work();
        },
      ]),
    );
    const at = kit({ boards: { main: { names: counted }, other: {} } }, { limits: {}, session: { uses: USES } });
    const { token } = await at.player();
    const answers = await all(500, () => at.submit({ score: 1, ...(which === "filter" && { name: "Ada" }) }, token));
    expect(tally(answers)).toEqual({ 500: PER_MINUTE, 429: 500 - PER_MINUTE });
    expect(asked).toBe(PER_MINUTE);
    at.advance(70_000);
    expect(tally(await all(10, () => at.submit({ score: 1, board: "other" }, token)))).toEqual({ 201: 5, 401: 5 });
  });

  it("a sum board that times out after it has written adds at most 15 times a minute", async () => {
    const inner = memoryBoard();
    const board = {
      ...inner,
      async submit(...values: Parameters<typeof inner.submit>) {
        await inner.submit(...values);
        throw down;
      },
    };
    const at = kit({ board, boards: { main: { operator: "sum" } } }, { limits: {}, session: { uses: USES } });
    const { token } = await at.player();
    expect(tally(await all(500, () => at.submit({ score: 10 }, token)))).toEqual({ 503: PER_MINUTE, 429: 500 - PER_MINUTE });
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([10 * PER_MINUTE]);
  });

  it("a refused name keeps its use and its limit: the client caused it", async () => {
    const at = kit({ boards: { main: { names: { filter: () => false } } } }, { limits: {}, session: { uses: USES } });
    const { token } = await at.player();
    const answers = await all(10, () => at.submit({ score: 1, name: "Ada" }, token));
    expect(tally(answers)).toEqual({ 422: 5, 401: 5 });
  });
});

describe("a failure of the store or the board in the middle of a request is a 503, and nothing is unhandled", () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  beforeEach(() => void process.on("unhandledRejection", listen));
  afterEach(async () => {
    // Node tells of a rejection once the microtasks are done.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", listen);
    expect(unhandled.splice(0)).toEqual([]);
  });

  it("a refund that fails: the client is not told that its commitment is still good", async () => {
    const at = kit({ boards: { main: { names: { filter: (name) => name !== "Nope" } } } });
    const { token } = await at.player();
    const commitment = await at.commit(42, token);
    at.store.refund = () => Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot reach the store"));
    expect(await codeOf(await at.submit({ commitment, name: "Nope" }, token))).toEqual([503, "UNAVAILABLE"]);
    expect(at.events.filter(({ type }) => type === "store_unavailable")).toHaveLength(1);
    // Where our own work failed before, the answer is about that work.
    at.breakBoard(down);
    expect(await codeOf(await at.submit({ score: 1 }, token))).toEqual([503, "UNAVAILABLE"]);
    expect(at.errors).toEqual([]);
  });

  it.each(["hide", "ban", "purge", "remove", "find"] as const)("a board whose %s fails tells the moderator so", async (verb) => {
    const at = kit({ moderation: { tokens: [MODERATOR] } });
    const { token } = await at.player();
    const { id } = await (await at.submit({ score: 1 }, token)).json();
    Object.assign(at.board, { [verb]: () => Promise.reject(down) });
    const [method, path] = verb === "remove" ? ["DELETE", ""] : ["POST", `/${verb === "find" ? "hide" : verb}`];
    const act = (): Promise<Response> => at.send(method, `/scores/${id}${path}`, undefined, bearer(MODERATOR));
    // More often than a moderator may guess: a failure of ours is no failed guess.
    for (let i = 0; i < 7; i++) expect(await codeOf(await act())).toEqual([503, "UNAVAILABLE"]);
    expect(at.events.filter(({ reason }) => reason === "board_down")).toHaveLength(7);
    expect(at.events.some(({ reason }) => reason?.startsWith("moderation_"))).toBe(false);
    expect(at.errors).toEqual([]);
  });
});
