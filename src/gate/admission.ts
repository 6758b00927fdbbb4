import { isGatepassError } from "../errors.ts";
import type { EventFields, EventReason } from "../events/types.ts";
import { type RefusalExtra, rateHeaders, refusalResponse } from "../http/index.ts";
import { planLimits } from "../limits/index.ts";
import type { LimitRule, Subjects } from "../limits/types.ts";
import { HEADER, type PublicCode } from "../protocol.ts";
import type { Consistency, QuotaState } from "../store/contract.ts";
import { type Charge, type Charged, type Item, weaker } from "./charge.ts";
import { readSession } from "./credentials.ts";
import type { Settings } from "./options.ts";
import { guestOf, playerOf } from "./players.ts";
import type { Keys } from "./secrets.ts";
import type { SessionDesk } from "./sessions.ts";
import type { Admission, AdmitOptions, Admitted, GuardContext, Refused } from "./types.ts";
import { type Visit, whoIs } from "./visit.ts";

/** What admission needs of the kernel. */
export interface Gatehouse {
  settings: Settings;
  keys: Keys | undefined;
  sessions: SessionDesk;
  charge: Charge;
  /** Rules by limit name. */
  limits: ReadonlyMap<string, readonly LimitRule[]>;
  /** Asks the features' guards, in order. */
  guards: readonly ((visit: Visit, context: Omit<GuardContext, "signals">) => Promise<Admission | undefined>)[];
  onUnknownAddress(): void;
}

/** Decides whether a request may go on, and charges it. */
export function createAdmission(house: Gatehouse): (visit: Visit, options: AdmitOptions) => Promise<Admission> {
  const { settings, keys, sessions, charge, limits, guards } = house;
  const { given, resolved, clock } = settings;
  const enforced = resolved.mode === "enforce";

  return async (visit, options) => {
    const { action, cost = 1, open = false, quotas = [] } = options;
    checkOptions(settings, limits, options);
    const { request, emit } = visit;
    const state = new Progress(clock);

    /** A check that `mode` relaxes failed: the refusal, or undefined where the request goes on. */
    const relaxed = (code: PublicCode, fields: Partial<EventFields>, extra?: RefusalExtra): Refused | undefined => {
      emit(
        code === "RATE_LIMITED" ? "rate_limited" : fields.reason === "full" && state.once ? "session_replay_detected" : "session_rejected",
        {
          outcome: "deny",
          code,
          ...(action !== undefined && { action }),
          ...fields,
          ...(!enforced && { dry_run: true }),
        },
      );
      if (enforced) return refuse(code, extra);
      state.dryRun = true;
      return undefined;
    };

    /** Charges; what a mode relaxes is left out and the rest charged again, so that a one-use id stays one under every mode. */
    const spend = async (items: readonly Item[]): Promise<Refused | undefined> => {
      for (let left = items; left.length > 0; ) {
        let charged: Charged;
        try {
          charged = await charge(left);
        } catch (error) {
          const down = isGatepassError(error) && error.code.startsWith("ERR_STORE");
          if (!down || enforced || left.some(({ kind }) => kind === "extra")) throw error;
          state.dryRun = state.degraded = true;
          return undefined;
        }
        const dead = charged.ok ? left.find((item, i) => item.quota.cost === 0 && isDead(item, charged.states[i])) : undefined;
        const by = charged.refused ?? dead;
        state.add(left, charged);
        if (!by) return undefined;
        const { why } = charged.states[left.indexOf(by)] ?? {};
        if (by.kind === "extra") {
          const { code = "RATE_LIMITED", reason = why } = by;
          if (code === "RATE_LIMITED") emit("rate_limited", { outcome: "deny", code, ...(reason && { reason }) });
          return refuse(code, { retryAfter: charged.retryAfter, headers: state.headers(charged.retryAfter) });
        }
        const refused =
          by.kind === "rule"
            ? relaxed(
                "RATE_LIMITED",
                { reason: "full", detail: by.rule?.name ?? "" },
                { retryAfter: charged.retryAfter, headers: state.headers(charged.retryAfter) },
              )
            : relaxed(codeOf(why), { reason: why ?? "full", ...state.who });
        if (refused || charged.ok) return refused;
        const { states } = charged;
        left = left.filter((item, i) => item !== by && (item.kind === "extra" || states[i]?.why === undefined));
      }
      return undefined;
    };

    const credential = open ? undefined : await readSession(settings, sessions, visit, action);
    const fresh = credential && !credential.ok ? request.headers.get(HEADER.turnstile) : null;
    const claims = credential?.ok ? credential.claims : undefined;
    const subjects: Subjects = await whoIs(visit, given.identify, options.subject);
    if (visit.info.ip === undefined) house.onUnknownAddress();
    if (claims) Object.assign(subjects, { session: claims.jti, player: claims.sub });

    const lack = (): Refused | undefined => {
      if (credential === undefined || credential.ok || fresh) return undefined;
      const { code, reason, claims: known } = credential;
      return relaxed(code, { reason, ...(known && { session: known.jti, player: known.sub }) });
    };
    let refused = action === undefined ? undefined : lack();
    if (refused) return refused;
    // Refusals win over vouching, whoever comes first; what a guard spent for a request that another one refuses is given back.
    let vouched: Admitted | undefined;
    for (const guard of open ? [] : guards) {
      const opinion = await guard(visit, { info: visit.info, options, subjects });
      if (opinion && !opinion.ok) {
        await vouched?.undo();
        return opinion;
      }
      vouched ??= opinion;
    }
    const bySession = !open && (action !== undefined || !vouched);
    if (bySession && action === undefined) refused = lack();
    if (refused) return refused;

    const items: Item[] = quotas.map(({ quota, code, reason }) => ({ quota, kind: "extra", code, reason }));
    const rules = rulesFor(limits, options, subjects, request);
    let player = claims?.sub ?? vouched?.player;
    let level: Admitted["level"] = vouched?.level ?? "none";
    if (bySession && claims) {
      level = "session";
      state.degraded ||= claims.deg === true;
      state.who = { session: claims.jti, player: claims.sub };
      state.once = claims.uses === 1;
      if (cost > claims.uses) refused = relaxed("SESSION_EXHAUSTED", { reason: "full", ...state.who });
      else items.unshift({ quota: sessions.uses(claims.jti, claims.auth_time, claims.uses, cost), kind: "uses" });
      refused ??= await spend([...items, ...rules]);
    } else if (bySession && fresh) {
      // Two spends: the limits, so that nobody makes us ask Cloudflare without end; then, with the answer, the token's one use.
      refused = await spend(rules);
      if (!refused) {
        const solve = await sessions.solve(visit, fresh, action);
        if (solve.ok) {
          level = "turnstile";
          state.degraded ||= solve.degraded;
          player = await playerOf(settings, keys, visit, fresh, request.headers.get(HEADER.player) ?? undefined, solve.testKey);
          const whole = { ...subjects, session: solve.jti, player };
          state.who = { session: solve.jti, player };
          state.once = true;
          // All of its counter: neither a second write nor a session is to be had beside it for the price of one.
          const all = Math.max(1, cost);
          const known = new Set(rules.map(({ quota }) => quota.key));
          const more = rulesFor(limits, options, whole, request).filter(({ quota }) => !known.has(quota.key));
          refused = await spend([{ quota: sessions.uses(solve.jti, solve.authTime, all, all), kind: "uses" }, ...items, ...more]);
        } else if (enforced) {
          if (solve.code === "UNAVAILABLE") await state.undo();
          refused = refuse(solve.code, solve.retryAfter === undefined ? {} : { retryAfter: solve.retryAfter });
        } else {
          state.dryRun = true;
          refused = await spend(items);
        }
      }
    } else refused = await spend([...items, ...rules]);

    if (refused) {
      await vouched?.undo();
      return refused;
    }
    if (state.dryRun) level = "none";
    if (!open && player === undefined) player = await guestOf(settings, keys, visit, request.headers.get(HEADER.player) ?? undefined);
    const headers = state.headers();
    if (vouched) for (const [name, value] of vouched.headers) headers.append(name, value);
    return {
      ok: true,
      level,
      claims: level === "session" ? claims : level === "clearance" ? vouched?.claims : undefined,
      player,
      headers,
      degraded: state.degraded || vouched?.degraded === true,
      dryRun: state.dryRun || vouched?.dryRun === true,
      accuracy: vouched ? weaker(state.accuracy, vouched.accuracy) : state.accuracy,
      undo: async () => {
        await state.undo();
        await vouched?.undo();
      },
    };
  };
}

/** What an admission gathered so far. */
class Progress {
  dryRun = false;
  degraded = false;
  accuracy: Consistency = "exact";
  who: { session?: string; player?: string } = {};
  /** What was charged had one use: that it is used up means that somebody plays it again. */
  once = false;
  readonly #clock: () => number;
  readonly #rules: LimitRule[] = [];
  readonly #states: QuotaState[] = [];
  readonly #charged: Charged[] = [];

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  add(items: readonly Item[], charged: Charged): void {
    this.#charged.push(charged);
    this.degraded ||= charged.degraded;
    this.accuracy = weaker(this.accuracy, charged.accuracy);
    for (const [i, { rule }] of items.entries()) {
      const state = charged.states[i];
      if (!rule || !state || this.#rules.includes(rule)) continue;
      this.#rules.push(rule);
      this.#states.push(state);
    }
  }

  headers(retryAfter?: number): Headers {
    return rateHeaders(this.#rules, this.#states, this.#clock(), retryAfter);
  }

  async undo(): Promise<void> {
    for (const charged of this.#charged) await charged.undo();
  }
}

/** @throws {TypeError} {RangeError} the program asks for what can never be */
export function checkOptions(
  settings: Settings,
  limits: ReadonlyMap<string, unknown>,
  { action, cost = 1, limits: names = [] }: AdmitOptions,
): void {
  const { sessionUses } = settings.resolved;
  if (action !== undefined && !settings.actions.includes(action)) {
    throw new TypeError(`Cannot admit: the action "${action}" is not among "session.actions"`);
  }
  if (!Number.isInteger(cost) || cost < 0 || cost > sessionUses)
    throw new RangeError(`Cannot admit: "cost" is not from 0 to ${sessionUses}`);
  for (const name of names) if (!limits.has(name)) throw new TypeError(`Cannot admit: no limit is named "${name}"`);
}

function rulesFor(limits: Gatehouse["limits"], { limits: names = [] }: AdmitOptions, subjects: Subjects, request: Request): Item[] {
  return names.flatMap((name) => {
    const plan = planLimits(limits.get(name) ?? [], subjects, request, name);
    return plan.rules.map((rule, i): Item => ({ quota: plan.quotas[i] ?? fail(), kind: "rule", rule }));
  });
}

function fail(): never {
  throw new TypeError("Cannot plan the limits: a rule has no quota");
}

function refuse(code: PublicCode, extra: RefusalExtra = {}): Refused {
  const { retryAfter } = extra;
  return { ok: false, code, response: refusalResponse(code, extra), ...(retryAfter && { retryAfter }) };
}

/** A session that costs nothing is read only: it may be used up, but not revoked or over. */
function isDead({ kind }: Item, state: QuotaState | undefined): boolean {
  return kind === "uses" && state?.why !== undefined && state.why !== "full";
}

function codeOf(why: EventReason | undefined): PublicCode {
  if (why === "blocked") return "SESSION_REVOKED";
  return why === "expired" || why === "forgotten" ? "SESSION_EXPIRED" : "SESSION_EXHAUSTED";
}
