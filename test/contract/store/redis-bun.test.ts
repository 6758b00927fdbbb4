import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { startRedis } from "../../helpers/redis.ts";
import { root } from "../../helpers/sources.ts";

const run = promisify(execFile);

describeWith("redis-server", hasRedis())("redisStore and redisBoard under Bun", () => {
  it("keep their contracts on Bun's own client", { timeout: 120_000 }, async () => {
    const servers = await Promise.all([startRedis(), startRedis()]);
    try {
      const told = JSON.stringify(servers.map(({ port, pid }) => ({ port, pid })));
      const { stdout } = await run(`${root}node_modules/.bin/bun`, [`${root}test/contract/store/redis-bun.suite.mjs`, told]);
      const report: { passed: number; failures: string[] } = JSON.parse(stdout);
      expect(report.failures).toEqual([]);
      expect(report.passed).toBeGreaterThan(2 * 50);
    } finally {
      await Promise.all(servers.map((server) => server.dispose()));
    }
  });
});

it("what Bun calls a client of Redis, PostgreSQL or SQLite is one to us, by its types", { timeout: 240_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "gatepass-bun-types-"));
  try {
    writeFileSync(
      join(folder, "client.ts"),
      `import { redis, RedisClient, SQL, sql } from "bun";
       import { Database } from "bun:sqlite";
       import { migrate, postgresBoard, postgresStore } from "${root}adapters/postgres.ts";
       import { redisBoard, redisStore } from "${root}adapters/redis.ts";
       import { sqliteBoard, sqliteStore } from "${root}adapters/sqlite.ts";
       export const inRedis: unknown[] = [redisStore(redis), redisStore(new RedisClient()), redisBoard(redis)];
       export const inPostgres: unknown[] = [postgresStore(sql), postgresStore(new SQL("postgres://")), postgresBoard(sql), migrate(sql)];
       export const inSqlite: unknown[] = [sqliteStore(new Database()), sqliteBoard(new Database())];
       // @ts-expect-error what is no client
       redisStore(new Map());
       // @ts-expect-error what is none either
       postgresStore(redis);
       // @ts-expect-error nor this
       sqliteStore(sql);`,
    );
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: `${root}tsconfig.json`,
        compilerOptions: { types: [`${root}node_modules/bun-types`], isolatedDeclarations: false, declaration: false },
        include: [join(folder, "client.ts")],
      }),
    );
    const { stdout } = await run(`${root}node_modules/.bin/tsc`, ["-p", folder]).catch((error: { stdout: string }) => error);
    expect(stdout).toBe("");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
