import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { startPostgres } from "../../helpers/postgres.ts";
import { root } from "../../helpers/sources.ts";

describeWith("PostgreSQL", postgresFolder() !== undefined)("Bun.SQL", () => {
  it("passes the contract suites of the store and of the board", { timeout: 120_000 }, async () => {
    const server = await startPostgres();
    try {
      const args = ["test", "--timeout=240000", "./test/contract/store/bun/postgres.mjs"];
      const env = { ...process.env, POSTGRES_URL: server.url };
      const { stderr } = await promisify(execFile)(`${root}node_modules/.bin/bun`, args, { cwd: root, env });
      expect(stderr).toMatch(/\b85 pass\n\s*0 fail/);
    } finally {
      await server.close();
    }
  });
});
