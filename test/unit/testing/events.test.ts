import { expect, it } from "vitest";
import { eventRecorder } from "../../../src/testing/index.ts";

it("eventRecorder remembers events in their order, by type, until cleared", () => {
  const recorder = eventRecorder();
  recorder({ v: 1, type: "session_issued", at: 1, outcome: "allow" });
  recorder({ v: 1, type: "rate_limited", at: 2, outcome: "deny" });
  recorder({ v: 1, type: "session_issued", at: 3, outcome: "allow" });
  expect(recorder.events.map(({ at }) => at)).toEqual([1, 2, 3]);
  expect(recorder.of("session_issued").map(({ at }) => at)).toEqual([1, 3]);
  recorder.clear();
  expect(recorder.events).toEqual([]);
});
