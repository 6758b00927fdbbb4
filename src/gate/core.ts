import { isGatepassError } from "../errors.ts";
import { createEvents } from "../events/index.ts";
import type { EventReason, Events } from "../events/types.ts";
import type { Cors, Platform } from "../http/index.ts";
import { clientAddress, createCors, detectPlatform, Refusal, refusalResponse, watchSingleAddress } from "../http/index.ts";
import { createTurnstile, withBreaker } from "../turnstile/index.ts";
import { createAdmission } from "./admission.ts";
import { createCharge } from "./charge.ts";
import { inspect } from "./check.ts";
import { createContext } from "./context.ts";
import { readSession } from "./credentials.ts";
import { assemble, kernelFeature, type Parts } from "./features.ts";
import { hasSecret, listOf, type Settings, settle } from "./options.ts";
import type { Match } from "./router.ts";
import { createKeys } from "./secrets.ts";
import { createSessions } from "./sessions.ts";
import type { Admission, AdmitOptions, GateOptions, Kernel, Sessions, Signals } from "./types.ts";
import type { Visit } from "./visit.ts";

/** One assembled gate. */
export interface Core {
  settings: Settings;
  kernel: Kernel;
  parts: Parts;
  cors: Cors;
  handle(request: Request, platform: Platform): Promise<Response | null>;
  visit(request: Request, platform: Platform, route?: string): Visit;
  /** As a route's `admit`, with the origin check that routes have had. */
  protect(visit: Visit, options: AdmitOptions): Promise<Admission>;
  /** What went wrong, told to the application and, redacted, to the events. Never throws. */
  fault(error: unknown, request: Request, route?: string): void;
}

/** Puts a kernel and its features together. Nothing here asks for time, randomness or a network: Workers forbid it at module scope. */
export function createCore(given: GateOptions): Core {
  const settings = settle(given);
  const { resolved, clock, random, store, secrets } = settings;
  const keys = createKeys(settings);
  const addressOf = clientAddress(given.clientIp);
  const isSingle = watchSingleAddress();
  const cors = createCors({ allowedOrigins: resolved.allowedOrigins, publicUrl: resolved.publicUrl });
  // Whoever listens is known when the features are made, and they are made with it.
  let sink: Events | undefined;
  const events: Events = { emit: (type, fields) => sink?.emit(type, fields) };
  const warned = new Set<string>();
  const warnOnce = (reason: EventReason, detail: string): void => {
    if (warned.has(detail)) return;
    warned.add(detail);
    events.emit("config_warning", { outcome: "info", reason, detail });
  };

  const turnstile = hasSecret(given) ? verifier(settings) : undefined;
  const desk = createSessions(settings, keys, turnstile);
  const sessions: Sessions = {
    verify: desk.verify,
    revoke: desk.revoke,
    exchange: (token, { request = new Request("https://localhost/"), remoteip, playerToken, route } = {}) => {
      const platform = detectPlatform(request);
      const seen = visit(request, platform, route);
      if (remoteip !== undefined) Object.assign(seen.info, clientAddress(() => remoteip)(request, platform));
      return desk.exchange(seen, token, playerToken);
    },
  };
  const kernel: Kernel = {
    tokens: keys?.tokens,
    subkeys: keys?.subkeys,
    store,
    turnstile,
    sessions,
    events,
    clock,
    random,
    options: resolved,
  };
  const parts = assemble(settings, kernel, kernelFeature());
  sink = createEvents({
    onEvent: given.onEvent,
    listeners: parts.features.flatMap((feature) => (feature.on ? [(event) => feature.on?.(event)] : [])),
    clock,
    redact: [...secrets.flatMap(textOf), ...listOf(given.turnstile?.secret)],
  });
  const told = new WeakSet<object>();

  const admit = createAdmission({
    settings,
    keys,
    sessions: desk,
    charge: createCharge(settings, {
      down: (error) => {
        if (error) told.add(error);
        events.emit("store_unavailable", { outcome: "error", reason: "store_down" });
      },
      skew: () => warnOnce("clock_skew", "The store's clock and this machine's differ by more than the clock tolerance"),
    }),
    limits: parts.limits,
    guards: parts.features.flatMap(({ guard }) =>
      guard ? [(visit, context) => guard(visit.request, { ...context, signals: () => signalsOf(parts, visit, context) })] : [],
    ),
    onUnknownAddress: () =>
      warnOnce("client_address_unknown", 'A client\'s address is unknown: such clients share one bucket (see "clientIp")'),
  });
  const session = async (visit: Visit) => {
    const found = await readSession(settings, desk, visit);
    return found.ok ? found.claims : undefined;
  };

  let started = false;
  /** At the first request, not at creation: at module scope there is no clock, and often no sink yet. */
  const start = (): void => {
    started = true;
    for (const { reason, message } of inspect(settings)) warnOnce(reason, message);
  };

  function visit(request: Request, platform: Platform, route?: string): Visit {
    if (!started) start();
    const info = { ...addressOf(request, platform), waitUntil: platform.waitUntil };
    if (isSingle(request, info.address)) {
      warnOnce("single_address", 'All clients have one address, a proxy\'s: they share one bucket (see "clientIp")');
    }
    const about = { ...(route !== undefined && { route }), ...(info.ipPrefixText !== undefined && { ip_prefix: info.ipPrefixText }) };
    return { request, info, route, identity: undefined, emit: (type, fields) => events.emit(type, { ...about, ...fields }) };
  }

  const isForeignWrite = (request: Request): boolean =>
    request.method !== "GET" && request.method !== "HEAD" && request.method !== "OPTIONS" && !cors.check(request).allowed;

  const answer = async (request: Request, platform: Platform, match: Match): Promise<Response> => {
    const { route, label, methods } = match;
    if (request.method === "OPTIONS") {
      return cors.preflight(request, methods) ?? new Response(null, { status: 204, headers: { allow: methods.join(", ") } });
    }
    if (!route) return refusalResponse("METHOD_NOT_ALLOWED", { allow: methods });
    // A page of somebody else's makes a browser write here: refused under every mode, before anything is read.
    if (isForeignWrite(request)) {
      visit(request, platform, label).emit("high_risk_api_blocked", { outcome: "deny", reason: "origin", code: "ORIGIN_NOT_ALLOWED" });
      return refusalResponse("ORIGIN_NOT_ALLOWED");
    }
    let rates: Headers | undefined;
    try {
      const seen = visit(request, platform, label);
      const context = createContext({ kernel, admit, session }, seen, route, match, (headers) => {
        rates = headers;
      });
      const response = await route.handle(context);
      return merge(response, rates);
    } catch (error) {
      return merge(failed(error, request, label), rates);
    }
  };

  const fault: Core["fault"] = (error, request, route) => {
    events.emit("internal_error", { outcome: "error", code: "INTERNAL", detail: nameOf(error), ...(route !== undefined && { route }) });
    try {
      (given.onError ?? report)(error, request);
    } catch {
      // A reporter that fails must not change the answer.
    }
  };
  const failed = (error: unknown, request: Request, label: string): Response => {
    if (error instanceof Response) return error;
    if (error instanceof Refusal) return refusalResponse(error.code, error.extra);
    if (isGatepassError(error) && /^ERR_(STORE|BOARD)_/.test(error.code)) {
      const reason = error.code.startsWith("ERR_BOARD") ? "board_down" : "store_down";
      if (!told.has(error)) events.emit("store_unavailable", { outcome: "error", reason, route: label });
      return refusalResponse("UNAVAILABLE");
    }
    fault(error, request, label);
    return refusalResponse("INTERNAL");
  };

  return {
    settings,
    kernel,
    parts,
    cors,
    visit,
    fault,
    async handle(request, platform) {
      const match = parts.match(request.method, request.url);
      if (!match) return null;
      const response = cors.apply(await answer(request, platform, match), request);
      return request.method === "HEAD" ? new Response(null, response) : response;
    },
    async protect(seen, options) {
      if (isForeignWrite(seen.request)) {
        seen.emit("high_risk_api_blocked", { outcome: "deny", reason: "origin", code: "ORIGIN_NOT_ALLOWED" });
        return { ok: false, code: "ORIGIN_NOT_ALLOWED", response: refusalResponse("ORIGIN_NOT_ALLOWED") };
      }
      try {
        return await admit(seen, options);
      } catch (error) {
        // What the program asked for wrongly is its own error; a backend that is down is an answer.
        if (!isGatepassError(error)) throw error;
        return { ok: false, code: "UNAVAILABLE", response: failed(error, seen.request, seen.route ?? ""), retryAfter: 5 };
      }
    },
  };
}

function verifier({ given, clock, random, maxAge }: Settings): Kernel["turnstile"] {
  if (!given.turnstile) return undefined;
  const { onUnavailable: _mine, ...theirs } = given.turnstile;
  const fetching = given.fetch ? { fetch: given.fetch } : {};
  return withBreaker(createTurnstile({ clock, random, ...fetching, ...theirs, maxAge }), { clock });
}

async function signalsOf(
  { features }: Parts,
  visit: Visit,
  context: Parameters<Parameters<typeof createAdmission>[0]["guards"][number]>[1],
): Promise<Signals> {
  const all: Signals = {};
  const inner = { ...context, signals: () => Promise.resolve(all) };
  for (const feature of features) Object.assign(all, await feature.signals?.(visit.request, inner));
  return all;
}

/** Sets headers on a response, or on its copy where they cannot change (a redirect, a fetched answer). */
export function merge(response: Response, headers: Headers | undefined): Response {
  if (!headers) return response;
  try {
    for (const [name, value] of headers) response.headers.set(name, value);
    return response;
  } catch {
    const copy = new Response(response.body, response);
    for (const [name, value] of headers) copy.headers.set(name, value);
    return copy;
  }
}

function textOf(secret: GateOptions["secrets"]): string[] {
  if (typeof secret === "string") return [secret];
  return typeof secret === "object" && "secret" in secret ? textOf(secret.secret) : [];
}

/** Kind and code only: a message may quote what a stranger sent. */
function nameOf(error: unknown): string {
  if (isGatepassError(error)) return error.code;
  return error instanceof Error ? error.name.slice(0, 40) : typeof error;
}

function report(error: unknown): void {
  console.error(error);
}
