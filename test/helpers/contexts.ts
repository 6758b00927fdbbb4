import { createGate } from "../../src/gate/index.ts";
import type { Gate, GateOptions } from "../../src/gate/types.ts";
import { memoryBoard, scores } from "../../src/scores/index.ts";
import { memoryStore } from "../../src/store/index.ts";

/** How a gate is made of a function. */
export type Form = (count: () => void, ask: typeof fetch) => Gate;

/** A function that asks for no environment, one that does, each with a store in memory of its own and with the default. */
export const FORMS: Record<string, Form> = {
  "() => options": (count, ask) =>
    createGate(() => {
      count();
      return options(ask);
    }),
  "() => options, the store by default": (count, ask) =>
    createGate(() => {
      count();
      return { ...options(ask), store: undefined } as unknown as GateOptions;
    }),
  "(env) => options": (count, ask) =>
    createGate((env) => {
      count();
      return env === null ? {} : options(ask);
    }),
  "(env = {}) => options": (count, ask) =>
    createGate((_env: unknown = {}) => {
      count();
      return options(ask);
    }),
  "(...env) => options": (count, ask) =>
    createGate((..._env: unknown[]) => {
      count();
      return options(ask);
    }),
  "(env) => options, rates in a store of their own": (count, ask) =>
    createGate((env) => {
      count();
      return env === null ? {} : { ...options(ask), rateStore: memoryStore() };
    }),
};

function options(ask: typeof fetch): GateOptions {
  return {
    secrets: "a signing secret of the tests, at least 32 bytes",
    turnstile: { secret: "secret-of-the-tests", allowedHostnames: ["game.example"] },
    fetch: ask,
    clientIp: () => "203.0.113.7",
    store: memoryStore(),
    features: [scores({ board: memoryBoard() })],
  };
}

/**
 * What frameworks and platforms pass along as the second argument and the third one, made anew for each request where they do so.
 * Workers' own environment is among them: one object for all.
 */
export function contexts(): Record<string, (i: number) => readonly unknown[]> {
  const env = { SECRET: "x" };
  const eight = Array.from({ length: 8 }, (_, i) => ({ i }));
  const waiting = (): object => ({ waitUntil: () => undefined, passThroughOnException: () => undefined });
  return {
    "Workers' env": () => [env, waiting()],
    "Next.js's { params }": () => [{ params: Promise.resolve({ gate: ["scores"] }) }],
    "Hono's c.env on Node": () => [{ incoming: {}, outgoing: {} }],
    "Hono's c.env and executionCtx": () => [{}, waiting()],
    "a context with waitUntil": () => [waiting()],
    "Netlify's context": () => [{ geo: {}, ip: "203.0.113.7", params: {}, waitUntil: () => undefined }],
    "SvelteKit's platform": () => [{ env, context: waiting(), caches: {}, cf: {} }],
    "Astro's platform": () => [{ runtime: { env, ctx: waiting() } }],
    "Deno's info": () => [{ remoteAddr: { transport: "tcp", hostname: "203.0.113.7", port: 1 }, completed: Promise.resolve() }],
    "Bun's server": () => [{ requestIP: () => ({ address: "203.0.113.7" }), upgrade: () => false }],
    "the Node adapter's info": () => [{ peer: "203.0.113.7" }],
    nothing: () => [],
    "eight objects in turn": (i) => [eight[i % 8], waiting()],
    "a copy of the environment": () => [{ ...env }, waiting()],
    "an array": () => [[]],
    "a function": () => [() => undefined],
    "a text": (i) => [`env${i}`],
  };
}

/** What came of 300 reads, of 60 writes by one session and fresh tokens in turn, and of 60 exchanges, each with arguments of its own. */
export interface Outcome {
  reads: number;
  writes: number;
  /** Sessions of one Turnstile token. */
  sessions: number;
  /** Statuses that were answered. */
  statuses: number[];
  /** How often the function was called. */
  calls: number;
}

/** Asks a gate of the form, with the arguments that the context makes. */
export async function flood(form: Form, context: (i: number) => readonly unknown[]): Promise<Outcome> {
  let calls = 0;
  const statuses = new Set<number>();
  const ask: typeof fetch = async () =>
    Response.json({
      success: true,
      challenge_ts: new Date().toISOString(),
      hostname: "game.example",
      action: "score_submit",
      metadata: {},
    });
  const gate = form(() => {
    calls += 1;
  }, ask);
  let i = 0;
  const send = async (method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Promise<Response> => {
    const init = { method, headers: { "content-type": "application/json", ...headers }, ...(body ? { body: JSON.stringify(body) } : {}) };
    const [second, third] = context(i++);
    const response = await gate.fetch(new Request(`https://game.example/api${path}`, init), second, third);
    statuses.add(response.status);
    return response;
  };
  let [reads, writes, sessions] = [0, 0, 0];
  for (let n = 0; n < 300; n++) if ((await send("GET", "/scores")).status === 200) reads += 1;
  let session = "none";
  for (let n = 0; n < 60; n++) {
    const answer = await send("POST", "/session", {}, { turnstileToken: "the-same-token" });
    if (answer.status !== 200) continue;
    sessions += 1;
    ({ sessionToken: session } = await answer.json());
  }
  for (let n = 0; n < 60; n++) {
    const headers = { [n % 2 ? "x-turnstile-token" : "x-gatepass-session"]: n % 2 ? `token-${n}` : session };
    if ((await send("POST", "/scores", headers, { score: n })).status === 201) writes += 1;
  }
  return { reads, writes, sessions, statuses: [...statuses].sort(), calls };
}
