import type { ConfigProblem } from "../errors.ts";
import type { Events, EventType, SecurityEvent } from "../events/types.ts";
import type { ClientIpOption, HeaderFields, OriginGuard, RequestInfo } from "../http/types.ts";
import type { LimitLayer, LimitRule, Subject, Subjects } from "../limits/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Consistency, RateStore, Store } from "../store/contract.ts";
import type { Secret, Subkeys, Tokens } from "../tokens/types.ts";
import type { Turnstile, TurnstileOptions } from "../turnstile/types.ts";
import type { Admission, AdmitOptions, Admitted, ProtectOptions, Refused, Vouched } from "./admission-types.ts";
import type { GatePlayers, PlayerRecords } from "./records.ts";
import type { Screened } from "./screened.ts";
import type { SessionClaims, Sessions } from "./session-types.ts";

/**
 * What a failed check does. `enforce`: the request is refused. `monitor`: it passes, and an event is raised. `off`: the
 * check is not made.
 *
 * A mode only applies to these checks: siteverify's answer, whether a session or clearance is required, limits, risk
 * and policy.
 *
 * In every mode these stay enforced: the authentication of moderators and its limits, MACs, one-use ids, origins, the
 * rules of bodies, fields and boards. An ambiguous path is refused in `monitor` too; `off` does not look at paths. A
 * failed check never yields a signed token.
 */
export type Mode = "enforce" | "monitor" | "off";

/** Options of `createGate`. */
export interface GateOptions {
  /**
   * One signing secret, or several (a ring): the first signs, all verify. Without one there are no sessions, and each
   * write needs a Turnstile token.
   */
  secrets?: Secret | readonly Secret[] | undefined;
  /** Options of `createTurnstile`; `clock`, `fetch` and `random` default to the gate's. Required in mode `enforce`. */
  turnstile?: GateTurnstileOptions | undefined;
  /** Where uses and rates are counted. Default `memoryStore()`, which the event `config_warning` reports. */
  store?: Store | undefined;
  /**
   * A nearer, cheaper or less exact store for the rates of limits. It is asked before `store`, and nothing is given
   * back there. Limits that count failures, uses and one-use ids stay on `store`. An admission reports the lower
   * `accuracy` of the two. Default: none.
   */
  rateStore?: RateStore;
  session?: SessionOptions;
  /**
   * The application's own authentication, for limits and risk. Asked at most once a request. Default: nobody is
   * identified.
   */
  identify?(request: Request): Identity | Promise<Identity>;
  /** `iss` of every token, signed and required. Default: none. */
  issuer?: string | undefined;
  /** `aud` of every token. Default: the first allowed hostname. */
  audience?: string | undefined;
  /** Seconds by which clocks may differ, 0..60, default 5. */
  clockTolerance?: number;
  /** Exact origins that may call besides the gate's own. Default none. */
  allowedOrigins?: readonly string[] | undefined;
  /**
   * The origin under which browsers reach the gate. Needed where a proxy changes the request's host. Default: the
   * request's own origin.
   */
  publicUrl?: string | undefined;
  /** Where a client's address comes from. Default: the connection's peer. */
  clientIp?: ClientIpOption;
  /**
   * Rules by limit name; they replace that limit's defaults. An unknown name is a TypeError. Where the rules for
   * `moderation` do not count by address, the limit `session` counts guesses too.
   */
  limits?: Record<string, readonly LimitRule[]>;
  /**
   * What happens while the store is down, for rules without an `onStoreError` of their own. `allow` lets a request pass
   * that only charges rates; a request that spends a use is refused all the same. Default `deny`. A rule's own
   * `onStoreError` may be a limiter that counts meanwhile.
   */
  onStoreError?: "deny" | "allow";
  /**
   * `requireCloudflare()`: requests that bypassed Cloudflare are refused, before every route and in `protect`, in every
   * mode. Default: they are accepted.
   */
  origin?: OriginGuard;
  /** What the gate does besides sessions: `clearance(...)`, score boards and others. Default none. */
  features?: readonly FeatureFactory[];
  /** Default `enforce`. */
  mode?: Mode | undefined;
  /** Path before the gate's routes. Default `/api`. */
  basePath?: string;
  /** Gets every security event. Default: events only go to the features. */
  onEvent?(event: SecurityEvent): void;
  /** Gets unexpected errors. Default `console.error` of the error, without the request. */
  onError?(error: unknown, request: Request): void;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
  /** Random bytes. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
  /** For siteverify. Default the global `fetch`. */
  fetch?: typeof fetch;
}

/**
 * As `TurnstileOptions`. The secret may be undefined or empty, as an environment variable may be; mode `enforce` then
 * refuses at creation.
 */
export interface GateTurnstileOptions extends Omit<TurnstileOptions, "secret" | "sitekey" | "clockTolerance"> {
  /** One secret, or several while a rotation lasts. */
  secret: string | readonly string[] | undefined;
  /** The public sitekey, for challenges and the WebView page. */
  sitekey?: string | undefined;
  /**
   * While Cloudflare is down: `degraded` accepts any token, for sessions of two uses and 120 seconds. Default `deny`.
   */
  onUnavailable?: "deny" | "degraded";
}

/** How sessions are made. */
export interface SessionOptions {
  /** Seconds, 120..900, default 300. */
  ttl?: number;
  /** Protected writes for one solved challenge, 1..1000, default 20. */
  uses?: number;
  /** Turnstile actions for which sessions are issued, default `["score_submit"]`. Features add theirs. */
  actions?: readonly string[];
  /** What a session is bound to. Default `none`. */
  bind?: "none" | "ip-prefix" | "device";
  /**
   * The account's id as player (1 to 128 characters), undefined where nobody is logged in. Asked at the exchange and at
   * each write. If the answer at a write differs from the session's, the session is refused, and the client makes a new
   * one. Default: players are anonymous.
   */
  subject?(request: Request): string | undefined | Promise<string | undefined>;
}

/**
 * What the application knows about the client of a request. Each member is text; see `Subjects` for how it is counted.
 */
export interface Identity {
  /** Id of the user who is logged in. A clearance is bound to it. */
  user?: string | undefined;
  /** Id of the application's own session. A clearance is bound to it. */
  session?: string | undefined;
  /** Id of the account that the request is about, e.g. the one of a log-in. */
  account?: string | undefined;
  /** Address of a mailbox, in any spelling. */
  email?: string | undefined;
  /** Phone number, best in E.164. */
  phone?: string | undefined;
  /** Id of the device. Default: the header `X-Device-Id`. */
  device?: string | undefined;
}

/** The gate: a fetch handler, and methods for the application. Every method works without `this`. */
export interface Gate<Env = unknown> {
  /**
   * Answers requests; 404 for foreign paths. `second` and `third`: (env, ctx) of Workers, the server of Bun, the info
   * of Deno.
   */
  fetch(request: Request, second?: unknown, third?: unknown): Promise<Response>;
  /** As `fetch`, but null where the path is not the gate's. */
  handle(request: Request, second?: unknown, third?: unknown): Promise<Response | null>;
  /**
   * Binds an environment, where `createGate` got a function: the same object gives the same gate.
   *
   * @throws {TypeError} no object, or a ninth one; {RangeError} as `createGate`
   */
  for(env: Env): Gate<Env>;
  /**
   * Decides whether a request of the application's own route may go on, and charges it. Never a rejection for a refused
   * request or a store that is down: the answer is in the result.
   *
   * @throws {TypeError} {RangeError} an unknown option, action or limit; too many quotas
   */
  protect(request: Request, options?: ProtectOptions, second?: unknown, third?: unknown): Promise<Admission>;
  /**
   * Wraps a handler in `protect`: it only runs for admitted requests. Answers get the rate and CORS headers; preflights
   * are answered.
   *
   * @throws {TypeError} {RangeError} as `protect`; at once where `createGate` got options, else at the request
   */
  guard(
    handler: (request: Request, admission: Admitted) => Response | Promise<Response>,
    options?: ProtectOptions,
  ): (request: Request, second?: unknown, third?: unknown) => Promise<Response>;
  /**
   * Tells the features what the application saw of a request; after `protect` of the same Request the platform's
   * arguments may be left out.
   *
   * @throws {TypeError} a signal that is neither a {@link ReportSignal} nor declared by a feature: misspelt, it would
   * count nothing; an unknown member of `about`
   * @throws {RangeError} `weight`
   */
  report(request: Request, signal: ReportSignal | (string & {}), about?: ReportDetails, second?: unknown, third?: unknown): Promise<void>;
  /** Exchanges, verifies and revokes sessions, for routes of the application's own. */
  readonly sessions: Sessions;
  /** What the features keep of players. */
  readonly players: GatePlayers;
  /**
   * Runs one job (`sweep`, or a feature's) for up to 25 seconds.
   *
   * @throws {TypeError} an unknown job; the job's own error
   */
  run(job: string): Promise<JobSummary>;
  /** Runs all jobs, for a cron trigger of Workers. @throws the first job's error, after all jobs have ended */
  scheduled(controller: unknown, env?: unknown, ctx?: unknown): Promise<void>;
  /** Problems of the configuration and the backends, for the operator to read at start. */
  check(): Promise<ConfigProblem[]>;
}

/**
 * What every gate takes as a report, whether or not one of its features counts it. A feature may declare more, see
 * {@link Feature.reports}.
 */
export type ReportSignal = "login_failed" | "login_succeeded" | "otp_requested" | "honeypot_tripped";

/** Details of a report. */
export interface ReportDetails {
  /** The account that it is about. Default: the one of `identify`. */
  account?: string;
  /** The user that it is about. Default: the one of `identify`. */
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
  /** The exact store, not `rateStore`. */
  store: Store;
  /** Undefined without a Turnstile secret. */
  turnstile: Turnstile | undefined;
  limits: KernelLimits;
  sessions: Sessions;
  events: Events;
  /** Milliseconds since the epoch. */
  clock: () => number;
  random: (bytes: number) => Uint8Array;
  options: ResolvedOptions;
}

/**
 * The gate's named limits, for uses that `ctx.admit` does not cover: to count in a report or after the work, to read a
 * counter, to put a limit into a spend of the feature's own. Modes do not relax these limits. The only event is
 * `store_unavailable`: the caller decides what a refusal means.
 */
export interface KernelLimits {
  /**
   * The quotas that the limit charges for these subjects, at most 16. May be called from the first request on, not
   * while features are created.
   *
   * @param who the subjects, in any spelling
   * @param request for rules that count by a function
   * @throws {TypeError} there is no such limit
   */
  plan(name: string, who: Subjects, request?: Request): readonly LimitLayer[];
  /**
   * Charges limits in one spend, all or nothing: on `rateStore` where there is one. While that store is down,
   * `onStoreError` decides.
   *
   * @throws {TypeError} there is no such limit @throws {RangeError} more than 16 quotas, a `cost` above a limit
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`, `ERR_STORE_FULL`, where a rule then denies. A route need not catch
   * it: the answer is a 503
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

/** The outcome of charging limits. */
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
  /** Seconds. */
  sessionTtl: number;
  sessionUses: number;
  /** Actions that sessions are issued for, those of the features included. */
  actions: readonly string[];
  bind: "none" | "ip-prefix" | "device";
  allowedOrigins: readonly string[];
  publicUrl: string | undefined;
  onUnavailable: "deny" | "degraded";
  onStoreError: "deny" | "allow";
  sitekey: string | undefined;
}

/** Signals for the risk, by name. Features and the application add theirs. */
export interface Signals {
  [name: string]: number | boolean | string | undefined;
}

/** One part of a gate: routes, limits, guards, checks and jobs. Every member but `name` is optional. */
export interface Feature {
  /** Unique among the features of a gate. */
  name: string;
  routes?: readonly Route[];
  /** Session actions that this feature needs. */
  actions?: readonly string[];
  /** Default rules by limit name. */
  limits?: Record<string, readonly LimitRule[]>;
  jobs?: Record<string, Job>;
  /**
   * Refuses a request by its URL, method and headers, in `protect` and at every route, but not a preflight. It runs
   * before a body is read or a counter is charged. It runs in every mode: the feature has to look at the mode itself.
   */
  screen?(request: Request): Screened | undefined;
  /** Refuses the request, admits it, or leaves it to the others (undefined). */
  guard?(request: Request, context: GuardContext): Promise<Vouched | Refused | undefined>;
  /** Names that `gate.report` takes besides every {@link ReportSignal}. */
  reports?: readonly string[];
  /** Gets each `gate.report`. An error is reported, and does not reach the application's call. */
  report?(request: Request, signal: string, about: ReportDetails, context: GuardContext): Promise<void>;
  /** Signals of a request, for the risk. */
  signals?(request: Request, context: GuardContext): Promise<Partial<Signals>>;
  /** What it keeps of players. */
  players?: PlayerRecords;
  /** Gets every event. */
  on?(event: SecurityEvent): void;
  /** Problems for `gate.check()`. */
  check?(): ConfigProblem[] | Promise<ConfigProblem[]>;
}

/** What a guard gets besides the request. */
export interface GuardContext {
  info: RequestInfo;
  options: ProtectOptions;
  /**
   * The subjects as the application names them. `session` too is the application's; the gate's own session is
   * `session()`.
   */
  subjects: Subjects;
  /** The signals of all features. */
  signals(): Promise<Signals>;
  /** The claims of the request's session, if it is valid. Nothing is spent; the session may be used up or revoked. */
  session(): Promise<SessionClaims | undefined>;
  /**
   * Whether the request has a session that can be spent and whose solve was checked. Reads the session's counter at
   * each call; false while the store is down.
   */
  hasLiveSession(): Promise<boolean>;
  /** Raises an event with the request's address prefix and route filled in. */
  emit: Events["emit"];
}

/** One route of a feature. */
export interface Route {
  /** One or more methods in upper case. A GET route also answers HEAD. */
  method: string | readonly string[];
  /** Below `basePath`, with `:id` parameters. */
  path: string;
  /** False: outside `basePath`. */
  base?: false;
  /** Bytes of the longest body that `body()` reads, default 8192. */
  maxBody?: number;
  /** Answers a request. Preflights and other methods (405) are answered without it. For HEAD the body is dropped. */
  handle(context: RouteContext): Promise<Response>;
}

/** What a route's handler gets. */
export interface RouteContext {
  request: Request;
  /** The request's URL, parsed. */
  url: URL;
  /** Values of the path's parameters, by name; not decoded. */
  params: Record<string, string>;
  /** The client's address, and what else the platform tells. */
  info: RequestInfo;
  kernel: Kernel;
  /** Method and pattern, for events. */
  route: string;
  /** The checked JSON body. @throws {Refusal} `BODY_INVALID`, `BODY_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE` */
  body<T>(schema: BodySchema<T>): Promise<T>;
  /**
   * Decides whether the request may go on, and charges it. Rate headers of the last admission are added to the answer.
   *
   * @throws {TypeError} {RangeError} as `protect`
   * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`, `ERR_STORE_FULL`: the gate answers 503
   */
  admit(options: AdmitOptions): Promise<Admission>;
  /** The claims of the request's session, if it is valid. Nothing is spent; the session may be used up or revoked. */
  session(): Promise<SessionClaims | undefined>;
  /** A JSON answer with `no-store`, unless `headers` has a Cache-Control. */
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

/**
 * One slice of a job. `cursor` is the `next` of the slice before; `deadline`, in milliseconds since the epoch, is the
 * end of the run.
 */
export type Job = (context: { kernel: Kernel; cursor?: string; deadline: number }) => Promise<JobSummary>;

/** What a job did. */
export interface JobSummary {
  /** Name of the job. */
  job: string;
  /** Entries that were removed. */
  swept: number;
  /** Entries that were looked at and kept. */
  kept: number;
  /** Milliseconds. */
  tookMs: number;
  /** Cursor of the next slice. */
  next?: string;
}

export type * from "./admission-types.ts";
export type * from "./session-types.ts";
export type { Subject };
