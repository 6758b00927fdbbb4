import { afterAll, expect, it } from "vitest";
import { startWorkerd } from "../../helpers/workerd.ts";

const worker = await startWorkerd({
  entry: "test/contract/store/durable-object/key-value.ts",
  durableObjects: { GATE: "Gate" },
  keyValueObjects: { OLD: "Old" },
});
afterAll(() => worker.dispose());

it("a class without SQLite says so: in the error's cause and in check (GP161), where the other one has nothing to say", async () => {
  const [good, old] = JSON.parse(await (await worker.fetch("/")).text());
  expect(good).toEqual({ spent: true, check: [] });
  expect(old.spent).toEqual(["ERR_STORE_UNAVAILABLE", expect.stringContaining("no SQLite")]);
  expect(old.check).toEqual([
    expect.objectContaining({ code: "GP161", severity: "error", fix: expect.stringContaining("new_sqlite_classes") }),
  ]);
});
