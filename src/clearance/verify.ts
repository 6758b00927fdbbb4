import * as z from "zod/mini";
import { isGatepassError } from "../errors.ts";
import type { EventFields, EventReason } from "../events/types.ts";
import { shortMac } from "../gate/secrets.ts";
import type { Admission, Kernel, Route, RouteContext } from "../gate/types.ts";
import type { Subjects } from "../limits/types.ts";
import { type ClearanceAnswer, MAX_TURNSTILE_TOKEN, type PublicCode, VERIFY_PATH } from "../protocol.ts";
import { usesKey } from "../store/index.ts";
import type { Settled } from "./options.ts";
import { type ChallengeClaims, MAX_CHALLENGE } from "./tokens.ts";

const name = z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/));
const schema = z.strictObject({
  challenge_id: z.string().check(z.minLength(1), z.maxLength(MAX_CHALLENGE)),
  turnstile_token: z.string().check(z.minLength(1), z.maxLength(MAX_TURNSTILE_TOKEN)),
  original_request_id: name,
  device_id: z.optional(name),
  app_version: z.optional(name),
});
type Body = z.infer<typeof schema>;

/** The limit that counts failures: charged with each attempt, and given back when it succeeds. */
const FAILURES = "clearance.failures";
/** The code for a challenge that was used already. */
const CLAIMED = "SECURITY_VERIFICATION_FAILED";

/**
 * `POST /security/turnstile/verify`: exchanges a solved challenge for a clearance. Every refused challenge or token
 * gets the same public answer; the event tells the reason.
 *
 * Only rates are stored until siteverify has confirmed the token. Otherwise attackers with junk tokens would fill the
 * store with one-use ids, which it must not forget.
 */
export function verifyRoute({ clearanceTokens, counters }: Settled, kernel: Kernel): Route {
  const { turnstile, options, store, subkeys } = kernel;

  return {
    method: "POST",
    path: VERIFY_PATH,
    async handle(ctx) {
      const body = await ctx.body(schema);
      const { app_version } = body;
      const subjects: Subjects = { device: body.device_id };
      const who = await clearanceTokens.whoIs({ device: body.device_id, user: undefined });
      const about = (): Partial<EventFields> => ({ ...who, action: challenge?.act, challenge_id: challenge?.jti, app_version });
      let challenge: ChallengeClaims | undefined;
      const refuse = (reason: EventReason, code: PublicCode = "SECURITY_VERIFICATION_FAILED"): Response => {
        const type = reason === "challenge_used" ? "app_clearance_replay_detected" : "turnstile_siteverify_failed";
        ctx.emit(type, { outcome: "deny", reason, code, ...about() });
        return ctx.refuse(code);
      };
      const limited = ({ code, retryAfter }: Admission & { ok: false }): Response => {
        if (code !== "RATE_LIMITED") return ctx.refuse(code);
        ctx.emit("security_verification_limited", { outcome: "deny", reason: "full", code: "SECURITY_VERIFICATION_LIMITED", ...about() });
        return ctx.refuse("SECURITY_VERIFICATION_LIMITED", { retryAfter: retryAfter ?? 1 });
      };

      // Check the MAC before anything is stored: an attacker who makes up ids adds nothing to the store.
      try {
        challenge = await clearanceTokens.readChallenge(body.challenge_id);
      } catch (error) {
        if (!isGatepassError(error)) throw error;
        return refuse(error.code === "ERR_TOKEN_EXPIRED" ? "challenge_expired" : "challenge_invalid");
      }
      // An attacker who overhears a challenge does not have its device. One who steals a token does not have its
      // challenge.
      const { dev } = await clearanceTokens.bind(
        { device: body.device_id, prefix: undefined, session: undefined, user: undefined },
        challenge.key,
      );
      if (challenge.dev !== dev || challenge.rid !== body.original_request_id) return refuse("challenge_binding");
      // In mode `off` Cloudflare is not asked and nothing is signed; the client goes on without a clearance.
      if (options.mode === "off") return ctx.respond(200, { dryRun: true });

      // Charge the failure before the answer is known, and give it back if the attempt succeeds. Otherwise a hundred
      // guesses at once would all pass before the first one is counted.
      const names = ["clearance.attempts", FAILURES];
      const attempt = await ctx.admit({ open: true, limits: names, failures: [FAILURES], strict: true, subjects });
      if (!attempt.ok) return limited(attempt);
      let judged = false;
      const failed = async (response: Response): Promise<Response> => {
        judged = true;
        await counters.failed({ ...subjectsOf(ctx), ...subjects });
        return response;
      };
      try {
        ctx.emit("turnstile_token_received", { outcome: "info", ...about() });
        const { code, extra } = await ask(ctx, challenge, body);
        if (code && code !== "UNAVAILABLE") return await failed(ctx.refuse(code));
        // Cloudflare is down or the secret is wrong: not the visitor's failure. The same challenge and token may come
        // again.
        if (code) {
          await attempt.undo();
          return ctx.refuse(code);
        }
        // Sign before the claim: nothing may fail between the claim and the answer, or the visitor would lose the
        // solve.
        const { token, ttl, uses } = await clearanceTokens.clearance(challenge, body.turnstile_token, extra);
        const issued = await claim(ctx, challenge, body, subjects, extra.deg === true);
        if (issued === "challenge_used" || issued === "challenge_expired") return await failed(refuse(issued));
        await attempt.undo();
        if (issued && !issued.ok) return limited(issued);
        ctx.emit("app_clearance_issued", { outcome: "allow", ...about(), ephemeral_id: extra.eid, degraded: extra.deg });
        const result: ClearanceAnswer = { app_clearance_token: token, expires_in: ttl, scope: challenge.scope, max_uses: uses };
        return ctx.respond(200, result);
      } catch (error) {
        // A store that is down is not the visitor's fault, so the attempt is given back. A failure that was already
        // judged stays charged, also where counting it as a signal failed.
        if (!judged) await attempt.undo();
        throw error;
      }
    },
  };

  /**
   * Counts the clearance and claims the challenge for this token, in one spend. If two tokens solve one challenge, the
   * first one wins and the other is refused. The same token may come again, since its answer may have been lost. Then
   * the result is undefined, and the same clearance is signed again.
   */
  async function claim(
    ctx: RouteContext,
    { jti, exp, iat }: ChallengeClaims,
    { turnstile_token }: Body,
    subjects: Subjects,
    degraded: boolean,
  ): Promise<Admission | "challenge_used" | "challenge_expired" | undefined> {
    const charge = { open: true, limits: ["clearance.issued"], strict: true, subjects };
    // While Cloudflare is down any text passes for a token. A claim would limit nothing, and would store a one-use id
    // for each text.
    if (degraded) return ctx.admit(charge);
    const life = { limit: 1, expiresAt: (exp + 2 * options.clockTolerance) * 1000, issuedAt: iat * 1000 + 999 };
    const claims = [usesKey("chal", jti), usesKey("chal", jti, turnstile_token)].map((key) => ({ key, ...life }));
    const won = await ctx.admit({ ...charge, quotas: claims.map((quota) => ({ quota, code: CLAIMED })) });
    if (won.ok || won.code !== CLAIMED) return won;
    const [of, own] = (await store.spend(claims.map((quota) => ({ ...quota, cost: 0 })))).states;
    // The challenge has expired by the store's clock, or a store in memory is younger than the challenge. Neither means
    // that it was used.
    if (of?.why === "expired" || of?.why === "forgotten") return "challenge_expired";
    return own?.why === "full" ? undefined : "challenge_used";
  }

  /** Asks Cloudflare. `code`: the refusal; undefined: a clearance may be issued. */
  async function ask(
    ctx: RouteContext,
    challenge: ChallengeClaims,
    { turnstile_token: token, app_version, device_id }: Body,
  ): Promise<{ code?: PublicCode; extra: { eid?: string; deg?: boolean } }> {
    const dry_run = options.mode !== "enforce" || undefined;
    const result = await turnstile?.verify(token, {
      action: challenge.act,
      cdata: challenge.jti,
      ...(ctx.info.address !== undefined && { remoteip: ctx.info.address }),
      idempotencyKey: await clearanceTokens.idempotencyKey(challenge, token),
    });
    const who = await clearanceTokens.whoIs({ device: device_id, user: undefined });
    const about = { ...who, challenge_id: challenge.jti, action: challenge.act, app_version, latency_ms: result?.latencyMs, dry_run };
    if (!result) {
      ctx.emit("turnstile_siteverify_failed", { outcome: "error", reason: "misconfigured", code: "UNAVAILABLE", ...about });
      return { code: "UNAVAILABLE", extra: {} };
    }
    if (result.ok) {
      const eid = result.ephemeralId && subkeys ? await shortMac(subkeys, "bind/1", ["eid", result.ephemeralId]) : undefined;
      ctx.emit("turnstile_siteverify_success", { outcome: "allow", ephemeral_id: eid, ...about });
      // A store error here only loses a signal: the visitor did solve the challenge.
      if (eid) await counters.seen(eid, subjectsOf(ctx)).catch(() => undefined);
      return { extra: { ...(eid !== undefined && { eid }) } };
    }
    const down = result.reason === "timeout" || result.reason === "unavailable";
    const degraded = down && options.onUnavailable === "degraded";
    const ours = down || result.reason === "misconfigured";
    const code = ours ? "UNAVAILABLE" : "SECURITY_VERIFICATION_FAILED";
    const type = down ? "turnstile_siteverify_timeout" : "turnstile_siteverify_failed";
    const { reason, errorCodes: error_codes } = result;
    // Report a wrong configuration once, not with each request.
    if (!result.repeated) ctx.emit(type, { outcome: ours ? "error" : "deny", reason, code, error_codes, ...about });
    return degraded ? { extra: { deg: true } } : { code, extra: {} };
  }
}

function subjectsOf({ info }: RouteContext): Subjects {
  return { ip: info.ip, "ip-prefix": info.ipPrefix };
}
