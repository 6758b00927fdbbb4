import { durableObjectStore, gatepassObject, type ObjectState } from "../../../../adapters/durable-object.ts";

// What Cloudflare's own types (`@cloudflare/workers-types`) say, as far as it matters here: a namespace and a class must be assignable without a cast.
declare const BRAND: unique symbol;
interface RealId {
  toString(): string;
  equals(other: RealId): boolean;
}
interface RealNamespace<T> {
  idFromName(name: string): RealId;
  get(id: RealId, options?: { locationHint?: "wnam" | "enam" | "sam" | "weur" | "eeur" | "apac" | "oc" | "afr" | "me" }): RealStub<T>;
  jurisdiction(jurisdiction: "eu" | "fedramp"): RealNamespace<T>;
}
type RealStub<T> = { readonly id: RealId; readonly of?: T; fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> };
interface RealState extends ObjectState {
  readonly id: RealId;
  storage: ObjectState["storage"] & {
    sql: {
      exec<T extends Record<string, ArrayBuffer | string | number | null>>(query: string, ...bindings: unknown[]): { toArray(): T[] };
    };
    setAlarm(scheduledTime: number | Date, options?: { allowUnconfirmed?: boolean }): Promise<void>;
    list<T>(options?: { limit?: number; prefix?: string }): Promise<Map<string, T>>;
  };
}
declare abstract class RealObject<Env = unknown> {
  [BRAND]: never;
  protected ctx: RealState;
  protected env: Env;
  constructor(ctx: RealState, env: Env);
  fetch?(request: Request): Response | Promise<Response>;
  alarm?(info?: { isRetry: boolean }): void | Promise<void>;
}
export function real(namespace: RealNamespace<{ [BRAND]: never }>, state: RealState, Base: typeof RealObject): { [BRAND]: never } {
  durableObjectStore(namespace, { shards: 4, locationHint: "weur" });
  durableObjectStore(namespace.jurisdiction("eu"));
  class Gate extends gatepassObject(Base) {
    id(): RealId {
      return this.ctx.id;
    }
  }
  class Plain extends gatepassObject() {}
  new Plain(state);
  return new Gate(state, {});
}
