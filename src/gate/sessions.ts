import { GatepassError } from "../errors.ts";
import type { EventFields, EventReason } from "../events/types.ts";
import { MAX_TURNSTILE_TOKEN, type PublicCode, TYP } from "../protocol.ts";
import type { UsesQuota } from "../store/contract.ts";
import { usesKey } from "../store/index.ts";
import type { VerifiedClaims } from "../tokens/types.ts";
import type { Turnstile, TurnstileResult } from "../turnstile/types.ts";
import { randomId } from "../util/random.ts";
import type { Settings } from "./options.ts";
import { playerOf } from "./players.ts";
import { idempotencyKey, type Keys, PLAYER_TTL, shortMac, solveId } from "./secrets.ts";
import type { SessionClaims, SessionResult } from "./types.ts";
import { deviceOf, type Visit, whoIs } from "./visit.ts";

/** The longest life of a session, and so what is left of a solve's counters after its exchange: seconds. */
const MAX_TTL = 900;
/** What a session may do that nobody could check. */
const DEGRADED = { ttl: 120, uses: 2 };

/** A Turnstile token that Cloudflare confirmed (or, `degraded`, could not be asked about). */
export interface Solve {
  ok: true;
  jti: string;
  /** Seconds since the epoch. */
  authTime: number;
  scope: string[];
  eid: string | undefined;
  degraded: boolean;
  /** A constant: nothing may be derived from it. */
  testKey: boolean;
}

/** What a refused token is answered with. */
export interface Unsolved {
  ok: false;
  code: PublicCode;
  reason: EventReason;
  retryAfter?: number;
}

/** Solves become sessions. */
export interface SessionDesk {
  solve(visit: Visit, token: string, action?: string): Promise<Solve | Unsolved>;
  exchange(visit: Visit, token: string, playerToken: string | undefined): Promise<SessionResult>;
  verify(token: string): Promise<SessionClaims>;
  /** Whether the session belongs to this client, where sessions are bound. */
  isBound(visit: Visit, claims: SessionClaims): Promise<boolean>;
  /** The one counter of a solve, whichever token of it is presented. */
  uses(jti: string, authTime: number, limit: number, cost: number): UsesQuota;
  revoke(jti: string): Promise<void>;
}

export function createSessions(settings: Settings, keys: Keys | undefined, turnstile: Turnstile | undefined): SessionDesk {
  const { given, resolved, store, clock, random } = settings;
  // Every token of a solve is dead by then, whatever `exp` it has: signed at the last moment, with the longest life, by the fastest clock.
  const counted = settings.maxAge + MAX_TTL + 2 * resolved.clockTolerance;

  /** What a session is bound to; the kind is in it, so that a change of `bind` does not compare an address with a device. */
  const subjectOf = async (visit: Visit): Promise<string> => {
    if (resolved.bind === "none") return "";
    if (resolved.bind === "device") await whoIs(visit, given.identify);
    return `${resolved.bind}:${(resolved.bind === "device" ? deviceOf(visit) : visit.info.ipPrefix) ?? ""}`;
  };
  const bind = async (visit: Visit, key?: number): Promise<string | undefined> =>
    resolved.bind === "none" || !keys ? undefined : shortMac(keys.subkeys, "bind/1", ["session", await subjectOf(visit)], key);

  const solve: SessionDesk["solve"] = async (visit, token, action) => {
    const monitored = resolved.mode !== "enforce" && { dry_run: true };
    const { emit } = visit;
    if (token === "") return { ok: false, code: "TURNSTILE_TOKEN_MISSING", reason: "missing" };
    if (!turnstile || resolved.mode === "off") return { ok: false, code: "VERIFICATION_FAILED", reason: "misconfigured" };
    emit("turnstile_token_received", { outcome: "info", ...(action !== undefined && { action }) });
    // Nothing is hashed or sent before the length is known.
    if (token.length > MAX_TURNSTILE_TOKEN) {
      emit("turnstile_siteverify_failed", { outcome: "deny", reason: "malformed", code: "VERIFICATION_FAILED", ...monitored });
      return { ok: false, code: "VERIFICATION_FAILED", reason: "malformed" };
    }
    const result = await turnstile.verify(token, {
      action: action ?? settings.actions,
      cdata: "",
      ...(visit.info.address !== undefined && { remoteip: visit.info.address }),
      ...(keys && { idempotencyKey: await idempotencyKey(keys.subkeys, "session", await subjectOf(visit), token) }),
    });
    if (result.ok) {
      const eid = result.ephemeralId && keys ? await shortMac(keys.subkeys, "bind/1", ["eid", result.ephemeralId]) : undefined;
      const seen = { ...(result.action && { action: result.action }), ...(eid && { ephemeral_id: eid }) };
      emit("turnstile_siteverify_success", { outcome: "allow", latency_ms: result.latencyMs, ...seen });
      return {
        ok: true,
        jti: result.testKey ? randomId(random) : await solveId(keys?.subkeys, token),
        authTime: Math.floor(result.challengeAt / 1000),
        scope: result.testKey ? settings.actions : [result.action.toLowerCase()],
        eid,
        degraded: false,
        testKey: result.testKey,
      };
    }
    const { reason, errorCodes, latencyMs } = result;
    const down = reason === "timeout" || reason === "unavailable";
    const degraded = down && resolved.onUnavailable === "degraded";
    const code = codeOf(result);
    emit(down ? "turnstile_siteverify_timeout" : "turnstile_siteverify_failed", {
      ...fault(code, reason),
      error_codes: errorCodes,
      latency_ms: latencyMs,
      ...(degraded ? { degraded } : monitored),
    });
    if (!degraded) return { ok: false, code, reason, ...(code === "UNAVAILABLE" && { retryAfter: 5 }) };
    const authTime = Math.floor(clock() / 1000);
    return {
      ok: true,
      jti: await solveId(keys?.subkeys, token),
      authTime,
      scope: settings.actions,
      eid: undefined,
      degraded,
      testKey: false,
    };
  };

  const verify: SessionDesk["verify"] = async (token) => {
    if (!keys) throw new GatepassError("ERR_CONFIG_INVALID", "Cannot verify the session: the gate has no signing secret");
    const claims = await keys.tokens.verify(TYP.session, token);
    if (!isSession(claims))
      throw new GatepassError("ERR_TOKEN_CLAIM", "Cannot verify the session: a claim is missing or of the wrong type");
    return claims;
  };

  const exchange: SessionDesk["exchange"] = async (visit, token, playerToken) => {
    if (!keys) return { ok: false, code: "NOT_FOUND" };
    const solved = await solve(visit, token);
    if (!solved.ok) {
      const { code, reason, retryAfter } = solved;
      if (resolved.mode !== "off") {
        visit.emit("session_rejected", { ...fault(code, reason), ...(resolved.mode === "monitor" && { dry_run: true }) });
      }
      return { ok: false, code, ...(retryAfter !== undefined && { retryAfter }) };
    }
    const { jti, authTime, scope, eid, degraded } = solved;
    const sub = await playerOf(settings, keys, visit, token, playerToken, solved.testKey);
    const uses = degraded ? Math.min(DEGRADED.uses, resolved.sessionUses) : resolved.sessionUses;
    const ttl = degraded ? DEGRADED.ttl : resolved.sessionTtl;
    const bnd = await bind(visit);
    const claims = { jti, sub, auth_time: authTime, scope, uses, ...(bnd && { bnd }), ...(eid && { eid }), ...(degraded && { deg: true }) };
    const sessionToken = await keys.tokens.sign(TYP.session, claims, { ttl });
    const renewed = await keys.playerTokens.sign(TYP.player, { sub }, { ttl: PLAYER_TTL });
    visit.emit("session_issued", {
      outcome: "allow",
      session: jti,
      player: sub,
      ...(scope.length === 1 && { action: scope[0] ?? "" }),
      ...(eid && { ephemeral_id: eid }),
      ...(degraded && { degraded }),
    });
    return { ok: true, sessionToken, expiresIn: ttl, uses, playerToken: renewed, claims: await verify(sessionToken) };
  };

  return {
    solve,
    exchange,
    verify,
    async isBound(visit, claims) {
      const bnd = await bind(visit, claims.key);
      return bnd === undefined || bnd === claims.bnd;
    },
    uses: (jti, authTime, limit, cost) => ({
      key: usesKey("jti", jti),
      limit,
      cost,
      expiresAt: (authTime + counted) * 1000,
      // To the second, as the claim has it: a store that began within this one has forgotten nothing of it.
      issuedAt: authTime * 1000 + 999,
    }),
    // The solve was before now (by a clock that may be ahead): this outlives every token of it.
    revoke: (jti) => store.block(usesKey("jti", jti), clock() + (counted + resolved.clockTolerance) * 1000),
  };
}

function codeOf({ reason }: Extract<TurnstileResult, { ok: false }>): PublicCode {
  if (reason === "missing") return "TURNSTILE_TOKEN_MISSING";
  return reason === "timeout" || reason === "unavailable" || reason === "misconfigured" ? "UNAVAILABLE" : "VERIFICATION_FAILED";
}

function fault(code: PublicCode, reason: EventReason): EventFields {
  return { outcome: code === "UNAVAILABLE" ? "error" : "deny", code, reason };
}

/** Whoever has the secret may sign; what it signs must still have the shape of a session. */
function isSession(claims: VerifiedClaims): claims is SessionClaims {
  const { sub, auth_time: authTime, scope, uses, bnd } = claims;
  return (
    typeof sub === "string" &&
    sub !== "" &&
    isCount(authTime, Number.MAX_SAFE_INTEGER) &&
    isCount(uses, 1000) &&
    Array.isArray(scope) &&
    scope.every((one) => typeof one === "string") &&
    (bnd === undefined || typeof bnd === "string")
  );
}

function isCount(value: unknown, max: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= max;
}
