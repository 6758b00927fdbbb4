/**
 * Leaderboards: score commitments, boards with ranks and periods, names, moderation.
 *
 * @module
 */

import type { FeatureFactory } from "../gate/types.ts";
import { commitRoute } from "./commit.ts";
import { forgetJob, periodsJob } from "./jobs.ts";
import { moderationRoutes } from "./moderate.ts";
import { SCORE_LIMITS, type ScoresOptions, settle } from "./options.ts";
import { playerRecords } from "./players.ts";
import { readRoute } from "./read.ts";
import { submitRoute } from "./submit.ts";

export { LEVELS, type Level, type PublicScore, type ScoreReceipt, type ScoresAnswer } from "../protocol.ts";
export type {
  BoardCheck,
  BoardPeriod,
  BoardPlace,
  BoardRules,
  BoardView,
  Operator,
  Order,
  ScoreBoard,
  ScoreEntry,
  ScoreRow,
  SubmitResult,
} from "./board.ts";
export type { PeriodKind, Season } from "./calendar.ts";
export { type Commitment, type CommitmentClaims, signCommitment } from "./commitment.ts";
export type { DataOptions, DataResult, DataSchema } from "./data.ts";
export { type MemoryBoardOptions, memoryBoard } from "./memory-board.ts";
export { cleanName, foldName, generatedName, type NameOptions, type NameRule } from "./names.ts";
export type { BoardOptions, PeriodEnd, ScoresOptions } from "./options.ts";
export { periodsOf } from "./periods.ts";

/**
 * The leaderboard of a gate: `GET` and `POST /scores`, `POST /commitments` (with a signing secret), moderation (with a token).
 *
 * @throws {TypeError} {RangeError} when the gate is created: an unknown or bad option, a moderation token of less than 32 characters,
 * a board that needs commitments in a gate without a signing secret
 *
 * @example
 * ```ts
 * import { createGate } from "gatepass";
 * import { memoryBoard, scores } from "gatepass/scores";
 * const gate = createGate({
 *   secrets: "a signing secret of at least 32 bytes",
 *   turnstile: { secret: "1x0000000000000000000000000000000AA", allowedHostnames: ["localhost"], allowTestKeys: true },
 *   features: [scores({ board: memoryBoard(), boards: { main: { max: 100_000, names: "typed" } } })],
 * });
 * const answer = await gate.fetch(new Request("https://localhost/api/scores"));
 * console.assert((await answer.json()).scores.length === 0);
 * ```
 */
export function scores(options: ScoresOptions): FeatureFactory {
  return ({ tokens }) => {
    const settled = settle(options, tokens !== undefined);
    const { store } = settled;
    return {
      name: "scores",
      routes: [readRoute(settled), submitRoute(settled), ...(tokens ? [commitRoute(settled)] : []), ...moderationRoutes(settled)],
      actions: [settled.action],
      limits: SCORE_LIMITS,
      jobs: { boards: forgetJob(settled), ...(settled.onPeriodEnd && { periods: periodsJob(settled) }) },
      players: playerRecords(settled),
      check: async () => (await store.check?.(settled.boards.map(({ name, rules }) => ({ board: name, rules })))) ?? [],
    };
  };
}
