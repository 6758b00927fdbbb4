// A Worker in which two gates whose clocks are wrong share a D1 database, or Durable Objects.
import { DurableObject } from "cloudflare:workers";
import { d1Store } from "../../../adapters/d1.ts";
import { durableObjectStore, gatepassObject, type ObjectNamespace } from "../../../adapters/durable-object.ts";
import { report } from "../store/offsets/visitor.ts";
import type { RealD1 } from "./tools.ts";

let time: () => number = Date.now;

/** In the Worker's isolate, which is why the clock of the visitor at hand can be its clock. */
export class Counter extends gatepassObject(DurableObject, { clock: () => time() }) {}

export default {
  async fetch(request: Request, { DB, COUNTER }: { DB: RealD1; COUNTER: ObjectNamespace }): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/d1") return Response.json(await report((_, clock) => d1Store(DB, { clock, timeoutMs: 20_000 }), 30));
    const open = (_: () => number, clock: () => number): ReturnType<typeof durableObjectStore> => {
      time = clock;
      return durableObjectStore(COUNTER, { shards: 3, timeoutMs: 20_000 });
    };
    return Response.json(await report(open, 30));
  },
};
