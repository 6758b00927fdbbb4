import type { BoardNames } from "./_postgres-board-sql.ts";
import { CLOCK } from "./_postgres-store-sql.ts";

/** What lists carry of a row `r` in its list `l`: not its log. */
const COLUMNS =
  "r.id, l.board, l.period, l.tag, r.player, r.score, r.at, r.submission, r.level, r.flags, r.name, r.shown, r.data, r.log IS NOT NULL AS replay";

/** The functions that read: one snapshot, one call. */
export function boardReadSql(names: BoardNames): string {
  return [placeSql(names), pageSql(names), pagesSql(names), rowsSql(names), checkSql(names)].join("\n");
}

function placeSql({ rules, fn }: BoardNames): string {
  return `
-- Whether a view is of rising scores: by its own order, else by that of the board's last submission.
CREATE OR REPLACE FUNCTION ${fn("place")}(view jsonb, of_board text) RETURNS boolean LANGUAGE plpgsql STABLE AS $fn$
BEGIN
  RETURN coalesce(view->>'order', (SELECT u.rules::jsonb->>'order' FROM ${rules} u WHERE u.board = of_board), 'desc') = 'asc';
END $fn$;`;
}

/** One page: up to \`before\` rows before a place, and up to \`behind\` at it or behind it, with the ranks of the two best scores. */
function pageSql({ lists, rows, fn }: BoardNames): string {
  const sorted = (key: string, backwards: boolean): string => {
    const order = [key, "at", "id"].map((column) => (backwards ? `${column} DESC` : column)).join(", ");
    const compare = backwards ? "<" : ">=";
    // The scan ends where the view ends.
    const end = backwards ? `${key} >= first_key` : `${key} <= last_key`;
    const limit = backwards ? "before" : "behind";
    return `(SELECT x.* FROM generate_series(least_level, 3) AS of_level CROSS JOIN LATERAL (
      SELECT * FROM ${rows} WHERE list = of_list AND shown = of_level AND (${key}, at, id) ${compare} (place_key, place_at, place_id) AND ${end}
        ORDER BY ${order} LIMIT ${limit}) AS x ORDER BY ${order} LIMIT ${limit})`;
  };
  const both = (key: string): string => `
    SELECT jsonb_agg(to_jsonb(y) ORDER BY y.${key}, y.at, y.id) INTO told FROM (
      SELECT ${COLUMNS}, r.down FROM (${sorted(key, true)} UNION ALL ${sorted(key, false)}) AS r JOIN ${lists} l ON l.list = r.list) AS y;`;
  return `
CREATE OR REPLACE FUNCTION ${fn("page")}(of_list int, view jsonb, ascends boolean, of_score bigint, of_at bigint, of_id text, before bigint, behind bigint)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $fn$
DECLARE
  lowest CONSTANT bigint := coalesce((view->>'min')::bigint, -9007199254740992);
  highest CONSTANT bigint := coalesce((view->>'max')::bigint, 9007199254740992);
  least_level CONSTANT int := (view->>'level')::int;
  first_key CONSTANT bigint := CASE WHEN ascends THEN lowest ELSE -highest END;
  last_key CONSTANT bigint := CASE WHEN ascends THEN highest ELSE -lowest END;
  place_key bigint := coalesce(CASE WHEN ascends THEN of_score ELSE -of_score END, first_key);
  place_at bigint := coalesce(of_at, -1);
  place_id text := coalesce(of_id, '');
  told jsonb;
  first bigint;
  second bigint;
BEGIN
  -- A place outside the view is moved to its first or last row: the scan begins there.
  IF place_key < first_key THEN place_key := first_key; place_at := -1; place_id := ''; END IF;
  IF place_key > last_key THEN place_key := last_key; place_at := 9007199254740992; place_id := ''; END IF;
  IF ascends THEN ${both("score")}
  ELSE ${both("down")}
  END IF;
  told := coalesce(told, '[]');
  first := (told->0->>'score')::bigint;
  IF first IS NULL THEN RETURN jsonb_build_object('rows', told, 'ranks', '[]'::jsonb, 'clock', ${CLOCK}); END IF;
  SELECT (each->>'score')::bigint INTO second FROM jsonb_array_elements(told) WITH ORDINALITY AS e(each, number)
    WHERE (each->>'score')::bigint <> first ORDER BY number LIMIT 1;
  RETURN jsonb_build_object('rows', told, 'clock', ${CLOCK}, 'ranks', jsonb_build_array(
    ${fn("rank")}(of_list, first, ascends, least_level, (view->>'min')::bigint, (view->>'max')::bigint),
    ${fn("rank")}(of_list, coalesce(second, first), ascends, least_level, (view->>'min')::bigint, (view->>'max')::bigint)));
END $fn$;`;
}

function pagesSql({ lists, rows, fn, read }: BoardNames): string {
  const declare = `
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  view CONSTANT jsonb := want->'view';
  n CONSTANT bigint := (want->>'n')::bigint;
  of_list CONSTANT int := (SELECT list FROM ${lists} WHERE board = view->>'board' AND period = view->>'period' AND tag = view->>'tag');
  ascends CONSTANT boolean := ${fn("place")}(view, view->>'board');`;
  return `
${read("top")}${declare}
BEGIN
  -- What follows a place does not begin with its own row: no id is between one and the same with a character more.
  RETURN ${fn("page")}(of_list, view, ascends, (want->>'score')::bigint, (want->>'at')::bigint, want->>'after' || '!', 0, n)::text;
END $fn$;

${read("near")}${declare}
BEGIN
  RETURN (${fn("page")}(of_list, view, ascends, (want->>'score')::bigint, 9007199254740992, '', n, n) || jsonb_build_object('rank',
    ${fn("rank")}(of_list, (want->>'score')::bigint, ascends, (view->>'level')::int, (view->>'min')::bigint, (view->>'max')::bigint)))::text;
END $fn$;

${read("length")}${declare}
BEGIN
  RETURN jsonb_build_object('clock', ${CLOCK}, 'count', coalesce(${fn("shown")}(of_list, (view->>'level')::int, (view->>'min')::bigint, (view->>'max')::bigint), 0))::text;
END $fn$;

${read("around")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  view CONSTANT jsonb := want->'view';
  n CONSTANT bigint := (want->>'n')::bigint;
  anchor ${rows};
  place ${lists};
BEGIN
  SELECT * INTO anchor FROM ${rows} WHERE id = want->>'id' AND shown >= (view->>'level')::int
    AND score >= coalesce((view->>'min')::bigint, score) AND score <= coalesce((view->>'max')::bigint, score);
  SELECT * INTO place FROM ${lists} WHERE list = anchor.list AND board <> '';
  IF place.list IS NULL THEN RETURN '{"rows": [], "ranks": []}'; END IF;
  RETURN ${fn("page")}(place.list, view, ${fn("place")}(view, place.board), anchor.score, anchor.at, anchor.id, n, n + 1)::text;
END $fn$;`;
}

function rowsSql({ rules, lists, rows, bans, fn, read }: BoardNames): string {
  return `
-- The row \`id\`, those of \`players\` in a list (only what is shown, unless one is asked for), the hidden ones of a group, or all of a player in a group.
${read("rows")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  view CONSTANT jsonb := want->'view';
  action CONSTANT text := want->>'action';
  least_level CONSTANT int := coalesce((view->>'level')::int, 0);
  lowest CONSTANT bigint := (view->>'min')::bigint;
  highest CONSTANT bigint := (view->>'max')::bigint;
  ids text[];
  told jsonb;
BEGIN
  IF action = 'id' THEN ids := ARRAY[want->>'id'];
  ELSIF action IN ('player', 'players') THEN
    ids := ARRAY(SELECT r.id FROM jsonb_array_elements_text(want->'players') AS p(player) JOIN ${rows} r ON r.player = p.player
      JOIN ${lists} l ON l.list = r.list AND l.board = view->>'board' AND l.period = view->>'period' AND l.tag = view->>'tag'
      WHERE action = 'player' OR (r.shown >= least_level AND r.score >= coalesce(lowest, r.score) AND r.score <= coalesce(highest, r.score)));
  ELSIF action = 'hidden' THEN
    ids := ARRAY(SELECT r.id FROM ${rows} r JOIN ${lists} l ON l.list = r.list JOIN ${rules} u ON u.board = l.board
      WHERE r.hidden AND r.id > want->>'after' AND u.grp = want->>'group' ORDER BY r.id LIMIT (want->>'limit')::bigint);
  ELSE
    ids := ARRAY(SELECT r.id FROM ${rows} r WHERE r.player = want->>'player' AND ${fn("in_group")}(r.list, want->>'group'));
  END IF;
  SELECT jsonb_agg(to_jsonb(y) ORDER BY CASE WHEN action = 'hidden' THEN y.id END, CASE WHEN action = 'players' THEN y.key END,
      CASE WHEN action = 'players' THEN y.at END, CASE WHEN action = 'players' THEN y.id END, y.board, y.period, y.tag) INTO told FROM (
    SELECT ${COLUMNS}, CASE WHEN action IN ('id', 'all') THEN r.log END AS log, CASE WHEN ascends THEN r.score ELSE r.down END AS key,
      ${fn("rank")}(r.list, r.score, ascends, least_level, lowest, highest) AS rank
    FROM unnest(ids) AS of_id JOIN ${rows} r ON r.id = of_id JOIN ${lists} l ON l.list = r.list AND l.board <> ''
      CROSS JOIN LATERAL (SELECT ${fn("place")}(view, l.board) AS ascends OFFSET 0) AS o) AS y;
  RETURN jsonb_build_object('clock', ${CLOCK}, 'rows', coalesce(told, '[]'))::text;
END $fn$;

${read("banned")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
BEGIN
  RETURN jsonb_build_object('clock', ${CLOCK}, 'players', to_jsonb(ARRAY(SELECT player FROM ${bans} WHERE grp = want->>'group' AND player > want->>'after'
    ORDER BY player LIMIT (want->>'limit')::bigint)))::text;
END $fn$;`;
}

function checkSql({ rules, lists, rows, hist, read }: BoardNames): string {
  const shift = "(8 * (l.depths - 1))";
  return `
-- Rows outside the bounds of some boards, the rules of each board's last submission, how many lists have coarsest counts
-- that are not those of their rows, and whether the trigger counts.
${read("check")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
BEGIN
  RETURN jsonb_build_object('clock', ${CLOCK}, 'counting', EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '${rows}'::regclass AND tgname = 'counted'
      AND tgenabled IN ('O', 'A')), 'boards', (SELECT coalesce(jsonb_agg(jsonb_build_object('rules', (SELECT u.rules FROM ${rules} u WHERE u.board = b.board),
      'outside', (SELECT count(*) FROM ${lists} l JOIN ${rows} r ON r.list = l.list WHERE l.board = b.board AND (r.score < b.min OR r.score > b.max))) ORDER BY b.number), '[]')
      FROM ROWS FROM (jsonb_to_recordset(want->'boards') AS (board text, min bigint, max bigint)) WITH ORDINALITY AS b(board, min, max, number)),
    'wrong', (SELECT count(DISTINCT list) FROM (
      SELECT l.list, r.score >> ${shift} AS bucket, sum((r.shown = 0)::int) AS n0, sum((r.shown = 1)::int) AS n1, sum((r.shown = 2)::int) AS n2, sum((r.shown = 3)::int) AS n3
        FROM ${lists} l JOIN ${rows} r ON r.list = l.list WHERE l.depths > 0 AND r.shown >= 0 GROUP BY 1, 2) AS counted
      FULL JOIN (SELECT h.* FROM ${lists} l JOIN ${hist} h ON h.list = l.list AND h.depth = (l.depths - 1)::smallint WHERE l.depths > 0) AS held USING (list, bucket)
      WHERE (counted.n0, counted.n1, counted.n2, counted.n3) IS DISTINCT FROM (held.n0, held.n1, held.n2, held.n3)))::text;
END $fn$;`;
}
