// Cloudflare's own types, as a user of Workers has them, fit the adapters without a cast. Type checked, never run.
import { DurableObject } from "cloudflare:workers";
import { kvStore } from "gatepass/adapters/cloudflare-kv";
import { rateLimitBinding } from "gatepass/adapters/cloudflare-ratelimit";
import { d1Board, d1Store } from "gatepass/adapters/d1";
import { durableObjectStore, gatepassObject } from "gatepass/adapters/durable-object";

interface Env {
  DB: D1Database;
  KV: KVNamespace;
  LIMIT: RateLimit;
  GATE: DurableObjectNamespace<Gate>;
  PLAIN: DurableObjectNamespace;
}

export class Gate extends gatepassObject(DurableObject) {}
export class WithEnv extends gatepassObject(DurableObject<Env>) {}
export class Plain extends gatepassObject() {}

export default {
  async fetch(_request: Request, env: Env): Promise<Response> {
    d1Store(env.DB);
    d1Board(env.DB);
    kvStore(env.KV);
    kvStore(env.KV, { acceptDoubleSpends: true });
    rateLimitBinding([{ binding: env.LIMIT, limit: 20, window: 10 }]);
    durableObjectStore(env.GATE);
    durableObjectStore(env.PLAIN, { shards: 4 });
    durableObjectStore(env.GATE.jurisdiction("eu"), { locationHint: "weur" });
    return new Response();
  },
} satisfies ExportedHandler<Env>;
