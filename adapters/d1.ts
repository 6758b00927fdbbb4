/**
 * The store and the board in Cloudflare D1: exact, shared by all Workers that have the binding.
 *
 * @module
 */

export type { D1Client, D1Statement } from "./_d1.ts";
export { type D1Board, type D1BoardOptions, d1Board, type MigrateOptions, migrate } from "./_d1-board.ts";
export { type D1StoreOptions, d1Store } from "./_d1-store.ts";
