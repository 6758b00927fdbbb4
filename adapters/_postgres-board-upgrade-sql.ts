import { NEWER_DATA } from "./_postgres.ts";
import type { BoardNames } from "./_postgres-board-sql.ts";
import type { NameIn } from "./_postgres-store-sql.ts";

/** What the adapters of older releases call. */
const OLD_CALLS = ["submit", "moderate", "top", "around", "find"];
/** What those called. */
const OLD_INNER = ["rank(int, bigint)", "count(int, bigint, int)", "reconcile(text, boolean, bigint, bigint)"];

/**
 * Makes the tables of version 1 those of version 2, within the caller's transaction: rows keep their place (so that rights that were granted on the tables
 * stay), and the histogram is counted anew. Version 1 had no tags, groups, data and names; its keys were scores with the sign of the order.
 *
 * The functions of version 1 stay as refusals: an older release that still runs must not write what it does not know.
 */
export function boardUpgradeSql(name: NameIn, { rules, lists, rows, hist, bans }: BoardNames): string {
  const old = (what: string): string => name(`board_${what}`);
  const text = (quoted: string): string => `'${quoted.replaceAll('"', "")}'`;
  const hasColumn = (table: string, column: string): string =>
    `EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('${table}') AND attname = '${column}' AND NOT attisdropped)`;
  const dropConstraint = (table: string, kind: "p" | "u"): string => `
    EXECUTE (SELECT format('ALTER TABLE ${table} DROP CONSTRAINT %I', conname) FROM pg_constraint WHERE conrelid = to_regclass('${table}') AND contype = '${kind}');`;
  const refusal = (what: string): string => `
    CREATE OR REPLACE FUNCTION ${old(what)}(ask text) RETURNS text LANGUAGE plpgsql AS $fn$
    BEGIN
      RAISE EXCEPTION 'The board has data of version 2, and this release of gatepass knows version 1 (GP173): install the newer release' USING ERRCODE = '${NEWER_DATA}';
    END $fn$;`;
  return `
-- ${text(rows)}: from version 1 to version 2.
IF ${hasColumn(rows, "k")} THEN
  ALTER TABLE ${rules} ADD COLUMN grp text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN rules text NOT NULL DEFAULT '';
  UPDATE ${rules} SET grp = board, rules = '{"order":"' || CASE WHEN ascending THEN 'asc' ELSE 'desc' END || '","operator":"best","min":'
    || CASE WHEN ascending THEN low ELSE -high END || ',"max":' || CASE WHEN ascending THEN high ELSE -low END || ',"minLevel":"claimed","group":' || to_json(board) || '}';
  ALTER TABLE ${lists} ADD COLUMN tag text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN depths int NOT NULL DEFAULT 7, ADD COLUMN forget bigint;
  UPDATE ${lists} l SET depths = (SELECT min(d) FROM generate_series(1, 7) AS d WHERE d = 7
    OR ((u.rules::jsonb->>'max')::bigint >> (8 * (d - 1))) - ((u.rules::jsonb->>'min')::bigint >> (8 * (d - 1))) <= 255) FROM ${rules} u WHERE u.board = l.board;
  ALTER TABLE ${rules} DROP COLUMN ascending, DROP COLUMN low, DROP COLUMN high, ALTER grp DROP DEFAULT, ALTER rules DROP DEFAULT;
  ${dropConstraint(lists, "u")}
  ALTER TABLE ${lists} ALTER tag DROP DEFAULT, ALTER depths DROP DEFAULT, ADD UNIQUE (board, period, tag);
  ALTER TABLE ${rows} DROP COLUMN k, ADD COLUMN data text, ADD COLUMN down bigint GENERATED ALWAYS AS (0 - score) STORED;
  DELETE FROM ${hist};
  ALTER TABLE ${hist} DROP COLUMN n, ADD COLUMN n0 bigint NOT NULL, ADD COLUMN n1 bigint NOT NULL, ADD COLUMN n2 bigint NOT NULL, ADD COLUMN n3 bigint NOT NULL;
  INSERT INTO ${hist} SELECT r.list, d, r.score >> (8 * d), sum((shown = 0)::int), sum((shown = 1)::int), sum((shown = 2)::int), sum((shown = 3)::int)
    FROM ${lists} l JOIN ${rows} r ON r.list = l.list CROSS JOIN LATERAL generate_series(0, l.depths - 1) AS d WHERE r.shown >= 0 GROUP BY 1, 2, 3;
  -- Bans were those of all boards. The group of a gate is its first board, which may be any of these.
  ALTER TABLE ${bans} ADD COLUMN grp text COLLATE "C" NOT NULL DEFAULT '';
  ${dropConstraint(bans, "p")}
  INSERT INTO ${bans} (grp, player) SELECT board, player FROM ${rules} CROSS JOIN ${bans};
  ALTER TABLE ${bans} ALTER grp DROP DEFAULT, ADD PRIMARY KEY (grp, player);
  ${OLD_INNER.map((what) => `DROP FUNCTION IF EXISTS ${old(what.split("(")[0] ?? "")}(${what.split("(")[1]};`).join("\n  ")}
  DROP FUNCTION IF EXISTS ${old("show")}(${rows}, int);
  ${OLD_CALLS.map(refusal).join("")}
END IF;`;
}
