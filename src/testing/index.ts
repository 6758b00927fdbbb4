/**
 * Test kits: what a store or a board must keep, and a recorder of events.
 *
 * @module
 */

export { type EventRecorder, eventRecorder } from "./events.ts";
export { type StoreUnderTest, testStore } from "./store.ts";
