import { testGuarantees, testModeration } from "./board-guarantees.ts";
import { testForgetting, testPlayers } from "./board-players.ts";
import { testOrder, testRows } from "./board-rows.ts";
import { assertKit, type BoardUnderTest, boardTools, type TestKit } from "./board-tools.ts";
import { testViews } from "./board-views.ts";

export type { BoardUnderTest, TestKit } from "./board-tools.ts";

/**
 * The contract of a `ScoreBoard` as a test suite: order, operators, ties, periods, ranks, neighbours, views, pages, players, moderation, uniqueness, concurrency, bad input, and a
 * comparison with a naive model over random actions. `make` is called for every test and gives an empty board.
 *
 * @throws {TypeError} no `make`, a kit that is none
 *
 * @example
 * ```ts
 * import { memoryBoard } from "gatepass/scores";
 * import { testBoard } from "gatepass/testing";
 * const names: string[] = [];
 * testBoard(() => ({ board: memoryBoard() }), {
 *   describe: (_, suite) => suite(),
 *   it: (name) => names.push(name),
 *   expect: () => ({ toEqual: () => undefined }),
 * });
 * console.assert(names.length > 15);
 * ```
 */
export function testBoard(make: () => BoardUnderTest | Promise<BoardUnderTest>, kit: TestKit): void {
  assertKit(make, kit);
  const tools = boardTools(make, kit);
  kit.describe("board: order and operators", () => testOrder(tools));
  kit.describe("board: rows", () => testRows(tools));
  kit.describe("board: views and pages", () => testViews(tools));
  kit.describe("board: players and groups", () => testPlayers(tools));
  kit.describe("board: lists that end", () => testForgetting(tools));
  kit.describe("board: moderation", () => testModeration(tools));
  kit.describe("board: guarantees", () => testGuarantees(tools));
}
