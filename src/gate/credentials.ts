import { isGatepassError } from "../errors.ts";
import { eventReasonOfToken } from "../events/index.ts";
import type { EventReason } from "../events/types.ts";
import { HEADER, type PublicCode } from "../protocol.ts";
import { decodeBase64url } from "../util/base64url.ts";
import { decodeUtf8 } from "../util/bytes.ts";
import type { Settings } from "./options.ts";
import type { Players } from "./players.ts";
import type { SessionDesk } from "./sessions.ts";
import type { SessionClaims } from "./types.ts";
import type { Visit } from "./visit.ts";

/** A session that may be spent; or, with a `code`, why there is none. */
export interface Credential {
  claims?: SessionClaims;
  code?: PublicCode;
  reason?: EventReason;
}

/** Reads and checks the session of a request: MAC, times, scope, binding. Nothing is spent, and a revocation is only seen when it is. */
export async function readSession(
  settings: Settings,
  sessions: SessionDesk,
  players: Players,
  visit: Visit,
  action?: string,
): Promise<Credential> {
  const token = sessionToken(visit.request.headers);
  if (token === undefined || settings.secrets.length === 0) return { code: "SESSION_MISSING", reason: "session_missing" };
  let claims: SessionClaims;
  try {
    claims = await sessions.verify(token);
  } catch (error) {
    if (!isGatepassError(error)) throw error;
    const { code } = error;
    return { code: code === "ERR_TOKEN_EXPIRED" ? "SESSION_EXPIRED" : "SESSION_INVALID", reason: eventReasonOfToken(code) };
  }
  if (action !== undefined && !claims.scope.includes(action)) return { claims, code: "SCOPE_DENIED", reason: "scope" };
  const bound = settings.resolved.bind !== "none" && (await sessions.binding(visit, claims.key)) !== claims.bnd;
  // Somebody else logged in since, or the account logged out: what is written now is not the last one's.
  const account = settings.given.session?.subject && (await players.account(visit));
  const changed = (account !== undefined || claims.acc) && account !== claims.sub;
  return bound || changed ? { claims, code: "SESSION_INVALID", reason: bound ? "binding" : "wrong_player" } : { claims };
}

/** The header of our own, else a bearer that looks like ours: the application's own `Authorization` is none of our business. */
function sessionToken(headers: Headers): string | undefined {
  const own = headers.get(HEADER.session);
  if (own) return own;
  const authorization = headers.get("authorization");
  if (authorization === null || !/^bearer +/i.test(authorization)) return undefined;
  const token = authorization.slice(6).trim();
  return isOurs(token) ? token : undefined;
}

/** The header that was last found to be ours: that of nearly every session. */
let ours: string | undefined;

/** Whether a bearer's header names a kind of gatepass's: any, so that a token of another kind is refused as invalid rather than called missing. */
function isOurs(token: string): boolean {
  const end = token.indexOf(".");
  if (end < 0 || end > 400) return false;
  const segment = token.slice(0, end);
  if (segment === ours) return true;
  const header = decodeBase64url(segment);
  const found = header !== null && /"typ"\s*:\s*"gp-/i.test(decodeUtf8(header) ?? "");
  if (found) ours = segment;
  return found;
}
