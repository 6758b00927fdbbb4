import type { EventReason } from "../events/types.ts";
import type { Call, Payer } from "../gate/call.ts";
import { short, shortMac } from "../gate/secrets.ts";
import type { Kernel, RouteContext } from "../gate/types.ts";
import { Refusal } from "../http/index.ts";
import { IDEMPOTENCY_HEADER, type PublicCode } from "../protocol.ts";
import type { Quota } from "../store/contract.ts";
import { usesKey } from "../store/index.ts";
import { concatBytes, lp } from "../util/bytes.ts";
import { sha256 } from "../util/hmac.ts";
import { type Commitment, commitmentQuota } from "./commitment.ts";

/** Milliseconds by which the store's clock may be ahead of ours when a call is looked up. */
const AHEAD = 60_000;

/** A structured-field string (RFC 9651) with 16 random bytes in it: 22 characters of base64url, 32 hexadecimal digits, a UUID. */
const KEY = /^"([\w+/=.:~-]{16,64})"$/;

/** What makes a submission count once. */
export interface Once {
  /** What a repeat is refused with by the admission. */
  readonly code: PublicCode;
  readonly reason: EventReason;
  /** The submission's id, its `at` (milliseconds since the epoch) and the quota; undefined until it is known who pays. */
  made?: { id: string; at: number; quota?: Quota | undefined };
  /** The submission's `at`, if it was charged. `gone`: the first request failed and gave the id back. `expired`: nobody can say. */
  since(): Promise<number | "gone" | "expired">;
}

/** One call of a client to a route of the board. */
export interface ScoreCall extends Call, Once {}

/** A commitment counts once, whoever names the call. */
export function onceOf({ store, options }: Kernel, proof: Commitment): Once & { made: { quota: Quota } } {
  const quota = commitmentQuota(proof, options.clockTolerance);
  return {
    code: "COMMITMENT_USED",
    reason: "commitment_used",
    made: { id: proof.jti, at: proof.ts, quota },
    since: async () => {
      const [state] = (await store.spend([{ ...quota, cost: 0 }])).states;
      return state?.why === "full" ? proof.ts : state?.why ? "expired" : "gone";
    },
  };
}

/**
 * The call that a request belongs to, by its `Idempotency-Key`; undefined without one. Its id is a MAC of the key, the player and
 * `about`. So the same key of another player is another call, and nobody can name a submission of somebody else.
 *
 * @param about what the key is for; the same key for something else is another call
 * @throws {Refusal} BODY_INVALID: the header is malformed, or there twice
 */
export function callOf({ kernel, request }: RouteContext, ...about: readonly string[]): ScoreCall | undefined {
  const header = request.headers.get(IDEMPOTENCY_HEADER);
  if (header === null) return undefined;
  const idempotencyKey = KEY.exec(header)?.[1];
  if (idempotencyKey === undefined) throw new Refusal("BODY_INVALID");
  /** Milliseconds. The end of the id in the store minus this is when the first request was made. */
  let lasts = 0;
  const call: ScoreCall = {
    code: "REQUEST_REPLAYED",
    reason: "request_replayed",
    guest: () => idOf(kernel, ["guest", "", "", idempotencyKey]),
    async once({ player, session, key, life }: Payer) {
      const id = await idOf(kernel, ["call", player, ...about, idempotencyKey], key);
      const at = kernel.clock();
      call.made = { id, at };
      // A request that pays with no session stores no id: strangers would fill the store. The board alone recognises its repeat.
      if (session === undefined) return undefined;
      // In the same partition as the session's counter, so that one round trip charges both.
      const quota = { key: usesKey("jti", session, id), limit: 1, expiresAt: at + life };
      lasts = life;
      call.made.quota = quota;
      const { code, reason } = call;
      return { quota, code, reason, beside: true };
    },
    async since() {
      if (!call.made?.quota) return "gone";
      // A store keeps the later of two ends. Asked with an early one, it returns the end that the first request wrote.
      const asked = { ...call.made.quota, cost: 0, expiresAt: kernel.clock() + AHEAD };
      const [state] = (await kernel.store.spend([asked])).states;
      return state?.why === "full" ? state.resetAt - lasts : state?.why ? "expired" : "gone";
    },
  };
  return call;
}

/** 22 characters; without a signing secret a digest, which is enough to tell calls apart. */
async function idOf({ subkeys }: Kernel, parts: readonly string[], key?: number): Promise<string> {
  return subkeys ? shortMac(subkeys, "jti/1", parts, key) : short(await sha256(concatBytes(...parts.map(lp))));
}
