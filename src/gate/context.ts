import { jsonResponse, Refusal, readJson, refusalResponse } from "../http/index.ts";
import type { Kernel, Route, RouteContext } from "./types.ts";
import type { Visit } from "./visit.ts";

/** Bytes of a body unless a route says otherwise. */
const MAX_BODY = 8192;

/** What a route's handler gets. */
export function createContext(
  kernel: Kernel,
  { request, info, emit, route: label = "" }: Visit,
  { maxBody = MAX_BODY }: Route,
  params: Record<string, string>,
  kept: Pick<RouteContext, "admit" | "session">,
): RouteContext {
  return {
    ...kept,
    request,
    get url() {
      return new URL(request.url);
    },
    params,
    info,
    kernel,
    route: label,
    async body(schema) {
      const parsed = schema.safeParse(await readJson(request, maxBody));
      if (!parsed.success) throw new Refusal("BODY_INVALID");
      return parsed.data;
    },
    respond: jsonResponse,
    refuse: (code, extra) => refusalResponse(code, extra),
    emit,
  };
}
