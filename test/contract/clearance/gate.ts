import { clearance } from "../../../src/clearance/index.ts";
import { EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { Gate } from "../../../src/gate/types.ts";
import type { ChallengeAnswer } from "../../../src/protocol.ts";
import type { Store } from "../../../src/store/contract.ts";

const ORIGIN = "https://game.example";
const FROM = "x-test-from";

/** A challenge, and a token that solves it. */
export interface Verification {
  challenge: Pick<ChallengeAnswer, "challenge_id" | "original_request_id">;
  token: string;
  device: string;
}

/** What a verification was answered. */
export interface Verified {
  status: number;
  error?: string;
  /** The id of the clearance, which is the same in every token of it. */
  clearance?: string;
}

/** A gate as each of several processes has it. */
export function gateOn(store: Store, siteverifyUrl: string): Gate {
  return createGate({
    secrets: "a signing secret of the tests, at least 32 bytes",
    store,
    turnstile: {
      secret: EMULATOR_SECRET,
      sitekey: EMULATOR_SITEKEY,
      allowedHostnames: ["game.example"],
      allowTestKeys: true,
      siteverifyUrl,
    },
    clientIp: (request) => request.headers.get(FROM) ?? undefined,
    features: [clearance({ policy: { always_require_clearance: [{ path: "/pay", max_uses: 2 }] } })],
    onError: (error) => {
      throw error;
    },
  });
}

/** A challenge for a device. */
export async function challengeFor(gate: Gate, device: string): Promise<ChallengeAnswer> {
  const headers = { "x-device-id": device, [FROM]: "203.0.113.7" };
  const admission = await gate.protect(new Request(`${ORIGIN}/pay`, { method: "POST", headers }));
  if (admission.ok) throw new Error("Nothing was asked for");
  return admission.response.json();
}

/** Shows a token for a challenge, from an address of the device's own. */
export async function verified(gate: Gate, { challenge, token, device }: Verification): Promise<Verified> {
  const { challenge_id, original_request_id } = challenge;
  const answer = await gate.fetch(
    new Request(`${ORIGIN}/api/security/turnstile/verify`, {
      method: "POST",
      headers: { "content-type": "application/json", [FROM]: "203.0.113.7" },
      body: JSON.stringify({ challenge_id, original_request_id, turnstile_token: token, device_id: device }),
    }),
  );
  const { error, app_clearance_token: signed }: { error?: string; app_clearance_token?: string } = await answer.json();
  const claims = signed?.split(".")[1];
  const { jti }: { jti?: string } = claims ? JSON.parse(atob(claims.replace(/-/g, "+").replace(/_/g, "/"))) : {};
  return { status: answer.status, ...(error !== undefined && { error }), ...(jti !== undefined && { clearance: jti }) };
}
