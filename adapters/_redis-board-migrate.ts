import { GatepassError } from "../src/errors.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import type { RedisBoardOptions } from "./_redis-board.ts";
import { garbage, listOf, numberOf, textOf } from "./_redis-board-answer.ts";
import { MIGRATION_SCRIPT } from "./_redis-board-migrate-script.ts";
import { boardRunner, openBoard } from "./_redis-board-run.ts";
import { BOARD_COMMANDS } from "./_redis-board-script.ts";
import { type RedisClient, runnerOver } from "./_redis-client.ts";
import { checkPermissions } from "./_redis-permissions.ts";

/** Options of {@link migrate}. */
export type MigrateOptions = Pick<RedisBoardOptions, "prefix" | "timeoutMs">;

/** Every command of the migration, in a form that can be tried on a key (`@`). */
export const MIGRATION_COMMANDS: readonly string[] = [
  ...BOARD_COMMANDS,
  "SCAN 0 COUNT 1",
  "HSET @ f 1",
  "HEXISTS @ f",
  "HRANDFIELD @ 1",
  "RENAME @ @",
  "DEL @",
  "SCARD @",
];
/** Changes that one script makes at most, about: others do not wait long for it. */
const STEP = 300;

/**
 * Brings a board in Redis to the version of this release, in scripts of about 300 changes that leave time for others. It looks at every key of the database
 * by `SCAN`, and needs the commands SCAN, RENAME and HRANDFIELD besides those of the board. Any number of processes may run it at once, and one that was
 * stopped in its middle goes on where it was. From the first change until it has ended, all calls to the board reject.
 *
 * Boards of version 1 knew no groups: whom it banned is banned in every group. Stop older releases first; what they write later is refused (GP173) where
 * this release meets it, until `migrate` is run again.
 *
 * @returns what was done, one sentence each; empty: nothing was to do
 * @throws {TypeError} an unknown option; an unsupported `client` @throws {RangeError} `prefix` or `timeoutMs`
 * @throws {GatepassError} `ERR_BOARD_UNAVAILABLE`; `ERR_BOARD_FULL`; `ERR_CONFIG_INVALID`: a newer release has written the data (GP173), or the user of
 * Redis may not run what is needed (GP146)
 *
 * @example
 * ```ts
 * import { migrate } from "gatepass/adapters/redis";
 * // Any client of redis, ioredis, Bun or Deno; here one that has nothing to tell.
 * const client = { send: async (_command: string, args: readonly string[]) => [args.at(-1), args.includes("finish") ? 1 : ["0", 1, 0, 0, 0, 0, 0, 0, 0]] };
 * for (const done of await migrate(client)) console.log(done);
 * ```
 */
export async function migrate(client: RedisClient, options: MigrateOptions = {}): Promise<string[]> {
  assertOptions("migrate", options, { prefix: "string", timeoutMs: integer(1, 60_000) } satisfies Rules<MigrateOptions>);
  const { call, driver, evaluate, name } = openBoard(client, options.prefix, options.timeoutMs);
  const use = { key: `{${name}}:check:${randomId()}`, prefix: `{${name}}:`, commands: MIGRATION_COMMANDS };
  // Before anything is changed: a migration that may not go on would keep all releases out.
  const [problem] = await call(() => checkPermissions(runnerOver(driver.send), { ...use, consequence: "the board cannot be migrated" }));
  if (problem) throw new GatepassError("ERR_CONFIG_INVALID", `${problem.code}: ${problem.message}. ${problem.fix}`);
  const run = boardRunner((_action, keys, args) => evaluate(MIGRATION_SCRIPT, keys, args), call, { prefix: name });
  const sums = [0, 0, 0, 0, 0, 0, 0];
  for (;;) {
    // Until all keys were seen and none was to change: what is written meanwhile may be behind the cursor.
    const before = sums.reduce((sum, one) => sum + one);
    for (let cursor = "0", ended = false; !ended; ) {
      const step = await run((answer) => readMigration(answer, cursor), "step", "", cursor, STEP);
      [cursor, ended] = [step.next, step.ended];
      for (const [i, one] of step.counts.entries()) sums[i] = (sums[i] ?? 0) + one;
    }
    const changed = sums.reduce((sum, one) => sum + one) > before;
    if (!changed && (await run(numberOf, "finish", "")) === 1) return toldOf(sums);
  }
}

function readMigration(answer: unknown, cursor: string): { next: string; ended: boolean; counts: number[] } {
  const [next, end, ...counts] = listOf(answer);
  const step = { next: textOf(next), ended: numberOf(end) === 1, counts: counts.map(numberOf) };
  // A step that changes nothing goes on, or the steps would not end.
  if (step.counts.length !== 7 || (step.next === cursor && !step.ended && step.counts.every((one) => one === 0))) throw garbage();
  return step;
}

function toldOf([boards = 0, lists = 0, rows = 0, bans = 0, unknown = 0, unread = 0]: readonly number[]): string[] {
  return [
    ...(boards + lists + rows > 0 ? [`brought ${boards} boards, ${lists} lists and ${rows} rows to this version`] : []),
    ...(bans > 0 ? [`banned ${bans} players in every group, as before on every board`] : []),
    ...(unknown > 0 ? [`${unknown} of these have no rows and no plain id: they are listed as banned once they come again`] : []),
    ...(unread > 0 ? [`left ${unread} rows that cannot be read where they were`] : []),
  ];
}
