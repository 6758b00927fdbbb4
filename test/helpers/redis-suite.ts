// Runs the published suites on clients of another runtime, where there is no test runner; that runtime loads this file. See runRedisSuites.
import process from "node:process";
import { type RedisClient, redisBoard, redisStore } from "../../adapters/redis.ts";
import { testBoard, testStore } from "../../src/testing/index.ts";
import { type PlainReport, plainKit } from "./plain-kit.ts";

/** A client, what it answers to `KEYS`, and how it ends. */
export interface OpenedClient {
  client: RedisClient;
  keys(pattern: string): Promise<unknown>;
  end(): unknown;
}

/** A server of its own for each client: one is stopped (SIGSTOP) while others go on. */
export interface SuiteServer {
  port: number;
  pid: number;
}

const TIMEOUT = 500;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;

/** The contracts of the store and the board on every client of `open`, at the same time, since they wait most of it; time is real. */
export async function runRedisSuites(
  open: Record<string, (port: number) => Promise<OpenedClient>>,
  servers: readonly SuiteServer[],
): Promise<PlainReport> {
  const reports = await Promise.all(
    Object.entries(open).map(async ([name, openOne], i) => {
      const server = servers[i];
      if (server === undefined) throw new Error(`No server for ${name}`);
      return runOne(name, () => openOne(server.port), server.pid);
    }),
  );
  return { passed: reports.reduce((sum, { passed }) => sum + passed, 0), failures: reports.flatMap(({ failures }) => failures) };
}

async function runOne(name: string, open: () => Promise<OpenedClient>, pid: number): Promise<PlainReport> {
  const [first, second] = [await open(), await open()];
  const kit = plainKit();
  let serial = 0;
  testStore(() => {
    const options = { prefix: `t${++serial}:`, timeoutMs: PATIENT };
    return {
      impatient: () => redisStore(first.client, { ...options, timeoutMs: TIMEOUT }),
      store: redisStore(first.client, options),
      another: () => redisStore(second.client, options),
      timeoutMs: TIMEOUT,
      async dump() {
        const keys = await first.keys(`${options.prefix}*`);
        return Array.isArray(keys) ? keys.map(String) : [];
      },
      hang() {
        process.kill(pid, "SIGSTOP");
        return async () => {
          // Timers are early by a part of a millisecond, and what is not late is charged.
          await new Promise((resolve) => setTimeout(resolve, 20));
          process.kill(pid, "SIGCONT");
        };
      },
    };
  }, kit);
  testBoard(() => {
    const options = { prefix: `b${++serial}` };
    return { board: redisBoard(first.client, options), reopen: () => redisBoard(second.client, options) };
  }, kit);
  const report = await kit.run(name);
  for (const { end } of [first, second]) end();
  return report;
}
