import type { Route, RouteContext } from "../gate/types.ts";
import { HEADER, PATH, type PublicScore, type ScoresAnswer } from "../protocol.ts";
import type { ScoreRow } from "./board.ts";
import type { Board, Settled } from "./options.ts";
import { isPeriod, periodsOf } from "./periods.ts";
import { levelNumber } from "./ranking.ts";

/** What `GET /scores` was asked for. */
interface Query {
  board: Board;
  period: string;
  limit: number;
  /** Row id, or `me`. */
  around: string | undefined;
}

/** `GET /scores`: the public board, and `me` for who brings a session (which is not spent). */
export function readRoute(settled: Settled): Route {
  return {
    method: "GET",
    path: PATH.scores,
    async handle(ctx) {
      const query = readQuery(ctx, settled);
      if (query instanceof Response) return query;
      const admission = await ctx.admit({ open: true, limits: ["scores.read"] });
      if (!admission.ok) return admission.response;
      const { board, period } = query;
      const { headers } = ctx.request;
      const session = await ctx.session();
      const own = session && (await settled.store.ofPlayer({ board: board.name, period, player: session.sub }));
      const rows = await rowsOf(settled, query, own?.id);
      const answer: ScoresAnswer = { scores: rows.map(publicRow) };
      // Where nothing is said, more is better.
      if (board.rules.order === "asc") answer.order = "asc";
      if (session) answer.me = own && isShown(board, own) ? publicRow(own) : null;
      // A cache that does not know of sessions must never answer one visitor with what belongs to another.
      const personal = headers.has("authorization") || headers.has(HEADER.session);
      if (!settled.cache || personal) return ctx.respond(200, answer, { vary: PERSONAL });
      return ctx.respond(200, answer, { "cache-control": "public, max-age=5", vary: PERSONAL });
    },
  };
}

/** What may be asked. */
const QUERY: readonly string[] = ["board", "period", "limit", "around"];
const PERSONAL = "Authorization, X-Gatepass-Session";

async function rowsOf({ store }: Settled, query: Query, own: string | undefined): Promise<ScoreRow[]> {
  const { board, period, limit, around } = query;
  if (around === undefined) return store.top({ board: board.name, period, limit, minLevel: board.minLevel });
  const id = around === "me" ? own : around;
  // As many on each side as the page may hold: near an end of the list, the other side fills it up.
  const rows = id === undefined ? [] : await store.around(id, limit - 1);
  // A row of another list was not asked for, and a weaker one is not shown.
  const fits = (row: ScoreRow): boolean => row.board === board.name && row.period === period && isShown(board, row);
  const shown = rows.filter(fits);
  const above = rows
    .slice(
      0,
      rows.findIndex((row) => row.id === id),
    )
    .filter(fits).length;
  const from = Math.max(0, Math.min(above - ((limit - 1) >> 1), shown.length - limit));
  return shown.slice(from, from + limit);
}

function isShown({ minLevel }: Board, row: ScoreRow): boolean {
  return !row.hidden && levelNumber(row.level) >= levelNumber(minLevel);
}

function readQuery(ctx: RouteContext, settled: Settled): Query | Response {
  const { searchParams } = ctx.url;
  const [name, asked = "all", limit = "10", around] = QUERY.map((key) => searchParams.get(key) ?? undefined);
  const board = name === undefined ? settled.first : settled.boards.get(name);
  if (!board) return ctx.refuse("NOT_FOUND");
  const [, week, day] = periodsOf(ctx.kernel.clock());
  const period = asked === "week" ? week : asked === "day" ? day : asked;
  const keys = [...searchParams.keys()];
  // One that is ignored would be worse: a reader that counts its pages by it would never come to an end.
  const once = new Set(keys).size === keys.length && keys.every((key) => QUERY.includes(key));
  const valid = once && isPeriod(period) && /^([1-9]\d?|100)$/.test(limit) && /^[\w-]{1,64}$/.test(around ?? "me");
  return valid ? { board, period, limit: Number(limit), around } : ctx.refuse("BODY_INVALID");
}

/** What everybody may see of a row: never its player. */
function publicRow({ id, rank, name, score, at, level, replay }: ScoreRow): PublicScore {
  return { id, rank, name, score, at, level, replay };
}
