import { createGate, memoryStore } from "gatepass";
import { kvStore } from "gatepass/adapters/cloudflare-kv";
import { rateLimitBinding } from "gatepass/adapters/cloudflare-ratelimit";
import { d1Board, d1Store } from "gatepass/adapters/d1";
import { denoKvStore } from "gatepass/adapters/deno-kv";
import { durableObjectStore, gatepassObject } from "gatepass/adapters/durable-object";
import { migrate, postgresBoard, postgresStore } from "gatepass/adapters/postgres";
import { redisBoard, redisStore } from "gatepass/adapters/redis";
import { upstashStore } from "gatepass/adapters/upstash";
import { clearance } from "gatepass/clearance";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY } from "gatepass/emulator";
import { type Case, equal, truthy } from "./harness.ts";

const origin = "https://api.example";
const device = { "x-device-id": "phone-1" };

function setup(): { call(path: string, clearance?: string): Promise<Response>; solve(path: string): Promise<Response> } {
  const emulator = createTurnstileEmulator();
  const gate = createGate({
    secrets: "an example secret for the runtime matrix, 48 bytes",
    fetch: (input, init) => emulator.fetch(new Request(input, init)),
    turnstile: {
      secret: EMULATOR_SECRET,
      sitekey: EMULATOR_SITEKEY,
      allowedHostnames: ["api.example"],
      allowTestKeys: true,
      siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
    },
    clientIp: () => "203.0.113.7",
    store: memoryStore(),
    features: [
      clearance({ policy: { always_require_clearance: [{ path: "/v1/payment/*", max_uses: 1 }], never_require_clearance: ["/health"] } }),
    ],
  });
  const handler = gate.guard((_, { level }) => Response.json({ level }));
  const call = (path: string, clearance?: string): Promise<Response> =>
    handler(new Request(origin + path, { method: "POST", headers: { ...device, ...(clearance && { "x-app-clearance": clearance }) } }));
  return {
    call,
    async solve(path) {
      const { challenge_id, original_request_id, action, cdata } = await (await call(path)).json();
      const turnstile_token = emulator.control.mint({ sitekey: EMULATOR_SITEKEY, hostname: "api.example", action, cdata });
      return gate.fetch(
        new Request(`${origin}/api/security/turnstile/verify`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ challenge_id, original_request_id, turnstile_token, device_id: "phone-1" }),
        }),
      );
    },
  };
}

/** Protected APIs, and every adapter's code, which must load wherever the package does. */
export const clearanceCases: readonly Case[] = [
  {
    name: "a protected route asks for a challenge, whose clearance is good once",
    async run() {
      const { call, solve } = setup();
      const refused = await call("/v1/payment/charge");
      equal([refused.status, (await refused.json()).error], [403, "TURNSTILE_REQUIRED"], "the refusal");
      const answer = await solve("/v1/payment/charge");
      equal(answer.status, 200, "the verification's status");
      const { app_clearance_token: token } = await answer.json();
      const all = await Promise.all(Array.from({ length: 8 }, () => call("/v1/payment/charge", token)));
      equal(all.filter(({ status }) => status === 200).length, 1, "the requests that went through");
    },
  },
  {
    name: "no spelling of a protected path is free, and an ambiguous one is refused",
    async run() {
      const { call } = setup();
      for (const path of [
        "/v1//payment/x",
        "/V1/Payment/x",
        "/v1/%70ayment/x",
        "/v1/payment./x",
        "/v1/%EF%BD%90ayment/caf%C3%A9",
        "/v1/payment/100%25",
      ]) {
        equal([path, (await call(path)).status], [path, 403], "the answer");
      }
      const refused = [
        "/health/..%2fv1/payment/x",
        "/health/%252e%252e/v1/payment/x",
        "/v1/payment/x%00",
        "/v1/payment/x%ff",
        "/v1/payment;x/y",
        "/v1/payment%5Cx",
      ];
      for (const path of refused) {
        const answer = await call(path);
        equal([path, answer.status, (await answer.json()).error], [path, 400, "PATH_AMBIGUOUS"], "the answer");
      }
      equal((await call("/health")).status, 200, "the open path's status");
    },
  },
  {
    name: "every adapter loads",
    run() {
      const all = [kvStore, rateLimitBinding, d1Board, d1Store, denoKvStore, durableObjectStore, migrate, postgresBoard, postgresStore];
      for (const adapter of [...all, redisBoard, redisStore, upstashStore]) truthy(typeof adapter === "function", "an adapter");
      truthy(typeof gatepassObject() === "function", "a class of objects");
    },
  },
];
