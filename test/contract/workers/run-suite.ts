import { expect, it } from "vitest";
import type { Workerd } from "../../helpers/workerd.ts";
import type { Outcome } from "./suites.ts";

/** Declares a test here for each test of the suite that a Worker serves at `path`, which runs there. */
export async function runSuite(worker: Workerd, path: string, atLeast: number): Promise<void> {
  const names: unknown = await (await worker.fetch(path)).json();
  if (!Array.isArray(names) || names.length < atLeast) throw new Error(`Expected at least ${atLeast} tests, got ${JSON.stringify(names)}`);
  for (const name of names) {
    it(String(name), { timeout: 240_000 }, async () => {
      const outcome: Outcome = JSON.parse(await (await worker.fetch(path, { method: "POST", body: String(name) })).text());
      expect(outcome.error).toBeUndefined();
    });
  }
}
