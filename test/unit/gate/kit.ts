import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import type { SecurityEvent } from "../../../src/events/types.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { Admission, AdmitOptions, Feature, Gate, GateOptions, Kernel, SessionClaims } from "../../../src/gate/types.ts";
import type { Quota, Store } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/index.ts";

export const ORIGIN = "https://game.example";
export const SECRET = "Vt5-kernel-tests-xQ9-7hR2mLw8ZpD4sK1uYc";
export const ADDRESS = "203.0.113.7";
export const ACTION = "score_submit";

export const emulated = {
  secret: EMULATOR_SECRET,
  allowedHostnames: ["game.example"],
  allowTestKeys: true,
  siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
} as const;

/** What a counting store saw. */
export interface Counted {
  store: Store;
  spends: (readonly Quota[])[];
  refunded: (readonly Quota[])[];
  /** Set: every call rejects with it. */
  down: Error | undefined;
}

/** A store that counts its calls. */
export function counting(inner: Store): Counted {
  const seen: Counted = {
    spends: [],
    refunded: [],
    down: undefined,
    store: {
      consistency: inner.consistency,
      async spend(quotas) {
        seen.spends.push(quotas);
        if (seen.down) throw seen.down;
        return inner.spend(quotas);
      },
      async refund(quotas, at) {
        seen.refunded.push(quotas);
        return inner.refund(quotas, at);
      },
      block: (key, expiresAt) => inner.block(key, expiresAt),
    },
  };
  return seen;
}

/** A gate with one protected route, `POST /api/write`, one public one, `GET /api/read`, its emulator and a clock that only a test moves. */
export interface Kit {
  gate: Gate;
  kernel: Kernel;
  counted: Counted;
  events: SecurityEvent[];
  errors: unknown[];
  admissions: Admission[];
  /** What the next writes ask of admission. */
  admit: AdmitOptions;
  emulator: ReturnType<typeof createTurnstileEmulator>;
  advance(ms: number): void;
  now(): number;
  mint(action?: string, more?: { cdata?: string; ephemeralId?: string }): string;
  exchange(turnstileToken: string, more?: Record<string, unknown>, headers?: Record<string, string>): Promise<Response>;
  /** Solves and exchanges. */
  session(): Promise<{ token: string; claims: SessionClaims; playerToken: string }>;
  write(headers?: Record<string, string>): Promise<Response>;
  types(): string[];
}

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

export async function codeOf(response: Response): Promise<[number, unknown]> {
  const body: unknown = await response.clone().json();
  return [response.status, typeof body === "object" && body !== null && "error" in body ? body.error : undefined];
}

let started = 0;

export function kit(options: Partial<GateOptions> = {}, feature: Partial<Feature> = {}): Kit {
  // Each kit begins a day later, so that no counter of another could matter.
  // Not at a whole second: the claims of a solve are rounded down, to before the store began.
  let time = Date.UTC(2026, 10, 20, 12) + 300 + started++ * 86_400_000;
  const clock = (): number => time;
  const emulator = createTurnstileEmulator({ clock });
  const counted = counting(options.store ?? memoryStore({ clock }));
  const events: SecurityEvent[] = [];
  const errors: unknown[] = [];
  const made: { kernel?: Kernel } = {};
  const self: Pick<Kit, "admit" | "admissions"> = { admit: { action: ACTION, limits: ["write"] }, admissions: [] };
  const writes = (kernel: Kernel): Feature => {
    made.kernel = kernel;
    return {
      name: "writes",
      limits: {
        write: [
          { name: "burst", limit: 1000, window: 60, by: "ip" },
          { name: "daily", limit: 2000, window: 86_400, by: "ip" },
        ],
        read: [{ name: "read", limit: 3, window: 60, by: "ip" }],
      },
      routes: [
        {
          method: "POST",
          path: "/write",
          async handle(ctx) {
            const admission = await ctx.admit(self.admit);
            self.admissions.push(admission);
            return admission.ok ? ctx.respond(201, { player: admission.player, level: admission.level }) : admission.response;
          },
        },
        {
          method: "GET",
          path: "/read/:id",
          async handle(ctx) {
            const admission = await ctx.admit({ open: true, limits: ["read"] });
            const session = await ctx.session();
            return admission.ok ? ctx.respond(200, { id: ctx.params["id"], player: session?.sub }) : admission.response;
          },
        },
      ],
      ...feature,
    };
  };
  const gate = createGate({
    secrets: SECRET,
    clock,
    fetch: (input, init) => emulator.fetch(new Request(input, init)),
    turnstile: emulated,
    clientIp: () => ADDRESS,
    limits: { session: [{ name: "session", limit: 1000, window: 60, by: "ip" }] },
    onEvent: (event) => events.push(event),
    onError: (error) => errors.push(error),
    ...options,
    features: [writes, ...(options.features ?? [])],
    store: counted.store,
  });
  if (!made.kernel) throw new Error("The feature was not made");
  const post = (path: string, headers: Record<string, string>, body?: unknown): Promise<Response> =>
    gate.fetch(
      new Request(`${ORIGIN}/api${path}`, {
        method: "POST",
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        body: body === undefined ? null : JSON.stringify(body),
      }),
    );
  const mint: Kit["mint"] = (action = ACTION, more = {}) =>
    emulator.control.mint({ sitekey: EMULATOR_SITEKEY, action, hostname: "game.example", ...more });
  const exchange: Kit["exchange"] = (turnstileToken, more = {}, headers = {}) => post("/session", headers, { turnstileToken, ...more });
  return Object.assign(self, {
    gate,
    kernel: made.kernel,
    counted,
    events,
    errors,
    emulator,
    advance(ms: number) {
      time += ms;
    },
    now: clock,
    mint,
    exchange,
    async session() {
      const response = await exchange(mint());
      if (response.status !== 200) throw new Error(`The exchange ended with ${response.status}: ${await response.text()}`);
      const { sessionToken, playerToken }: { sessionToken: string; playerToken: string } = await response.json();
      return { token: sessionToken, playerToken, claims: await gate.sessions.verify(sessionToken) };
    },
    write: (headers: Record<string, string> = {}) => post("/write", headers),
    types: () => events.map(({ type }) => type),
  });
}
