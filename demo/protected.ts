/** The "protected API": four routes of an application behind the gate, as an application would write them. */
import type { Admitted, Gate, Identity } from "gatepass";
import { LARGE_AMOUNT, objectIn, ROUTES } from "./protected-policy.ts";

/** Answers the routes; null for every other path. `second` and `third`: what the runtime passes besides the request. */
export type ProtectedRoutes = (request: Request, second?: unknown, third?: unknown) => Promise<Response | null>;

/** Bytes of a body that are read; more is no body of ours. */
const MAX_BODY = 2048;
/** The demo's accounts all have it: there is nothing behind them. */
const PASSWORD = "ember";

const LIGHTHOUSES = [
  "Ar-Men, France",
  "Bell Rock, Scotland",
  "Cape Byron, Australia",
  "Cordouan, France",
  "Eddystone, England",
  "Fastnet, Ireland",
  "Hook Head, Ireland",
  "Jeddah Light, Saudi Arabia",
  "Kõpu, Estonia",
  "La Jument, France",
  "Lindau, Germany",
  "Peggy's Cove, Canada",
  "Roter Sand, Germany",
  "Skerryvore, Scotland",
  "Slangkop, South Africa",
  "Split Rock, United States",
  "Tower of Hercules, Spain",
  "Tourlitis, Greece",
];

/**
 * The routes behind `gate`.
 *
 * @param tell hears of every request that the gate let through; for the page's own log, in development
 */
export function protectedRoutes(gate: Gate, tell?: (request: Request, admission: Admitted) => void): ProtectedRoutes {
  const guarded = (work: (request: Request) => Promise<Response>): ReturnType<Gate["guard"]> =>
    gate.guard((request, admission) => {
      tell?.(request, admission);
      return work(request);
    });

  const handlers: Record<string, ReturnType<Gate["guard"]>> = {
    [keyOf(ROUTES.login)]: guarded(async (request) => {
      const { account, password } = await fieldsOf(request);
      // What the gate counts it cannot see for itself: the application says how it went.
      if (password !== PASSWORD) {
        await gate.report(request, "login_failed", about(account));
        return Response.json({ error: "LOGIN_FAILED" }, { status: 401 });
      }
      await gate.report(request, "login_succeeded", about(account));
      return Response.json({ welcome: account });
    }),
    [keyOf(ROUTES.otp)]: guarded(async (request) => {
      const { phone } = await fieldsOf(request);
      if (!phone) return Response.json({ error: "PHONE_MISSING" }, { status: 422 });
      await gate.report(request, "otp_requested");
      return Response.json({ sent: true, note: "No message is really sent" }, { status: 202 });
    }),
    [keyOf(ROUTES.search)]: guarded(async (request) => {
      const query = (new URL(request.url).searchParams.get("q") ?? "").slice(0, 64).trim().toLowerCase();
      return Response.json({ results: LIGHTHOUSES.filter((name) => name.toLowerCase().includes(query)).slice(0, 5) });
    }),
    [keyOf(ROUTES.payment)]: guarded(async (request) => {
      const { amount } = await fieldsOf(request);
      if (!(Number(amount) >= 1 && Number(amount) <= 10_000)) return Response.json({ error: "AMOUNT_INVALID" }, { status: 422 });
      return Response.json({ paid: Number(amount), note: "No money has moved" }, { status: 201 });
    }),
  };
  return async (request, second, third) => {
    const { pathname } = new URL(request.url);
    const handler = handlers[keyOf({ method: request.method, path: pathname })];
    return handler ? handler(request, second, third) : null;
  };
}

/** Who a request is of, as its body says: what limits and risk count by. Given to `createGate` as `identify`. */
export async function identify(request: Request): Promise<Identity> {
  const { pathname } = new URL(request.url);
  if (pathname !== ROUTES.login.path && pathname !== ROUTES.otp.path) return {};
  const { account, phone } = await fieldsOf(request);
  return { ...(account && { account: account.toLowerCase() }), ...(phone && { phone }) };
}

/** What the policy may ask by name. */
export const conditions = {
  large: async (request: Request): Promise<boolean> => Number((await fieldsOf(request)).amount) > LARGE_AMOUNT,
};

/** The fields of a small JSON body, without using it up: `identify`, the conditions and the handler all look. */
async function fieldsOf(request: Request): Promise<{ account?: string; password?: string; phone?: string; amount?: string }> {
  const body = request.bodyUsed ? null : request.clone().body;
  if (!body) return {};
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    // A body without an end would be read without an end.
    if (size > MAX_BODY) {
      void reader.cancel().catch(() => undefined);
      return {};
    }
    text += decoder.decode(value, { stream: true });
  }
  const given = objectIn(text);
  const fields: Record<string, string> = {};
  for (const name of ["account", "password", "phone", "amount"]) {
    const value = given[name];
    if ((typeof value === "string" && value.length <= 64) || typeof value === "number") fields[name] = String(value).trim();
  }
  return fields;
}

function about(account: string | undefined): { account?: string } {
  return account ? { account: account.toLowerCase() } : {};
}

function keyOf({ method, path }: { method: string; path: string }): string {
  return `${method} ${path}`;
}
