// Bundled for workerd.
import { createApp, type Handler } from "./app.ts";
import { webHandler } from "./web.ts";

let handler: Handler | undefined;

export default {
  async fetch(request: Request, ...platform: [unknown, unknown]): Promise<Response> {
    // Not at the module's top: Workers forbid random numbers there.
    handler ??= webHandler(createApp());
    return handler(request, ...platform);
  },
};
