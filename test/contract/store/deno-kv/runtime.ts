import type { DenoKvClient } from "../../../../adapters/deno-kv.ts";

/** What the scripts beside this use of a `Deno.Kv` behind the store's back. */
export interface Kv extends DenoKvClient {
  set(key: readonly string[], value: unknown): Promise<unknown>;
  list(selector: { prefix: readonly string[] }): AsyncIterable<{ key: readonly unknown[]; value: unknown }>;
  close(): void;
}

/** What they use of Deno, whose types are not loaded here; that they fit is checked by Deno. */
interface Runtime {
  args: readonly string[];
  openKv(path?: string): Promise<Kv>;
  serve(
    options: { port: number; hostname: string; onListen(address: { port: number }): void },
    handler: (request: Request) => Promise<Response>,
  ): unknown;
}

declare const Deno: Runtime;

/** Deno itself. */
export const runtime: Runtime = Deno;
