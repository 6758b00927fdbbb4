import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { startRedis } from "../../helpers/redis.ts";
import { root } from "../../helpers/sources.ts";

describeWith("redis-server", hasRedis())("redisStore and redisBoard under Deno", () => {
  it("keep their contracts on the clients that one finds there", { timeout: 120_000 }, async () => {
    const servers = await Promise.all([startRedis(), startRedis(), startRedis()]);
    try {
      const told = JSON.stringify(servers.map(({ port, pid }) => ({ port, pid })));
      const args = [
        "run",
        "--no-lock",
        "--no-check",
        "--node-modules-dir=manual",
        "-A",
        `${root}test/contract/store/redis-deno.suite.ts`,
        told,
      ];
      const { stdout } = await promisify(execFile)(`${root}node_modules/.bin/deno`, args, { cwd: root });
      const report: { passed: number; failures: string[] } = JSON.parse(stdout);
      expect(report.failures).toEqual([]);
      expect(report.passed).toBeGreaterThan(3 * 50);
    } finally {
      await Promise.all(servers.map((server) => server.dispose()));
    }
  });
});
