import * as z from "zod/mini";
import type { EventReason } from "../events/types.ts";
import type { Route, RouteContext } from "../gate/types.ts";
import { PATH } from "../protocol.ts";
import { timingSafeEqual, utf8 } from "../util/bytes.ts";
import { sha256 } from "../util/hmac.ts";
import type { ScoreRow } from "./board.ts";
import { cleanName } from "./names.ts";
import type { Settled } from "./options.ts";

/** Below `basePath`: what is done to players, whether or not they have rows. */
const MODERATION = "/moderation";

const hideSchema = z.strictObject({ hidden: z.optional(z.boolean()) });
const banSchema = z.strictObject({ banned: z.optional(z.boolean()) });
const emptySchema = z.strictObject({});
const player = z.string().check(z.minLength(1), z.maxLength(256));
const playerSchema = z.strictObject({ player });
const playerBanSchema = z.strictObject({ player, banned: z.optional(z.boolean()) });
const renameSchema = z.strictObject({ player, name: z.string() });

/** Does something, and tells what was done and to whom. */
type Deed = (ctx: RouteContext) => Promise<{ reason: EventReason; player: string } | Response>;

/** The routes behind the moderation bearer; none without a token. All of them reach the boards of this gate's group alone. */
export function moderationRoutes(settled: Settled): Route[] {
  const { moderators, store, group } = settled;
  if (!moderators) return [];
  const guarded = (method: string, path: string, handle: Route["handle"]): Route => ({
    method,
    path,
    handle: async (ctx) => (await authorise(ctx, moderators)) ?? handle(ctx),
  });
  const deed = (method: string, path: string, act: Deed): Route =>
    guarded(method, path, async (ctx) => {
      const done = await act(ctx);
      if (done instanceof Response) return done;
      const lifted = done.reason === "moderation_show" || done.reason === "moderation_unban";
      ctx.emit(lifted ? "score_accepted" : "score_rejected", { outcome: "info", ...done });
      return ctx.respond(204, undefined);
    });
  const ban = async (who: string, banned = true): Promise<{ reason: EventReason; player: string }> => {
    await store.ban(who, banned, group);
    return { reason: banned ? "moderation_ban" : "moderation_unban", player: who };
  };
  const purge = async (who: string): Promise<{ reason: EventReason; player: string }> => {
    await store.purge(who, group);
    return { reason: "moderation_purge", player: who };
  };
  /** A deed to a row of one of this gate's boards. */
  const ofRow = (method: string, path: string, act: (row: ScoreRow, ctx: RouteContext) => ReturnType<Deed>): Route =>
    deed(method, `${PATH.scores}/:id${path}`, async (ctx) => {
      const row = await store.find(ctx.params["id"] ?? "");
      // The storage may hold the boards of other gates: their rows are not this gate's moderators' business.
      return row && settled.find(row.board) ? act(row, ctx) : ctx.refuse("NOT_FOUND");
    });
  return [
    ofRow("DELETE", "", async ({ id, player: who }) => {
      await store.remove(id);
      return { reason: "moderation_remove", player: who };
    }),
    ofRow("POST", "/hide", async ({ id, player: who }, ctx) => {
      const { hidden = true } = await optionalBody(ctx, hideSchema, {});
      await store.hide(id, hidden);
      return { reason: hidden ? "moderation_hide" : "moderation_show", player: who };
    }),
    ofRow("POST", "/ban", async (row, ctx) => ban(row.player, (await optionalBody(ctx, banSchema, {})).banned)),
    ofRow("POST", "/purge", async (row, ctx) => {
      await optionalBody(ctx, emptySchema, {});
      return purge(row.player);
    }),
    deed("POST", `${MODERATION}/ban`, async (ctx) => {
      const body = await ctx.body(playerBanSchema);
      return ban(body.player, body.banned);
    }),
    deed("POST", `${MODERATION}/purge`, async (ctx) => purge((await ctx.body(playerSchema)).player)),
    deed("POST", `${MODERATION}/rename`, async (ctx) => {
      const body = await ctx.body(renameSchema);
      const name = cleanName(body.name);
      if (name === null) return ctx.refuse("NAME_INVALID");
      const changed = await store.rename(body.player, name, { group });
      return changed ? { reason: "moderation_rename", player: body.player } : ctx.refuse("NAME_TAKEN");
    }),
    guarded("GET", `${MODERATION}/hidden`, async (ctx) => {
      const page = pageIn(ctx);
      if (!page) return ctx.refuse("BODY_INVALID");
      const rows = await store.hidden({ group, ...page });
      return ctx.respond(200, { hidden: rows, ...nextOf(rows.length, page.limit, rows.at(-1)?.id) });
    }),
    guarded("GET", `${MODERATION}/banned`, async (ctx) => {
      const page = pageIn(ctx);
      if (!page) return ctx.refuse("BODY_INVALID");
      const players = await store.banned({ group, ...page });
      return ctx.respond(200, { banned: players, ...nextOf(players.length, page.limit, players.at(-1)) });
    }),
  ];
}

/** What a page of a list is asked by; undefined where it is asked wrongly. */
function pageIn({ url }: RouteContext): { limit: number; after?: string } | undefined {
  const keys = [...url.searchParams.keys()];
  const [limit = "100", after] = ["limit", "after"].map((name) => url.searchParams.get(name) ?? undefined);
  const known = new Set(keys).size === keys.length && keys.every((key) => key === "limit" || key === "after");
  if (!known || !/^([1-9]\d{0,2}|1000)$/.test(limit) || (after !== undefined && after.length > 256)) return undefined;
  return { limit: Number(limit), ...(after !== undefined && { after }) };
}

/** What brings the next page, where there may be one. */
function nextOf(length: number, limit: number, last: string | undefined): { next?: string } {
  return length === limit && last !== undefined ? { next: last } : {};
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
