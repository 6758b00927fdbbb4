/** The little that the entries use of runtimes whose types are not loaded here. */
declare namespace Deno {
  function serve(
    options: { port: number; hostname: string; onListen(address: { hostname: string; port: number }): void },
    handler: (request: Request, info: unknown) => Promise<Response>,
  ): unknown;
}

declare module "bun:sqlite" {
  export class Database {
    constructor(path: string, options?: { create?: boolean; readwrite?: boolean });
    exec(sql: string): unknown;
    // biome-ignore lint/suspicious/noExplicitAny: the driver's own shape
    prepare(sql: string): any;
    close(): void;
  }
}

declare module "*/dist/demo/assets.js" {
  export const assets: Record<string, { type: string; body: string; etag: string }>;
}
