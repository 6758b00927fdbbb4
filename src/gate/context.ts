import { jsonResponse, Refusal, readJson, refusalResponse } from "../http/index.ts";
import type { Match } from "./router.ts";
import type { Admission, AdmitOptions, Kernel, Route, RouteContext, SessionClaims } from "./types.ts";
import type { Visit } from "./visit.ts";

/** Bytes of a body unless a route says otherwise. */
const MAX_BODY = 8192;

/** What a context needs of the kernel. */
export interface Desk {
  kernel: Kernel;
  admit(visit: Visit, options: AdmitOptions): Promise<Admission>;
  session(visit: Visit): Promise<SessionClaims | undefined>;
}

/** What a route's handler gets. `onAdmitted` learns of every admission, so that its rate headers reach the answer. */
export function createContext(desk: Desk, visit: Visit, route: Route, match: Match, onAdmitted: (headers: Headers) => void): RouteContext {
  const { request, info, emit } = visit;
  let url: URL | undefined;
  return {
    request,
    get url() {
      url ??= new URL(request.url);
      return url;
    },
    params: match.params,
    info,
    kernel: desk.kernel,
    route: match.label,
    async body(schema) {
      const parsed = schema.safeParse(await readJson(request, route.maxBody ?? MAX_BODY));
      if (!parsed.success) throw new Refusal("BODY_INVALID");
      return parsed.data;
    },
    async admit(options) {
      const admission = await desk.admit(visit, options);
      if (admission.ok) onAdmitted(admission.headers);
      return admission;
    },
    session: () => desk.session(visit),
    respond: jsonResponse,
    refuse: (code, extra) => refusalResponse(code, extra),
    emit,
  };
}
