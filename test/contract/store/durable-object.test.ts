import { afterAll, describe } from "vitest";
import { startWorkerd } from "../../helpers/workerd.ts";
import { runSuite } from "../workers/run-suite.ts";

const worker = await startWorkerd({ entry: "test/contract/store/durable-object/worker.ts", durableObjects: { VIRTUAL: "Virtual" } });
afterAll(() => worker.dispose());

for (const shards of [1, 4]) {
  describe(`durableObjectStore over ${shards} of its objects in workerd`, async () => {
    await runSuite(worker, `/suite?class=VIRTUAL&prefix=suite&shards=${shards}`, 29);
  });
}
