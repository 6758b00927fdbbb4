import type { DenoKvClient } from "../../../../adapters/deno-kv.ts";

/** What the scripts beside this use of a `Deno.Kv` behind the store's back. */
export interface Kv extends DenoKvClient {
  set(key: readonly string[], value: unknown): Promise<unknown>;
  list(selector: { prefix: readonly string[] }): AsyncIterable<{ key: readonly unknown[]; value: unknown }>;
  close(): void;
}

/** What they use of Deno, whose types are not loaded here; that they fit is checked by Deno. */
interface Runtime {
  openKv(path?: string): Promise<Kv>;
}

declare const Deno: Runtime;

/** Deno itself. */
export const runtime: Runtime = Deno;
