/** The little that the entries use of runtimes whose types are not loaded here. */
declare namespace Deno {
  function openKv(path?: string): Promise<import("gatepass/adapters/deno-kv").DenoKvClient>;
  function serve(
    options: { port: number; hostname: string; onListen(address: { hostname: string; port: number }): void },
    handler: (request: Request, info: unknown) => Promise<Response>,
  ): unknown;
}

declare namespace Bun {
  function serve(options: { hostname: string; port: number; fetch(request: Request, server: unknown): Promise<Response> }): {
    port: number;
  };
}

declare module "cloudflare:workers" {
  export abstract class DurableObject {
    constructor(ctx: import("gatepass/adapters/durable-object").ObjectState, env: unknown);
  }
}

declare module "bun:sqlite" {
  interface Statement {
    run(...values: (string | number | null)[]): unknown;
    get(...values: (string | number | null)[]): unknown;
    all(...values: (string | number | null)[]): unknown[];
  }
  export class Database {
    constructor(path: string);
    exec(sql: string): unknown;
    prepare(sql: string): Statement;
  }
}

declare module "*/dist/demo/assets.js" {
  export const assets: Record<string, { type: string; body: string; etag: string }>;
}
