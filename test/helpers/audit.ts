/**
 * A set-up file of the unit, contract and browser suites: whatever gate a test makes, every answer it gives, every event it raises and every line it logs
 * is searched for what must never be in there. Responses: Turnstile tokens, secrets, full addresses. Events and logs: these, and any token at all.
 */
import { inspect } from "node:util";
import { afterAll, expect, vi } from "vitest";
import type { EmulatorControl, TurnstileEmulator } from "../../src/emulator/types.ts";
import type { Gate, GateOptions } from "../../src/gate/types.ts";
import { parseIp } from "../../src/util/ip.ts";

const leaks = new Set<string>();
/** Turnstile tokens and secrets that went into a gate of this file. */
const forbidden = new Set<string>();
const JWT = /[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{40,}/;
const IPV4 = /(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d./]|\/\d)/g;
const IPV6 = /(?<![\w:.])[\da-f]*:[\da-f]*:[\da-f:.]*(?![\w:./])/gi;

/** Whether lines are searched only, for a test of the search itself. */
export const logs = { muted: false };

/** What was found since the last call. */
export function takeLeaks(): string[] {
  const found = [...leaks];
  leaks.clear();
  return found;
}

function search(where: string, text: string, tokensToo: boolean): void {
  for (const value of forbidden) if (text.includes(value)) leaks.add(`${where} holds a secret or a Turnstile token: ${text.slice(0, 300)}`);
  for (const [address] of [...text.matchAll(IPV4), ...text.matchAll(IPV6)])
    if (parseIp(address)) leaks.add(`${where} holds the address ${address}: ${text.slice(0, 300)}`);
  if (tokensToo && JWT.test(text)) leaks.add(`${where} holds a token: ${text.slice(0, 300)}`);
}

function forbid(value: unknown): void {
  // Anything shorter would be found by chance; no real secret or token is.
  if (typeof value === "string" && value.length >= 20 && value !== "XXXX.DUMMY.TOKEN.XXXX") forbidden.add(value);
  else if (Array.isArray(value)) value.forEach(forbid);
  else if (typeof value === "object" && value !== null && "secret" in value) forbid(value.secret);
}

/** What goes to siteverify names every Turnstile token, without touching the streams of the requests under test. */
function noteSiteverify(init: RequestInit | undefined): void {
  if (typeof init?.body !== "string") return;
  const body: unknown = JSON.parse(init.body);
  if (typeof body === "object" && body !== null && "response" in body) forbid(body.response);
}

function noteHeader({ headers }: Request): void {
  const token = headers.get("x-turnstile-token") ?? "";
  // What has not a token's letters is the invention of a test, and may well be the page's own origin.
  if (/^[\w.-]+$/.test(token)) forbid(token);
}

async function noteResponse(response: Response | null): Promise<void> {
  if (response === null || response.bodyUsed) return;
  const text = await response.clone().text();
  search("A response", `${JSON.stringify([...response.headers])} ${text}`, false);
}

type Call<R> = (request: Request, second?: unknown, third?: unknown) => Promise<R>;

function wrap<R extends Response | null>(call: Call<R>): Call<R> {
  return async (request, second, third) => {
    noteHeader(request);
    const response = await call(request, second, third);
    await noteResponse(response);
    return response;
  };
}

function audited(gate: Gate): Gate {
  return {
    ...gate,
    fetch: wrap(gate.fetch),
    handle: wrap(gate.handle),
    guard: (handler, options) => wrap(gate.guard(handler, options)),
    for: (env) => audited(gate.for(env)),
    async protect(request, ...rest) {
      noteHeader(request);
      const admission = await gate.protect(request, ...rest);
      if (admission.ok) search("An admission", JSON.stringify([...admission.headers]), false);
      else await noteResponse(admission.response);
      return admission;
    },
  };
}

vi.mock("../../src/gate/create-gate.ts", async (original) => {
  const actual = await original<{ createGate: (options: GateOptions | ((env: unknown) => GateOptions)) => Gate }>();
  const prepare = (options: GateOptions): GateOptions => {
    forbid(options.secrets);
    forbid(options.turnstile?.secret);
    const { onEvent, fetch: send } = options;
    return {
      ...options,
      ...(send === undefined
        ? {}
        : {
            fetch: (input: RequestInfo | URL, init?: RequestInit) => {
              noteSiteverify(init);
              return send(input, init);
            },
          }),
      onEvent: (event) => {
        search("An event", JSON.stringify(event), true);
        onEvent?.(event);
      },
    };
  };
  return {
    ...actual,
    createGate: (options: GateOptions | ((env: unknown) => GateOptions)): Gate => {
      if (typeof options !== "function") return audited(actual.createGate(prepare(options)));
      const prepared = (env: unknown): GateOptions => prepare(options(env));
      // Whether a function asks for an environment shows by its parameters.
      return audited(actual.createGate(Object.defineProperty(prepared, "length", { value: options.length })));
    },
  };
});

// A token that the gate refuses before it asks anybody is known by who made it.
vi.mock("../../src/emulator/index.ts", async (original) => {
  const actual = await original<{ createTurnstileEmulator: (options?: object) => TurnstileEmulator }>();
  return {
    ...actual,
    createTurnstileEmulator: (options?: object): TurnstileEmulator => {
      const emulator = actual.createTurnstileEmulator(options);
      const mint: EmulatorControl["mint"] = (about) => {
        const token = emulator.control.mint(about);
        forbid(token);
        return token;
      };
      return { ...emulator, control: { ...emulator.control, mint } };
    },
  };
});

for (const method of ["log", "info", "warn", "error", "debug"] as const) {
  const original = console[method].bind(console);
  console[method] = (...values: unknown[]): void => {
    for (const value of values) search(`console.${method}`, typeof value === "string" ? value : inspect(value, { depth: 8 }), true);
    if (!logs.muted) original(...values);
  };
}

afterAll(() => {
  expect(takeLeaks().slice(0, 10)).toEqual([]);
});
