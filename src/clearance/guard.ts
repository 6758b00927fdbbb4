import { isGatepassError } from "../errors.ts";
import type { EventReason } from "../events/types.ts";
import type { GuardContext, Kernel, Refused, Vouched } from "../gate/types.ts";
import { refusalResponse } from "../http/index.ts";
import { type ChallengeAnswer, CLEARANCE_HEADER, HEADER, type PublicCode, REQUEST_ID_HEADER } from "../protocol.ts";
import { type Quota, usesKey } from "../store/index.ts";
import { randomId } from "../util/random.ts";
import { decide, edgeSignals, nameOf } from "./decide.ts";
import type { Settled } from "./options.ts";
import { normalizePath } from "./paths.ts";
import { matchPolicy } from "./policy.ts";
import { assessRisk, pathPoints } from "./risk.ts";
import { CHALLENGE_TTL, type ClearanceClaims, type Client } from "./tokens.ts";
import type { PolicyEntry, RiskSignals } from "./types.ts";

/** Seconds after which whoever is denied for a while may come again. */
const COOL_DOWN = 900;

/** What is known of a clearance that came along: it, or why it does not count. */
type Presented =
  | { claims: ClearanceClaims; moved: boolean; reason?: undefined }
  | { claims?: undefined; moved?: undefined; reason: EventReason };

/**
 * Decides what a protected request gets: risk, then policy, then its clearance. Nothing is stored for a stranger who only asks:
 * a challenge is a signed token, and what is counted are rates that expire.
 */
export function createGuard(settled: Settled, kernel: Kernel): (request: Request, context: GuardContext) => Promise<Refused | Vouched> {
  const { policy, given, weights, desk, counters } = settled;
  const { options, clock, store, random } = kernel;

  return async (request, context) => {
    const { subjects, info, emit: raise } = context;
    const path = new URL(request.url).pathname;
    const entry = await entryOf(request, path, context);
    const mode = entry.mode ?? options.mode;
    const client: Client = { device: subjects.device, prefix: info.ipPrefix, session: subjects.session, user: subjects.user };
    const emit: typeof raise = (type, fields) => raise(type, { app_version: versionOf(request), ...fields });
    if (entry.kind === "never" || mode === "off") return vouch({ limits: entry.limits, dryRun: mode === "off" && entry.kind !== "never" });

    const shown = await present(request, entry, client);
    const { signals, degraded } = await counters.look(subjects, shown.claims?.eid);
    const session = await context.session();
    const known: Partial<RiskSignals> = {
      ...edgeSignals(request, info),
      ...signals,
      sensitivePath: pathPoints(normalizePath(path), entry),
      establishedSession: session !== undefined,
      addressChanged: shown.moved === true,
      ...(await context.signals()),
      ...(await given.signals?.(request)),
      // Only what we verified ourselves may lower a risk by a clearance.
      validClearance: false,
    };
    const bare = assessRisk(known, weights);
    const decision = decide(entry, bare.band);
    const detail = `${bare.score}: ${bare.reasons.map(({ signal, points }) => `${signal}${points < 0 ? "" : "+"}${points}`).join(" ") || "nothing"}`;

    /** Refuses, or, where the mode only watches, says that it would have. */
    const refuse = async (
      code: PublicCode,
      response: () => Response | Promise<Response>,
      retryAfter?: number,
    ): Promise<Refused | Vouched> =>
      mode === "enforce"
        ? { ok: false, code, response: await response(), ...(retryAfter !== undefined && { retryAfter }) }
        : vouch({ limits: entry.limits, dryRun: true, degraded });
    const dry_run = mode !== "enforce" || undefined;

    if (decision === "deny" || decision === "cool_down" || decision === "step_up") {
      const code = decision === "deny" ? "REQUEST_DENIED" : decision === "step_up" ? "STEP_UP_REQUIRED" : "SECURITY_VERIFICATION_LIMITED";
      emit("high_risk_api_blocked", { outcome: "deny", reason: "risk", code, detail, action: entry.action, dry_run });
      const retryAfter = decision === "cool_down" ? COOL_DOWN : undefined;
      return refuse(code, () => refusalResponse(code, { retryAfter }), retryAfter);
    }
    if (decision !== "challenge") {
      return vouch({ limits: decision === "limit" ? ["clearance.tight", ...entry.limits] : entry.limits, degraded });
    }

    let reason = shown.reason;
    if (shown.claims) {
      // What the clearance is worth is weighed with it, and only when it was really spent.
      const spent = await spend(request, shown.claims, client);
      if (spent.ok) {
        const { band } = assessRisk({ ...known, validClearance: true }, weights);
        const limits = band === "limit" ? ["clearance.tight", ...entry.limits] : entry.limits;
        return vouch({ level: "clearance", claims: shown.claims, limits, degraded, undo: spent.undo });
      }
      if (spent.code) {
        emit("app_clearance_replay_detected", {
          outcome: "deny",
          reason: spent.reason,
          code: spent.code,
          session: shown.claims.jti,
          dry_run,
        });
        return refuse(spent.code, () => refusalResponse(spent.code ?? "REQUEST_REPLAYED"));
      }
      reason = spent.reason;
      if (shown.claims.max_uses === 1 && reason === "clearance_used") {
        emit("app_clearance_replay_detected", { outcome: "deny", reason, challenge_id: shown.claims.challenge_id, dry_run });
      }
    }
    const over = reason === "clearance_expired" || reason === "clearance_used";
    const code = over ? "CLEARANCE_EXPIRED" : "TURNSTILE_REQUIRED";
    emit(over ? "app_clearance_expired" : "app_clearance_missing", {
      outcome: "deny",
      reason,
      code,
      action: entry.action,
      detail,
      dry_run,
    });
    return refuse(code, async () => {
      const rid = requestId(request) ?? randomId(random);
      const { id, cdata } = await desk.challenge(entry, request.method, normalizePath(path), rid, client);
      emit("turnstile_challenge_created", { outcome: "info", action: entry.action, challenge_id: cdata });
      const { error: _code, ...body }: ChallengeAnswer = {
        error: code,
        challenge_id: id,
        original_request_id: rid,
        action: entry.action,
        cdata,
        sitekey: options.sitekey,
        scope: [entry.scope],
        max_uses: entry.maxUses,
        expires_in: CHALLENGE_TTL,
        retry_allowed: true,
        max_retries: 1,
      };
      return refusalResponse(code, { body });
    });
  };

  async function entryOf(request: Request, path: string, { options: asked }: GuardContext): Promise<PolicyEntry> {
    const entry = await matchPolicy(policy, request.method, path, async (name) => (await given.when?.[name]?.(request.clone())) === true);
    const { scope } = asked;
    if (scope === undefined) return entry;
    // The program names the clearance that it wants: then no list of paths may open the route.
    const named = policy.entries.find((one) => one.kind !== "never" && one.scope === normalizePath(scope));
    return { ...(named ?? entry), kind: "always", scope: normalizePath(scope) };
  }

  /** The clearance of a request: its MAC and times, then scope, then who it is bound to. Nothing is spent. */
  async function present(request: Request, entry: PolicyEntry, client: Client): Promise<Presented> {
    const token = request.headers.get(CLEARANCE_HEADER);
    if (!token) return { reason: "clearance_missing" };
    let claims: ClearanceClaims;
    try {
      claims = await desk.readClearance(token);
    } catch (error) {
      if (!isGatepassError(error)) throw error;
      return { reason: error.code === "ERR_TOKEN_EXPIRED" ? "clearance_expired" : "token_claim" };
    }
    // By name, not by matching paths again: a clearance of one route opens no other, however that one's path is spelled.
    if (!claims.scope.includes(entry.scope)) return { reason: "clearance_scope" };
    const { dev, ip, ses } = await desk.bind(client, claims.key);
    const moved = claims.ip !== undefined && claims.ip !== ip;
    const foreign = claims.device_id !== dev || claims.session_id !== ses || claims.sub !== client.user;
    if (foreign || (moved && entry.bindIp)) return { reason: "clearance_binding" };
    if (entry.maxAge !== undefined && clock() / 1000 > claims.iat + entry.maxAge + options.clockTolerance)
      return { reason: "clearance_expired" };
    return { claims, moved };
  }

  /** One use of the clearance, and the request's id, which is good once: all or nothing. */
  async function spend(
    request: Request,
    claims: ClearanceClaims,
    client: Client,
  ): Promise<{ ok: true; undo(): Promise<void> } | { ok: false; reason: EventReason; code?: PublicCode }> {
    const expiresAt = claims.until * 1000;
    const issuedAt = claims.iat * 1000 + 999;
    const quotas: Quota[] = [{ key: usesKey("clr", claims.jti), limit: claims.max_uses, expiresAt, issuedAt }];
    const rid = requestId(request);
    // Beside the device or address: another one's ids are its own business.
    if (rid !== undefined) quotas.push({ key: usesKey("rid", nameOf(client), rid), limit: 1, expiresAt, issuedAt });
    const result = await store.spend(quotas);
    if (result.ok) return { ok: true, undo: () => store.refund(quotas, result.at).catch(() => undefined) };
    if (result.refused === 1) return { ok: false, reason: "request_replayed", code: "REQUEST_REPLAYED" };
    const why = result.states[0]?.why ?? "full";
    return { ok: false, reason: why === "full" ? "clearance_used" : why === "blocked" ? "revoked" : "clearance_expired" };
  }

  function vouch(extra: Partial<Omit<Vouched, "ok">>): Vouched {
    return {
      ok: true,
      level: "none",
      headers: new Headers(),
      degraded: false,
      dryRun: false,
      accuracy: store.consistency,
      undo: async () => undefined,
      ...extra,
    };
  }
}

/** The client's own name of a request; anything that is no name is as if there were none. */
export function requestId({ headers }: Request): string | undefined {
  const id = headers.get(REQUEST_ID_HEADER);
  return id !== null && /^[A-Za-z0-9._-]{1,64}$/.test(id) ? id : undefined;
}

function versionOf({ headers }: Request): string | undefined {
  const version = headers.get(HEADER.appVersion);
  return version !== null && /^[A-Za-z0-9._-]{1,64}$/.test(version) ? version : undefined;
}
