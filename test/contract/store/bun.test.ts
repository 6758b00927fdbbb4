import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("the contract suite passes under Bun, in memory and on bun:sqlite", { timeout: 240_000 }, async () => {
  const path = (to: string): string => fileURLToPath(new URL(to, import.meta.url));
  const { stdout } = await promisify(execFile)(path("../../../node_modules/.bin/bun"), [path("bun/suite.mjs")]);
  const report: { passed: number; failures: string[] } = JSON.parse(stdout);
  expect(report.failures).toEqual([]);
  expect(report.passed).toBeGreaterThan(50);
});
