import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/store/index.ts";
import { testStore } from "../../../src/testing/store.ts";

describe("memoryStore", () => {
  testStore(
    () => {
      let time = 1_750_000_000_000;
      const clock = (): number => time;
      const store = memoryStore({ clock });
      return {
        store,
        advance(ms) {
          time += ms;
        },
        dump: () => store.keys(),
        bounded: (maxKeys) => memoryStore({ maxKeys, clock }),
      };
    },
    { describe, it, expect },
  );
});
