import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { root } from "../../helpers/sources.ts";

it("the contract suite on bun:sqlite", async () => {
  const args = ["test", "--timeout=60000", "./test/contract/board/sqlite.bun.mjs"];
  const { stderr } = await promisify(execFile)(`${root}node_modules/.bin/bun`, args, { cwd: root });
  expect(stderr).toMatch(/\b55 pass\n\s*0 fail/);
}, 120_000);
