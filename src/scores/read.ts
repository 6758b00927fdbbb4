import type { Route, RouteContext } from "../gate/types.ts";
import { HEADER, LEVELS, PATH, type PublicScore, type ScoresAnswer } from "../protocol.ts";
import { decodeBase64url, encodeBase64url } from "../util/base64url.ts";
import { decodeUtf8, utf8 } from "../util/bytes.ts";
import type { BoardPlace, BoardView, ScoreRow } from "./board.ts";
import type { Board, Settled } from "./options.ts";

/** What `GET /scores` was asked for. */
interface Query {
  board: Board;
  view: BoardView;
  limit: number;
  total: boolean;
  /** Row id, or `me`. */
  around: string | undefined;
  after: BoardPlace | undefined;
  score: number | undefined;
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
      const session = await ctx.session();
      const own = session && (await settled.store.ofPlayer({ ...query.view, player: session.sub }));
      const me = own && isShown(query.view, own) ? own : null;
      const answer = await answerTo(settled, query, me?.id);
      if (session) answer.me = me && { ...publicRow(me), ...percentileOf(me.rank, answer.total) };
      // A cache that does not know of sessions must never answer one visitor with what belongs to another.
      const { headers } = ctx.request;
      const personal = headers.has("authorization") || headers.has(HEADER.session);
      if (!settled.cache || personal) return ctx.respond(200, answer, { vary: PERSONAL });
      return ctx.respond(200, answer, { "cache-control": "public, max-age=5", vary: PERSONAL });
    },
  };
}

/** What may be asked. One that is ignored would be worse: a reader that counts its pages by it would never come to an end. */
const QUERY: readonly string[] = ["board", "period", "tag", "limit", "total", "around", "after", "score"];
const PERSONAL = "Authorization, X-Gatepass-Session";

async function answerTo({ store }: Settled, query: Query, own: string | undefined): Promise<ScoresAnswer> {
  const { board, view, limit, around, after, score } = query;
  const count = query.total ? store.count(view) : undefined;
  const answer: ScoresAnswer = { scores: [] };
  // Where nothing is said, more is better.
  if (board.rules.order === "asc") answer.order = "asc";
  if (score !== undefined) {
    const { rank, rows } = await store.near({ ...view, score, n: limit });
    const above = rows.filter((row) => row.rank < rank || row.score === score).length;
    answer.scores = pageOf(rows, above, limit, limit >> 1).map(publicRow);
    answer.rank = rank;
  } else if (around !== undefined) {
    const id = around === "me" ? own : around;
    // As many on each side as the page may hold: near an end of the list, the other side fills it up.
    const rows = id === undefined ? [] : await store.around(id, limit - 1, board.view);
    const at = rows.findIndex((row) => row.id === id);
    // A row of another list was not asked for.
    if (rows[0] && isOf(view, rows[0])) answer.scores = pageOf(rows, at, limit, (limit - 1) >> 1).map(publicRow);
  } else {
    const rows = await store.top({ ...view, limit, ...(after && { after }) });
    answer.scores = rows.map(publicRow);
    const last = rows.at(-1);
    if (last && rows.length === limit) answer.next = cursorOf(last);
  }
  if (count) answer.total = await count;
  if (answer.rank !== undefined) Object.assign(answer, percentileOf(answer.rank, answer.total));
  return answer;
}

/** As many rows as asked for, with `above` of those before the place where there are as many. */
function pageOf(rows: readonly ScoreRow[], at: number, limit: number, above: number): ScoreRow[] {
  const from = Math.max(0, Math.min(at - above, rows.length - limit));
  return rows.slice(from, from + limit);
}

function isOf({ board, period, tag }: BoardView, row: ScoreRow): boolean {
  return row.board === board && row.period === period && row.tag === tag;
}

/** Whether a view shows a row. */
function isShown({ min = -Infinity, max = Infinity, minLevel = "claimed" }: BoardView, { hidden, score, level }: ScoreRow): boolean {
  return !hidden && score >= min && score <= max && LEVELS.indexOf(level) >= LEVELS.indexOf(minLevel);
}

/** How many of a hundred rows a rank is at least as good as. */
function percentileOf(rank: number, total: number | undefined): { percentile?: number } {
  if (total === undefined) return {};
  return { percentile: total === 0 ? 100 : Math.max(0, Math.round((10_000 * (total - rank + 1)) / total) / 100) };
}

function readQuery(ctx: RouteContext, settled: Settled): Query | Response {
  const { searchParams } = ctx.url;
  const [name, asked = "all", tag, limit = "10", total, around, after, score] = QUERY.map((key) => searchParams.get(key) ?? undefined);
  const keys = [...searchParams.keys()];
  const known = new Set(keys).size === keys.length && keys.every((key) => QUERY.includes(key));
  const place = after === undefined ? undefined : placeIn(after);
  const number = score === undefined ? undefined : /^-?\d{1,16}$/.test(score) ? Number(score) : Number.NaN;
  const modes = [around, after, score].filter((one) => one !== undefined).length;
  const right =
    known &&
    modes <= 1 &&
    /^([1-9]\d?|100)$/.test(limit) &&
    /^[\w-]{1,64}$/.test(around ?? "me") &&
    /^1$/.test(total ?? "1") &&
    (tag ?? "-") !== "" &&
    (tag ?? "").length <= 64 &&
    place !== null &&
    (number === undefined || Number.isSafeInteger(number));
  const board = settled.find(name);
  if (!board) return ctx.refuse("NOT_FOUND");
  const period = board.calendar.keyOf(asked, ctx.kernel.clock());
  if (!right || period === undefined) return ctx.refuse("BODY_INVALID");
  const view: BoardView = { board: board.name, period, ...board.view, ...(tag !== undefined && { tag }) };
  return { board, view, limit: Number(limit), total: total === "1", around, after: place ?? undefined, score: number };
}

/** The place of a row, as the next page is asked by. It holds nothing but what the page shows. */
function cursorOf({ score, at, id }: BoardPlace): string {
  return encodeBase64url(utf8(JSON.stringify([score, at, id])));
}

/** The place in a cursor; null where it is none. */
function placeIn(cursor: string): BoardPlace | null {
  const text = cursor.length > 256 ? undefined : decodeUtf8(decodeBase64url(cursor) ?? new Uint8Array([255]));
  try {
    const [score, at, id, ...more]: unknown[] = JSON.parse(text ?? "");
    if (typeof score !== "number" || !Number.isSafeInteger(score) || typeof at !== "number" || !Number.isSafeInteger(at)) return null;
    return typeof id === "string" && /^[\w-]{1,64}$/.test(id) && more.length === 0 ? { score, at, id } : null;
  } catch {
    return null;
  }
}

/** What everybody may see of a row: never its player. */
function publicRow({ id, rank, name, score, at, level, replay, data }: ScoreRow): PublicScore {
  return { id, rank, name, score, at, level, replay, ...(data !== undefined && { data: JSON.parse(data) }) };
}
