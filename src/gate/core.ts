import { isGatepassError } from "../errors.ts";
import { createEvents } from "../events/index.ts";
import type { EventReason, Events } from "../events/types.ts";
import {
  type Cors,
  clientAddress,
  createCors,
  detectPlatform,
  edgeFacts,
  hasAddress,
  jsonResponse,
  type Platform,
  Refusal,
  type RequestInfo,
  refusalResponse,
  watchSingleAddress,
  withHeaders,
} from "../http/index.ts";
import type { PublicCode } from "../protocol.ts";
import { assertOneOf } from "../util/assertions.ts";
import { assertOptions } from "../util/options.ts";
import { createAdmission, OWN_LIMIT } from "./admission.ts";
import type { Watch } from "./charges.ts";
import { inspect } from "./check.ts";
import { createContext } from "./context.ts";
import { readSession } from "./credentials.ts";
import { assemble, type Parts } from "./features.ts";
import { createLimits } from "./limits.ts";
import { type Settings, settle } from "./options.ts";
import { createPlayers } from "./players.ts";
import { createRecords, type GatePlayers } from "./records.ts";
import { type RequestScope, whoIs } from "./request-scope.ts";
import type { Match } from "./router.ts";
import { ADMIT_RULES, EXCHANGE_RULES, REPORT_RULES, SIGNALS } from "./rules.ts";
import type { Screened } from "./screened.ts";
import { createKeys } from "./secrets.ts";
import { createSessions } from "./sessions.ts";
import type { Admission, AdmitOptions, Gate, GateOptions, GuardContext, Kernel, SessionClaims, Signals } from "./types.ts";
import { verifier } from "./verifier.ts";

/** One assembled gate. */
export interface Core {
  settings: Settings;
  kernel: Kernel;
  parts: Parts;
  players: GatePlayers;
  cors: Cors;
  handle(request: Request, platform: Platform): Promise<Response | null>;
  /** A route's `admit` with what surrounds a route: the checks before it, CORS, and a 503 while the store is down. */
  protect(request: Request, platform: Platform, options: AdmitOptions): Promise<Admission>;
  /** Tells the features what the application saw. */
  report(request: Request, platform: Platform, signal: string, about: Parameters<Gate["report"]>[2] & object): Promise<void>;
  /** Reports an error to the application and, redacted, to the events. Gives the public answer. Never throws. */
  answerOf(error: unknown, request: Request, route?: string): Response;
}

/**
 * Assembles a kernel and its features. Creation asks for no time, randomness or network: Workers forbid these at module
 * scope.
 */
export function createCore(given: GateOptions): Core {
  const settings = settle(given);
  const { resolved, clock, random, store, secrets, verifierSecrets, warned } = settings;
  const keys = createKeys(settings);
  const addressOf = clientAddress(given.clientIp);
  const isSingle = watchSingleAddress(clock, resolved.publicUrl !== undefined);
  /** Rules by limit name; the features add theirs. */
  const limits: Parts["limits"] = new Map();
  const cors = createCors(resolved);
  // Features need `events` when they are created, and `events` needs the features' listeners. So the sink is set
  // afterwards.
  let sink: Events | undefined;
  const events: Events = { emit: (type, fields) => sink?.emit(type, fields) };
  const warn = (reason: EventReason, detail: string = reason): void => {
    if (!warned.has(detail)) events.emit("config_warning", { outcome: "info", reason, detail });
    warned.add(detail);
  };
  /** Store errors that an event has reported already. */
  const told = new WeakSet<object>();
  const watch: Watch = {
    down(emit, error) {
      if (error) told.add(error);
      emit("store_unavailable", { outcome: "error", reason: "store_down" });
    },
    skew: () => warn("clock_skew"),
  };
  const turnstile = verifier(settings);
  const players = createPlayers(settings, keys);
  const sessions = createSessions(settings, keys, players, turnstile);
  const kernel: Kernel = {
    tokens: keys?.tokens,
    subkeys: keys?.subkeys,
    store,
    turnstile,
    limits: createLimits(settings, watch, events, limits),
    sessions: {
      verify: sessions.verify,
      revoke: sessions.revoke,
      async exchange(token, from = {}) {
        assertOptions("exchange", from, EXCHANGE_RULES);
        const { request: asked, remoteip, playerToken, route } = from;
        const request = asked ?? new Request("https://localhost/");
        const find = remoteip === undefined ? addressOf : clientAddress(() => remoteip);
        const seen = createScope(request, detectPlatform(request), route, find);
        // Without an address and a request there is nothing to count by: one shared counter would let one caller block
        // all others. A request without an address uses the shared counter of unknown addresses.
        const admission = keys && (asked || route || seen.info.ip) ? await admit(seen, { open: true, limits: [OWN_LIMIT] }) : undefined;
        if (admission?.ok === false)
          return { ok: false, code: admission.code, retryAfter: admission.retryAfter, headers: admission.response.headers };
        // The request is over the limit, and mode `monitor` let it pass. A failed check never yields a signed token.
        if (admission?.dryRun) return { ok: false, code: "RATE_LIMITED" };
        const result = await sessions.exchange(seen, token, playerToken);
        // Cloudflare did not answer, so the attempt does not count. The breaker limits how often Cloudflare is asked
        // meanwhile.
        if (!result.ok && result.retryable) await admission?.undo(true);
        return admission ? { ...result, headers: admission.headers } : result;
      },
    },
    events,
    clock,
    random,
    options: resolved,
  };
  const parts = assemble(settings, kernel, limits);
  const { features } = parts;
  const redact = [...secrets, ...verifierSecrets].map((one) => (typeof one === "object" && "secret" in one ? one.secret : one));
  sink = createEvents({
    onEvent: given.onEvent,
    listeners: features.flatMap((feature) => (feature.on ? [(event) => feature.on?.(event)] : [])),
    clock,
    redact: redact.filter((one) => typeof one === "string"),
  });

  const admit = createAdmission({
    settings,
    players,
    sessions,
    watch,
    limits,
    guards: features.flatMap(({ guard }) => (guard ? [(seen, context) => guard(seen.request, contextOf(seen, context))] : [])),
  });
  /**
   * The scopes of requests that came through `protect`. `report` may come later for the same request, when its body is
   * read.
   */
  const shown = new WeakMap<Request, RequestScope>();
  const sessionOf = async (seen: RequestScope): Promise<SessionClaims | undefined> => {
    const { claims, code } = await readSession(settings, sessions, players, seen);
    return code ? undefined : claims;
  };
  const contextOf = (seen: RequestScope, context: Omit<GuardContext, "emit" | "signals" | "hasLiveSession">): GuardContext => {
    const whole: GuardContext = {
      ...context,
      emit: seen.emit,
      async hasLiveSession() {
        const claims = await context.session();
        return claims !== undefined && sessions.isLive(claims);
      },
      async signals() {
        const all: Signals = {};
        for (const { signals } of features) Object.assign(all, await signals?.(seen.request, { ...whole, signals: async () => all }));
        return all;
      },
    };
    return whole;
  };

  function createScope(request: Request, platform: Platform, route?: string, find = addressOf): RequestScope {
    // Warn at the first request, not at creation: Workers have no clock at module scope.
    if (!warned.has("")) for (const { reason, code, option } of inspect(settings)) warn(reason, `${code}: ${option}`);
    warned.add("");
    const info: RequestInfo = { ...find(request, platform), edge: platform.kind === "workers", waitUntil: platform.waitUntil };
    if (info.ip) warned.add("ip");
    else warn("client_address_unknown");
    const about = { route, ip_prefix: info.ipPrefixText };
    const emit: Events["emit"] = (type, fields) => {
      events.emit(type, { ...about, ...edgeFacts(request, info), ...fields });
      if (type === "session_issued") watchAddress(fields.player);
    };
    const watchAddress = (player?: string): void => {
      const reason = "single_address";
      if (isSingle(request, info.address, player)) events.emit("config_warning", { ...about, outcome: "info", reason, detail: "clientIp" });
    };
    watchAddress();
    return { request, info, route, identity: undefined, emit };
  }

  /**
   * The code for a request that is refused before a body is read or a counter charged. Undefined: none of these apply.
   * - It bypassed Cloudflare, in every mode.
   * - It is a write from a foreign origin (another site's page), in every mode.
   * - A feature's `screen` refuses it.
   * - It has no valid host.
   */
  const barred = async ({ request, info, emit }: RequestScope, platform: Platform): Promise<PublicCode | undefined> => {
    const direct = given.origin && (await given.origin(request, platform)) !== true;
    if (given.origin) info.edge = !direct;
    let found: Screened | undefined;
    if (direct) found = { code: "REQUEST_DENIED", reason: "direct_to_origin" };
    else if (!/^(GET|HEAD|OPTIONS)$/.test(request.method) && !cors.check(request).allowed)
      found = { code: "ORIGIN_NOT_ALLOWED", reason: "origin" };
    else for (const { screen } of features) found ??= screen?.(request);
    if (found) emit("high_risk_api_blocked", { outcome: "deny", ...found });
    return found?.code ?? (hasAddress(request) ? undefined : "BODY_INVALID");
  };

  const answer = async (request: Request, platform: Platform, { route, label, methods, params }: Match): Promise<Response> => {
    const allow = methods.join(", ");
    if (request.method === "OPTIONS") return cors.preflight(request, methods) ?? jsonResponse(204, undefined, { allow });
    if (!route) return refusalResponse("METHOD_NOT_ALLOWED", { allow: methods });
    let rates: Iterable<[string, string]> = [];
    try {
      const seen = createScope(request, platform, label);
      const refused = await barred(seen, platform);
      if (refused) return refusalResponse(refused);
      const context = createContext(kernel, seen, route, params, {
        async admit(options) {
          assertOptions("admit", options, ADMIT_RULES);
          const admission = await admit(seen, options);
          if (admission.ok) rates = admission.headers;
          return admission;
        },
        session: () => sessionOf(seen),
      });
      return withHeaders(await route.handle(context), rates);
    } catch (error) {
      return withHeaders(answerOf(error, request, label), rates);
    }
  };

  const answerOf: Core["answerOf"] = (error, request, route) => {
    if (error instanceof Response) return error;
    if (error instanceof Refusal) return refusalResponse(error.code, error.extra);
    if (isGatepassError(error) && /^ERR_(STORE|BOARD)/.test(error.code)) {
      const reason = error.code.startsWith("ERR_B") ? "board_down" : "store_down";
      if (!told.has(error)) events.emit("store_unavailable", { outcome: "error", reason, route });
      return refusalResponse("UNAVAILABLE");
    }
    // Only the kind and code of the error: its message may quote the request.
    const detail = isGatepassError(error) ? error.code : error instanceof Error ? error.name : typeof error;
    events.emit("internal_error", { outcome: "error", code: "INTERNAL", detail, route });
    try {
      // Do not print the request: its headers hold credentials.
      given.onError ? given.onError(error, request) : console.error(error);
    } catch {
      // A reporter that fails must not change the answer.
    }
    return refusalResponse("INTERNAL");
  };

  return {
    settings,
    kernel,
    parts,
    players: createRecords(keys, features),
    cors,
    answerOf,
    async handle(request, platform) {
      const match = parts.match(request.method, request.url);
      if (!match) return null;
      const response = cors.apply(await answer(request, platform, match), request);
      return request.method === "HEAD" ? new Response(null, response) : response;
    },
    async report(request, platform, signal, about) {
      assertOneOf("signal", signal, [...SIGNALS, ...features.flatMap(({ reports = [] }) => reports)]);
      assertOptions("report", about, REPORT_RULES);
      const seen = shown.get(request) ?? createScope(request, platform);
      try {
        const subjects = await whoIs(seen, settings.given.identify);
        const context = contextOf(seen, { info: seen.info, options: {}, subjects, session: () => sessionOf(seen) });
        for (const { report } of features) await report?.(request, signal, about, context)?.catch((error) => answerOf(error, request));
      } catch (error) {
        // A failed report must not interrupt the application's own work.
        answerOf(error, request);
      }
    },
    async protect(request, platform, options) {
      const seen = createScope(request, platform);
      shown.set(request, seen);
      const code = await barred(seen, platform);
      if (code) return { ok: false, code, response: cors.apply(refusalResponse(code), request) };
      try {
        const admission = await admit(seen, options);
        return admission.ok ? admission : { ...admission, response: cors.apply(admission.response, request) };
      } catch (error) {
        // A mistake of the program is thrown to it. A backend that is down becomes a 503.
        if (!isGatepassError(error)) throw error;
        return { ok: false, code: "UNAVAILABLE", response: cors.apply(answerOf(error, request), request) };
      }
    },
  };
}
