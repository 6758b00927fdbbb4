// A Worker whose objects were made for key-value storage, as under `new_classes`: they have no SQL.
import { DurableObject } from "cloudflare:workers";
import { durableObjectStore, gatepassObject, type ObjectNamespace } from "../../../../adapters/durable-object.ts";

export class Gate extends gatepassObject(DurableObject) {}
export class Old extends gatepassObject(DurableObject) {}

export default {
  async fetch(_request: Request, env: { GATE: ObjectNamespace; OLD: ObjectNamespace }): Promise<Response> {
    const told = [];
    for (const namespace of [env.GATE, env.OLD]) {
      const store = durableObjectStore(namespace, { shards: 2 });
      const quotas = [{ key: "key", limit: 3, window: 60 }];
      const spent = await store.spend(quotas).then(
        ({ ok }) => ok,
        (error: { code: string; cause: unknown }) => [error.code, String(error.cause)],
      );
      told.push({ spent, check: await store.check() });
    }
    return Response.json(told);
  },
};
