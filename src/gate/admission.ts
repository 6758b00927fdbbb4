import { isGatepassError } from "../errors.ts";
import type { EventFields, EventReason } from "../events/types.ts";
import { type RefusalExtra, refusalResponse } from "../http/index.ts";
import { canonicalSubjects, isByAddress, planLimits, quotasOf } from "../limits/index.ts";
import type { LimitRule, Subjects } from "../limits/types.ts";
import { HEADER, type PublicCode } from "../protocol.ts";
import type { Quota } from "../store/contract.ts";
import { MAX_QUOTAS } from "../store/validate.ts";
import { type Charges, type Item, openCharges, type Watch, weaker } from "./charges.ts";
import { readSession } from "./credentials.ts";
import type { Settings } from "./options.ts";
import type { Players } from "./players.ts";
import { type RequestScope, whoIs } from "./request-scope.ts";
import type { SessionService } from "./sessions.ts";
import type { Admission, AdmitOptions, GuardContext, Refused, Vouched } from "./types.ts";

/** The parts of the kernel that admission needs. */
export interface AdmissionParts {
  settings: Settings;
  players: Players;
  sessions: SessionService;
  watch: Watch;
  /** Rules by limit name. */
  limits: ReadonlyMap<string, readonly LimitRule[]>;
  /** Asks the features' guards, in order. */
  guards: readonly ((
    requestScope: RequestScope,
    context: Pick<GuardContext, "info" | "options" | "subjects" | "session">,
  ) => Promise<Vouched | Refused | undefined>)[];
}

/** Decides whether a request may go on, and charges its quotas. */
export function createAdmission(parts: AdmissionParts): (requestScope: RequestScope, options: AdmitOptions) => Promise<Admission> {
  const { settings, players, sessions, watch, limits, guards } = parts;

  return async (requestScope, options) => {
    checkOptions(settings, limits, options);
    const charges = openCharges(settings, watch, requestScope.emit, (limiter) => limiter.limit(charges.subjects, requestScope.request));
    try {
      return await admit(requestScope, options, charges);
    } catch (error) {
      // A guard may have spent a use before a backend failed. The client keeps it.
      await charges.undo();
      throw error;
    }
  };

  async function admit(requestScope: RequestScope, options: AdmitOptions, charges: Charges): Promise<Admission> {
    const { action, cost = 1, open = false, quotas = [], call, failures, strict = false } = options;
    // The one place where a mode relaxes an admission; see `Mode` for what it may relax.
    const enforced = strict || settings.resolved.mode === "enforce";
    const names = [...(options.limits ?? [])];
    const { request, info, emit } = requestScope;
    const playerToken = request.headers.get(HEADER.player);
    let vouched: Vouched | undefined;
    let player: string | undefined;
    let dryRun = false;
    /** Session and player of the credential that is charged, for events. */
    let who: Pick<EventFields, "session" | "player"> = {};
    /** The credential has a single use. If it is used up, the request is a replay. */
    let once = false;

    const refuse = async (code: PublicCode, extra?: RefusalExtra): Promise<Refused> => {
      // A guard may have spent a use for a request that is now refused.
      await charges.undo();
      return {
        ok: false,
        code,
        response: refusalResponse(code, extra),
        retryAfter: extra?.retryAfter || undefined,
        player: player ?? who.player,
      };
    };
    /** A check that the mode may relax failed: the refusal, or undefined where the request goes on. */
    const fail = async (code: PublicCode, reason: EventReason, extra?: RefusalExtra, limit?: string): Promise<Refused | undefined> => {
      const type = limit ? "rate_limited" : once && reason === "full" ? "session_replay_detected" : "session_rejected";
      const [degraded, dry_run] = [charges.degraded || undefined, !enforced || undefined];
      emit(type, { outcome: "deny", code, reason, action, detail: limit, degraded, dry_run, ...who });
      if (enforced) return refuse(code, extra);
      dryRun = true;
      return undefined;
    };
    const isExact = (name: string): boolean => (typeof failures === "object" ? failures.includes(name) : failures === true);
    const rulesFor = (who: Subjects): Item[] =>
      names.flatMap((name) => {
        const exact = isExact(name);
        return planLimits(limits.get(name) ?? [], who, request, name).map((layer) => ({ ...layer, exact }));
      });
    /**
     * Charges the items. If one refuses that the mode relaxes, the others are charged without it: a one-use id counts
     * once under every mode.
     */
    const pay = async (items: readonly Item[]): Promise<Refused | undefined> => {
      for (let left = items; left.length > 0; ) {
        let receipt: Awaited<ReturnType<typeof charges.charge>>;
        try {
          receipt = await charges.charge(left);
        } catch (error) {
          if (enforced || !isGatepassError(error) || left.some(({ code, beside }) => code && !beside)) throw error;
          dryRun = charges.degraded = true;
          return undefined;
        }
        const { refused: first, paid, retryAfter } = receipt;
        if (!first) return undefined;
        // Report a repeated call as a repeat also where its session is used up or a limit is reached: the first request
        // of the call paid.
        const by = (first.state?.why === "full" && left.find(({ code, state }) => code && state?.why)) || first;
        const why = by.state?.why ?? "full";
        const extra = { retryAfter, headers: charges.headers(retryAfter) };
        if (by.code) {
          if (by.code === "RATE_LIMITED") emit("rate_limited", { outcome: "deny", code: by.code, reason: by.reason ?? why });
          return refuse(by.code, extra);
        }
        // Leave out all full limits at once, with one event for each limit (a rule by `ip` has up to three full
        // quotas).
        const over = [by, ...left.filter((item) => item !== by && !item.code && item.state?.why)];
        const told = new Set<LimitRule | undefined>();
        for (const { rule, prefix, state } of over) {
          if (told.has(rule)) continue;
          told.add(rule);
          const reason = state?.why ?? why;
          const limit = rule && rule.name + (prefix ? `/${prefix}` : "");
          const refused = await (limit ? fail("RATE_LIMITED", reason, extra, limit) : fail(codeOf(reason), reason));
          if (refused || paid) return refused;
        }
        left = left.filter((item) => !over.includes(item) && (!item.code || by.rule || !item.beside));
      }
      return undefined;
    };

    const credential = open ? undefined : await readSession(settings, sessions, players, requestScope, action);
    const claims = credential?.code ? undefined : credential?.claims;
    const fresh = credential?.code ? request.headers.get(HEADER.turnstile) : null;
    /**
     * The subjects that the application names, without our session and player: a session lives for minutes, and a
     * guard's counter by session would end with it.
     */
    const named = {
      ...(await whoIs(requestScope, settings.given.identify, options.subject ?? requestScope.route)),
      ...canonicalSubjects(options.subjects ?? {}),
    };
    if (credential?.claims) who = { session: credential.claims.jti, player: credential.claims.sub };
    const subjects = { ...named, ...(claims && who) };
    charges.subjects = subjects;

    const lacking = async (): Promise<Refused | undefined> =>
      credential?.code && !fresh ? fail(credential.code, credential.reason ?? "session_missing") : undefined;
    let refused = action === undefined ? undefined : await lacking();
    // One refusing guard is enough, in whatever order the guards answer.
    for (const guard of open || refused ? [] : guards) {
      const opinion = await guard(requestScope, { info, options, subjects: named, session: async () => claims });
      if (opinion?.ok === false) {
        await charges.undo();
        return opinion;
      }
      if (opinion) charges.undos.push(async (rates, keep) => keep === undefined && opinion.undo(rates));
      vouched ??= opinion;
      names.push(...(opinion?.limits ?? []).filter((name) => !names.includes(name)));
    }
    const bySession = !open && (action !== undefined || !vouched);
    // Nobody has checked this token. So the request is limited by address, also where the program names no limit.
    // Otherwise a stranger could make us ask Cloudflare without end.
    // So is a guess at a secret, whatever rules the application gives to its limit.
    if ((open ? strict : bySession && (fresh || claims?.deg)) && !isLimitedByAddress(limits, names)) names.push(OWN_LIMIT);
    // Too many quotas are a mistake of the program. Fail for every client, not only for one that needs all quotas.
    checkOptions(settings, limits, { ...options, limits: names });
    if (bySession && action === undefined) refused = await lacking();
    if (refused) return refused;

    const rules = rulesFor(subjects);
    let level = vouched?.level ?? "none";
    player = claims?.sub ?? vouched?.player;
    /** One spend of the credential's use, the features' quotas and the limits. */
    const charge = async (layers = rules, uses: readonly Quota[] = [], session?: string, key?: number): Promise<Refused | undefined> => {
      if (!open) player ??= await players.of(requestScope, playerToken, undefined, call);
      const items: Item[] = [...uses.map((quota) => ({ quota })), ...quotas];
      const once = player === undefined ? undefined : await call?.once({ player, session, key, life: sessions.life });
      if (once) items.push(once);
      return pay([...items, ...layers]);
    };
    if (bySession && claims) {
      level = "session";
      charges.degraded = claims.deg === true;
      once = claims.uses === 1;
      if (cost > claims.uses) refused = await fail("SESSION_EXHAUSTED", "full");
      const { jti, uses, key } = claims;
      refused ??= await charge(rules, cost > uses ? [] : sessions.uses(claims, uses, cost, claims.deg), paying(jti, claims.deg), key);
    } else if (bySession && fresh) {
      // Two spends. The limits come first, so that no client makes us ask Cloudflare without end. The token's use comes
      // after the answer.
      refused = await pay(rules);
      if (refused) return refused;
      // In mode `monitor` a request over its limit goes on, but Cloudflare is not asked about its token.
      const solve = dryRun ? undefined : await sessions.solve(requestScope, fresh, action);
      if (solve?.ok) {
        level = "turnstile";
        charges.degraded ||= solve.degraded;
        player = await players.of(requestScope, playerToken, solve.seed, call);
        who = { session: solve.jti, player };
        once = true;
        // Charge every use of this solve, so that the same Turnstile token cannot also be exchanged for a session.
        const all = Math.max(1, cost);
        const more = rulesFor({ ...subjects, ...who }).filter(({ quota }) => !rules.some((rule) => rule.quota.key === quota.key));
        refused = await charge(more, sessions.uses(solve, all, all, solve.degraded), paying(solve.jti, solve.degraded));
      } else if (enforced && solve) {
        // Cloudflare did not answer, so the attempt does not count. Until Cloudflare answers again,
        // the breaker limits how often it is asked.
        if (solve.retryable) await charges.undo(true);
        return refuse(solve.code);
      } else {
        dryRun = true;
        refused = await charge([]);
      }
    } else refused = await charge();
    if (refused) return refused;

    const headers = charges.headers();
    for (const [name, value] of vouched?.headers ?? []) headers.append(name, value);
    if (dryRun) level = "none";
    return {
      ok: true,
      level,
      claims: level === "session" ? claims : level === "clearance" ? vouched?.claims : undefined,
      player,
      headers,
      degraded: charges.degraded || vouched?.degraded === true,
      dryRun: dryRun || vouched?.dryRun === true,
      accuracy: weaker(charges.accuracy, vouched?.accuracy ?? "exact"),
      undo: (rates) => charges.undo(rates),
      async settle(actual) {
        if (!Number.isInteger(actual) || actual < 0 || actual > cost) throw new RangeError(`Cannot settle: ${actual} of ${cost} uses`);
        if (level === "session") await charges.settle(actual);
      },
    };
  }
}

/**
 * The session or token that pays for a call's id; undefined for a solve that nobody could check. While the provider is
 * down, any text is a solve. An id for each of them would fill the store with keys that it must not remove. The board
 * alone then recognises a repeat.
 */
function paying(jti: string, unchecked: boolean | undefined): string | undefined {
  return unchecked ? undefined : jti;
}

/**
 * @throws {TypeError} {RangeError} options of the program that no request could satisfy: unknown names, a bad cost, too
 * many quotas
 */
export function checkOptions(settings: Settings, limits: AdmissionParts["limits"], options: AdmitOptions): void {
  const { action, cost = 1, limits: names = [], quotas = [], call, open } = options;
  if (action !== undefined && !settings.actions.includes(action)) throw new TypeError(`Cannot admit: unknown action "${action}"`);
  if (!Number.isInteger(cost) || cost < 0 || cost > settings.resolved.sessionUses) throw new RangeError(`Cannot admit: cost ${cost}`);
  // A session whose solve could not be checked is charged by two quotas.
  const own = settings.resolved.onUnavailable === "degraded" ? 2 : 1;
  let count = quotas.length + (open ? 0 : own) + (call ? 1 : 0);
  for (const name of open || isLimitedByAddress(limits, names) ? names : [...names, OWN_LIMIT]) {
    const rules = limits.get(name);
    if (!rules) throw new TypeError(`Cannot admit: unknown limit "${name}"`);
    count += quotasOf(rules);
  }
  if (count > MAX_QUOTAS) throw new RangeError(`Cannot admit: ${count} quotas, of ${MAX_QUOTAS} at most`);
}

/** The limit of session exchanges. It also limits other requests with a token that has not been checked. */
export const OWN_LIMIT = "session";

/** Whether one of the limits counts all who share an address or a network. */
function isLimitedByAddress(limits: AdmissionParts["limits"], names: readonly string[]): boolean {
  return names.some((name) => limits.get(name)?.some(isByAddress));
}

function codeOf(why: EventReason): PublicCode {
  return why === "blocked" ? "SESSION_REVOKED" : why === "full" ? "SESSION_EXHAUSTED" : "SESSION_EXPIRED";
}
