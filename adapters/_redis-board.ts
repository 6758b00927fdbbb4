import type { ConfigProblem } from "../src/errors.ts";
import type { BoardCheck, BoardRules, ScoreBoard, ScoreEntry } from "../src/scores/board.ts";
import { type HeldRules, heldRules, isHeldRules, outsideProblem, rulesProblem } from "../src/scores/board-check.ts";
import { assertEntry, levelNumber, periodsIn, scoreRange } from "../src/scores/ranking.ts";
import { assertInteger } from "../src/util/assertions.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import { garbage, listOf, numberOf, readStep, readSubmit, readWhole, type Step } from "./_redis-board-answer.ts";
import { asJson, boardKey, groupKey, listKey, moderationOf, playerKey, readingOf } from "./_redis-board-calls.ts";
import { boardRunner, openBoard, problemOf, type Run, type SendAction } from "./_redis-board-run.ts";
import { BOARD_COMMANDS, BOARD_SCRIPT, MODERATION_SCRIPT } from "./_redis-board-script.ts";
import { checkRedis } from "./_redis-check.ts";
import type { RedisClient } from "./_redis-client.ts";

/** Options of {@link redisBoard}. */
export interface RedisBoardOptions {
  /**
   * Beginning of all keys, 1 to 48 of `A-Z a-z 0-9 . _ : -`, default `gatepass-board`. It is the hash tag: on a Cluster
   * a `redisBoard`, with all its boards, is in one slot, on one master. To use several masters, give each game a
   * `redisBoard` with a prefix of its own.
   */
  prefix?: string;
  /** Milliseconds until a call that has no answer rejects, 1..60000, default 2000. */
  timeoutMs?: number;
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** A board in Redis. */
export type RedisBoard = ScoreBoard & Required<Pick<ScoreBoard, "check">>;

/** Messages of the server's problems, as they concern a board. */
const MESSAGES: Record<string, string> = {
  GP140: "Redis is too old",
  GP141: "Redis may evict keys when its memory is full: scores, bans and known submissions would be lost",
  GP142: "Redis keeps nothing on disk: after a restart the board is empty",
};

/** What a moderator does, and what makes room: it works although Redis has no memory left. */
const MODERATIONS = ["remove", "hide", "ban", "purge", "clear", "sweep"];
/** Rows or submissions that one script deletes at most: others do not wait long for it. */
const STEP = 500;

/**
 * A board in Redis or Valkey, shared by all processes that use it, over any client that `redisStore` takes. Every call
 * is one script and one round trip. The time for ranks, lists and neighbours grows with the logarithm of the rows. All
 * data is in one slot (see `prefix`) and in memory. `clear` and `check` go in steps of about 100 lists, `sweep` in steps
 * of 500 rows, so that others do not wait; `hidden` asks again where many hidden rows were cleared.
 *
 * Data of another version is neither read nor written: a call that meets it rejects with `ERR_CONFIG_INVALID` (GP173).
 * `migrate` brings data of version 1 to this one.
 *
 * Where Redis has no memory left, submissions reject with `ERR_BOARD_FULL`; a moderator can still remove, hide, ban,
 * purge, clear and sweep (from Redis 7 on).
 *
 * Set `maxmemory-policy noeviction` and use an append-only file; otherwise scores can be lost. `check` reports other
 * settings.
 *
 * @throws {TypeError} an unknown option; an unsupported `client`
 * @throws {RangeError} `prefix` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { redisBoard } from "gatepass/adapters/redis";
 * // Any client of redis, ioredis, Bun or Deno; here one that has nothing to tell.
 * const board = redisBoard({ send: async (_command, args) => [args.at(-1), []] });
 * console.assert((await board.top({ board: "main", period: "all", limit: 10 })).length === 0);
 * ```
 */
export function redisBoard(client: RedisClient, options: RedisBoardOptions = {}): RedisBoard {
  const rules: Rules<RedisBoardOptions> = { prefix: "string", timeoutMs: integer(1, 60_000), random: "function" };
  assertOptions("redisBoard", options, rules);
  const { prefix, timeoutMs, random } = options;
  const { call, driver, evaluate, name } = openBoard(client, prefix, timeoutMs);
  /** Undefined once Redis refused the flags of scripts. */
  let moderation: string | undefined = MODERATION_SCRIPT;
  const send: SendAction = async (action, keys, args) => {
    try {
      if (moderation !== undefined && MODERATIONS.includes(action)) return await evaluate(moderation, keys, args);
    } catch (error) {
      if (!(error instanceof Error && /compil|unexpected symbol/i.test(error.message))) throw error;
      moderation = undefined;
    }
    return evaluate(BOARD_SCRIPT, keys, args);
  };
  const run = boardRunner(send, call, { prefix: name, random });

  return {
    async submit(entry, rules) {
      assertEntry(entry, rules);
      const { player, submission } = entry;
      const key = playerKey(player);
      const probe = `${boardKey(entry.board)} ${key}`;
      return run((answer) => readSubmit(answer, submission), "submit", probe, ...submitValues(entry, rules, key, random));
    },

    ...readingOf(run),
    ...moderationOf(run),

    async clear(board, period) {
      const key = boardKey(board);
      let gone = 0;
      for (let cursor = "", last = ""; cursor !== "0"; ) {
        const values = [key, cursor || "0", last, ...(period === undefined ? [] : [asJson(period)])];
        const step = await run((answer) => readStep(answer, cursor), "clear", key, ...values);
        gone += step.count;
        [cursor, last] = [step.next, String(step.told)];
      }
      return gone;
    },

    async sweep(max = 1000, now = Date.now()) {
      assertInteger("max", max, 1);
      assertInteger("now", now, 0);
      let gone = 0;
      for (let more = true; more && gone < max; ) {
        const step = await run((answer) => listOf(answer).map(numberOf), "sweep", "", now, Math.min(STEP, max - gone));
        gone += step[0] ?? 0;
        more = step[1] !== 0;
      }
      return gone;
    },

    async check(boards = []) {
      const use = { key: `{${name}}:check:${randomId(random)}`, prefix: `{${name}}:`, commands: BOARD_COMMANDS };
      const problems = await call(() => checkRedis(driver, { ...use, consequence: "calls of the board fail" }, 0));
      const found = await checkBoards(run, boards).catch((error: unknown) => {
        const problem = problemOf(error);
        if (problem) return [problem];
        // What the role lacks has been told by the others.
        if (problems.some(({ severity }) => severity === "error")) return [];
        throw error;
      });
      return [...problems.map((problem) => ({ ...problem, message: MESSAGES[problem.code] ?? problem.message })), ...found];
    },
  };
}

async function checkBoards(run: Run, boards: readonly BoardCheck[]): Promise<ConfigProblem[]> {
  // Any call tells a client that gives Buffers, also where there are no boards.
  await run(readWhole, "find", "", "none");
  const problems: ConfigProblem[] = [];
  for (const { board, rules } of boards) {
    const { min, max } = scoreRange(rules);
    let outside = 0;
    let held: HeldRules | undefined;
    for (let cursor = ""; cursor !== "0"; ) {
      const read = (answer: unknown): { step: Step; rules: HeldRules | undefined } => {
        const step = readStep(answer, cursor);
        return { step, rules: rulesIn(step.told) };
      };
      const { step, rules: found } = await run(read, "check", boardKey(board), boardKey(board), cursor || "0", min, max);
      outside += step.count;
      [cursor, held] = [step.next, found];
    }
    problems.push(...outsideProblem(board, outside, rules), ...rulesProblem(board, held, rules));
  }
  return problems;
}

function rulesIn(told: unknown): HeldRules | undefined {
  if (typeof told !== "string") return undefined;
  const rules: unknown = JSON.parse(told);
  if (!isHeldRules(rules)) throw garbage();
  return rules;
}

/** What the script's action `submit` is called with. */
function submitValues(entry: ScoreEntry, rules: BoardRules, key: string, random?: (bytes: number) => Uint8Array): (string | number)[] {
  const { board, player, score, at, submission, level, name, flags, log, data, tag, unique } = entry;
  const { min, max } = scoreRange(rules);
  const held = heldRules(rules);
  const group = groupKey(held.group);
  const tags = tag === undefined ? [[]] : [[], [tag]];
  const lists = periodsIn(rules).flatMap(({ key: period, forget = "" }) =>
    tags.flatMap((one) => [
      listKey({ board, period, tag: one[0] }),
      asJson(period),
      forget,
      randomId(random),
      JSON.stringify([board, period, ...one]),
    ]),
  );
  const text = `${held.order} ${held.operator} ${levelNumber(held.minLevel)} ${group} ${JSON.stringify(held)}`;
  return [
    ...[boardKey(board), key, group, text, min, max, score, at, levelNumber(level), asJson(player), asJson(name), asJson(submission)],
    JSON.stringify([flags, log !== undefined, ...(data === undefined ? [] : [data])]),
    unique === undefined ? "" : asJson(unique),
    log === undefined ? "" : asJson(log),
    lists.length / 5,
    ...lists,
  ];
}
