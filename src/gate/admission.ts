import { isGatepassError } from "../errors.ts";
import type { EventFields, EventReason } from "../events/types.ts";
import { type RefusalExtra, refusalResponse } from "../http/index.ts";
import { canonicalSubjects, isByAddress, planLimits, quotasOf } from "../limits/index.ts";
import type { LimitRule, Subjects } from "../limits/types.ts";
import { HEADER, type PublicCode } from "../protocol.ts";
import type { Quota } from "../store/contract.ts";
import { MAX_QUOTAS } from "../store/validate.ts";
import { readSession } from "./credentials.ts";
import type { Settings } from "./options.ts";
import type { Players } from "./players.ts";
import type { SessionDesk } from "./sessions.ts";
import { type Item, openTill, type Till, type Watch, weaker } from "./till.ts";
import type { Admission, AdmitOptions, Admitted, GuardContext, Refused, Vouched } from "./types.ts";
import { type Visit, whoIs } from "./visit.ts";

/** What admission needs of the kernel. */
export interface Gatehouse {
  settings: Settings;
  players: Players;
  sessions: SessionDesk;
  watch: Watch;
  /** Rules by limit name. */
  limits: ReadonlyMap<string, readonly LimitRule[]>;
  /** Asks the features' guards, in order. */
  guards: readonly ((
    visit: Visit,
    context: Pick<GuardContext, "info" | "options" | "subjects" | "session">,
  ) => Promise<Vouched | Refused | undefined>)[];
}

/** Decides whether a request may go on, and charges it. */
export function createAdmission(house: Gatehouse): (visit: Visit, options: AdmitOptions) => Promise<Admission> {
  const { settings, players, sessions, watch, limits, guards } = house;

  return async (visit, options) => {
    checkOptions(settings, limits, options);
    const till = openTill(settings, watch, visit.emit, (limiter) => limiter.limit(till.subjects, visit.request));
    try {
      return await admit(visit, options, till);
    } catch (error) {
      // What a guard spent for a request that a backend of ours then failed.
      await till.undo();
      throw error;
    }
  };

  async function admit(visit: Visit, options: AdmitOptions, till: Till): Promise<Admission> {
    const { action, cost = 1, open = false, quotas = [], call, failures, strict = false } = options;
    // The one place where a mode relaxes an admission; see `Mode` for what it may relax.
    const enforced = strict || settings.resolved.mode === "enforce";
    const names = [...(options.limits ?? [])];
    const { request, info, emit } = visit;
    const playerToken = request.headers.get(HEADER.player);
    let vouched: Admitted | undefined;
    let player: string | undefined;
    let dryRun = false;
    /** Whose credential is charged, for events. */
    let who: Pick<EventFields, "session" | "player"> = {};
    /** What is charged has one use: that it is used up means that somebody plays it again. */
    let once = false;

    const refuse = async (code: PublicCode, extra?: RefusalExtra): Promise<Refused> => {
      // What a guard spent for a request that is refused after all.
      await till.undo();
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
      const [degraded, dry_run] = [till.degraded || undefined, !enforced || undefined];
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
     * Charges the items. If one refuses that the mode relaxes, the others are charged without it: a one-use id counts once
     * under every mode.
     */
    const pay = async (items: readonly Item[]): Promise<Refused | undefined> => {
      for (let left = items; left.length > 0; ) {
        let receipt: Awaited<ReturnType<typeof till.charge>>;
        try {
          receipt = await till.charge(left);
        } catch (error) {
          if (enforced || !isGatepassError(error) || left.some(({ code, beside }) => code && !beside)) throw error;
          dryRun = till.degraded = true;
          return undefined;
        }
        const { refused: first, paid, retryAfter } = receipt;
        if (!first) return undefined;
        // A repeat is told so also where its session is used up or a limit is reached: what it asks for was paid.
        const by = (first.state?.why === "full" && left.find(({ code, state }) => code && state?.why)) || first;
        const why = by.state?.why ?? "full";
        const extra = { retryAfter, headers: till.headers(retryAfter) };
        if (by.code) {
          if (by.code === "RATE_LIMITED") emit("rate_limited", { outcome: "deny", code: by.code, reason: by.reason ?? why });
          return refuse(by.code, extra);
        }
        // What else is full is left out with it: one event for each limit, however many networks it counts by.
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

    const credential = open ? undefined : await readSession(settings, sessions, players, visit, action);
    const claims = credential?.code ? undefined : credential?.claims;
    const fresh = credential?.code ? request.headers.get(HEADER.turnstile) : null;
    /**
     * The subjects that the application names, without our session and player: a session lives for minutes, and a guard's
     * counter by session would end with it.
     */
    const named = {
      ...(await whoIs(visit, settings.given.identify, options.subject ?? visit.route)),
      ...canonicalSubjects(options.subjects ?? {}),
    };
    if (credential?.claims) who = { session: credential.claims.jti, player: credential.claims.sub };
    const subjects = { ...named, ...(claims && who) };
    till.subjects = subjects;

    const lacking = async (): Promise<Refused | undefined> =>
      credential?.code && !fresh ? fail(credential.code, credential.reason ?? "session_missing") : undefined;
    let refused = action === undefined ? undefined : await lacking();
    // Refusals win over vouching, whoever comes first.
    for (const guard of open || refused ? [] : guards) {
      const opinion = await guard(visit, { info, options, subjects: named, session: async () => claims });
      if (opinion?.ok === false) {
        await till.undo();
        return opinion;
      }
      if (opinion) till.undos.push(opinion.undo);
      vouched ??= opinion;
      names.push(...(opinion?.limits ?? []).filter((name) => !names.includes(name)));
    }
    const bySession = !open && (action !== undefined || !vouched);
    // Nobody has checked this token. So the request is limited by address, also where the program names no limit.
    // Otherwise a stranger could make us ask Cloudflare without end.
    if (bySession && (fresh || claims?.deg) && !isLimitedByAddress(limits, names)) names.push(OWN_LIMIT);
    // Too many quotas are a mistake of the program. Fail for every client, not only for one that needs all quotas.
    checkOptions(settings, limits, { ...options, limits: names });
    if (bySession && action === undefined) refused = await lacking();
    if (refused) return refused;

    const rules = rulesFor(subjects);
    let level = vouched?.level ?? "none";
    player = claims?.sub ?? vouched?.player;
    /** One spend, now that it is known who pays: the credential's use, the features' quotas, the limits. */
    const charge = async (layers = rules, uses: readonly Quota[] = [], session?: string, key?: number): Promise<Refused | undefined> => {
      if (!open) player ??= await players.of(visit, playerToken, undefined, call);
      const items: Item[] = [...uses.map((quota) => ({ quota })), ...quotas];
      const once = player === undefined ? undefined : await call?.once({ player, session, key, life: sessions.life });
      if (once) items.push(once);
      return pay([...items, ...layers]);
    };
    if (bySession && claims) {
      level = "session";
      till.degraded = claims.deg === true;
      once = claims.uses === 1;
      if (cost > claims.uses) refused = await fail("SESSION_EXHAUSTED", "full");
      const { jti, uses, key } = claims;
      refused ??= await charge(rules, cost > uses ? [] : sessions.uses(claims, uses, cost, claims.deg), paying(jti, claims.deg), key);
    } else if (bySession && fresh) {
      // Two spends: the limits, so that nobody makes us ask Cloudflare without end; then, with the answer, the token's one use.
      refused = await pay(rules);
      if (refused) return refused;
      // Over a limit that is only monitored: the request goes on, and Cloudflare is not asked for it.
      const solve = dryRun ? undefined : await sessions.solve(visit, fresh, action);
      if (solve?.ok) {
        level = "turnstile";
        till.degraded ||= solve.degraded;
        player = await players.of(visit, playerToken, solve.seed, call);
        who = { session: solve.jti, player };
        once = true;
        // Charge every use of this solve, so that the same Turnstile token cannot also be exchanged for a session.
        const all = Math.max(1, cost);
        const more = rulesFor({ ...subjects, ...who }).filter(({ quota }) => !rules.some((rule) => rule.quota.key === quota.key));
        refused = await charge(more, sessions.uses(solve, all, all, solve.degraded), paying(solve.jti, solve.degraded));
      } else if (enforced && solve) {
        // Nobody could tell whether the token was good, so the attempt does not count. Until Cloudflare answers again, the
        // breaker limits how often it is asked.
        if (solve.retryable) await till.undo(true);
        return refuse(solve.code);
      } else {
        dryRun = true;
        refused = await charge([]);
      }
    } else refused = await charge();
    if (refused) return refused;

    const headers = till.headers();
    for (const [name, value] of vouched?.headers ?? []) headers.append(name, value);
    if (dryRun) level = "none";
    return {
      ok: true,
      level,
      claims: level === "session" ? claims : level === "clearance" ? vouched?.claims : undefined,
      player,
      headers,
      degraded: till.degraded || vouched?.degraded === true,
      dryRun: dryRun || vouched?.dryRun === true,
      accuracy: weaker(till.accuracy, vouched?.accuracy ?? "exact"),
      undo: (rates) => till.undo(rates),
    };
  }
}

/**
 * The session or token that pays for a call's id; undefined for a solve that nobody could check. While the provider is down,
 * any text is a solve. An id for each of them would fill the store with keys that it must not remove. The board alone then
 * recognises a repeat.
 */
function paying(jti: string, unchecked: boolean | undefined): string | undefined {
  return unchecked ? undefined : jti;
}

/** @throws {TypeError} {RangeError} the program asks for what can never be */
export function checkOptions(settings: Settings, limits: Gatehouse["limits"], options: AdmitOptions): void {
  const { action, cost = 1, limits: names = [], quotas = [], call, open } = options;
  if (action !== undefined && !settings.actions.includes(action)) throw new TypeError(`Cannot admit: unknown action "${action}"`);
  if (!Number.isInteger(cost) || cost < 0 || cost > settings.resolved.sessionUses) throw new RangeError(`Cannot admit: cost ${cost}`);
  // A session of which nobody could check the solve is two quotas.
  const own = settings.resolved.onUnavailable === "degraded" ? 2 : 1;
  let count = quotas.length + (open ? 0 : own) + (call ? 1 : 0);
  for (const name of open || isLimitedByAddress(limits, names) ? names : [...names, OWN_LIMIT]) {
    const rules = limits.get(name);
    if (!rules) throw new TypeError(`Cannot admit: unknown limit "${name}"`);
    count += quotasOf(rules);
  }
  if (count > MAX_QUOTAS) throw new RangeError(`Cannot admit: ${count} quotas, of ${MAX_QUOTAS} at most`);
}

/** The limit of session exchanges, which counts other tokens that nobody has checked too. */
export const OWN_LIMIT = "session";

/** Whether one of the limits counts all who share an address or a network. */
function isLimitedByAddress(limits: Gatehouse["limits"], names: readonly string[]): boolean {
  return names.some((name) => limits.get(name)?.some(isByAddress));
}

function codeOf(why: EventReason): PublicCode {
  return why === "blocked" ? "SESSION_REVOKED" : why === "full" ? "SESSION_EXHAUSTED" : "SESSION_EXPIRED";
}
