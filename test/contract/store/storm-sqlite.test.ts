import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { runStorm } from "../../storm/run.ts";
import { STORM } from "../../storm/size.ts";

const folder = mkdtempSync(join(tmpdir(), "gatepass-storm-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("guarantees 1 and 2 hold for 8 processes with 64 callers each on one SQLite file", { timeout: 120_000 }, async () => {
  const { faults, reports } = await runStorm({ kind: "sqlite", path: join(folder, "store.db") }, STORM());
  expect(faults).toEqual([]);
  expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
});
