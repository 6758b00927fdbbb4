import { PATH, type PublicCode } from "../protocol.ts";
import { isJsonObject } from "../util/json.ts";
import type { BodySchema, Route, RouteContext } from "./types.ts";

interface SessionBody {
  turnstileToken: string;
  playerToken: string;
}

/** Both optional: a missing token has a code of its own. */
const BODY: BodySchema<SessionBody> = {
  safeParse(value) {
    if (!isJsonObject(value) || Object.keys(value).some((key) => key !== "turnstileToken" && key !== "playerToken")) return BAD;
    const { turnstileToken = "", playerToken = "" } = value;
    if (typeof turnstileToken !== "string" || typeof playerToken !== "string") return BAD;
    return { success: true, data: { turnstileToken, playerToken } };
  },
};
const BAD = { success: false, error: undefined } as const;

/** What a mode lets pass at the exchange; no token comes of it. */
const RELAXED: readonly PublicCode[] = ["VERIFICATION_FAILED", "TURNSTILE_TOKEN_MISSING", "UNAVAILABLE"];

/** `POST /session`: a Turnstile token for a session. */
export const sessionRoute: Route = {
  method: "POST",
  path: PATH.session,
  async handle(ctx: RouteContext): Promise<Response> {
    const { kernel, request, info, route } = ctx;
    if (!kernel.tokens) return ctx.refuse("NOT_FOUND");
    const { turnstileToken, playerToken } = await ctx.body(BODY);
    const enforced = kernel.options.mode === "enforce";
    if (turnstileToken === "" && enforced) {
      ctx.emit("session_rejected", { outcome: "deny", code: "TURNSTILE_TOKEN_MISSING", reason: "missing" });
      return ctx.refuse("TURNSTILE_TOKEN_MISSING");
    }
    const admission = await ctx.admit({ open: true, limits: ["session"] });
    if (!admission.ok) return admission.response;
    // The limit was reached and only monitored: what failed a check never yields a signed token.
    if (admission.dryRun) return ctx.respond(200, { dryRun: true });
    const result = await kernel.sessions.exchange(turnstileToken, { request, remoteip: info.address, playerToken, route });
    if (result.ok) {
      const { sessionToken, expiresIn, uses, playerToken: renewed } = result;
      return ctx.respond(200, { sessionToken, expiresIn, uses, playerToken: renewed });
    }
    const { code, retryAfter } = result;
    if (!enforced && RELAXED.includes(code)) return ctx.respond(200, { dryRun: true });
    // Nobody could tell whether the token was good: the attempt shall not count.
    if (code === "UNAVAILABLE") await admission.undo();
    return ctx.refuse(code, retryAfter === undefined ? {} : { retryAfter });
  },
};
