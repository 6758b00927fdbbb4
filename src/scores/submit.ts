import * as z from "zod/mini";
import type { EventReason } from "../events/types.ts";
import type { Admitted, Route, RouteContext } from "../gate/types.ts";
import { type Level, PATH, type PublicCode, type ScoreReceipt } from "../protocol.ts";
import { randomId } from "../util/random.ts";
import type { BoardRules, ScoreBoard, ScoreEntry, ScoreRow } from "./board.ts";
import { callOf, type Once, onceOf } from "./call.ts";
import { type Commitment, readCommitment } from "./commitment.ts";
import type { ScoreData } from "./data.ts";
import { cleanName, type StoredName } from "./names.ts";
import type { Board, Settled } from "./options.ts";
import { levelNumber, nextScore, periodsIn, viewOf } from "./ranking.ts";

/** A fraction, -0, 1e400 or a text is no score of any board. */
export const scoreSchema: z.ZodMiniType<number> = z
  .number()
  .check(z.refine((score) => Number.isSafeInteger(score) && !Object.is(score, -0)));
const name = z.optional(z.string());
const board = z.optional(z.string());
const data = z.optional(z.unknown());
const submissionSchema = z.union([
  z.strictObject({ score: scoreSchema, name, board, data }),
  z.strictObject({ commitment: z.string(), name }),
]);

/** What a request asks to be written, checked as far as it can be without the store. */
interface Claim {
  board: Board;
  score: number;
  /** Cleaned. */
  name: string | undefined;
  proof: Commitment | undefined;
  data: ScoreData;
}

export type Refuse = (code: PublicCode, reason: EventReason, player?: string) => Response;

/** `POST /scores`: one spend of session, limits and the one-use id of the commitment or call, then the row. */
export function submitRoute(settled: Settled): Route {
  return {
    method: "POST",
    path: PATH.scores,
    async handle(ctx) {
      const { kernel } = ctx;
      const refuse = rejector(ctx);
      const claim = await readClaim(ctx, settled, refuse);
      if (claim instanceof Response) return claim;
      const { proof, board } = claim;
      // A gate that writes nothing unchecked takes none of what one of the same secret signed unchecked.
      if (proof?.deg && kernel.options.onUnavailable !== "degraded") return refuse("COMMITMENT_INVALID", "misconfigured");
      const call = callOf(ctx, "score", board.name);
      // Before the spend: somebody else's attempt must not use a commitment up.
      const holder = proof && (await ctx.session());
      if (proof && holder && holder.sub !== proof.sub) return refuse("WRONG_PLAYER", "wrong_player", holder.sub);
      const signed = proof && onceOf(kernel, proof);
      const once = signed ?? call;
      const paid = signed ? { quotas: [{ ...signed, quota: signed.made.quota }] } : { call };
      const admission = await ctx.admit({ action: settled.action, limits: ["scores.write"], ...paid });
      if (!admission.ok) {
        const { code, player, response } = admission;
        if (!once?.made || code !== once.code || player === undefined) return response;
        // The player, by a session or by a fresh token with the player token beside it.
        return proof && player !== proof.sub ? refuse(once.code, once.reason) : again(ctx, settled, claim, once, player, refuse);
      }
      // The refusal is the client's doing and stays charged; the commitment is still good.
      const keep = async (response: Response): Promise<Response> => {
        if (signed) await kernel.store.refund([signed.made.quota], kernel.clock());
        return response;
      };
      const player = admission.level === "none" && proof ? proof.sub : admission.player;
      if (player === undefined) throw new TypeError("Cannot submit the score: the admission names no player");
      if (proof && player !== proof.sub) return keep(refuse("WRONG_PLAYER", "wrong_player", player));
      const name = await undoing(admission, board.namer.nameOf(claim.name, player));
      if (name === null) return keep(refuse("NAME_INVALID", "name", player));
      const { id = randomId(kernel.random), at = kernel.clock() } = once?.made ?? {};
      return undoing(admission, write(ctx, settled, claim, entryOf(claim, id, at, player, name), once, refuse, admission));
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
    const data = await readData(found, given.data, refuse);
    return data instanceof Response ? data : { board: found, score: given.score, name, proof: undefined, data };
  }
  const read = await readCommitment(ctx.kernel.tokens, given.commitment);
  if (!read.ok) return refuse(read.code, read.reason);
  const proof = read.commitment;
  const found = check(settled, proof.board, proof.score, proof.level, refuse);
  if (found instanceof Response) return found;
  const { data, tag } = proof;
  return {
    board: found,
    score: proof.score,
    name,
    proof,
    data: { ...(data !== undefined && { data }), ...(tag !== undefined && { tag }) },
  };
}

/** What came with a score, as the board keeps it. */
export async function readData({ data }: Board, given: unknown, refuse: Refuse): Promise<ScoreData | Response> {
  if (!data) return given === undefined ? {} : refuse("DATA_INVALID", "score_data");
  return (await data(given)) ?? refuse("DATA_INVALID", "score_data");
}

/** The board, if it takes such a score. */
export function check(settled: Settled, name: string | undefined, score: number, level: Level, refuse: Refuse): Board | Response {
  const found = settled.find(name);
  if (!found) return refuse("NOT_FOUND", "invalid");
  const { min, max } = found.rules;
  if (score < min || score > max) return refuse("SCORE_INVALID", "score_bounds");
  return levelNumber(level) < levelNumber(found.minLevel) ? refuse("LEVEL_TOO_LOW", "level") : found;
}

/** The one board write. */
async function write(
  ctx: RouteContext,
  settled: Settled,
  { proof, board }: Claim,
  entry: ScoreEntry,
  once: Once | undefined,
  refuse: Refuse,
  { claims, degraded, dryRun }: Admitted,
): Promise<Response> {
  const { player } = entry;
  const { status, ...receipt } = await settled.store.submit(entry, rulesOf(board, entry));
  if (status === "banned") return refuse("PLAYER_BANNED", "player_banned", player);
  if (status === "taken") {
    // Nothing was written: the commitment is good for another name.
    if (proof && once?.made?.quota) await ctx.kernel.store.refund([once.made.quota], ctx.kernel.clock());
    return refuse("NAME_TAKEN", "name_taken", player);
  }
  if (receipt.id === "") return refuse(once?.code ?? "REQUEST_REPLAYED", once?.reason ?? "request_replayed", player);
  if (status === "repeated") return ctx.respond(200, receipt);
  ctx.emit("score_accepted", {
    outcome: "allow",
    player,
    ...(claims && { session: claims.jti }),
    ...(proof?.run !== undefined && { run: proof.run }),
    ...(degraded && { degraded }),
    ...(dryRun && { dry_run: dryRun }),
  });
  return ctx.respond(201, receipt satisfies ScoreReceipt);
}

/** The one-use id was used before, by this very player: a repeat. Answered with the row as it stands, and charged, or it would be free reading. */
async function again(ctx: RouteContext, settled: Settled, claim: Claim, once: Once, player: string, refuse: Refuse): Promise<Response> {
  const { board, proof } = claim;
  const admission = await ctx.admit({ open: true, limits: ["scores.read"] });
  if (!admission.ok) return admission.response;
  const at = await once.since();
  // Its first request failed meanwhile and gave the id back: nothing was paid for, and nothing may be written.
  if (at === "gone") return ctx.refuse("UNAVAILABLE");
  // Over, or older than a store that forgot what was spent before it started: nobody can say that it was used.
  if (at === "expired") return proof ? refuse("COMMITMENT_EXPIRED", "expired", player) : refuse(once.code, once.reason, player);
  const entry = entryOf(claim, once.made?.id ?? "", at, player, { name: "" });
  const row = await standing(settled.store, entry, rulesOf(board, entry));
  if (row) return ctx.respond(200, { id: row.id, rank: row.rank, best: row.submission === entry.submission } satisfies ScoreReceipt);
  // Charged but not seen on the board: written this instant by a twin of this request, hidden or removed since, or lost between store and board, where the
  // player must not pay for it. The board takes each submission once, so that asking it again is safe; and it alone knows who is banned.
  const name = await board.namer.nameOf(claim.name, player);
  if (name === null) return refuse("NAME_INVALID", "name", player);
  return write(ctx, settled, claim, { ...entry, ...name }, once, refuse, admission);
}

/** The player's row, if it is shown and this entry would change neither it nor that of another period. */
async function standing(store: ScoreBoard, entry: ScoreEntry, rules: BoardRules): Promise<ScoreRow | undefined> {
  const { board, player, submission } = entry;
  let first: ScoreRow | undefined;
  for (const { key: period } of periodsIn(rules)) {
    const row = await store.ofPlayer({ ...viewOf(rules), board, period, player });
    if (!row || row.hidden) return undefined;
    first ??= row;
    // All periods are written at once.
    if (row.submission === submission) return first;
    if (nextScore(row, entry, rules) !== null) return undefined;
  }
  return first;
}

function entryOf({ board, score, proof, data }: Claim, submission: string, at: number, player: string, name: StoredName): ScoreEntry {
  const { level = "claimed", flags = [] } = proof ?? {};
  return { board: board.name, player, score, at, submission, level, flags, ...name, ...data };
}

/** Periods by the server's clock when the score was committed to: whoever types a name over midnight is on the board of the day that was played. */
function rulesOf({ rules, calendar }: Board, { at }: ScoreEntry): BoardRules {
  return { ...rules, periods: calendar.toWrite(at) };
}

/** Refuses, and says so in an event: never with a name in it. */
export function rejector(ctx: RouteContext): Refuse {
  return (code, reason, player) => {
    ctx.emit("score_rejected", { outcome: "deny", code, reason, ...(player !== undefined && { player }) });
    return ctx.refuse(code);
  };
}

/** Waits for work of our own; when it fails, the client has paid for nothing and gets back what was charged. */
export async function undoing<T>(admission: Admitted, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    await admission.undo();
    throw error;
  }
}
