/** As much of the runtime's own module as the Workers under test need. */
declare module "cloudflare:workers" {
  interface DurableObjectState {
    blockConcurrencyWhile<T>(callback: () => Promise<T>): Promise<T>;
    abort(reason?: string): void;
    storage: import("../../../../adapters/durable-object.ts").ObjectState["storage"] & {
      sql: { databaseSize: number };
      put(key: string, value: unknown): Promise<void>;
      get(key: string): Promise<unknown>;
    };
  }
  export abstract class DurableObject<Env = unknown> {
    protected ctx: DurableObjectState;
    protected env: Env;
    constructor(ctx: DurableObjectState, env: Env);
    fetch?(request: Request): Response | Promise<Response>;
    alarm?(): void | Promise<void>;
  }
}
