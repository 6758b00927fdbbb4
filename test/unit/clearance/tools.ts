import { clearance } from "../../../src/clearance/index.ts";
import type { ClearanceOptions } from "../../../src/clearance/types.ts";
import { EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import type { GateOptions } from "../../../src/gate/types.ts";
import type { ChallengeAnswer, ClearanceAnswer } from "../../../src/protocol.ts";
import { ORIGIN, type TestGate, testGate } from "../../helpers/gate.ts";

/** What a protected handler saw. */
export interface Seen {
  level: string;
  limits?: unknown;
}

/** A gate with a protected API, as a mobile app talks to it. */
export interface Api extends TestGate {
  /** Requests that got through to the handler. */
  through: Seen[];
  /** A protected request; `from` is the client's address. */
  call(path: string, options?: CallOptions): Promise<Response>;
  /** Solves a challenge as the WebView would. */
  solve(challenge: ChallengeAnswer, token?: { action?: string; cdata?: string }): Promise<string>;
  /** Posts a solved challenge. */
  verify(challenge: ChallengeAnswer, token: string, extra?: Record<string, unknown>, from?: string): Promise<Response>;
  /** Asks, solves, verifies: the clearance. */
  clear(path: string, options?: CallOptions): Promise<ClearanceAnswer & { rid: string }>;
}

export interface CallOptions {
  method?: string;
  device?: string;
  clearance?: string;
  rid?: string;
  from?: string;
  user?: string;
  headers?: Record<string, string>;
  scope?: string;
  body?: string;
}

export const POLICY = {
  always_require_clearance: [
    { path: "/v1/payment/*", max_uses: 1, ttl: 600 },
    { path: "/v1/otp", max_uses: 1, ttl: 600 },
    { path: "/v1/bound", bind_ip: true },
    { path: "/v1/many", max_uses: 3 },
    { path: "/v1/fresh", max_age: 60 },
  ],
  risk_based: [{ path: "/v1/login" }, { path: "/v1/cool", high_risk: "cool_down" }, { path: "/v1/step", high_risk: "step_up" }],
  never_require_clearance: ["/health"],
} as const;

export function api(options: Partial<ClearanceOptions> = {}, given: Partial<GateOptions> = {}): Api {
  const through: Seen[] = [];
  let from = "203.0.113.7";
  const made = testGate({
    features: [clearance({ policy: POLICY, ...options })],
    clientIp: (request) => request.headers.get("x-test-from") ?? from,
    identify: (request) => {
      const user = request.headers.get("x-test-user");
      return user ? { user, account: user } : {};
    },
    ...given,
  });
  const handler = made.gate.guard((_, admission) => {
    through.push({ level: admission.level });
    return Response.json({ level: admission.level, dryRun: admission.dryRun });
  });
  const call: Api["call"] = (
    path,
    { method = "POST", device = "phone-1", clearance: token, rid, user, headers = {}, scope, body, ...rest } = {},
  ) => {
    const all: Record<string, string> = { ...headers, "x-test-from": rest.from ?? from };
    if (device) all["x-device-id"] = device;
    if (token) all["x-app-clearance"] = token;
    if (rid) all["x-request-id"] = rid;
    if (user) all["x-test-user"] = user;
    const request = new Request(`${ORIGIN}${path}`, { method, headers: all, ...(body !== undefined && { body }) });
    return scope === undefined ? handler(request) : made.gate.guard(() => Response.json({}), { scope })(request);
  };
  const solve: Api["solve"] = async ({ action, cdata }, token = {}) =>
    await made.emulator.control.mint({ sitekey: EMULATOR_SITEKEY, hostname: "game.example", action, cdata, ...token });
  const verify: Api["verify"] = (challenge, token, extra = {}, address = from) => {
    const { challenge_id, original_request_id } = challenge;
    const body = { challenge_id, turnstile_token: token, original_request_id, device_id: "phone-1", app_version: "1.2.3", ...extra };
    for (const [name, value] of Object.entries(body)) if (value === undefined) Reflect.deleteProperty(body, name);
    return made.send("POST", "/security/turnstile/verify", body, { "x-test-from": address });
  };
  return Object.assign(made, {
    through,
    call,
    solve,
    verify,
    async clear(path: string, asked: CallOptions = {}) {
      const challenge = await challengeOf(await call(path, asked));
      const answer = await verify(
        challenge,
        await solve(challenge),
        asked.device === undefined ? {} : { device_id: asked.device || undefined },
        asked.from,
      );
      if (answer.status !== 200) throw new Error(`Cannot clear: ${answer.status} ${await answer.text()}`);
      return { ...(await answer.json()), rid: challenge.original_request_id };
    },
    set from(address: string) {
      from = address;
    },
  });
}

/** The body of a refusal that asks for a challenge. */
export async function challengeOf(response: Response): Promise<ChallengeAnswer> {
  const body = await response.json();
  if (response.status !== 403 || typeof body.challenge_id !== "string")
    throw new Error(`No challenge: ${response.status} ${JSON.stringify(body)}`);
  return body;
}
