import type { BoardNames } from "./_postgres-board-sql.ts";
import { CLOCK, LATE } from "./_postgres-store-sql.ts";

/** The functions that rename a player, and give one what another has. */
export function boardPlayersSql(names: BoardNames): string {
  return `${renameSql(names)}\n${claimSql(names)}`;
}

/** Locks the players and then every board that they have rows on; a statement of its own finds these: nobody adds a row of the players from there on. */
export function lockAll({ lists, rows, begin, locks }: BoardNames, players: string): string {
  return `IF NOT ${begin}(want, ${locks.player}, ${players}) THEN RETURN ${LATE}; END IF;
  boards := ARRAY(SELECT DISTINCT l.board FROM ${rows} r JOIN ${lists} l ON l.list = r.list WHERE r.player = ANY (${players}));
  IF NOT ${begin}(want, ${locks.board}, boards) THEN RETURN ${LATE}; END IF;`;
}

function renameSql({ rows, names, fn, begin, locks, change }: BoardNames): string {
  return `
${change("rename")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  of_group CONSTANT text := want->>'group';
  whose CONSTANT text := want->>'player';
BEGIN
  IF NOT ${begin}(want, ${locks.player}, ARRAY[whose]) THEN RETURN ${LATE}; END IF;
  IF EXISTS (SELECT FROM ${names} WHERE grp = of_group AND name = want->>'unique' AND player <> whose) THEN
    RETURN jsonb_build_object('changed', 0, 'clock', ${CLOCK})::text;
  END IF;
  DELETE FROM ${names} WHERE grp = of_group AND player = whose AND name IS DISTINCT FROM want->>'unique';
  IF want->>'unique' IS NOT NULL THEN
    -- Another player's that came meanwhile is met by the primary key: then it is asked again.
    INSERT INTO ${names} (grp, name, player) VALUES (of_group, want->>'unique', whose) ON CONFLICT (grp, player) DO NOTHING;
  END IF;
  UPDATE ${rows} SET name = want->>'name' WHERE player = whose AND ${fn("in_group")}(list, of_group);
  RETURN jsonb_build_object('changed', 1, 'clock', ${CLOCK})::text;
END $fn$;`;
}

function claimSql(all: BoardNames): string {
  const { rules, lists, rows, bans, names, fn, change } = all;
  return `
-- Gives the rows, the ban and the name of one player to another: two rows in one list are merged as \`mergedRow\` of src/scores/ranking.ts does.
${change("claim")}
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  of_group CONSTANT text := want->>'group';
  guest CONSTANT text := want->>'from';
  owner CONSTANT text := want->>'to';
  boards text[];
  f ${rows};
  t ${rows};
  u jsonb;
  f_weak boolean;
  t_weak boolean;
  wins boolean;
  changed int := 0;
BEGIN
  ${lockAll(all, "ARRAY[guest, owner]")}
  FOR f IN SELECT * FROM ${rows} WHERE player = guest AND ${fn("in_group")}(list, of_group) LOOP
    changed := changed + 1;
    SELECT * INTO t FROM ${rows} WHERE player = owner AND list = f.list;
    IF NOT FOUND THEN
      UPDATE ${rows} SET player = owner WHERE id = f.id;
      CONTINUE;
    END IF;
    SELECT r.rules::jsonb INTO u FROM ${lists} l JOIN ${rules} r ON r.board = l.board WHERE l.list = f.list;
    f_weak := f.level < array_position(ARRAY['claimed', 'bounded', 'replayed', 'witnessed'], u->>'minLevel') - 1;
    t_weak := t.level < array_position(ARRAY['claimed', 'bounded', 'replayed', 'witnessed'], u->>'minLevel') - 1;
    wins := CASE WHEN f_weak <> t_weak THEN t_weak
      WHEN u->>'operator' = 'best' THEN CASE WHEN u->>'order' = 'asc' THEN f.score < t.score ELSE f.score > t.score END OR (f.score = t.score AND f.at < t.at)
      ELSE f.at > t.at END;
    DELETE FROM ${rows} WHERE id = f.id;
    UPDATE ${rows} SET
      score = CASE WHEN u->>'operator' = 'sum' AND f_weak = t_weak THEN least(9007199254740991, greatest(-9007199254740991, f.score + t.score))
        WHEN wins THEN f.score ELSE t.score END,
      level = CASE WHEN u->>'operator' = 'sum' AND f_weak = t_weak THEN least(f.level, t.level) WHEN wins THEN f.level ELSE t.level END,
      at = CASE WHEN wins THEN f.at ELSE t.at END, submission = CASE WHEN wins THEN f.submission ELSE t.submission END,
      flags = CASE WHEN wins THEN f.flags ELSE t.flags END, log = CASE WHEN wins THEN f.log ELSE t.log END,
      data = CASE WHEN wins THEN f.data ELSE t.data END, hidden = f.hidden OR t.hidden WHERE id = t.id;
  END LOOP;
  INSERT INTO ${bans} (grp, player) SELECT grp, owner FROM ${bans} WHERE grp = of_group AND player = guest ON CONFLICT DO NOTHING;
  DELETE FROM ${bans} WHERE grp = of_group AND player = guest;
  UPDATE ${rows} r SET shown = ${fn("bars")}(r) WHERE r.player = owner AND ${fn("in_group")}(r.list, of_group) AND r.shown <> ${fn("bars")}(r);
  -- Where the other has a unique name of its own, the one of the first is free again.
  IF EXISTS (SELECT FROM ${names} WHERE grp = of_group AND player = owner) THEN DELETE FROM ${names} WHERE grp = of_group AND player = guest;
  ELSE UPDATE ${names} SET player = owner WHERE grp = of_group AND player = guest; END IF;
  RETURN jsonb_build_object('changed', changed, 'clock', ${CLOCK})::text;
END $fn$;`;
}
