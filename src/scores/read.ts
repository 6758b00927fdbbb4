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
      const shown = (row: ScoreRow): boolean => !row.hidden && levelNumber(row.level) >= levelNumber(board.minLevel);
      const rows = await rowsOf(settled, query, own?.id);
      const answer: ScoresAnswer = { scores: rows.filter(shown).map(publicRow) };
      // Where nothing is said, more is better.
      if (board.rules.order === "asc") answer.order = "asc";
      if (session) answer.me = own && shown(own) ? publicRow(own) : null;
      // A cache that does not know of sessions must never answer one visitor with what belongs to another.
      const personal = headers.has("authorization") || headers.has(HEADER.session);
      if (!settled.cache || personal) return ctx.respond(200, answer, { vary: PERSONAL });
      return ctx.respond(200, answer, { "cache-control": "public, max-age=5", vary: PERSONAL });
    },
  };
}

const PERSONAL = "Authorization, X-Gatepass-Session";

async function rowsOf({ store }: Settled, query: Query, own: string | undefined): Promise<ScoreRow[]> {
  const { board, period, limit, around } = query;
  if (around === undefined) return store.top({ board: board.name, period, limit, minLevel: board.minLevel });
  const id = around === "me" ? own : around;
  const rows = id === undefined ? [] : await store.around(id, (limit - 1) >> 1);
  // A row of another list was not asked for.
  return rows.filter((row) => row.board === board.name && row.period === period);
}

function readQuery(ctx: RouteContext, settled: Settled): Query | Response {
  const { searchParams } = ctx.url;
  const [name, asked = "all", limit = "10", around] = ["board", "period", "limit", "around"].map(
    (key) => searchParams.get(key) ?? undefined,
  );
  const board = name === undefined ? settled.first : settled.boards.get(name);
  if (!board) return ctx.refuse("NOT_FOUND");
  const [, week, day] = periodsOf(ctx.kernel.clock());
  const period = asked === "week" ? week : asked === "day" ? day : asked;
  const keys = [...searchParams.keys()];
  const once = new Set(keys).size === keys.length;
  const valid = once && isPeriod(period) && /^([1-9]\d?|100)$/.test(limit) && /^[\w-]{1,64}$/.test(around ?? "me");
  return valid ? { board, period, limit: Number(limit), around } : ctx.refuse("BODY_INVALID");
}

/** What everybody may see of a row: never its player. */
function publicRow({ id, rank, name, score, at, level, replay }: ScoreRow): PublicScore {
  return { id, rank, name, score, at, level, replay };
}
