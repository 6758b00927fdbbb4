// A Worker that asks gates of every form with what frameworks pass along, one request after the other.
import { contexts, FORMS, flood, type Outcome } from "../../helpers/contexts.ts";

// What a gate says of each request that it cannot tell the environment of, some thousand times.
console.error = () => undefined;

export default {
  async fetch(request: Request, env: object, ctx: object): Promise<Response> {
    const own = (): readonly unknown[] => [env, ctx];
    const outcomes: Record<string, Outcome> = {};
    const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
    const form = FORMS[name];
    if (!form) return new Response("Not found", { status: 404 });
    for (const [context, args] of Object.entries({ ...contexts(), "the env of this Worker": own }))
      outcomes[context] = await flood(form, args);
    return Response.json(outcomes);
  },
};
