/** Kinds of records. */
export const KIND = { uses: 0, rate: 1, block: 2 } as const;

/** The statements of a store. Each reads its input from `?1`, a JSON text. */
export interface D1StoreSql {
  schema: readonly string[];
  /** Gives the time. */
  now: string;
  /** Charges all quotas or none. One row for each quota. */
  spend: string;
  /** Gives the same rows, and charges nothing. */
  read: string;
  /** Gives charges back that are still recorded. */
  refund: string;
  /** Removes the records of keys without any charge left. */
  drop: string;
  /** Removes a block if its new end is in the past. */
  lift: string;
  /** Sets a block if its end is in the future. */
  block: string;
  /** Removes expired records; one row for each. */
  sweep: string;
}

/**
 * Expired records that are removed for each one that is charged: more than are added, so that the table does not grow
 * even if `sweep` is never called.
 */
const LAZY_SWEEP = 2;

/**
 * A uses quota or a block is one row. A rate quota has one row for each charged sub-window (src/store/window.ts); its
 * `slot` is its expiry. All rows of a key that have not expired count. Sub-window s expires at (s + 11) w + shift. That
 * is after now exactly if s >= b - 10, where b is the sub-window of now.
 *
 * A spend is one INSERT into a view whose trigger charges the quotas. So it decides and charges in one statement, with
 * one `now`. If a Worker read the counters first and then decided, two Workers could both read "none used" and both
 * admit.
 *
 * @param clocked whether the time comes in `?1`
 */
export function d1StoreSql(table: string, clocked: boolean): D1StoreSql {
  const now = clocked ? "(?1 ->> 'now')" : "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)";
  const columns = "i, key, kind, cost, dies, at, admitted, why, used, newest, blocked, ready";
  const alive = (of: string): string => `FROM ${table} s WHERE s.key = ${of}.key AND s.kind = ${of}.kind AND s.dies > ${of}.now`;
  const asked = ["key", "kind", "limit", "cost", "step", "shift", "slot", "dies"].map((name) => `p.value ->> '${name}' AS "${name}"`);
  const quotas = `clock AS MATERIALIZED (SELECT ${now} AS now), q AS MATERIALIZED (SELECT p.key AS i, ${asked.join(", ")}, now FROM clock CROSS JOIN json_each(?1, '$.quotas') p)`;
  const dead = (at: string, max: string): string =>
    `DELETE FROM ${table} WHERE (key, kind, slot) IN (SELECT key, kind, slot FROM ${table} WHERE dies <= ${at} LIMIT ${max})`;
  const decide = `WITH ${quotas},
    held AS MATERIALIZED (SELECT q.*, coalesce((SELECT sum(s.n) ${alive("q")}), 0) AS used, coalesce((SELECT max(s.dies) ${alive("q")}), 0) AS newest,
      coalesce((SELECT b.dies FROM ${table} b WHERE b.key = q.key AND b.kind = ${KIND.block} AND b.slot = 0 AND b.dies > q.now), 0) AS blocked FROM q),
    judged AS MATERIALIZED (SELECT held.*, CASE WHEN blocked > now THEN 'blocked' WHEN kind = ${KIND.uses} AND dies <= now THEN 'expired'
      WHEN used + max(cost, 1) > "limit" THEN 'full' END AS why FROM held)
    SELECT i, key, kind, cost,
      -- Where a clock went back by more than the window, what is charged counts as if charged in the oldest sub-window that is kept.
      CASE kind WHEN ${KIND.uses} THEN dies ELSE max(newest - 10 * step, now - ((now - shift) % step + step) % step + 11 * step) END AS dies,
      now AS at, NOT EXISTS (SELECT 1 FROM judged WHERE cost > 0 AND why IS NOT NULL) AS admitted, why, used, newest, blocked,
      -- The oldest sub-windows that make room, freed one after the other.
      CASE WHEN kind = ${KIND.rate} AND cost > 0 AND used + cost > "limit" THEN (SELECT min(w.dies) FROM
        (SELECT s.dies, sum(s.n) OVER (ORDER BY s.dies) AS freed ${alive("j")}) w WHERE w.freed >= j.used + j.cost - j."limit") ELSE now END AS ready
    FROM judged j`;

  return {
    schema: [
      `CREATE TABLE IF NOT EXISTS ${table} (key TEXT NOT NULL, kind INTEGER NOT NULL, slot INTEGER NOT NULL, dies INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (key, kind, slot)) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS ${table}_dies ON ${table} (dies)`,
      `CREATE VIEW IF NOT EXISTS ${table}_spend (${columns}) AS SELECT ${columns.replace(/\w+/g, "NULL")}`,
      `CREATE TRIGGER IF NOT EXISTS ${table}_charge INSTEAD OF INSERT ON ${table}_spend WHEN NEW.admitted AND NEW.cost > 0 BEGIN
        INSERT INTO ${table} (key, kind, slot, dies, n) VALUES (NEW.key, NEW.kind, CASE NEW.kind WHEN ${KIND.rate} THEN NEW.dies ELSE 0 END, NEW.dies, NEW.cost)
          ON CONFLICT (key, kind, slot) DO UPDATE SET n = CASE WHEN dies > NEW.at THEN n ELSE 0 END + excluded.n, dies = max(dies, excluded.dies);
        ${dead("NEW.at", String(LAZY_SWEEP))}; END`,
    ],
    now: `SELECT ${now} AS at WHERE ?1 IS NOT NULL`,
    read: decide,
    spend: `INSERT INTO ${table}_spend (${columns}) SELECT * FROM (${decide}) RETURNING *`,
    refund: `WITH ${quotas} UPDATE ${table} SET n = n - q.cost FROM q WHERE ${table}.key = q.key AND ${table}.kind = q.kind AND ${table}.slot = q.slot
      AND ${table}.dies = q.dies AND ${table}.dies > q.now AND n >= q.cost`,
    drop: `WITH ${quotas} DELETE FROM ${table} WHERE (key, kind) IN (SELECT q.key, q.kind FROM q WHERE NOT EXISTS (SELECT 1 ${alive("q")} AND s.n > 0))`,
    lift: `DELETE FROM ${table} WHERE key = ?1 ->> 'key' AND kind = ${KIND.block} AND ?1 ->> 'expiresAt' <= ${now}`,
    block: `INSERT INTO ${table} (key, kind, slot, dies, n) SELECT ?1 ->> 'key', ${KIND.block}, 0, ?1 ->> 'expiresAt', 0 WHERE ?1 ->> 'expiresAt' > ${now}
      ON CONFLICT (key, kind, slot) DO UPDATE SET dies = max(dies, excluded.dies)`,
    sweep: `${dead(now, "?1 ->> 'max'")} RETURNING 1`,
  };
}
