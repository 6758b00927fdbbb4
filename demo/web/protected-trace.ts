/** Looks on while the client talks to the gate: what went over the wire, which challenge came, which clearances are in hand. */

/** One request and its answer. */
export interface Step {
  method: string;
  path: string;
  status: number;
  /** The public code of a refusal. */
  code: string;
  /** A clearance went along. */
  cleared: boolean;
  verification: boolean;
  /** The `RateLimit-Policy` of the answer. */
  limits: string;
}

/** The challenge of an answer. */
export interface Challenge {
  action: string;
  cdata: string;
  scope: readonly string[];
  /** Milliseconds of `performance.now`. */
  until: number;
}

/** A clearance in hand. Its token stays in the trace. */
export interface InHand {
  scope: readonly string[];
  uses: number;
  left: number;
  /** Milliseconds of `performance.now`. */
  until: number;
}

/** What one request of the page came to. */
export interface Trace {
  steps: Step[];
  challenge: Challenge | undefined;
}

/** The tracer: `fetch` is given to the client. */
export interface Tracer {
  fetch: typeof fetch;
  /** What was seen since the last time. */
  take(): Trace;
  inHand(): InHand[];
  /** Of another device: they are of no use to it. */
  forget(): void;
}

const CLEARANCE = "x-app-clearance";
const VERIFY = "/api/security/turnstile/verify";

/** @param headers further headers of every request, asked for each time */
export function createTracer(headers: () => Record<string, string>): Tracer {
  let trace: Trace = { steps: [], challenge: undefined };
  const clearances = new Map<string, InHand>();
  return {
    async fetch(input, init) {
      const request = new Request(input, init);
      for (const [name, value] of Object.entries(headers())) request.headers.set(name, value);
      const response = await fetch(request);
      const { pathname: path } = new URL(request.url);
      const data = await bodyOf(response.clone());
      const code = text(data["error"]);
      const token = request.headers.get(CLEARANCE);
      const verification = path === VERIFY;
      const limits = response.headers.get("ratelimit-policy") ?? "";
      trace.steps.push({ method: request.method, path, status: response.status, code, cleared: token !== null, verification, limits });
      const scope = Array.isArray(data["scope"]) ? data["scope"].map(String) : [];
      const now = performance.now();
      const [expires, uses] = [Number(data["expires_in"]) * 1000, Number(data["max_uses"])];
      const asked = data["challenge_id"] !== undefined;
      if (asked) trace.challenge = { action: text(data["action"]), cdata: text(data["cdata"]), scope, until: now + expires };
      const granted = text(data["app_clearance_token"]);
      if (granted) clearances.set(granted, { scope, uses, left: uses, until: now + expires });
      const held = token === null ? undefined : clearances.get(token);
      if (held) held.left = asked ? 0 : held.left - 1;
      return response;
    },
    take() {
      const taken = trace;
      trace = { steps: [], challenge: undefined };
      return taken;
    },
    inHand() {
      for (const [token, { left, until }] of clearances) if (left <= 0 || until <= performance.now()) clearances.delete(token);
      return [...clearances.values()];
    },
    forget: () => clearances.clear(),
  };
}

async function bodyOf(response: Response): Promise<Record<string, unknown>> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? { ...body } : {};
  } catch {
    return {};
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
