import { afterAll, beforeAll, expect, it } from "vitest";
import { remoteStore } from "../../helpers/remote-store.ts";
import { startWorkerd, type Workerd } from "../../helpers/workerd.ts";
import { faultsOf, type StormReport } from "../../storm/plan.ts";
import { STORM } from "../../storm/size.ts";

let workerd: Workerd;

beforeAll(async () => {
  workerd = await startWorkerd({ entry: "test/contract/store/durable-object/worker.ts", durableObjects: { REAL: "Real" } });
});
afterAll(() => workerd.dispose());

for (const [shards, spends] of [
  [1, STORM().spends],
  // Each takes two to four requests here.
  [4, 5000],
] as const) {
  // A binding cannot leave its Worker, so what elsewhere are processes are requests here, each with a store and stubs of its own.
  it(`guarantees 1 and 2 hold for 8 requests with 64 callers each, on ${shards} of its objects`, { timeout: 120_000 }, async () => {
    const [storm, query] = [{ ...STORM(), spends }, `class=REAL&shards=${shards}&prefix=storm${shards}&timeoutMs=60000`];
    const reports = await Promise.all(
      Array.from({ length: storm.processes }, async (_, i): Promise<StormReport> => {
        const answer = await workerd.fetch(`/storm?${query}&process=${i}`, { method: "POST", body: JSON.stringify(storm) });
        return JSON.parse(await answer.text());
      }),
    );
    expect(await faultsOf(remoteStore(workerd.send(`/?${query}`)).store, storm, reports)).toEqual([]);
    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
  });
}
