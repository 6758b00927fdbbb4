import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type StoreUnderTest, testStore } from "../../../src/testing/store.ts";
import { remoteStore } from "../../helpers/remote-store.ts";
import { startWorkerd, type Workerd } from "../../helpers/workerd.ts";

const TIMEOUT = 300;
let workerd: Workerd;
let made = 0;

beforeAll(async () => {
  workerd = await startWorkerd({ entry: "test/contract/store/durable-object/worker.ts", durableObjects: { VIRTUAL: "Virtual" } });
});
afterAll(() => workerd.dispose());

for (const shards of [1, 4]) {
  describe(`durableObjectStore over ${shards} of its objects in workerd`, () => {
    testStore(() => underTest(shards), { describe, it, expect });
  });
}

/** Every test has objects of its own. */
function underTest(shards: number): StoreUnderTest {
  made += 1;
  const query = `?class=VIRTUAL&shards=${shards}&prefix=t${made}&timeoutMs=${TIMEOUT}`;
  // Time moves with the next call, rather than by a call of its own: there are some thousands.
  let passed = 0;
  const send: ReturnType<Workerd["send"]> = (body) => {
    const advance = passed;
    passed = 0;
    return workerd.send(`/${query}&advance=${advance}`)(body);
  };
  const { store, dump } = remoteStore(send);
  return {
    store,
    advance(ms) {
      passed += ms;
    },
    dump,
    another: () => remoteStore(send).store,
    async hang() {
      const ms = 3 * TIMEOUT;
      await workerd.fetch(`/hang${query}&ms=${ms}`);
      const over = new Promise<void>((resolve) => {
        setTimeout(resolve, ms + 50);
      });
      return () => over;
    },
    timeoutMs: TIMEOUT,
  };
}
