/**
 * A set-up file of the unit and contract suites: whatever gate a test makes, every answer it gives, every event it raises and every line it logs
 * is searched for what must never be in there. Responses: Turnstile tokens, secrets, full addresses. Events and logs: these, and any token at all.
 */
import { afterAll, expect, vi } from "vitest";
import type { Gate, GateOptions } from "../../src/gate/types.ts";

const leaks = new Set<string>();
/** Turnstile tokens and secrets that went into a gate of this file. */
const forbidden = new Set<string>();
const JWT = /[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{40,}/;
const ADDRESS = /(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d./]|\/\d)|(?<![\w:])(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}(?![\w:])/i;

function search(where: string, text: string, tokensToo: boolean): void {
  for (const value of forbidden) if (text.includes(value)) leaks.add(`${where} holds a secret or a Turnstile token: ${text.slice(0, 300)}`);
  const address = ADDRESS.exec(text);
  if (address !== null) leaks.add(`${where} holds the address ${address[0]}: ${text.slice(0, 300)}`);
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

async function noteResponse(response: Response | null): Promise<void> {
  if (response === null || response.bodyUsed) return;
  const text = await response.clone().text();
  search("A response", `${JSON.stringify([...response.headers])} ${text}`, false);
}

function audited<T extends Gate>(gate: T): T {
  const wrap =
    <R extends Response | null>(call: (request: Request, second?: unknown, third?: unknown) => Promise<R>) =>
    async (request: Request, second?: unknown, third?: unknown): Promise<R> => {
      const response = await call(request, second, third);
      await noteResponse(response);
      return response;
    };
  return { ...gate, fetch: wrap(gate.fetch), handle: wrap(gate.handle) };
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
    createGate: (options: GateOptions | ((env: unknown) => GateOptions)): Gate =>
      audited(actual.createGate(typeof options === "function" ? (env: unknown) => prepare(options(env)) : prepare(options))),
  };
});

for (const method of ["log", "info", "warn", "error", "debug"] as const) {
  const original = console[method].bind(console);
  console[method] = (...values: unknown[]): void => {
    for (const value of values)
      search(`console.${method}`, value instanceof Error ? `${value.message} ${value.stack ?? ""}` : String(value), true);
    original(...values);
  };
}

afterAll(() => {
  expect([...leaks].slice(0, 10)).toEqual([]);
});
