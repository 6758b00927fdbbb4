// A Worker that serves a store in its D1 binding, for the processes of a storm.
import { type D1Client, d1Store } from "../../adapters/d1.ts";
import { serveStore } from "../helpers/remote-store.ts";

export default {
  fetch: (request: Request, { DB }: { DB: D1Client }): Promise<Response> => serveStore(d1Store(DB, { timeoutMs: 60_000 }), {}, request),
};
