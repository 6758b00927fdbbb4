import { PATH, type SessionAnswer } from "../protocol.ts";
import { isJsonObject } from "../util/json.ts";
import type { BodySchema, Route, RouteContext } from "./types.ts";

interface SessionBody {
  turnstileToken: string;
  playerToken: string;
}

/** Both members are optional in the body: a missing Turnstile token is refused later, with a code of its own. */
const BODY: BodySchema<SessionBody> = {
  safeParse(value) {
    if (!isJsonObject(value) || Object.keys(value).some((key) => key !== "turnstileToken" && key !== "playerToken")) return BAD;
    const { turnstileToken = "", playerToken = "" } = value;
    if (typeof turnstileToken !== "string" || typeof playerToken !== "string") return BAD;
    return { success: true, data: { turnstileToken, playerToken } };
  },
};
const BAD = { success: false, error: undefined } as const;

/** `POST /session`: exchanges a Turnstile token for a session. */
export const sessionRoute: Route = {
  method: "POST",
  path: PATH.session,
  async handle({ kernel, request, info, route, body, respond, refuse }: RouteContext): Promise<Response> {
    if (!kernel.tokens) return refuse("NOT_FOUND");
    const { turnstileToken, playerToken } = await body(BODY);
    const { headers, ...result } = await kernel.sessions.exchange(turnstileToken, { request, remoteip: info.address, playerToken, route });
    if (result.ok) {
      const { ok: _ok, claims: _claims, ...answer } = result;
      return respond(200, answer satisfies SessionAnswer, headers);
    }
    const { code, retryAfter = 0 } = result;
    return kernel.options.mode === "enforce" ? refuse(code, { retryAfter, headers }) : respond(200, { dryRun: true }, headers);
  },
};
