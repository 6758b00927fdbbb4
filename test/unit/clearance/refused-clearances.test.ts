import { expect, it } from "vitest";
import { usesKey } from "../../../src/store/index.ts";
import { api } from "./tools.ts";

const jtiOf = (token: string): string => JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()).jti;

it.each([
  ["revoked", "app_clearance_missing", "TURNSTILE_REQUIRED"],
  ["clearance_used", "app_clearance_replay_detected", "CLEARANCE_EXPIRED"],
  ["clearance_expired", "app_clearance_expired", "CLEARANCE_EXPIRED"],
])("the event of a clearance that is refused says why: %s", async (reason, type, code) => {
  const { call, clear, store, events, advance } = api();
  const { app_clearance_token: token } = await clear("/v1/payment/charge");
  if (reason === "revoked") await store.block(usesKey("clr", jtiOf(token)), Number.MAX_SAFE_INTEGER);
  if (reason === "clearance_used") expect((await call("/v1/payment/charge", { clearance: token })).status).toBe(200);
  if (reason === "clearance_expired") advance(700_000);
  events.length = 0;
  const refused = await call("/v1/payment/charge", { clearance: token });
  expect([refused.status, (await refused.json()).error]).toEqual([403, code]);
  expect(events.map((event) => [event.type, event.reason])).toContainEqual([type, reason]);
});
