import { clearance, exampleLimits } from "../../src/clearance/index.ts";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../src/emulator/index.ts";
import type { SecurityEvent } from "../../src/events/types.ts";
import { createGate } from "../../src/gate/index.ts";
import type { Gate, GateOptions } from "../../src/gate/types.ts";
import type { ChallengeAnswer } from "../../src/protocol.ts";
import { memoryBoard, scores } from "../../src/scores/index.ts";
import type { Store } from "../../src/store/contract.ts";

/** Without any framework, so that it runs under Deno too: a whole gate, and strangers who send it junk in every form that it reads. */
export interface Strangers {
  gate: Gate;
  events: SecurityEvent[];
  /** The i-th junk request of a form, from the i-th of 1,000 networks; its status (0: a report, which has no answer). */
  junk(form: Form, i: number, from?: string): Promise<number>;
  /** Sends JSON from an address. */
  send(from: string, method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** A request of a handler that is protected. */
  protect(from: string, path: string, headers?: Record<string, string>): Promise<Response>;
  /** A solved Turnstile token: of a session, or of a challenge. */
  solve(of?: Pick<ChallengeAnswer, "action" | "cdata">): Promise<string>;
}

/** What a stranger can send: credentials of every kind and in every place, and requests that need none. */
export const FORMS = [
  "exchange",
  "fresh token",
  "fresh token, guarded",
  "session",
  "commitment",
  "moderation",
  "read",
  "challenge",
  "clearance",
  "verification",
  "verification, guessed",
  "log-in",
  "report",
] as const;
export type Form = (typeof FORMS)[number];

const ORIGIN = "https://game.example";
const MODERATOR = "a moderation token of the tests, 32 characters";
const DEVICE = "x-device-id";

/** The i-th address of a stranger: another network (/24) each time, of which there are 1,000, then another host of it. */
export function addressOf(i: number): string {
  const network = i % 1000;
  return `10.${network >> 8}.${network & 255}.${1 + (Math.floor(i / 1000) % 250)}`;
}

export function strangers(store: Store, options: Partial<GateOptions> & { clock?: () => number } = {}): Strangers {
  const events: SecurityEvent[] = [];
  const emulator = createTurnstileEmulator(options.clock ? { clock: options.clock } : {});
  const policy = {
    always_require_clearance: [{ path: "/api/pay", max_uses: 2 }],
    risk_based: [{ path: "/api/login", limits: ["login", "otp"] }, "/api/else"],
  };
  const gate = createGate({
    secrets: "a signing secret of the tests, at least 32 bytes",
    fetch: (input, init) => emulator.fetch(new Request(input, init)),
    turnstile: {
      secret: EMULATOR_SECRET,
      sitekey: EMULATOR_SITEKEY,
      allowedHostnames: ["game.example"],
      allowTestKeys: true,
      siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
    },
    clientIp: (request) => request.headers.get("x-test-from") ?? undefined,
    identify: (request) => {
      const name = request.headers.get("x-test-user");
      return name
        ? {
            user: name,
            account: name,
            email: `${name}@example.org`,
            phone: `+49 30 ${name.length}${100_000 + Number(name.replace(/\D/g, ""))}`,
          }
        : {};
    },
    session: { actions: ["score_submit"] },
    store,
    features: [
      scores({ board: memoryBoard(), boards: { main: {}, strict: { require: "commitment" } }, moderation: { tokens: [MODERATOR] } }),
      clearance({ policy, limits: exampleLimits }),
    ],
    onEvent: (event) => events.push(event),
    ...options,
  });
  const answer = gate.guard(() => Response.json({}));
  const action = gate.guard(() => Response.json({}), { action: "score_submit" });
  const request = (from: string, method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Request =>
    new Request(`${ORIGIN}${path}`, {
      method,
      headers: { ...headers, "x-test-from": from, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const send: Strangers["send"] = (from, method, path, body, headers) => gate.fetch(request(from, method, `/api${path}`, headers, body));
  const protect: Strangers["protect"] = (from, path, headers) => answer(request(from, "POST", `/api${path}`, headers));
  /** A challenge of one device is good from every network. */
  let challenge: Promise<ChallengeAnswer> | undefined;
  const asked = (): Promise<ChallengeAnswer> => {
    challenge ??= protect("192.0.2.1", "/pay", { [DEVICE]: "stranger" }).then((response) => response.json());
    return challenge;
  };

  const forms: { [form in Form]: (i: number, from: string) => Promise<Response | undefined> } = {
    exchange: (i, from) => send(from, "POST", "/session", { turnstileToken: `junk-${i}`, playerToken: `p${i}.p.p` }),
    "fresh token": (i, from) => send(from, "POST", "/scores", { score: i }, { "x-turnstile-token": `junk-${i}`, [DEVICE]: `d${i}` }),
    "fresh token, guarded": (i, from) => action(request(from, "POST", "/own", { "x-turnstile-token": `junk-${i}`, [DEVICE]: `d${i}` })),
    session: (i, from) =>
      send(from, "POST", "/scores", { score: i }, { authorization: `Bearer s${i}.s.s`, "x-gatepass-session": `s${i}.s.s` }),
    commitment: (i, from) => send(from, "POST", "/scores", { commitment: `c${i}.c.c` }, { "x-turnstile-token": `junk-${i}` }),
    moderation: (i, from) => send(from, "POST", `/scores/row${i}/ban`, undefined, { authorization: `Bearer guess-${i}` }),
    read: (i, from) => send(from, "GET", `/scores?limit=${1 + (i % 100)}&around=row${i}`),
    challenge: (i, from) => protect(from, "/pay", { [DEVICE]: `d${i}`, "x-request-id": `r${i}`, "x-test-user": `user${i}` }),
    clearance: (i, from) => protect(from, "/pay", { [DEVICE]: `d${i}`, "x-request-id": `r${i}`, "x-app-clearance": `c${i}.c.c` }),
    async verification(i, from) {
      const { challenge_id, original_request_id } = await asked();
      return send(from, "POST", "/security/turnstile/verify", {
        challenge_id,
        original_request_id,
        turnstile_token: `junk-${i}`,
        device_id: "stranger",
      });
    },
    "verification, guessed": (i, from) =>
      send(from, "POST", "/security/turnstile/verify", {
        challenge_id: `chal_a${i}.b.c`,
        original_request_id: `r${i}`,
        turnstile_token: `junk-${i}`,
        device_id: `d${i}`,
      }),
    "log-in": (i, from) => protect(from, "/login", { [DEVICE]: `d${i}`, "x-test-user": `user${i}` }),
    async report(i, from) {
      const failed = request(from, "POST", "/api/login", { [DEVICE]: `d${i}` });
      await gate.report(failed, "login_failed", { account: `account${i}`, user: `user${i}` });
      return undefined;
    },
  };

  return {
    gate,
    events,
    junk: async (form, i, from = addressOf(i)) => {
      const response = await forms[form](i, from);
      await response?.body?.cancel();
      return response?.status ?? 0;
    },
    send,
    protect,
    async solve({ action = "score_submit", cdata = "" } = { action: "score_submit", cdata: "" }) {
      return emulator.control.mint({ sitekey: EMULATOR_SITEKEY, hostname: "game.example", action, ...(cdata && { cdata }) });
    },
  };
}
