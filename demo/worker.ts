/**
 * Ember Ring on Cloudflare Workers: the store is a Durable Object (binding `GATE`, class `Gate`), the board a D1 database (binding `DB`).
 * wrangler.jsonc has both; `npx wrangler d1 create ember-ring` gives the id that it wants.
 */
import { DurableObject } from "cloudflare:workers";
import { type D1Client, d1Board } from "gatepass/adapters/d1";
import { durableObjectStore, gatepassObject, type ObjectNamespace } from "gatepass/adapters/durable-object";
import type { DemoEnv } from "./gate.ts";
import { createDemo, type Demo } from "./server.ts";

/** The class of the object in which the store counts. */
export class Gate extends gatepassObject(DurableObject) {}

type Env = DemoEnv & { GATE?: ObjectNamespace; DB?: D1Client };

let demo: Demo | undefined;

export default {
  fetch(request: Request, env: Env, context: unknown): Promise<Response> {
    // Made with the first request: an isolate's start knows neither env nor randomness.
    demo ??= create(env);
    return demo.fetch(request, env, context);
  },
};

function create({ GATE, DB, ...env }: Env): Demo {
  if (!GATE || !DB) throw new TypeError('Cannot start the demo: the bindings "GATE" and "DB" are not both there');
  // A Worker is public, so it is production unless told otherwise.
  return createDemo({ NODE_ENV: "production", ...env }, { store: durableObjectStore(GATE), board: d1Board(DB) });
}
