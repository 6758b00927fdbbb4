import * as z from "zod/mini";
import type { EventReason } from "../events/types.ts";
import type { Admitted, Route, RouteContext } from "../gate/types.ts";
import { type CommitmentAnswer, type Level, PATH, type PublicCode, type ScoreReceipt } from "../protocol.ts";
import { randomId } from "../util/random.ts";
import type { ScoreEntry } from "./board.ts";
import { COMMITMENT_TTL, type Commitment, commitmentQuota, readCommitment, signCommitment } from "./commitment.ts";
import { cleanName } from "./names.ts";
import type { Board, Settled } from "./options.ts";
import { periodsOf } from "./periods.ts";
import { levelNumber, nextScore } from "./ranking.ts";

/** A fraction, -0, 1e400 or a text is no score of any board. */
const scoreSchema = z.number().check(z.refine((score) => Number.isSafeInteger(score) && !Object.is(score, -0)));
const name = z.optional(z.string());
const board = z.optional(z.string());
const submissionSchema = z.union([z.strictObject({ score: scoreSchema, name, board }), z.strictObject({ commitment: z.string(), name })]);
const commitmentSchema = z.strictObject({ score: scoreSchema, board });

/** What a request asks to be written, checked as far as it can be without the store. */
interface Claim {
  board: Board;
  score: number;
  /** Cleaned. */
  name: string | undefined;
  proof: Commitment | undefined;
}

type Refuse = (code: PublicCode, reason: EventReason, player?: string) => Response;

/** `POST /commitments`: signs that this player claims this score now. */
export function commitRoute(settled: Settled): Route {
  return {
    method: "POST",
    path: PATH.commitments,
    async handle(ctx) {
      const { kernel } = ctx;
      const given = await ctx.body(commitmentSchema);
      const refuse = rejector(ctx);
      const checked = check(settled, given.board, given.score, "claimed", refuse);
      if (checked instanceof Response) return checked;
      const admission = await ctx.admit({ action: settled.action, limits: ["scores.commit"] });
      if (!admission.ok) return admission.response;
      const { player, claims } = admission;
      // What a mode let pass is never signed: the token would outlive the mode.
      if (admission.level === "none" || !kernel.tokens || player === undefined) return ctx.respond(200, { dryRun: true });
      const { name } = checked;
      const about = { score: given.score, ts: kernel.clock(), game: name, board: name, sub: player, level: "claimed" } as const;
      const commitment = await undoing(admission, signCommitment(kernel.tokens, about));
      ctx.emit("score_committed", { outcome: "allow", player, ...(claims && { session: claims.jti }) });
      const answer: CommitmentAnswer = { commitment, expiresIn: COMMITMENT_TTL };
      return ctx.respond(200, answer);
    },
  };
}

/** `POST /scores`: one spend of session, limits and commitment, then the row. */
export function submitRoute(settled: Settled): Route {
  return {
    method: "POST",
    path: PATH.scores,
    async handle(ctx) {
      const { kernel } = ctx;
      const refuse = rejector(ctx);
      const claim = await readClaim(ctx, settled, refuse);
      if (claim instanceof Response) return claim;
      const { proof } = claim;
      // Before the spend: somebody else's attempt must not use a commitment up.
      const holder = proof && (await ctx.session());
      if (proof && holder && holder.sub !== proof.sub) return refuse("WRONG_PLAYER", "wrong_player", holder.sub);
      const quota = proof && commitmentQuota(proof, kernel.options.clockTolerance);
      const once = { code: "COMMITMENT_USED", reason: "commitment_used" } as const;
      const admission = await ctx.admit({
        action: settled.action,
        limits: ["scores.write"],
        quotas: quota ? [{ quota, ...once }] : [],
      });
      if (!admission.ok) {
        if (admission.code !== once.code || !proof) return admission.response;
        // The player, by a session or by a fresh token with the player token beside it.
        return admission.player === proof.sub ? again(ctx, settled, { ...claim, proof }, refuse) : refuse(once.code, once.reason);
      }
      // The refusal is the client's doing and stays charged; the commitment is still good.
      const keep = async (response: Response): Promise<Response> => {
        if (quota) await kernel.store.refund([quota], kernel.clock());
        return response;
      };
      const player = admission.level === "none" && proof ? proof.sub : admission.player;
      if (player === undefined) throw new TypeError("Cannot submit the score: the admission names no player");
      if (proof && player !== proof.sub) return keep(refuse("WRONG_PLAYER", "wrong_player", player));
      const name = await undoing(admission, claim.board.namer.nameOf(claim.name, player));
      if (name === null) return keep(refuse("NAME_INVALID", "name", player));
      return undoing(admission, write(ctx, settled, claim, { player, name }, refuse, admission));
    },
  };
}

/** The body and what can be said of it by itself: cheap, and before anything is charged. */
async function readClaim(ctx: RouteContext, settled: Settled, refuse: Refuse): Promise<Claim | Response> {
  const given = await ctx.body(submissionSchema);
  const name = given.name === undefined ? undefined : cleanName(given.name);
  if (name === null) return refuse("NAME_INVALID", "name");
  if (!("commitment" in given)) {
    const found = check(settled, given.board, given.score, "claimed", refuse);
    if (found instanceof Response) return found;
    if (found.require === "commitment") {
      return refuse("COMMITMENT_INVALID", "commitment_required");
    }
    return { board: found, score: given.score, name, proof: undefined };
  }
  const read = await readCommitment(ctx.kernel.tokens, given.commitment);
  if (!read.ok) return refuse(read.code, read.reason);
  const proof = read.commitment;
  const found = check(settled, proof.board, proof.score, proof.level, refuse);
  return found instanceof Response ? found : { board: found, score: proof.score, name, proof };
}

/** The board, if it takes such a score. */
function check(settled: Settled, name: string | undefined, score: number, level: Level, refuse: Refuse): Board | Response {
  const found = name === undefined ? settled.first : settled.boards.get(name);
  if (!found) return refuse("NOT_FOUND", "invalid");
  const { min, max } = found.rules;
  if (score < min || score > max) return refuse("SCORE_INVALID", "score_bounds");
  return levelNumber(level) < levelNumber(found.minLevel) ? refuse("LEVEL_TOO_LOW", "level") : found;
}

/** The one board write. */
async function write(
  ctx: RouteContext,
  settled: Settled,
  claim: Claim,
  { player, name }: { player: string; name: string },
  refuse: Refuse,
  admission: Admitted,
): Promise<Response> {
  const { status, ...receipt } = await settled.store.submit(entryOf(ctx, claim, player, name), rulesOf(ctx, claim));
  if (status === "banned") return refuse("PLAYER_BANNED", "player_banned", player);
  if (receipt.id === "") return refuse("COMMITMENT_USED", "commitment_used", player);
  if (status === "repeated") return ctx.respond(200, receipt);
  const { claims, degraded, dryRun } = admission;
  ctx.emit("score_accepted", {
    outcome: "allow",
    player,
    ...(claims && { session: claims.jti }),
    ...(claim.proof?.run !== undefined && { run: claim.proof.run }),
    ...(degraded && { degraded }),
    ...(dryRun && { dry_run: dryRun }),
  });
  return ctx.respond(201, receipt satisfies ScoreReceipt);
}

/** The commitment was used before, by this very player: a retry. Answered with the row as it stands, and charged, or it would be free reading. */
async function again(ctx: RouteContext, settled: Settled, claim: Claim & { proof: Commitment }, refuse: Refuse): Promise<Response> {
  const { kernel } = ctx;
  const { proof, board } = claim;
  const player = proof.sub;
  const admission = await ctx.admit({ open: true, limits: ["scores.read"] });
  if (!admission.ok) return admission.response;
  const { states } = await kernel.store.spend([{ ...commitmentQuota(proof, kernel.options.clockTolerance), cost: 0 }]);
  // Over, or older than a store that forgot what was spent before it started: nobody can say that it was used.
  if (states[0]?.why !== "full") return refuse("COMMITMENT_EXPIRED", "expired", player);
  const row = await settled.store.ofPlayer({ board: board.name, period: "all", player });
  const entry = entryOf(ctx, claim, player, "");
  if (row && (row.submission === proof.jti || nextScore(row, entry, rulesOf(ctx, claim)) === null)) {
    return ctx.respond(200, { id: row.id, rank: row.rank, best: row.submission === proof.jti } satisfies ScoreReceipt);
  }
  // Charged but not seen on the board: written this instant by a twin of this request, removed since, or lost between store and board, where the
  // player must not pay for it. The board takes each submission once, so that asking it again is safe.
  const name = await board.namer.nameOf(claim.name, player);
  if (name === null) return refuse("NAME_INVALID", "name", player);
  return write(ctx, settled, claim, { player, name }, refuse, admission);
}

function entryOf({ kernel }: RouteContext, { board: { name: board }, score, proof }: Claim, player: string, name: string): ScoreEntry {
  const { jti = randomId(kernel.random), ts: at = kernel.clock(), level = "claimed", flags = [] } = proof ?? {};
  return { board, player, score, at, submission: jti, level, flags, name };
}

/** Periods by the server's clock when the score was committed to: whoever types a name over midnight is on the board of the day that was played. */
function rulesOf({ kernel }: RouteContext, { board, proof }: Claim): Board["rules"] & { periods: readonly string[] } {
  return { ...board.rules, periods: periodsOf(proof?.ts ?? kernel.clock()) };
}

/** Refuses, and says so in an event: never with a name in it. */
function rejector(ctx: RouteContext): Refuse {
  return (code, reason, player) => {
    ctx.emit("score_rejected", { outcome: "deny", code, reason, ...(player !== undefined && { player }) });
    return ctx.refuse(code);
  };
}

/** Waits for work of our own; when it fails, the client has paid for nothing and gets back what was charged. */
async function undoing<T>(admission: Admitted, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    await admission.undo();
    throw error;
  }
}
