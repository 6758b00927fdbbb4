// Hands a request on to a Durable Object, whose name and address its headers tell: for a store that runs outside workerd.
import { DurableObject } from "cloudflare:workers";
import { gatepassObject, type ObjectNamespace } from "../../../adapters/durable-object.ts";

/** As in the test: its clock stands still. */
const NOW = 1_750_000_000_000;

export class Gate extends gatepassObject(DurableObject, { clock: () => NOW }) {}

export default {
  async fetch(request: Request, { GATE }: { GATE: ObjectNamespace }): Promise<Response> {
    const [name = "", url = ""] = ["x-name", "x-url"].map((header) => request.headers.get(header) ?? undefined);
    const stub = GATE.get(GATE.idFromName(name));
    const answer = await stub.fetch(url, { method: "POST", body: await request.text(), signal: AbortSignal.timeout(60_000) });
    return new Response(await answer.text(), { status: answer.status });
  },
};
