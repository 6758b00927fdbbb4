import { isGatepassError } from "../errors.ts";
import { eventReasonOfToken } from "../events/index.ts";
import type { EventFields, EventReason, EventType } from "../events/types.ts";
import type { GuardContext, Kernel, Mode, Refused, Vouched } from "../gate/types.ts";
import { refusalResponse } from "../http/index.ts";
import { type ChallengeAnswer, CLEARANCE_HEADER, HEADER, type PublicCode, REQUEST_ID_HEADER } from "../protocol.ts";
import { type Quota, rateKey, usesKey } from "../store/index.ts";
import { randomId } from "../util/random.ts";
import { pathTextOf } from "./ambiguity.ts";
import { askCondition } from "./conditions.ts";
import { decide, edgeSignals, nameOf } from "./decide.ts";
import { methodsOf } from "./methods.ts";
import type { Settled } from "./options.ts";
import { normalizePath } from "./paths.ts";
import { matchPolicy, unmatched } from "./policy.ts";
import { pathPoints, weigh } from "./risk.ts";
import { CHALLENGE_TTL, type ClearanceClaims, type Client } from "./tokens.ts";
import type { PolicyEntry, RiskSignals } from "./types.ts";

/** Seconds after which whoever is denied for a while may come again. */
const COOL_DOWN = 900;

/** Seconds, more than such a clearance lives from the first time that it is signed; and requests with such clearances from one network meanwhile. */
const DEGRADED_WINDOW = 900;
const DEGRADED_REQUESTS = 4000;

/** What is known of a clearance that came along: it, or why it does not count. */
type Presented =
  | { claims: ClearanceClaims; moved: boolean; reason?: undefined }
  | { claims?: undefined; moved?: undefined; reason: EventReason };

/**
 * Decides what a protected request gets: risk, then policy, then its clearance. Nothing is stored for a stranger who only asks:
 * a challenge is a signed token, and what is counted are rates that expire.
 */
export function createGuard(settled: Settled, kernel: Kernel): (request: Request, context: GuardContext) => Promise<Refused | Vouched> {
  const { policy, given, weights, desk, counters, fitting } = settled;
  const { options, clock, store, random } = kernel;

  return async (request, context) => {
    // Mode `off` wins over every policy: nothing of the request is looked at.
    if (options.mode === "off") return vouch({ dryRun: true });
    const path = pathTextOf(request.url) ?? "/";
    const entry = await entryOf(request, path, context);
    if (!entry) {
      const [code, detail] = ["PATH_AMBIGUOUS", "limits"] as const;
      context.emit("high_risk_api_blocked", { outcome: "deny", reason: "path_ambiguous", code, detail });
      return { ok: false, code, response: refusalResponse(code) };
    }
    const mode = entry.mode ?? options.mode;
    const limits = fitting(entry.limits);
    if (entry.kind === "never" || mode === "off") return vouch({ limits, dryRun: mode === "off" && entry.kind !== "never" });
    try {
      return await judge({ request, context, path, entry, mode, limits });
    } catch (error) {
      // Under `monitor` a request passes although its risk could not be weighed.
      if (mode === "enforce" || !isGatepassError(error)) throw error;
      context.emit("store_unavailable", { outcome: "error", reason: "store_down", dry_run: true });
      return vouch({ limits, dryRun: true, degraded: true });
    }
  };

  async function judge({ request, context, path, entry, mode, limits }: Case): Promise<Refused | Vouched> {
    const { subjects, info } = context;
    // The device by the name that its client knows, and will verify under: the application's own (`identify`) is for counting.
    const device = nameIn(request, HEADER.deviceId);
    const client: Client = { device, prefix: info.ipPrefix, session: subjects.session, user: subjects.user };
    const dry_run = mode !== "enforce" || undefined;
    let who: Awaited<ReturnType<typeof desk.whoIs>> | undefined;
    const tell = async (type: EventType, fields: EventFields): Promise<void> => {
      who ??= await desk.whoIs(client);
      context.emit(type, { app_version: nameIn(request, HEADER.appVersion), action: entry.action, dry_run, ...who, ...fields });
    };

    const shown = await present(request, entry, client);
    const { signals, shared, degraded } = await counters.look(subjects, shown.claims?.eid);
    if (degraded) context.emit("store_unavailable", { outcome: "error", reason: "store_down", degraded });
    const known: Partial<RiskSignals> = {
      ...edgeSignals(request, info),
      ...signals,
      sensitivePath: pathPoints(path, entry),
      addressChanged: shown.moved === true,
      ...(await context.signals()),
      ...(await given.signals?.(request, context)),
      // Only what we verified ourselves may lower a risk by a clearance.
      validClearance: false,
    };
    let bare = weigh(known, weights, shared);
    // A session lowers the risk only while it can be spent. Revoked and used-up sessions have a valid signature too, so the store
    // is asked, but only where the answer changes the decision.
    const trusted = weigh({ establishedSession: true, ...known }, weights, shared);
    if (trusted.score !== bare.score && (bare.band !== "allow" || trusted.band !== "allow") && (await context.hasLiveSession())) {
      known.establishedSession = true;
      bare = trusted;
    }
    const decision = decide(entry, bare.band);
    const detail = `${bare.score}: ${bare.reasons.map(({ signal, points }) => `${signal}${points < 0 ? "" : "+"}${points}`).join(" ") || "nothing"}`;
    const tight = fitting(["clearance.tight", ...entry.limits]);

    /** Refuses, or, where the mode only watches, says that it would have. */
    const refuse = async (
      code: PublicCode,
      response: () => Response | Promise<Response>,
      retryAfter?: number,
    ): Promise<Refused | Vouched> =>
      mode === "enforce"
        ? { ok: false, code, response: await response(), ...(retryAfter !== undefined && { retryAfter }) }
        : vouch({ limits, dryRun: true, degraded });

    if (decision === "deny" || decision === "cool_down" || decision === "step_up") {
      const code = decision === "deny" ? "REQUEST_DENIED" : decision === "step_up" ? "STEP_UP_REQUIRED" : "SECURITY_VERIFICATION_LIMITED";
      await tell("high_risk_api_blocked", { outcome: "deny", reason: "risk", code, detail });
      const retryAfter = decision === "cool_down" ? COOL_DOWN : undefined;
      return refuse(code, () => refusalResponse(code, { retryAfter }), retryAfter);
    }
    if (decision === "allow") return vouch({ limits, degraded });

    let reason = shown.reason;
    if (shown.claims) {
      // What the clearance is worth is weighed with it, and only when it was really spent.
      const { claims } = shown;
      const spent = await spend(request, claims, client);
      if (spent.ok) {
        // One of a solve that nobody could check lowers nothing.
        const { band } = weigh({ ...known, validClearance: claims.deg !== true }, weights, shared);
        const weak = degraded || claims.deg === true;
        return vouch({ level: "clearance", claims, limits: band === "allow" ? limits : tight, degraded: weak, undo: spent.undo });
      }
      reason = spent.reason;
      const { code } = spent;
      if (code || (claims.max_uses === 1 && reason === "clearance_used")) {
        const about = { session: claims.jti, challenge_id: claims.challenge_id };
        await tell("app_clearance_replay_detected", { outcome: "deny", reason, code, ...about, ...(code && { dry_run: undefined }) });
      }
      // A request's id is good once under every mode.
      if (code) return { ok: false, code, response: refusalResponse(code) };
    }
    if (decision === "limit") return vouch({ limits: tight, degraded });

    const over = reason === "clearance_expired" || reason === "clearance_used";
    const code = over ? "CLEARANCE_EXPIRED" : "TURNSTILE_REQUIRED";
    const about = { challenge_id: shown.claims?.challenge_id };
    await tell(over ? "app_clearance_expired" : "app_clearance_missing", { outcome: "deny", reason, code, detail, ...about });
    return refuse(code, async () => {
      const rid = nameIn(request, REQUEST_ID_HEADER) ?? randomId(random);
      const { id, cdata } = await desk.challenge(entry, bare.score, { method: request.method, path: normalizePath(path), rid }, client);
      await tell("turnstile_challenge_created", { outcome: "info", challenge_id: cdata });
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
  }

  /** Undefined: the path has readings under so many entries that their limits do not fit into one spend, and one of them would not be charged. */
  async function entryOf(request: Request, path: string, { options: asked }: GuardContext): Promise<PolicyEntry | undefined> {
    const entry = await matchPolicy(
      policy,
      () => methodsOf(request),
      path,
      (name) => {
        const condition = given.when?.[name];
        return condition !== undefined && askCondition(condition, request);
      },
    );
    if (fitting(["clearance.tight", ...entry.limits]).length <= entry.limits.length) return undefined;
    if (asked.scope === undefined) return entry;
    // The program names the clearance that it wants: then no list of paths may open the route, nor an entry's mode.
    const scope = normalizePath(asked.scope);
    const named = policy.entries.find((one) => one.kind !== "never" && one.scope === scope) ?? unmatched(scope);
    return { ...named, kind: "always", scope, limits: [...new Set([...named.limits, ...entry.limits])] };
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
      return { reason: error.code === "ERR_TOKEN_EXPIRED" ? "clearance_expired" : eventReasonOfToken(error.code) };
    }
    // Scopes are compared by name; paths are not matched again. So a clearance of one route opens no other route, however that
    // route's path is spelled. Where two entries share a scope, a clearance of the looser entry does not open the stricter one.
    const { scope, max_uses: uses, exp, iat } = claims;
    if (!scope.includes(entry.scope) || uses > entry.maxUses || exp - iat > entry.ttl) return { reason: "clearance_scope" };
    const { own, moved } = await desk.belongs(claims, client);
    if (!own || (moved && entry.bindIp)) return { reason: "clearance_binding" };
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
    const { jti, max_uses: limit, until, iat, ip: prefix, deg } = claims;
    const life = { cost: deg ? 0 : 1, expiresAt: until * 1000, issuedAt: iat * 1000 + 999 };
    const uses: Quota[] = [{ key: usesKey("clr", jti), limit, ...life }];
    const ids: Quota[] = [];
    const rid = nameIn(request, REQUEST_ID_HEADER);
    // A request's id counts per device, so that two devices may choose the same id. Without a device it counts per network of
    // the challenge. If it counted per network of the request, the same request would pass once from each network.
    const name = nameOf({ ...client, prefix });
    if (rid !== undefined) ids.push({ key: usesKey("rid", name, rid), limit: 1, ...life });
    // What was counted while nobody could check a solve counts afterwards too.
    if (deg || options.onUnavailable === "degraded") {
      uses.push(degraded(["clr", jti], limit));
      if (rid !== undefined) ids.push(degraded(["rid", name, rid], 1));
    }
    const quotas = [...ids, ...uses];
    const network = deg ? [degraded(["network", client.prefix ?? "unknown"], DEGRADED_REQUESTS)] : [];
    const { ok, at, states } = await store.spend([...quotas, ...network]);
    if (ok) return { ok, undo: once(() => store.refund(quotas, at)) };
    // Report the repeated id also where the clearance is used up: a new clearance would not help a request that already passed.
    if (states.slice(0, ids.length).some(({ why }) => why === "full")) return { ok, reason: "request_replayed", code: "REQUEST_REPLAYED" };
    const why = states.slice(ids.length).find((state) => state.why)?.why;
    return { ok, reason: why === "blocked" ? "revoked" : why === "full" ? "clearance_used" : "clearance_expired" };
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

/**
 * What is counted for a clearance whose solve nobody could check: a stranger has as many of them as there are texts. So these are rates, which a store
 * forgets by itself and a full one may remove, and one by network is charged with them.
 */
function degraded(who: readonly string[], limit: number): Quota {
  return { key: rateKey({ name: "degraded", window: DEGRADED_WINDOW }, who), limit, window: DEGRADED_WINDOW };
}

/** One request before its judge. */
interface Case {
  request: Request;
  context: GuardContext;
  path: string;
  entry: PolicyEntry;
  mode: Mode;
  limits: readonly string[];
}

/** Gives back what was spent, at most once, and never throws: best effort. */
function once(work: () => Promise<void>): () => Promise<void> {
  let left = true;
  return async () => {
    if (!left) return;
    left = false;
    await work().catch(() => undefined);
  };
}

/** What a client calls itself, its request or its version; anything that is no name is as if there were none. */
function nameIn({ headers }: Request, header: string): string | undefined {
  const name = headers.get(header);
  return name !== null && /^[A-Za-z0-9._-]{1,64}$/.test(name) ? name : undefined;
}
