/** Ember Ring on Cloudflare Workers: store and board in the memory of an isolate, which is good for a look and not for a season. */
import { memoryStore } from "gatepass";
import { memoryBoard } from "gatepass/scores";
import type { DemoEnv } from "./gate.ts";
import { createDemo, type Demo } from "./server.ts";

let demo: Demo | undefined;

export default {
  fetch(request: Request, env: DemoEnv, context: unknown): Promise<Response> {
    // Made with the first request: an isolate's start knows neither env nor randomness. A Worker is public, so it is production unless told otherwise.
    demo ??= createDemo({ NODE_ENV: "production", ...env }, { store: memoryStore(), board: memoryBoard() });
    return demo.fetch(request, env, context);
  },
};
