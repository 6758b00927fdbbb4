import { boardPlayersSql, lockAll } from "./_postgres-board-players-sql.ts";
import type { BoardNames } from "./_postgres-board-sql.ts";
import { CLOCK, LATE } from "./_postgres-store-sql.ts";

/** The functions that write: each is one call, all or nothing. */
export function boardWriteSql(names: BoardNames): string {
  return [submitSql(names), moderateSql(names), boardPlayersSql(names), listsSql(names)].join("\n");
}

function submitSql({ rules, lists, rows, hist, seen, bans, names, fn, begin, locks, change }: BoardNames): string {
  return `
${change("submit")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  entry CONSTANT jsonb := want->'entry';
  of_board CONSTANT text := entry->>'board';
  of_player CONSTANT text := entry->>'player';
  of_group CONSTANT text := want->>'group';
  view CONSTANT jsonb := want->'view';
  wanted record;
  banned text[];
  of_banned text;
  place ${lists};
  held ${rows};
  status text;
  answer jsonb;
  kept boolean := false;
BEGIN
  IF NOT ${begin}(want, ${locks.player}, ARRAY[of_player]) OR NOT ${begin}(want, ${locks.board}, ARRAY[of_board]) THEN RETURN ${LATE}; END IF;
  IF EXISTS (SELECT FROM ${bans} WHERE grp = of_group AND player = of_player) THEN RETURN jsonb_build_object('status', 'banned', 'clock', ${CLOCK})::text; END IF;
  IF EXISTS (SELECT FROM ${names} WHERE grp = of_group AND name = entry->>'unique' AND player <> of_player) THEN
    RETURN jsonb_build_object('status', 'taken', 'clock', ${CLOCK})::text;
  END IF;
  -- A new list gets the number after the last one, under a lock that all boards share. The identity's sequence is not used: after an import or under
  -- logical replication it stands behind the rows, and each of its numbers would be refused. Before anything is written: "too late" leaves nothing.
  IF EXISTS (SELECT FROM jsonb_to_recordset(want->'lists') AS w(period text, tag text)
      WHERE NOT EXISTS (SELECT FROM ${lists} l WHERE l.board = of_board AND l.period = w.period AND l.tag = w.tag))
    AND NOT ${begin}(want, ${locks.lists}, ARRAY['']) THEN RETURN ${LATE};
  END IF;
  IF NOT EXISTS (SELECT FROM ${rules} u WHERE u.board = of_board AND u.rules = want->>'rules') THEN
    IF EXISTS (SELECT FROM ${rules} u WHERE u.board = of_board AND u.grp <> of_group) THEN
      -- The board moves to another group: the bans of that one hold. Only rows of banned players are read, by their index.
      banned := ARRAY(SELECT player FROM ${bans} WHERE grp IN (of_group, (SELECT grp FROM ${rules} WHERE board = of_board)));
      UPDATE ${rules} SET grp = of_group WHERE board = of_board;
      FOREACH of_banned IN ARRAY banned LOOP
        UPDATE ${rows} r SET shown = ${fn("bars")}(r) FROM ${lists} l WHERE r.player = of_banned AND l.list = r.list AND l.board = of_board;
      END LOOP;
    END IF;
    INSERT INTO ${rules} (board, grp, rules) VALUES (of_board, of_group, want->>'rules') ON CONFLICT (board) DO UPDATE SET grp = excluded.grp, rules = excluded.rules;
  END IF;
  FOR wanted IN SELECT * FROM ROWS FROM (jsonb_to_recordset(want->'lists') AS (period text, tag text, forget bigint, id text)) WITH ORDINALITY
    AS w(period, tag, forget, id, number) ORDER BY number LOOP
    SELECT * INTO place FROM ${lists} WHERE board = of_board AND period = wanted.period AND tag = wanted.tag;
    IF NOT FOUND THEN
      INSERT INTO ${lists} SELECT coalesce(max(list), 0) + 1, of_board, wanted.period, wanted.tag, (want->>'depths')::int, wanted.forget FROM ${lists}
        RETURNING * INTO place;
    ELSE
      -- Lists are kept as long as any submission asks; NULL is for ever. They are as deep as any needs: a coarser level is made of the coarsest that is there.
      IF place.forget < wanted.forget OR (place.forget IS NOT NULL AND wanted.forget IS NULL) THEN
        UPDATE ${lists} SET forget = wanted.forget WHERE list = place.list;
      END IF;
      IF place.depths < (want->>'depths')::int THEN
        INSERT INTO ${hist} SELECT h.list, d, h.bucket >> (8 * (d - h.depth)), sum(n0), sum(n1), sum(n2), sum(n3)
          FROM ${hist} h CROSS JOIN LATERAL generate_series(place.depths, (want->>'depths')::int - 1) AS d
          WHERE h.list = place.list AND h.depth = (place.depths - 1)::smallint GROUP BY 1, 2, 3;
        UPDATE ${lists} SET depths = (want->>'depths')::int WHERE list = place.list;
      END IF;
    END IF;
    SELECT * INTO held FROM ${rows} WHERE player = of_player AND list = place.list;
    INSERT INTO ${seen} VALUES (place.list, entry->>'submission') ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN status := 'repeated';
    ELSE
      status := CASE
        -- What is too weak to be shown must not stand in the way of what can be.
        WHEN held.id IS NULL OR held.level < (want->>'minLevel')::int OR want->>'operator' = 'sum' THEN 'stored'
        WHEN want->>'operator' = 'last' AND (entry->>'at')::bigint >= held.at THEN 'stored'
        WHEN want->>'operator' = 'best' AND (want->>'sign')::int * (entry->>'score')::bigint > (want->>'sign')::int * held.score THEN 'stored'
        ELSE 'kept' END;
      IF status = 'stored' THEN
        kept := true;
        IF held.id IS NULL THEN
          INSERT INTO ${rows} (id, list, player, score, at, submission, level, flags, name, hidden, shown, log, data)
            VALUES (wanted.id, place.list, of_player, (entry->>'score')::bigint, (entry->>'at')::bigint, entry->>'submission', (entry->>'level')::smallint,
              entry->>'flags', entry->>'name', false, (entry->>'level')::smallint, entry->>'log', entry->>'data') RETURNING * INTO held;
        ELSE
          -- A sum is worth as much as its weakest part. A better score does not bring back what was hidden.
          UPDATE ${rows} r SET score = x.score, at = (entry->>'at')::bigint, submission = entry->>'submission', level = x.level, flags = entry->>'flags',
              name = entry->>'name', log = entry->>'log', data = entry->>'data', shown = CASE WHEN r.shown < 0 THEN -1 ELSE x.level END
            FROM (SELECT CASE WHEN adds THEN least((want->>'most')::bigint, greatest((want->>'least')::bigint, held.score + (entry->>'score')::bigint))
                ELSE (entry->>'score')::bigint END AS score,
              CASE WHEN adds THEN least(held.level, (entry->>'level')::smallint) ELSE (entry->>'level')::smallint END AS level
              FROM (SELECT want->>'operator' = 'sum' AND held.level >= (want->>'minLevel')::int AS adds) AS y) AS x
            WHERE r.id = held.id RETURNING r.* INTO held;
        END IF;
      END IF;
    END IF;
    CONTINUE WHEN answer IS NOT NULL;
    answer := jsonb_build_object('status', status, 'id', '', 'rank', 0, 'best', false);
    IF held.id IS NOT NULL THEN
      answer := jsonb_build_object('status', status, 'id', held.id, 'best', held.submission = entry->>'submission', 'rank', ${fn("rank")}(place.list, held.score,
        view->>'order' = 'asc', (view->>'level')::int, (view->>'min')::bigint, (view->>'max')::bigint));
    END IF;
  END LOOP;
  IF kept AND entry->>'unique' IS NOT NULL THEN
    -- Two players who take one name at once: the second meets the primary key, and is asked again, when it is taken.
    INSERT INTO ${names} (grp, name, player) VALUES (of_group, entry->>'unique', of_player) ON CONFLICT (grp, player) DO UPDATE SET name = excluded.name;
  END IF;
  RETURN (answer || jsonb_build_object('clock', ${CLOCK}))::text;
END $fn$;`;
}

function moderateSql(names: BoardNames): string {
  const { rules, lists, rows, seen, bans, names: NAMES, fn, change } = names;
  return `
${change("moderate")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  action CONSTANT text := want->>'action';
  of_group CONSTANT text := want->>'group';
  whose text := want->>'player';
  boards text[];
  named ${rows};
  ids text[];
  changed int := 0;
BEGIN
  IF whose IS NULL THEN
    SELECT r.player INTO whose FROM ${rows} r JOIN ${lists} l ON l.list = r.list WHERE r.id = want->>'id' AND l.board <> '';
    IF NOT FOUND THEN RETURN '{"changed": 0}'; END IF;
  END IF;
  ${lockAll(names, "ARRAY[whose]")}
  IF want->>'id' IS NULL THEN
    IF action = 'ban' THEN INSERT INTO ${bans} (grp, player) VALUES (of_group, whose) ON CONFLICT DO NOTHING; END IF;
    IF action = 'unban' THEN DELETE FROM ${bans} WHERE grp = of_group AND player = whose; END IF;
    ids := ARRAY(SELECT id FROM ${rows} WHERE player = whose AND ${fn("in_group")}(list, of_group));
  ELSE
    -- The player's rows of the same submission; of a board that adds up, those that the submission was added to.
    SELECT * INTO named FROM ${rows} WHERE id = want->>'id' AND player = whose;
    ids := ARRAY(SELECT r.id FROM ${lists} a LEFT JOIN ${rules} u ON u.board = a.board JOIN ${rows} r ON r.player = whose
      JOIN ${lists} l ON l.list = r.list AND l.board = a.board WHERE a.list = named.list AND CASE (u.rules::jsonb)->>'operator'
        WHEN 'sum' THEN EXISTS (SELECT FROM ${seen} s WHERE s.list = r.list AND s.submission = named.submission) ELSE r.submission = named.submission END);
  END IF;
  IF action IN ('remove', 'purge') THEN DELETE FROM ${rows} WHERE id = ANY (ids);
  ELSE
    IF action IN ('hide', 'unhide') THEN UPDATE ${rows} SET hidden = action = 'hide' WHERE id = ANY (ids); END IF;
    UPDATE ${rows} r SET shown = ${fn("bars")}(r) WHERE r.id = ANY (ids) AND r.shown <> ${fn("bars")}(r);
  END IF;
  IF action = 'purge' THEN
    DELETE FROM ${NAMES} WHERE grp = of_group AND player = whose;
    -- What was cleared and not yet swept belongs to no group any more.
    DELETE FROM ${rows} r USING ${lists} l WHERE r.player = whose AND l.list = r.list AND l.board = '';
  END IF;
  RETURN jsonb_build_object('changed', cardinality(ids), 'clock', ${CLOCK})::text;
END $fn$;`;
}

function listsSql({ lists, rows, hist, seen, begin, locks, change }: BoardNames): string {
  // Without a board nothing finds the list, and with no depths its rows are not counted down one by one.
  const gone = "board = '', period = list::text, tag = '', depths = 0, forget = 0";
  const some = (table: string, what: string): string =>
    `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM ${lists} l JOIN ${table} x ON x.list = l.list WHERE l.board = '' LIMIT most FOR UPDATE OF x SKIP LOCKED));
  GET DIAGNOSTICS ${what} = ROW_COUNT;`;
  return `
${change("clear")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  changed int;
BEGIN
  IF NOT ${begin}(want, ${locks.board}, ARRAY[want->>'board']) THEN RETURN ${LATE}; END IF;
  UPDATE ${lists} SET ${gone} WHERE board = want->>'board' AND board <> '' AND (want->>'period' IS NULL OR period = want->>'period');
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN jsonb_build_object('changed', changed, 'clock', ${CLOCK})::text;
END $fn$;

-- One step: what is due is forgotten at once, and at most so many rows, submissions and counts of what was forgotten are deleted.
${change("sweep")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  most CONSTANT bigint := (want->>'max')::bigint;
  due CONSTANT bigint := (want->>'now')::bigint;
  gone_rows int;
  gone_seen int;
  gone_hist int;
BEGIN
  -- Under the boards' locks: a submission that is under way still adds a row to its list.
  IF NOT ${begin}(want, ${locks.board}, ARRAY(SELECT DISTINCT board FROM ${lists} WHERE forget <= due AND board <> '')) THEN RETURN ${LATE}; END IF;
  UPDATE ${lists} SET ${gone} WHERE forget <= due AND board <> '';
  ${some(rows, "gone_rows")}
  ${some(seen, "gone_seen")}
  ${some(hist, "gone_hist")}
  DELETE FROM ${lists} l WHERE l.board = '' AND NOT EXISTS (SELECT FROM ${rows} x WHERE x.list = l.list)
    AND NOT EXISTS (SELECT FROM ${seen} x WHERE x.list = l.list) AND NOT EXISTS (SELECT FROM ${hist} x WHERE x.list = l.list);
  RETURN jsonb_build_object('gone', gone_rows + gone_seen, 'more', gone_rows + gone_seen + gone_hist > 0, 'clock', ${CLOCK})::text;
END $fn$;`;
}
