import type { BoardRules, ScoreBoard, ScoreEntry, SubmitResult } from "../scores/board.ts";
import { assertFunction } from "../util/assertions.ts";
import { assertOptions, methods, type Rules } from "../util/options.ts";

/** What the kits need of a test runner: vitest, `bun:test`, jest, or `node:test` and a matcher library. */
export interface TestKit {
  describe(name: string, suite: () => void): unknown;
  it(name: string, test: () => Promise<void>): unknown;
  expect(value: unknown): { toEqual(expected: unknown): unknown };
}

/** A board to test. */
export interface BoardUnderTest {
  /** Empty. */
  board: ScoreBoard;
  /** A second instance over the same data, as after a restart; without it, persistence is not tested. */
  reopen?(): ScoreBoard | Promise<ScoreBoard>;
  /** Cleans up after one test. */
  dispose?(): void | Promise<void>;
}

/** What the tests use. */
export interface BoardTools {
  /** Declares one test over a fresh board. */
  test(name: string, body: (board: ScoreBoard, under: BoardUnderTest) => Promise<void>): void;
  expect: TestKit["expect"];
  /** Submits; a submission of its own and a later time than the last one unless `more` says otherwise. */
  put(board: ScoreBoard, player: string, score: number, more?: Partial<ScoreEntry>, rules?: Partial<BoardRules>): Promise<SubmitResult>;
  /** The list, short. */
  listed(board: ScoreBoard, period?: string, limit?: number): Promise<[player: string, score: number, rank: number][]>;
  /** Expects a TypeError or a RangeError. */
  rejects(name: string, promise: Promise<unknown>): Promise<void>;
}

const UNDER: Rules<BoardUnderTest> = { board: methods("submit", "top"), reopen: "function", dispose: "function" };

/** @throws {TypeError} one of the functions is missing. A kit is no bag of options: the whole module of a test runner will do. */
export function assertKit(make: unknown, kit: TestKit): void {
  assertFunction("make", make);
  methods("describe", "it", "expect")("kit", kit);
}

export const RULES: BoardRules = { periods: ["all"], order: "desc", operator: "best" };

export function boardTools(make: () => BoardUnderTest | Promise<BoardUnderTest>, { it, expect }: TestKit): BoardTools {
  let serial = 0;
  return {
    expect,
    test(name, body) {
      it(name, async () => {
        const under = await make();
        assertOptions("make", under, UNDER, "", "board");
        try {
          await body(under.board, under);
        } finally {
          await under.dispose?.();
        }
      });
    },
    put: (board, player, score, more = {}, rules = {}) => board.submit(entryOf(++serial, player, score, more), { ...RULES, ...rules }),
    listed: async (board, period = "all", limit = 100) =>
      (await board.top({ board: "main", period, limit })).map(({ player, score, rank }) => [player, score, rank]),
    async rejects(name, promise) {
      const error: unknown = await promise.then(
        () => `${name}: no error`,
        (thrown: unknown) => thrown,
      );
      expect(error instanceof RangeError || error instanceof TypeError || error).toEqual(true);
    },
  };
}

export function entryOf(serial: number, player: string, score: number, more: Partial<ScoreEntry>): ScoreEntry {
  return {
    board: "main",
    player,
    score,
    at: serial,
    submission: `submission-${serial}`,
    level: "claimed",
    flags: [],
    name: player,
    ...more,
  };
}
