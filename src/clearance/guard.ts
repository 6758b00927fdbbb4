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
import { assertSignals, pathPoints, weigh } from "./risk.ts";
import { strictestOf } from "./strictest.ts";
import { CHALLENGE_TTL, type ClearanceClaims, type Client } from "./tokens.ts";
import type { PolicyEntry, RiskSignals } from "./types.ts";

/** Seconds of the `Retry-After` for the decision `cool_down`. */
const COOL_DOWN = 900;

/** Seconds. Longer than an unchecked clearance can live, counted from its first signature. */
const DEGRADED_WINDOW = 900;
/** Requests with unchecked clearances from one network in that window. */
const DEGRADED_REQUESTS = 4000;

/**
 * The clearance that a request shows, or the reason why it does not count. `moved`: the address prefix is no longer the
 * challenge's.
 */
type Presented =
  | { claims: ClearanceClaims; moved: boolean; reason?: undefined }
  | { claims?: undefined; moved?: undefined; reason: EventReason };

/**
 * Decides what a protected request gets: first the policy's entry, then the risk, then the clearance. A request without
 * a clearance stores only rates that expire: the challenge itself is a signed token, and not stored.
 */
export function createGuard(settled: Settled, kernel: Kernel): (request: Request, context: GuardContext) => Promise<Refused | Vouched> {
  const { policy, given, weights, clearanceTokens, counters, fitting } = settled;
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
    // The device by its header, since the client sends the same id to the verification. The device of `identify` is
    // only for counting.
    const device = nameIn(request, HEADER.deviceId);
    const client: Client = { device, prefix: info.ipPrefix, session: subjects.session, user: subjects.user };
    const dry_run = mode !== "enforce" || undefined;
    let who: Awaited<ReturnType<typeof clearanceTokens.whoIs>> | undefined;
    const tell = async (type: EventType, fields: EventFields): Promise<void> => {
      who ??= await clearanceTokens.whoIs(client);
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
      ...assertSignals(await given.signals?.(request, context), weights),
      // The application may not set this signal: only a clearance that was verified here lowers the risk.
      validClearance: false,
    };
    let bare = weigh(known, weights, shared);
    // A session lowers the risk only while it can be spent. Revoked and used-up sessions have a valid signature too, so
    // the store is asked, but only where the answer changes the decision.
    const trusted = weigh({ establishedSession: true, ...known }, weights, shared);
    if (trusted.score !== bare.score && (bare.band !== "allow" || trusted.band !== "allow") && (await context.hasLiveSession())) {
      known.establishedSession = true;
      bare = trusted;
    }
    const decision = decide(entry, bare.band);
    const detail = `${bare.score}: ${bare.reasons.map(({ signal, points }) => `${signal}${points < 0 ? "" : "+"}${points}`).join(" ") || "nothing"}`;
    const tight = fitting(["clearance.tight", ...entry.limits]);

    /** Refuses in mode `enforce`; in mode `monitor` lets the request pass as a dry run. */
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
      // Lower the risk by the clearance only once it was spent.
      const { claims } = shown;
      const spent = await spend(request, claims, client);
      if (spent.ok) {
        // A clearance whose solve could not be checked does not lower the risk.
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
      // A request id may be used once, in every mode.
      if (code) return { ok: false, code, response: refusalResponse(code) };
    }
    if (decision === "limit") return vouch({ limits: tight, degraded });

    const over = reason === "clearance_expired" || reason === "clearance_used";
    const code = over ? "CLEARANCE_EXPIRED" : "TURNSTILE_REQUIRED";
    const about = { challenge_id: shown.claims?.challenge_id };
    await tell(over ? "app_clearance_expired" : "app_clearance_missing", { outcome: "deny", reason, code, detail, ...about });
    return refuse(code, async () => {
      const rid = nameIn(request, REQUEST_ID_HEADER) ?? randomId(random);
      const { id, cdata } = await clearanceTokens.challenge(
        entry,
        bare.score,
        { method: request.method, path: normalizePath(path), rid },
        client,
      );
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

  /**
   * The policy's entry for a request. Undefined: the path's readings fall under so many entries that their limits do
   * not fit into one spend. One of them would not be charged, so the request is refused.
   */
  async function entryOf(request: Request, path: string, { options: asked }: GuardContext): Promise<PolicyEntry | undefined> {
    const entry = await matchPolicy(
      policy,
      () => methodsOf(request),
      path,
      (name) => {
        const condition = given.when?.[name];
        return condition !== undefined && askCondition(async (copy) => flag(await condition(copy)), request);
      },
    );
    const asks = asked.scope === undefined ? entry : scoped(asked.scope, entry);
    return fitting(["clearance.tight", ...asks.limits]).length > asks.limits.length ? asks : undefined;
  }

  /** The terms of the scope that the program asked for, with the limits of the path's entry beside them. */
  function scoped(asked: string, entry: PolicyEntry): PolicyEntry {
    // The program asked for this scope. So a `never` entry must not free the route, and the mode of the path's entry
    // does not apply.
    const scope = normalizePath(asked);
    const all = policy.entries.filter((one) => one.kind !== "never" && one.scope === scope);
    const [first = unmatched(scope), ...rest] = all;
    // Several entries may share a scope. The first one alone may be the looser one, or switched off.
    const named = strictestOf([{ entry: first, plain: first.path }, ...rest.map((one) => ({ entry: one, plain: one.path }))]);
    return { ...named, kind: "always", scope, limits: [...new Set([...named.limits, ...entry.limits])] };
  }

  /**
   * Reads the clearance of a request and checks its MAC and times, then its scope, then its bindings. Nothing is spent.
   */
  async function present(request: Request, entry: PolicyEntry, client: Client): Promise<Presented> {
    const token = request.headers.get(CLEARANCE_HEADER);
    if (!token) return { reason: "clearance_missing" };
    let claims: ClearanceClaims;
    try {
      claims = await clearanceTokens.readClearance(token);
    } catch (error) {
      if (!isGatepassError(error)) throw error;
      return { reason: error.code === "ERR_TOKEN_EXPIRED" ? "clearance_expired" : eventReasonOfToken(error.code) };
    }
    // Scopes are compared by name; paths are not matched again. So a clearance of one route opens no other route,
    // however that route's path is spelled. Where two entries share a scope, a clearance of the looser entry does not
    // open the stricter one.
    const { scope, max_uses: uses, exp, iat } = claims;
    if (!scope.includes(entry.scope) || uses > entry.maxUses || exp - iat > entry.ttl) return { reason: "clearance_scope" };
    const { own, moved } = await clearanceTokens.belongs(claims, client);
    if (!own || (moved && entry.bindIp)) return { reason: "clearance_binding" };
    if (entry.maxAge !== undefined && clock() / 1000 > claims.iat + entry.maxAge + options.clockTolerance)
      return { reason: "clearance_expired" };
    return { claims, moved };
  }

  /** Charges one use of the clearance and the request id's only use, in one spend: both or neither. */
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
    // A request's id counts per device, so that two devices may choose the same id. Without a device it counts per
    // network of the challenge. If it counted per network of the request, the same request would pass once from each
    // network.
    const name = nameOf({ ...client, prefix });
    if (rid !== undefined) ids.push({ key: usesKey("rid", name, rid), limit: 1, ...life });
    // Uses that were counted while Cloudflare was down must also count once it is up again.
    if (deg || options.onUnavailable === "degraded") {
      uses.push(degraded(["clr", jti], limit));
      if (rid !== undefined) ids.push(degraded(["rid", name, rid], 1));
    }
    const quotas = [...ids, ...uses];
    const network = deg ? [degraded(["network", client.prefix ?? "unknown"], DEGRADED_REQUESTS)] : [];
    const { ok, at, states } = await store.spend([...quotas, ...network]);
    if (ok) return { ok, undo: once(() => store.refund(quotas, at)) };
    // Report the repeated id also where the clearance is used up: a new clearance would not help a request that already
    // passed.
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
 * The answer of a condition. Another answer (a match, a number, nothing) fails, so that the stricter side counts.
 *
 * @throws {TypeError} neither true nor false
 */
function flag(answer: unknown): boolean {
  if (typeof answer !== "boolean") throw new TypeError('"when" did not answer true or false');
  return answer;
}

/**
 * A counter for a clearance whose solve could not be checked. While Cloudflare is down any text passes for a token, so
 * an attacker can get any number of such clearances. Hence they are counted as rates, which expire and which a full
 * store may remove. A rate by network bounds their number.
 */
function degraded(who: readonly string[], limit: number): Quota {
  return { key: rateKey({ name: "degraded", window: DEGRADED_WINDOW }, who), limit, window: DEGRADED_WINDOW };
}

/** One request that a clearance may be required for. */
interface Case {
  request: Request;
  context: GuardContext;
  path: string;
  entry: PolicyEntry;
  mode: Mode;
  limits: readonly string[];
}

/** Runs `work` at the first call only, and swallows its error: a refund that fails costs one use. */
function once(work: () => Promise<void>): () => Promise<void> {
  let left = true;
  return async () => {
    if (!left) return;
    left = false;
    await work().catch(() => undefined);
  };
}

/** The value of a header that names a device, a request or a version. A value of another form counts as no header. */
function nameIn({ headers }: Request, header: string): string | undefined {
  const name = headers.get(header);
  return name !== null && /^[A-Za-z0-9._-]{1,64}$/.test(name) ? name : undefined;
}
