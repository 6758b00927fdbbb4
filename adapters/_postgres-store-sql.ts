import { OTHER_ISOLATION } from "./_postgres.ts";

/** Gives the quoted name of a table or function. */
export type NameIn = (name: string) => string;

/** Kinds of rows. */
const KIND = { uses: 0, rate: 1, block: 2 } as const;

/**
 * Settings of the functions. All calls use one plan, since planning takes longer than running. The plan must use
 * indexes, also if the table was empty when it was made: otherwise it would read the whole table later. `lock_timeout`
 * is set inside the functions.
 */
export const PLAN: string =
  "SET lock_timeout = 0 SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off";

/**
 * The server's clock in milliseconds, part of every answer. `now()` does not advance while a transaction waits for its
 * locks.
 */
export const CLOCK: string = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/** The answer of a function that was called too late, or in another isolation level. */
export const LATE: string = `jsonb_build_object('late', true, 'clock', ${CLOCK}, 'isolation', current_setting('transaction_isolation'))::text`;

/** Integer division that rounds down, also for negative numbers. */
const floored = (a: string, b: string): string => `(((${a}) - mod(mod((${a}), ${b}) + ${b}, ${b})) / ${b})`;
/** The index of a sub-window's count in its array. */
const slot = (sub: string): string => `(mod(mod(${sub}, 11) + 11, 11) + 1)::int`;

/** The function that every other one calls first: it checks the deadline and takes locks. */
export function beginSql(name: NameIn): string {
  return `
-- Locks names, in the order of their numbers: two calls that want the same ones wait for each other, and never both. Two names may have one number.
-- The class of the locks keeps them apart from those of other users of the database.
-- False: it is too late, or the transaction began in another isolation level. That is an answer, not an error: pools drop a connection after an error,
-- and the first calls of a process would drop all of theirs. A caller that does not say "tells" is of an older release, which waits for the error.
CREATE OR REPLACE FUNCTION ${name("begin")}(want jsonb, class text, names text[]) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $fn$
DECLARE
  deadline CONSTANT bigint := coalesce((want->>'deadline')::bigint, ${CLOCK} + (want->>'patience')::bigint);
  remaining bigint := deadline - ${CLOCK};
  lock int;
BEGIN
  -- Beyond READ COMMITTED what is read is as it was before the locks were had.
  IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    IF want->>'tells' = 'true' THEN RETURN false; END IF;
    RAISE EXCEPTION 'gatepass needs READ COMMITTED' USING ERRCODE = '${OTHER_ISOLATION}';
  END IF;
  IF remaining <= 0 THEN RETURN false; END IF;
  PERFORM set_config('lock_timeout', remaining::text, true);
  FOR lock IN SELECT DISTINCT hashtext(each) FROM unnest(names) AS each ORDER BY 1 LOOP
    IF NOT pg_try_advisory_xact_lock(hashtext(class), lock) THEN
      remaining := deadline - ${CLOCK};
      IF remaining <= 0 THEN RETURN false; END IF;
      PERFORM set_config('lock_timeout', remaining::text, true);
      PERFORM pg_advisory_xact_lock(hashtext(class), lock);
    END IF;
  END LOOP;
  RETURN deadline > ${CLOCK};
END $fn$;`;
}

/**
 * The store's table and functions. `spend` decides like src/store/ledger.ts and window.ts. These then compute the
 * result from the records that it returns.
 */
export function storeSql(name: NameIn): string {
  const store = name("store");
  const key = `'${name("store")}'`;
  return `
-- dies: ms; n: units used, or the newest sub-window; counts: of that one and the ten before it, each at its number modulo 11.
CREATE TABLE IF NOT EXISTS ${store} (key text COLLATE "C" NOT NULL, kind smallint NOT NULL, dies bigint NOT NULL, n bigint NOT NULL, counts bigint[],
  PRIMARY KEY (key, kind)) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS ${name("store_dies").split(".")[1]} ON ${store} (dies);

-- Rows that somebody is about to renew are locked, and left to them.
CREATE OR REPLACE FUNCTION ${name("sweep")}(want text) RETURNS text LANGUAGE plpgsql VOLATILE ${PLAN} AS $fn$
DECLARE
  at CONSTANT bigint := coalesce((want::jsonb->>'now')::bigint, ${CLOCK});
  swept int;
BEGIN
  DELETE FROM ${store} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ${store} WHERE dies <= at ORDER BY dies LIMIT (want::jsonb->>'max')::bigint FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS swept = ROW_COUNT;
  RETURN jsonb_build_object('swept', swept)::text;
END $fn$;

CREATE OR REPLACE FUNCTION ${name("spend")}(ask text) RETURNS text LANGUAGE plpgsql VOLATILE ${PLAN} AS $fn$
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  at bigint;
  ok boolean := true;
  held jsonb := '[]';
  renewed ${store}[] := '{}';
  quota record;
  step bigint;
  shift bigint;
  sub bigint;
  newest bigint;
  units bigint;
  ring bigint[];
BEGIN
  -- What is only read needs no lock.
  IF NOT ${name("begin")}(want, ${key}, ARRAY(SELECT each->>'k' FROM jsonb_array_elements(want->'quotas') AS each WHERE (each->>'c')::bigint > 0)) THEN
    RETURN ${LATE};
  END IF;
  at := coalesce((want->>'now')::bigint, ${CLOCK});
  -- A statement of its own, after the locks: its snapshot holds what those who had them have written. LIMIT keeps the planner to one lookup a quota.
  FOR quota IN SELECT q.*, h.dies, h.n, h.counts, b.dies AS blocked
    FROM jsonb_to_recordset(want->'quotas') AS q(k text, t smallint, l bigint, c bigint, w bigint, s bigint)
    LEFT JOIN LATERAL (SELECT * FROM ${store} WHERE key = q.k AND kind = q.t AND dies > at LIMIT 1) AS h ON true
    LEFT JOIN LATERAL (SELECT * FROM ${store} WHERE key = q.k AND kind = ${KIND.block} AND dies > at LIMIT 1) AS b ON true
  LOOP
    held := held || jsonb_build_array(jsonb_build_array(quota.dies, quota.n, quota.blocked, to_jsonb(quota.counts)));
    CONTINUE WHEN quota.c = 0;
    ok := ok AND quota.blocked IS NULL;
    IF quota.t = ${KIND.uses} THEN
      ok := ok AND quota.w > at AND coalesce(quota.n, 0) + quota.c <= quota.l;
      renewed := renewed || ROW(quota.k, quota.t, greatest(quota.dies, quota.w), coalesce(quota.n, 0) + quota.c, NULL)::${store};
    ELSE
      step := quota.w * 100;
      shift := coalesce(quota.dies - (quota.n + 11) * step, quota.s);
      sub := ${floored("at - shift", "step")};
      newest := coalesce(quota.n, sub - 11);
      ring := coalesce(quota.counts, '{0,0,0,0,0,0,0,0,0,0,0}');
      units := 0;
      -- All from sub - 10 on count, those after it (a clock that went back) too; what is older than the newest by more than ten is empty from now on.
      FOR i IN 0..10 LOOP
        IF greatest(sub, newest) - i <= newest THEN units := units + ring[${slot("greatest(sub, newest) - i")}];
        ELSE ring[${slot("greatest(sub, newest) - i")}] := 0;
        END IF;
      END LOOP;
      ok := ok AND units + quota.c <= quota.l;
      newest := greatest(sub, newest);
      sub := greatest(sub, newest - 10);
      ring[${slot("sub")}] := ring[${slot("sub")}] + quota.c;
      renewed := renewed || ROW(quota.k, quota.t, (newest + 11) * step + shift, newest, ring)::${store};
    END IF;
  END LOOP;
  IF ok AND cardinality(renewed) > 0 THEN
    INSERT INTO ${store} SELECT * FROM unnest(renewed)
      ON CONFLICT (key, kind) DO UPDATE SET dies = excluded.dies, n = excluded.n, counts = excluded.counts;
    -- The table does not grow even where nobody calls sweep: two dead rows go for each that came, of 16 at most.
    IF random() < 0.25 THEN
      PERFORM ${name("sweep")}(jsonb_build_object('now', at, 'max', 8 * cardinality(renewed))::text);
    END IF;
  END IF;
  RETURN jsonb_build_object('ok', ok, 'at', at, 'held', held, 'clock', ${CLOCK})::text;
END $fn$;

CREATE OR REPLACE FUNCTION ${name("refund")}(ask text) RETURNS text LANGUAGE plpgsql VOLATILE ${PLAN} AS $fn$
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  at bigint;
  quota record;
  step bigint;
  shift bigint;
  sub bigint;
  oldest bigint;
  units bigint;
  ring bigint[];
BEGIN
  IF NOT ${name("begin")}(want, ${key}, ARRAY(SELECT each->>'k' FROM jsonb_array_elements(want->'quotas') AS each)) THEN
    RETURN ${LATE};
  END IF;
  at := coalesce((want->>'now')::bigint, ${CLOCK});
  FOR quota IN SELECT q.*, h.dies, h.n, h.counts
    FROM jsonb_to_recordset(want->'quotas') AS q(k text, t smallint, c bigint, w bigint)
    CROSS JOIN LATERAL (SELECT * FROM ${store} WHERE key = q.k AND kind = q.t AND dies > at LIMIT 1) AS h
    WHERE q.c > 0
  LOOP
    ring := quota.counts;
    IF quota.t = ${KIND.uses} THEN
      -- Fenced: a lease that ran out and was taken anew has another expiry.
      CONTINUE WHEN quota.dies <> quota.w OR quota.n < quota.c;
      quota.n := quota.n - quota.c;
      units := quota.n;
    ELSE
      step := quota.w * 100;
      shift := quota.dies - (quota.n + 11) * step;
      sub := ${floored("(want->>'at')::bigint - shift", "step")};
      -- The sub-window before those that count now.
      oldest := greatest(quota.n, ${floored("at - shift", "step")}) - 11;
      CONTINUE WHEN sub > quota.n OR sub <= oldest OR ring[${slot("sub")}] < quota.c;
      ring[${slot("sub")}] := ring[${slot("sub")}] - quota.c;
      units := 0;
      FOR i IN 0..10 LOOP
        IF quota.n - i > oldest THEN units := units + ring[${slot("quota.n - i")}]; END IF;
      END LOOP;
    END IF;
    IF units = 0 THEN DELETE FROM ${store} WHERE key = quota.k AND kind = quota.t;
    ELSE UPDATE ${store} SET n = quota.n, counts = ring WHERE key = quota.k AND kind = quota.t;
    END IF;
  END LOOP;
  RETURN jsonb_build_object('clock', ${CLOCK})::text;
END $fn$;

CREATE OR REPLACE FUNCTION ${name("block")}(ask text) RETURNS text LANGUAGE plpgsql VOLATILE ${PLAN} AS $fn$
DECLARE
  want CONSTANT jsonb := ask::jsonb;
  until CONSTANT bigint := (want->>'until')::bigint;
BEGIN
  IF NOT ${name("begin")}(want, ${key}, ARRAY[want->>'key']) THEN RETURN ${LATE}; END IF;
  IF until <= coalesce((want->>'now')::bigint, ${CLOCK}) THEN DELETE FROM ${store} WHERE key = want->>'key' AND kind = ${KIND.block};
  ELSE
    INSERT INTO ${store} VALUES (want->>'key', ${KIND.block}, until, 0, NULL)
      ON CONFLICT (key, kind) DO UPDATE SET dies = greatest(${store}.dies, excluded.dies);
  END IF;
  RETURN jsonb_build_object('clock', ${CLOCK})::text;
END $fn$;`;
}
