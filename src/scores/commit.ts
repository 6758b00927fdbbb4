import * as z from "zod/mini";
import type { Route, RouteContext } from "../gate/types.ts";
import { type CommitmentAnswer, PATH } from "../protocol.ts";
import { callOf, type ScoreCall } from "./call.ts";
import { COMMITMENT_TTL, signCommitment } from "./commitment.ts";
import type { Settled } from "./options.ts";
import { check, readData, rejector, scoreSchema, undoing } from "./submit.ts";

const commitmentSchema = z.strictObject({ score: scoreSchema, board: z.optional(z.string()), data: z.optional(z.unknown()) });

/** `POST /commitments`: signs that this player claims this score now. */
export function commitRoute(settled: Settled): Route {
  return {
    method: "POST",
    path: PATH.commitments,
    async handle(ctx) {
      const { tokens, clock } = ctx.kernel;
      const { score, board, data: given } = await ctx.body(commitmentSchema);
      const refuse = rejector(ctx);
      const checked = check(settled, board, score, "claimed", refuse);
      if (checked instanceof Response) return checked;
      const { name } = checked;
      const data = await readData(checked, given, refuse);
      if (data instanceof Response) return data;
      // The score is part of the call: one key signs one score with its data, whatever is sent with it.
      const call = callOf(ctx, "commitment", name, String(score), data.data ?? "");
      const admission = await ctx.admit({ action: settled.action, limits: ["scores.commit"], call });
      const { player } = admission;
      const deg = admission.ok && admission.degraded;
      const sign = async (ts: number): Promise<CommitmentAnswer | { dryRun: true }> => {
        if (!tokens || player === undefined) return { dryRun: true };
        const about = { score, ts, game: name, board: name, sub: player, level: "claimed", ...data, ...(deg && { deg }) } as const;
        const commitment = await signCommitment(tokens, { ...about, ...(call?.made && { jti: call.made.id }) });
        return { commitment, expiresIn: COMMITMENT_TTL };
      };
      if (!admission.ok) return call?.made && admission.code === call.code ? repeat(ctx, call, sign) : admission.response;
      // What a mode let pass is never signed: the token would outlive the mode.
      if (admission.level === "none") return ctx.respond(200, { dryRun: true });
      const answer = await undoing(admission, sign(call?.made?.at ?? clock()));
      ctx.emit("score_committed", { outcome: "allow", player, ...(admission.claims && { session: admission.claims.jti }) });
      return ctx.respond(200, answer);
    },
  };
}

/** A call that was paid before: the same commitment again, charged as a read, or it would be free signing. */
async function repeat(ctx: RouteContext, call: ScoreCall, sign: (ts: number) => Promise<object>): Promise<Response> {
  // Nobody can tell whether the first request was admitted or only let pass by the mode.
  if (ctx.kernel.options.mode !== "enforce") return ctx.respond(200, { dryRun: true });
  const admission = await ctx.admit({ open: true, limits: ["scores.read"] });
  if (!admission.ok) return admission.response;
  const since = await call.since();
  if (typeof since === "number") return ctx.respond(200, await sign(since));
  return ctx.refuse(since === "gone" ? "UNAVAILABLE" : call.code);
}
