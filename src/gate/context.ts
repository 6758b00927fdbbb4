import { jsonResponse, Refusal, readJson, refusalResponse } from "../http/index.ts";
import type { RequestScope } from "./request-scope.ts";
import type { Kernel, Route, RouteContext } from "./types.ts";

/** Bytes of the longest body, unless a route has its own `maxBody`. */
const MAX_BODY = 8192;

/** The context of a route's handler. */
export function createContext(
  kernel: Kernel,
  { request, info, emit, route: label = "" }: RequestScope,
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
