import { isGatepassError } from "../errors.ts";
import { eventReasonOfToken } from "../events/index.ts";
import type { EventReason } from "../events/types.ts";
import { HEADER, type PublicCode } from "../protocol.ts";
import { decodeBase64url } from "../util/base64url.ts";
import { decodeUtf8 } from "../util/bytes.ts";
import type { Settings } from "./options.ts";
import type { Players } from "./players.ts";
import type { RequestScope } from "./request-scope.ts";
import type { SessionService } from "./sessions.ts";
import type { SessionClaims } from "./types.ts";

/** The session of a request. With a `code` it must not be spent, or there is none. */
export interface Credential {
  claims?: SessionClaims;
  code?: PublicCode;
  reason?: EventReason;
}

/**
 * Reads the session of a request and checks its MAC, times, scope, binding and account. A revocation only shows when
 * the session is spent.
 */
export async function readSession(
  settings: Settings,
  sessions: SessionService,
  players: Players,
  requestScope: RequestScope,
  action?: string,
): Promise<Credential> {
  const token = sessionToken(requestScope.request.headers);
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
  const bound = settings.resolved.bind !== "none" && (await sessions.binding(requestScope, claims.key)) !== claims.bnd;
  // Another account logged in since, or the account logged out. A write must not be attributed to the session's
  // account.
  const account = settings.given.session?.subject && (await players.account(requestScope));
  const changed = (account !== undefined || claims.acc) && account !== claims.sub;
  return bound || changed ? { claims, code: "SESSION_INVALID", reason: bound ? "binding" : "wrong_player" } : { claims };
}

/**
 * The gate's own header, else a bearer token of a gatepass kind. Any other `Authorization` belongs to the application.
 */
function sessionToken(headers: Headers): string | undefined {
  const own = headers.get(HEADER.session);
  if (own) return own;
  const authorization = headers.get("authorization");
  if (authorization === null || !/^bearer +/i.test(authorization)) return undefined;
  const token = authorization.slice(6).trim();
  return isOurs(token) ? token : undefined;
}

/** The first segment of the last bearer token that was ours. Nearly all sessions have the same. */
let ours: string | undefined;

/**
 * Whether a bearer token is of a gatepass kind. Any kind counts, so that a wrong one is refused as invalid instead of
 * reported as missing.
 */
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
