import type { ConfigProblem } from "../errors.ts";
import type { Events, EventType, SecurityEvent } from "../events/types.ts";
import type { ClientIpOption, HeaderFields, OriginGuard, RequestInfo } from "../http/types.ts";
import type { LimitLayer, LimitRule, Subject, Subjects } from "../limits/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Consistency, RateStore, Store } from "../store/contract.ts";
import type { Secret, Subkeys, Tokens, VerifiedClaims } from "../tokens/types.ts";
import type { Turnstile, TurnstileOptions } from "../turnstile/types.ts";
import type { Call, OneUse } from "./call.ts";
import type { Screened } from "./screened.ts";
import type { SessionClaims, Sessions } from "./session-types.ts";

/**
 * What a check's failure does: refuse, report only, or not even look.
 *
 * A mode changes the outcome of these checks alone: siteverify's answer, whether a session or clearance is required, limits, risk and policy.
 * It never changes: the authentication of moderators and its limits, MACs, one-use ids, origins, the rules of bodies, fields and boards. Nor does `monitor`
 * let an ambiguous path pass; `off` does not look at paths.
 * A check that failed never yields a signed token.
 */
export type Mode = "enforce" | "monitor" | "off";

/** Options of `createGate`. */
export interface GateOptions {
  /** One secret or a ring: the first signs, all verify. Without: no session, fresh Turnstile tokens only. */
  secrets?: Secret | readonly Secret[] | undefined;
  /** `createTurnstile` takes what is left when `clock`, `fetch` and `random` are not given here. May be left out unless mode is `enforce`. */
  turnstile?: GateTurnstileOptions | undefined;
  /** Default `memoryStore()`, and an event says so. */
  store?: Store | undefined;
  /**
   * A looser (and nearer, or cheaper) store for the limits' rates: asked before `store`, and nothing is given back there. Limits that count failures, uses
   * and one-use ids stay on `store`. Admissions say its `accuracy`.
   */
  rateStore?: RateStore;
  session?: SessionOptions;
  /** What limits and risk may key on, from the application's own authentication. */
  identify?(request: Request): Identity | Promise<Identity>;
  issuer?: string | undefined;
  /** `aud` of every token. Default: the first allowed hostname. */
  audience?: string | undefined;
  /** Seconds, default 5. */
  clockTolerance?: number;
  /** Exact origins that may call besides our own. */
  allowedOrigins?: readonly string[] | undefined;
  /** The origin under which browsers reach us, where the request's host does not tell. */
  publicUrl?: string | undefined;
  clientIp?: ClientIpOption;
  /** Rules by limit name; replaces that limit's defaults. An unknown name is a TypeError. */
  limits?: Record<string, readonly LimitRule[]>;
  /**
   * When the store is down, for rules that do not say: `allow` lets rate rules pass (never a batch with a uses quota). Default `deny`. A rule's own
   * `onStoreError` may be a limiter that counts meanwhile.
   */
  onStoreError?: "deny" | "allow";
  /** `requireCloudflare()`: what came past Cloudflare is refused before every route and in `protect`, under every mode. Default: everything may come. */
  origin?: OriginGuard;
  features?: readonly FeatureFactory[];
  /** Default `enforce`. */
  mode?: Mode | undefined;
  /** Default `/api`. */
  basePath?: string;
  onEvent?(event: SecurityEvent): void;
  /** Unexpected errors. Default `console.error`. */
  onError?(error: unknown, request: Request): void;
  /** Milliseconds since the epoch. */
  clock?: () => number;
  random?: (bytes: number) => Uint8Array;
  fetch?: typeof fetch;
}

/** As `TurnstileOptions`; the secret may come from an environment that lacks it, which mode `enforce` refuses when the gate is created. */
export interface GateTurnstileOptions extends Omit<TurnstileOptions, "secret" | "sitekey" | "clockTolerance"> {
  /** One secret, or several while a rotation lasts. */
  secret: string | readonly string[] | undefined;
  /** The public sitekey. */
  sitekey?: string | undefined;
  /** While Cloudflare is down: `degraded` gives short sessions of two uses. Default `deny`. */
  onUnavailable?: "deny" | "degraded";
}

/** How sessions are made. */
export interface SessionOptions {
  /** Seconds, 120..900, default 300. */
  ttl?: number;
  /** Protected writes per solve, 1..1000, default 20. */
  uses?: number;
  /** Actions for which a session may be had, default `["score_submit"]`. */
  actions?: readonly string[];
  /** What a session is bound to. Default `none`. */
  bind?: "none" | "ip-prefix" | "device";
  /**
   * The application's own player id (1 to 128 characters), where it has accounts. Asked at the exchange, and again at each write:
   * where it then names somebody else than the session does, or nobody any more, the session is refused and the client makes a new one.
   */
  subject?(request: Request): string | undefined | Promise<string | undefined>;
}

/** Who the application says it is. */
export interface Identity {
  user?: string | undefined;
  session?: string | undefined;
  account?: string | undefined;
  email?: string | undefined;
  phone?: string | undefined;
  device?: string | undefined;
}

/** What `protect` asks. */
export interface ProtectOptions {
  /** The clearance's scope. */
  scope?: string;
  /** The session's scope: always needs a session (or fresh token) of this action. */
  action?: string;
  /** Uses of the session that the request costs, default 1. */
  cost?: number;
  /**
   * A subject of the route's own, e.g. the run's id, for rules that count by `route`. Default: method and pattern of a route of the gate; elsewhere none,
   * and such a rule does not apply.
   */
  subject?: string;
  /** Names of limits charged in the same spend: with the session's use and what a feature adds, 16 quotas at most (a rule by `ip` has 3). */
  limits?: readonly string[];
}

/** As `protect`, for features: further quotas of the same spend, each with the code of its refusal. */
export interface AdmitOptions extends ProtectOptions {
  /** A uses quota's `expiresAt` is when what it counts is surely over: `options.clockTolerance` is in it. */
  quotas?: readonly OneUse[];
  /** The call that the request repeats, where the client named it. */
  call?: Call | undefined;
  /**
   * The limits count failures, all or those named: they stay on the exact store, also beside a looser one, so that `undo` gives a success back; and while
   * the store is down they deny, unless a rule's own `onStoreError` says otherwise. Default false.
   */
  failures?: boolean | readonly string[];
  /**
   * The limits hold under every mode: those of an authentication, and those before a token is signed. Default false: `monitor` and `off` let pass what is
   * over a limit.
   */
  strict?: boolean;
  /** Who asks, where the request says so in its body; wins over what its headers say. */
  subjects?: Subjects;
  /** Charged and reported even though nothing is required (public reads): no session is asked for. */
  open?: boolean;
}

/** The answer to a request for admission. */
export type Admission = Admitted | Refused;

/** The request may go on. */
export interface Admitted {
  ok: true;
  level: "session" | "clearance" | "turnstile" | "none";
  claims?: VerifiedClaims | undefined;
  /** Who plays: of the session, of the fresh token, or (`level: "none"`) of this one request. */
  player?: string | undefined;
  /** Rate headers for the answer. */
  headers: Headers;
  /** A check was skipped since a backend is down. */
  degraded: boolean;
  /** A check failed and `mode` let it pass. */
  dryRun: boolean;
  accuracy: Consistency;
  /**
   * Gives back the uses and one-use ids that were charged, for when our own work failed afterwards. Once, never throws. What limits counted stays counted
   * (but for limits that count failures): a client whose requests make our work fail can repeat it only as often as the limits say.
   *
   * @param rates also what limits counted, default false: for a failure that limits itself, such as a provider behind a breaker
   */
  undo(rates?: boolean): Promise<void>;
}

/** A guard's word that the request may go on. */
export interface Vouched extends Admitted {
  /** Names of further limits that are charged with the request, in its one spend. */
  limits?: readonly string[];
}

/** The request may not go on; `response` is the whole answer. */
export interface Refused {
  ok: false;
  code: PublicCode;
  response: Response;
  /** Seconds. */
  retryAfter?: number | undefined;
  /** Whose credential was refused, where one told. */
  player?: string | undefined;
}

/** The gate: a fetch handler and what the application calls. Every method is a closure. */
export interface Gate<Env = unknown> {
  /** Answers requests; 404 for foreign paths. `second` and `third`: (env, ctx) of Workers, the server of Bun, the info of Deno. */
  fetch(request: Request, second?: unknown, third?: unknown): Promise<Response>;
  /** As `fetch`, but null where the path is not ours. */
  handle(request: Request, second?: unknown, third?: unknown): Promise<Response | null>;
  /**
   * Binds an environment, where `createGate` got a function: the same object gives the same gate.
   *
   * @throws {TypeError} no object, or a ninth one; {RangeError} as `createGate`
   */
  for(env: Env): Gate<Env>;
  protect(request: Request, options?: ProtectOptions, second?: unknown, third?: unknown): Promise<Admission>;
  guard(
    handler: (request: Request, admission: Admitted) => Response | Promise<Response>,
    options?: ProtectOptions,
  ): (request: Request, second?: unknown, third?: unknown) => Promise<Response>;
  /**
   * Tells the features what the application saw of a request; after `protect` of the same Request the platform's arguments may be left out.
   *
   * @throws {TypeError} a signal that is neither a {@link ReportSignal} nor declared by a feature: misspelt, it would count nothing; an unknown member of
   * `about` @throws {RangeError} `weight`
   */
  report(request: Request, signal: ReportSignal | (string & {}), about?: ReportDetails, second?: unknown, third?: unknown): Promise<void>;
  readonly sessions: Sessions;
  run(job: string): Promise<JobSummary>;
  scheduled(controller: unknown, env?: unknown, ctx?: unknown): Promise<void>;
  check(): Promise<ConfigProblem[]>;
}

/** What every gate takes as a report, whether or not one of its features counts it. A feature may declare more, see {@link Feature.reports}. */
export type ReportSignal = "login_failed" | "login_succeeded" | "otp_requested" | "honeypot_tripped";

/** Whom a report is about. */
export interface ReportDetails {
  account?: string;
  user?: string;
  /** How often it happened, 1..10000, default 1. */
  weight?: number;
}

/** Makes a feature for one kernel. */
export type FeatureFactory = (kernel: Kernel) => Feature;

/** What a feature may use. */
export interface Kernel {
  /** Undefined without a signing secret. */
  tokens: Tokens | undefined;
  /** Undefined without a signing secret. */
  subkeys: Subkeys | undefined;
  store: Store;
  turnstile: Turnstile | undefined;
  limits: KernelLimits;
  sessions: Sessions;
  events: Events;
  clock: () => number;
  random: (bytes: number) => Uint8Array;
  options: ResolvedOptions;
}

/**
 * The gate's named limits, for what `ctx.admit` does not do: to count in a report or after the work, to read a counter, to put a limit into a spend of
 * one's own. Modes do not relax it, and it raises no event but `store_unavailable`: the caller decides what a refusal means.
 */
export interface KernelLimits {
  /**
   * The quotas that the limit charges whoever asks, at most 16. Known from the first request on, not yet while features are made.
   *
   * @param who in any spelling
   * @param request for rules that count by a function
   * @throws {TypeError} there is no such limit
   */
  plan(name: string, who: Subjects, request?: Request): readonly LimitLayer[];
  /**
   * Charges limits in one spend, all or nothing: on the looser store where there is one, by `onStoreError` where it is down.
   *
   * @throws {TypeError} there is no such limit @throws {RangeError} more than 16 quotas, a `cost` above a limit
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`, `ERR_STORE_FULL`, where a rule denies then (a route may let it out: it is answered with a 503)
   */
  charge(names: readonly string[], who: Subjects, options?: ChargeOptions): Promise<LimitCharge>;
}

/** How limits are charged. */
export interface ChargeOptions {
  /** For rules that count by a function. */
  request?: Request;
  /** Units, default 1; 0 reads: `ok` tells whether one more would be admitted. */
  cost?: number;
  /** The limits count failures: they stay on the exact store, so that `undo` gives a success back. */
  failures?: boolean;
}

/** What charging limits came to. */
export interface LimitCharge {
  ok: boolean;
  /** Seconds, 0 when `ok`, and at cost 0. */
  retryAfter: number;
  /** Name of the refusing rule. */
  rule: string | undefined;
  /** The store was down; `onStoreError` decided. */
  degraded: boolean;
  accuracy: Consistency;
  /** Rate headers. */
  headers: Headers;
  /** Gives back what was charged. Once, never throws. */
  undo(): Promise<void>;
}

/** Options with their defaults. */
export interface ResolvedOptions {
  mode: Mode;
  basePath: string;
  issuer: string | undefined;
  audience: string;
  /** Seconds. */
  clockTolerance: number;
  sessionTtl: number;
  sessionUses: number;
  actions: readonly string[];
  bind: "none" | "ip-prefix" | "device";
  allowedOrigins: readonly string[];
  publicUrl: string | undefined;
  onUnavailable: "deny" | "degraded";
  onStoreError: "deny" | "allow";
  sitekey: string | undefined;
}

/** What risk may weigh; features add to it. */
export interface Signals {
  [name: string]: number | boolean | string | undefined;
}

/** A product's part: routes, limits, guards, checks and jobs. */
export interface Feature {
  name: string;
  routes?: readonly Route[];
  /** Session actions that this feature needs. */
  actions?: readonly string[];
  /** Default rules by limit name. */
  limits?: Record<string, readonly LimitRule[]>;
  jobs?: Record<string, Job>;
  /**
   * Refuses a request by what it looks like, in `protect` and at every route, preflights excepted: before anything of it is read, asked or spent, and
   * whatever the mode is, so that it has to look at the mode itself.
   */
  screen?(request: Request): Screened | undefined;
  /** Refuses, vouches, or has no opinion. */
  guard?(request: Request, context: GuardContext): Promise<Vouched | Refused | undefined>;
  /** Signals of its own that `report` takes, besides every {@link ReportSignal}. */
  reports?: readonly string[];
  report?(request: Request, signal: string, about: ReportDetails, context: GuardContext): Promise<void>;
  signals?(request: Request, context: GuardContext): Promise<Partial<Signals>>;
  on?(event: SecurityEvent): void;
  check?(): ConfigProblem[] | Promise<ConfigProblem[]>;
}

/** What a guard sees. */
export interface GuardContext {
  info: RequestInfo;
  options: ProtectOptions;
  /** As the application names them (`session` too: the gate's own is `session()`). */
  subjects: Subjects;
  signals(): Promise<Signals>;
  /** The claims of the request's session, if it has a valid one; nothing is spent, and the session may be used up or revoked. */
  session(): Promise<SessionClaims | undefined>;
  /**
   * Whether the request has a session that can be spent, for which a solve was checked: what the session may be trusted for. Reads its counter at each
   * call; false where the store is down.
   */
  hasLiveSession(): Promise<boolean>;
  /** Raises an event with the request's address prefix and route filled in. */
  emit: Events["emit"];
}

/** One route of a feature. */
export interface Route {
  method: string | readonly string[];
  /** Below `basePath`, with `:id` parameters. */
  path: string;
  /** False: outside `basePath`. */
  base?: false;
  /** Bytes, default 8192. */
  maxBody?: number;
  /** Extra methods' CORS etc. come from `method`. */
  handle(context: RouteContext): Promise<Response>;
}

/** What a route's handler gets. */
export interface RouteContext {
  request: Request;
  url: URL;
  params: Record<string, string>;
  info: RequestInfo;
  kernel: Kernel;
  /** Method and pattern, for events. */
  route: string;
  /** Parsed, checked JSON body; refuses with BODY_INVALID, BODY_TOO_LARGE or UNSUPPORTED_MEDIA_TYPE by throwing. */
  body<T>(schema: BodySchema<T>): Promise<T>;
  admit(options: AdmitOptions): Promise<Admission>;
  /** The session's claims if a valid one came along; nothing is spent, nothing refused. */
  session(): Promise<SessionClaims | undefined>;
  respond(status: number, body: unknown, headers?: HeaderFields): Response;
  /** A refusal to throw or return. */
  refuse(code: PublicCode, extra?: { details?: unknown; retryAfter?: number; headers?: HeaderFields }): Response;
  /** Raises an event with the request's address prefix and route filled in. */
  emit(type: EventType, fields: Parameters<Events["emit"]>[1]): void;
}

/** The part of a zod schema that a route needs. */
export interface BodySchema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: unknown };
}

/** A job of a feature, in slices. */
export type Job = (context: { kernel: Kernel; cursor?: string; deadline: number }) => Promise<JobSummary>;

/** What a job did. */
export interface JobSummary {
  job: string;
  swept: number;
  kept: number;
  tookMs: number;
  /** Cursor of the next slice. */
  next?: string;
}

export type * from "./session-types.ts";
export type { Subject };
