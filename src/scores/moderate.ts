import * as z from "zod/mini";
import type { EventReason } from "../events/types.ts";
import type { Route, RouteContext } from "../gate/types.ts";
import { PATH } from "../protocol.ts";
import { timingSafeEqual, utf8 } from "../util/bytes.ts";
import { sha256 } from "../util/hmac.ts";
import type { ScoreRow } from "./board.ts";
import type { Settled } from "./options.ts";
import { periodsOf } from "./periods.ts";

const hideSchema = z.strictObject({ hidden: z.optional(z.boolean()) });
const banSchema = z.strictObject({ banned: z.optional(z.boolean()) });
const emptySchema = z.strictObject({});

/** Does something to a row or its player, and tells what was done. */
type Deed = (settled: Settled, row: ScoreRow, ctx: RouteContext) => Promise<EventReason>;

/** The routes behind the moderation bearer; none without a token. */
export function moderationRoutes(settled: Settled): Route[] {
  const { store, boards, moderators } = settled;
  if (!moderators) return [];
  const route = (method: string, path: string, deed: Deed): Route => ({
    method,
    path: `${PATH.scores}/:id${path}`,
    async handle(ctx) {
      const refused = await authorise(ctx, moderators);
      if (refused) return refused;
      const row = await store.find(ctx.params["id"] ?? "");
      // The storage may hold the boards of other gates: their rows are not this gate's moderators' business.
      if (!row || !boards.has(row.board)) return ctx.refuse("NOT_FOUND");
      const reason = await deed(settled, row, ctx);
      const lifted = reason === "moderation_show" || reason === "moderation_unban";
      ctx.emit(lifted ? "score_accepted" : "score_rejected", { outcome: "info", reason, player: row.player });
      return ctx.respond(204, undefined);
    },
  });
  return [
    route("DELETE", "", async (_, row) => {
      for (const id of await sameSubmission(settled, row)) await store.remove(id);
      return "moderation_remove";
    }),
    route("POST", "/hide", async (_, row, ctx) => {
      const { hidden = true } = await optionalBody(ctx, hideSchema, {});
      for (const id of await sameSubmission(settled, row)) await store.hide(id, hidden);
      return hidden ? "moderation_hide" : "moderation_show";
    }),
    route("POST", "/ban", async (_, { player }, ctx) => {
      const { banned = true } = await optionalBody(ctx, banSchema, {});
      await store.ban(player, banned);
      return banned ? "moderation_ban" : "moderation_unban";
    }),
    route("POST", "/purge", async (_, { player }, ctx) => {
      await optionalBody(ctx, emptySchema, {});
      await store.purge(player);
      return "moderation_purge";
    }),
  ];
}

/**
 * The ids of a submission's rows in all periods, given one of them. A cheat that is removed from one list must not stay first in another.
 * On a board that adds up, these are the player's rows of all periods: one submission cannot be taken out of a sum.
 */
async function sameSubmission({ store, boards }: Settled, row: ScoreRow): Promise<string[]> {
  const { id, board, player, submission, at } = row;
  const sums = boards.get(board)?.rules.operator === "sum";
  const ids = new Set([id]);
  for (const period of periodsOf(at)) {
    const other = await store.ofPlayer({ board, period, player });
    if (other && (sums || other.submission === submission)) ids.add(other.id);
  }
  // The named row comes last: where a call fails in between, it is still there, and the moderator can repeat the request.
  return [...ids].reverse();
}

/** The refusal, if the bearer is none of the moderators'. Failures are counted: charged with the attempt, so that a hundred guesses at once do not slip through. */
async function authorise(ctx: RouteContext, moderators: readonly string[]): Promise<Response | undefined> {
  const admission = await ctx.admit({ open: true, limits: ["moderation"], failures: true, strict: true });
  if (!admission.ok) return admission.response;
  const bearer = /^bearer +(.+)$/i.exec(ctx.request.headers.get("authorization") ?? "")?.[1] ?? "";
  if (await isOneOf(bearer, moderators)) {
    await admission.undo();
    return undefined;
  }
  ctx.emit("high_risk_api_blocked", { outcome: "deny", reason: "unauthorized", code: "UNAUTHORIZED" });
  return ctx.refuse("UNAUTHORIZED");
}

/** Both sides are hashed and every token is compared: the time tells neither a length nor a prefix nor which one it was. */
async function isOneOf(bearer: string, tokens: readonly string[]): Promise<boolean> {
  const given = await sha256(utf8(bearer));
  let found = false;
  for (const token of tokens) found = timingSafeEqual(given, await sha256(utf8(token))) || found;
  return found;
}

/** The body where one was sent; without a content type there is none. */
function optionalBody<T>(ctx: RouteContext, schema: Parameters<typeof ctx.body<T>>[0], none: T): Promise<T> {
  return ctx.request.headers.has("content-type") ? ctx.body(schema) : Promise.resolve(none);
}
