import { type ConfigProblem, GatepassError } from "../src/errors.ts";
import { LEVELS } from "../src/protocol.ts";
import type { ScoreBoard, ScoreRow, SubmitResult } from "../src/scores/board.ts";
import { assertEntry, assertLimit, levelNumber, scoreRange, withRanks } from "../src/scores/ranking.ts";
import { usesKey } from "../src/store/keys.ts";
import { assertString } from "../src/util/assertions.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import { createCall } from "./_call.ts";
import { BOARD_COMMANDS, BOARD_SCRIPT, MODERATION_SCRIPT } from "./_redis-board-script.ts";
import { checkRedis } from "./_redis-check.ts";
import { evaluateOver, type RedisClient, redisDriver } from "./_redis-client.ts";
import { hasCode } from "./_redis-script.ts";

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

/** A row as Redis holds it. */
type HeldRow = Omit<ScoreRow, "rank">;

/** Messages of the server's problems, as they concern a board. */
const MESSAGES: Record<string, string> = {
  GP140: "Redis is too old",
  GP141: "Redis may evict keys when its memory is full: scores, bans and known submissions would be lost",
  GP142: "Redis keeps nothing on disk: after a restart the board is empty",
};

/**
 * With a type mapping, node-redis gives Buffers instead of texts. They are not supported: each client would need a
 * decoding of its own.
 */
const BUFFERS: ConfigProblem = {
  code: "GP144",
  severity: "error",
  message: "The client gives Buffers in place of texts (a type mapping of node-redis): every call of the board fails",
  fix: "Give redisBoard a client without a type mapping for texts, e.g. client.withTypeMapping({})",
};

/** Actions of a moderator. */
const MODERATIONS = ["remove", "hide", "ban", "purge"];
const STATUSES = ["stored", "kept", "repeated", "banned"] as const;

/**
 * A board in Redis or Valkey, shared by all processes that use it, over any client that `redisStore` takes. Every call
 * is one script and one round trip. The time for ranks, lists and neighbours grows with the logarithm of the rows. All
 * data is in one slot (see `prefix`) and in memory: 700 to 1100 bytes for each row and period, by its level, besides
 * its log, and some 40 bytes for every submission, which is kept for ever.
 *
 * Where Redis has no memory left, submissions reject with `ERR_BOARD_FULL`; a moderator can still remove, hide, ban and
 * purge (from Redis 7 on).
 *
 * Set `maxmemory-policy noeviction` and use an append-only file; otherwise scores can be lost. `check` reports other
 * settings. A change of a board's `order` rewrites it in one script, which blocks Redis for a second or more with
 * 100,000 rows.
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
export function redisBoard(client: RedisClient, options: RedisBoardOptions = {}): ScoreBoard & { check(): Promise<ConfigProblem[]> } {
  const rules: Rules<RedisBoardOptions> = { prefix: "string", timeoutMs: integer(1, 60_000), random: "function" };
  assertOptions("redisBoard", options, rules);
  const { prefix = "gatepass-board", timeoutMs, random } = options;
  assertString("prefix", prefix, 1, 48);
  // A brace in the prefix would change the hash tag, and with it the slots of the keys.
  if (!/^[\w.:-]+$/.test(prefix)) throw new RangeError('Invalid "prefix": expected A-Z a-z 0-9 . _ : -');
  const call = createCall("ERR_BOARD_UNAVAILABLE", timeoutMs);
  const driver = redisDriver(client);
  const evaluate = evaluateOver(driver.send);
  /** Undefined once Redis refused the flags of scripts. */
  let moderation: string | undefined = MODERATION_SCRIPT;
  const send = async (action: string, keys: string[], args: string[]): Promise<unknown> => {
    try {
      if (moderation !== undefined && MODERATIONS.includes(action)) return await evaluate(moderation, keys, args);
    } catch (error) {
      if (!(error instanceof Error && /compil|unexpected symbol/i.test(error.message))) throw full(error);
      moderation = undefined;
    }
    return evaluate(BOARD_SCRIPT, keys, args).catch((error: unknown) => {
      throw full(error);
    });
  };
  const run = <T>(read: (answer: unknown) => T, action: string, ...values: (string | number)[]): Promise<T> =>
    call(async () => {
      const serial = randomId(random);
      const answer = await send(action, [`{${prefix}}:`], [action, ...values.map(String), serial]);
      if (Array.isArray(answer) && answer[0] instanceof Uint8Array) throw new BuffersError();
      // Drivers assign answers to calls by their order only. If the order slipped, this is the answer to another call.
      if (!Array.isArray(answer) || answer[0] !== serial) throw new Error("The answer is none of this script's");
      return read(answer[1]);
    });

  return {
    async submit(entry, rules) {
      assertEntry(entry, rules);
      const { board, player, score, at, submission, level, name, flags, log } = entry;
      const { min, max } = scoreRange(rules);
      const perPeriod = rules.periods.flatMap((period) => [
        listKey(board, period),
        randomId(random),
        JSON.stringify([board, period, player, submission, name, flags, log !== undefined]),
      ]);
      return run(
        (answer) => readSubmit(answer, submission),
        "submit",
        playerKey(player),
        usesKey("b", board),
        rules.order,
        rules.operator,
        min,
        max,
        levelNumber(rules.minLevel ?? "claimed"),
        score,
        at,
        levelNumber(level),
        asJson(submission),
        rules.periods.length,
        ...perPeriod,
        ...(log === undefined ? [] : [asJson(log)]),
      );
    },

    async top({ board, period, limit, minLevel = "claimed" }) {
      assertLimit("limit", limit);
      const read = (answer: unknown): ScoreRow[] => withRanks(readRows(listOf(answer), limit), (index) => index + 1);
      return run(read, "top", listKey(board, period), levelNumber(minLevel), limit);
    },

    async around(id, n) {
      assertLimit("n", n, 0);
      return isId(id) ? run((answer) => readAround(answer, 2 * n + 1), "around", id, n) : [];
    },

    async find(id) {
      return isId(id) ? run(readWhole, "find", id) : null;
    },

    async ofPlayer({ board, period, player }) {
      return run(readWhole, "ofPlayer", playerKey(player), listKey(board, period));
    },

    async remove(id) {
      return isId(id) && (await run(numberOf, "remove", id)) > 0;
    },

    async hide(id, hidden) {
      return isId(id) && (await run(numberOf, "hide", id, hidden ? 1 : 0)) > 0;
    },

    async ban(player, banned) {
      await run(numberOf, "ban", playerKey(player), banned ? 1 : 0);
    },

    async purge(player) {
      return run(numberOf, "purge", playerKey(player));
    },

    async check() {
      const use = { key: `{${prefix}}:check:${randomId(random)}`, prefix: `{${prefix}}:`, commands: BOARD_COMMANDS };
      const problems = await call(() => checkRedis(driver, { ...use, consequence: "calls of the board fail" }, 0));
      const buffers = await run(() => false, "find", "none").catch((error: unknown) => error instanceof BuffersError);
      return [
        ...problems.map((problem) => ({ ...problem, message: MESSAGES[problem.code] ?? problem.message })),
        ...(buffers ? [BUFFERS] : []),
      ];
    },
  };
}

/** `ERR_BOARD_FULL` if Redis has no memory left, which the operator can fix; else the error itself. */
function full(error: unknown): unknown {
  return hasCode(error, "OOM") ? new GatepassError("ERR_BOARD_FULL", "Cannot write: Redis has no memory left", { cause: error }) : error;
}

class BuffersError extends GatepassError {
  constructor() {
    super("ERR_BOARD_UNAVAILABLE", `${BUFFERS.message}. ${BUFFERS.fix}`);
  }
}

const playerKey = (player: string): string => usesKey("p", player);
const listKey = (board: string, period: string): string => usesKey("l", board, period);

/** Whether a text may be a row's id; other texts are not looked up. */
function isId(id: string): boolean {
  return /^[\w-]{1,64}$/.test(id);
}

/** A text as JSON, which keeps lone surrogates. UTF-8 would turn all of them into one replacement character. */
function asJson(text: string): string {
  return JSON.stringify(text);
}

function readSubmit(answer: unknown, submission: string): SubmitResult {
  const [told, id, held, rank, ...more] = listOf(answer);
  const status = STATUSES.find((one) => one === textOf(told));
  if (status === undefined || more.length > 0) throw garbage();
  if (listOf(answer).length === 1) return { status, id: "", rank: 0, best: false };
  const row = readRow(textOf(id), held);
  return { status, id: row.id, rank: numberOf(rank), best: row.submission === submission };
}

function readAround(answer: unknown, most: number): ScoreRow[] {
  const [from, first, ...rows] = listOf(answer);
  if (listOf(answer).length === 0) return [];
  const [position, rank] = [numberOf(from), numberOf(first)];
  // The first row's rank comes from the script. A score that begins after it has its position as rank.
  return withRanks(readRows(rows, most), (index) => (index === 0 ? rank : position + index + 1));
}

function readWhole(answer: unknown): ScoreRow | null {
  const [id, held, rank, hidden, log, ...more] = listOf(answer);
  if (listOf(answer).length === 0) return null;
  if (more.length > 0) throw garbage();
  const row = { ...readRow(textOf(id), held), rank: numberOf(rank), hidden: numberOf(hidden) === 1 };
  return log === undefined || log === null ? row : { ...row, log: String(JSON.parse(textOf(log))) };
}

/** Ids and rows in turn, of at most `most` rows. */
function readRows(values: readonly unknown[], most: number): HeldRow[] {
  const rows = values.flatMap((id, i) => (i % 2 === 1 ? [] : [readRow(textOf(id), values[i + 1])]));
  if (rows.length > most || new Set(rows.map(({ id }) => id)).size !== rows.length) throw garbage();
  return rows;
}

function readRow(id: string, value: unknown): HeldRow {
  const held = textOf(value);
  const start = held.indexOf("[");
  const [score, at, level] = held.slice(0, start).split(" ").map(Number);
  const data: unknown = JSON.parse(held.slice(start));
  const [board, period, player, submission, name, flags, replay]: unknown[] = listOf(data);
  const shown = LEVELS[numberOf(level)];
  if (shown === undefined || typeof replay !== "boolean") throw garbage();
  return {
    id,
    board: textOf(board),
    period: textOf(period),
    player: textOf(player),
    score: numberOf(score),
    at: numberOf(at),
    submission: textOf(submission),
    level: shown,
    flags: listOf(flags).map(textOf),
    name: textOf(name),
    hidden: false,
    replay,
  };
}

function listOf(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw garbage();
  return value;
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw garbage();
  return value;
}

/** An integer of an answer, also where the client is set to give texts or bigints. */
function numberOf(value: unknown): number {
  // Only digits: an empty text would pass for 0.
  const isDigits = typeof value === "string" && /^-?\d+$/.test(value);
  const number = typeof value === "bigint" || isDigits ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number)) throw garbage();
  return number;
}

function garbage(): TypeError {
  return new TypeError("Cannot read the answer of Redis");
}
