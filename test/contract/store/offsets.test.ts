// Two processes of one gate whose clocks are wrong, on every store that processes can share: one solve, one clearance, one commitment count once all the same.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate, postgresStore } from "../../../adapters/postgres.ts";
import { redisStore } from "../../../adapters/redis.ts";
import { sqliteStore } from "../../../adapters/sqlite.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { describeWith, hasRedis, postgresFolder } from "../../helpers/backends.ts";
import { startPostgres } from "../../helpers/postgres.ts";
import { startRedis } from "../../helpers/redis.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import { afterRevocation, bothInTurn, findExcess, isRight, MOST, type OpenStore, TOLERANCE, USES, visit } from "./offsets/visitor.ts";

const HOUR = 3600;
const TIME = 300_000;

function holds(open: OpenStore, runs: number): void {
  it("a visitor gets what one solve, one clearance and one commitment have, where all clocks are right", async () => {
    expect(await visit(open, bothInTurn(0, 0))).toEqual({ writes: USES, cleared: USES, rows: 1 });
  });

  it.each([
    [0, -1216],
    [-1216, 0],
    [0, -MOST],
    [-MOST, 0],
    [HOUR, -HOUR],
    [-MOST, MOST],
    [MOST, -MOST],
  ])(
    "never more, by clocks that are wrong by %i and %i s",
    async (first, second) => {
      for (const wait of [0, 300, 1216, 1300, 2 * MOST - 1]) {
        const tally = await visit(open, bothInTurn(first, second, wait));
        expect([wait, tally, isRight(tally)]).toEqual([wait, tally, true]);
      }
      // And none of a session that the process with the first clock revoked.
      expect(await afterRevocation(open, [first, second])).toBe(0);
    },
    TIME,
  );

  it(
    "never more, by any two clocks, whatever is done where and when",
    async () => {
      expect(await findExcess(open, runs)).toBeUndefined();
    },
    TIME,
  );
}

describe("one store in memory under two gates", () => {
  let opened = 0;
  let store = memoryStore();
  holds((_, clock) => {
    // Each visitor has a fresh one.
    if (opened++ % 2 === 0) store = memoryStore({ clock });
    return store;
  }, 300);
});

describe("one file of SQLite", () => {
  const folder = mkdtempSync(join(tmpdir(), "gatepass-offsets-"));
  const path = join(folder, "store.db");
  const databases = [0, 1].map(() => new DatabaseSync(path));
  for (const database of databases) database.exec("PRAGMA synchronous = OFF");
  afterAll(() => {
    for (const database of databases) database.close();
    rmSync(folder, { recursive: true });
  });
  let opened = 0;
  holds((clock) => sqliteStore(databases[opened++ % 2] ?? new DatabaseSync(path), { clock, timeoutMs: 20_000 }), 200);

  // Real processes and real time: what a machine and a container with a wrong clock do to one file on a shared volume.
  it.each([
    [0, -1216],
    [-MOST, 0],
    [-MOST, -1],
    [-1300, -1300],
    [-4, -5],
  ])(
    "two processes that write at the same time, %i and %i s wrong: never more than one solve has",
    async (...offsets) => {
      const script = fileURLToPath(new URL("offsets/process.ts", import.meta.url));
      const file = join(folder, `processes${offsets.join("_")}.db`);
      const solved = Date.now();
      const run = (offset: number): Promise<{ stdout: string }> =>
        promisify(execFile)(process.execPath, [script, file, String(solved), String(offset)]);
      const together = await Promise.all(offsets.map(run));
      // And again, each alone: what the others left must still count.
      const alone = [];
      for (const offset of offsets) alone.push(await run(offset));
      const tallies: { writes: number; rows: number; cleared: number }[] = [...together, ...alone].map(({ stdout }) => JSON.parse(stdout));
      // A process that is behind refuses a solve from its future.
      const some = offsets.some((offset) => offset >= -TOLERANCE);
      expect(tallies.reduce((sum, { writes }) => sum + writes, 0)).toBe(some ? USES : 0);
    },
    TIME,
  );
});

describeWith("redis-server", hasRedis())("one Redis", () => {
  let close = async (): Promise<void> => undefined;
  let client = createClient();
  beforeAll(async () => {
    const server = await startRedis();
    client = createClient({ url: server.url });
    client.on("error", () => undefined);
    await client.connect();
    close = async () => {
      client.destroy();
      await server.dispose();
    };
  });
  afterAll(() => close());
  holds((_, clock) => redisStore(client, { clock, timeoutMs: 20_000 }), 60);
});

describeWith("PostgreSQL", postgresFolder() !== undefined)("one PostgreSQL", () => {
  let close = async (): Promise<void> => undefined;
  let pool = new pg.Pool();
  beforeAll(async () => {
    const server = await startPostgres();
    pool = new pg.Pool({ connectionString: server.url });
    pool.on("error", () => undefined);
    await migrate(pool);
    close = async () => {
      await pool.end();
      await server.close();
    };
  });
  afterAll(() => close());
  holds((_, clock) => postgresStore(pool, { clock, timeoutMs: 20_000 }), 40);
});

describe("in workerd", async () => {
  const worker = await startWorkerd({
    entry: "test/contract/workers/offsets.ts",
    d1: ["DB"],
    durableObjects: { COUNTER: "Counter" },
  });
  afterAll(() => worker.dispose());
  it.each(["d1", "durable-object"])(
    "never more, by any two clocks, on %s",
    async (name) => {
      const answer = await worker.fetch(`/${name}`);
      expect(await answer.json()).toEqual({ right: { writes: USES, cleared: USES, rows: 1 }, wrong: [] });
    },
    TIME,
  );
});

it(
  "never more, by any two clocks, on Deno KV under Deno",
  async () => {
    const deno = fileURLToPath(new URL("../../../node_modules/.bin/deno", import.meta.url));
    const script = fileURLToPath(new URL("offsets/deno-kv.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(deno, ["run", "-A", "--no-check", "--unstable-kv", "--no-lock", "--quiet", script]);
    expect(JSON.parse(stdout)).toEqual({ right: { writes: USES, cleared: USES, rows: 1 }, wrong: [] });
  },
  TIME,
);
