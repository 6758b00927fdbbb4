import { type ConfigProblem, GatepassError } from "../src/errors.ts";
import { versionError, versionProblem } from "../src/scores/board-check.ts";
import { assertString } from "../src/util/assertions.ts";
import { randomId } from "../src/util/random.ts";
import { type Call, createCall } from "./_call.ts";
import { numberOf } from "./_redis-board-answer.ts";
import { evaluateOver, type RedisClient, type RedisDriver, redisDriver } from "./_redis-client.ts";
import { type Evaluate, hasCode } from "./_redis-script.ts";

/**
 * One call of a script. `probe`: the keys of boards and players and the ids of rows, separated by spaces, where data of version 1 would be met.
 */
export type Run = <T>(read: (answer: unknown) => T, action: string, probe: string, ...values: (string | number)[]) => Promise<T>;

/** Sends one action, with its keys and arguments, to a script. */
export type SendAction = (action: string, keys: string[], args: string[]) => Promise<unknown>;

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

/** Calls of a script over one prefix. Its answers begin with the number of the call. */
export function boardRunner(
  send: SendAction,
  call: Call,
  { prefix, random }: { prefix: string; random?: ((bytes: number) => Uint8Array) | undefined },
): Run {
  return (read, action, probe, ...values) =>
    call(async () => {
      const serial = randomId(random);
      const answer = await send(action, [`{${prefix}}:`], [action, probe, ...values.map(String), serial]).catch((error: unknown) => {
        throw full(error);
      });
      if (Array.isArray(answer) && answer[0] instanceof Uint8Array) {
        throw problemError(BUFFERS, new GatepassError("ERR_BOARD_UNAVAILABLE", `${BUFFERS.message}. ${BUFFERS.fix}`));
      }
      // Drivers assign answers to calls by their order only. If the order slipped, this is the answer to another call.
      if (!Array.isArray(answer) || answer[0] !== serial) throw new Error("The answer is none of this script's");
      const told: unknown = answer[1];
      if (Array.isArray(told) && told[0] === "version") {
        const problem = versionProblem(
          `Redis behind "${prefix}"`,
          numberOf(told[1]),
          '`migrate(client, { prefix })` of "gatepass/adapters/redis"',
        );
        throw problemError(problem, versionError(problem));
      }
      return read(told);
    });
}

/** The problems of those errors. */
const problems = new WeakMap<object, ConfigProblem>();

function problemError(problem: ConfigProblem, error: GatepassError): GatepassError {
  problems.set(error, problem);
  return error;
}

/** The problem that a call has rejected with, if it is one that `check` tells. */
export function problemOf(error: unknown): ConfigProblem | undefined {
  return typeof error === "object" && error !== null ? problems.get(error) : undefined;
}

/** `ERR_BOARD_FULL` if Redis has no memory left, which the operator can fix; else the error itself. */
function full(error: unknown): unknown {
  return hasCode(error, "OOM") ? new GatepassError("ERR_BOARD_FULL", "Cannot write: Redis has no memory left", { cause: error }) : error;
}

/** What a board's calls, or its migration, go over. */
export interface OpenedBoard {
  call: Call;
  driver: RedisDriver;
  evaluate: Evaluate;
  /** The prefix. */
  name: string;
}

/** @throws {TypeError} an unsupported `client` @throws {RangeError} `prefix` or `timeoutMs` */
export function openBoard(client: RedisClient, prefix = "gatepass-board", timeoutMs?: number): OpenedBoard {
  assertString("prefix", prefix, 1, 48);
  // A brace in the prefix would change the hash tag, and with it the slots of the keys.
  if (!/^[\w.:-]+$/.test(prefix)) throw new RangeError('Invalid "prefix": expected A-Z a-z 0-9 . _ : -');
  const driver = redisDriver(client);
  return { call: createCall("ERR_BOARD_UNAVAILABLE", timeoutMs), driver, evaluate: evaluateOver(driver.send), name: prefix };
}
