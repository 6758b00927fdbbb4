/**
 * Test kits: what a store or a board must keep, and a recorder of events.
 *
 * @module
 */

export { type BoardUnderTest, type TestKit, testBoard } from "./board.ts";
export { type EventRecorder, eventRecorder } from "./events.ts";
export { type StoreUnderTest, testStore } from "./store.ts";
