import { afterAll, describe } from "vitest";
import { startWorkerd } from "../../helpers/workerd.ts";
import { runSuite } from "../workers/run-suite.ts";

const worker = await startWorkerd({ entry: "test/contract/workers/d1.ts", d1: ["DB"] });
afterAll(() => worker.dispose());

describe("d1Board in workerd, on its binding", async () => {
  await runSuite(worker, "/board", 61);
});
