import { nameIn, type Postgres, type PostgresPlace, unreadable } from "./_postgres.ts";

/** What a role lacks. */
export interface Lacking {
  /** In words; "": nothing. */
  lacks: string;
  /** The statements that give it the rights, without a semicolon at the end. */
  grants: string;
}

/**
 * The rights that the role lacks to call these functions. Missing tables and functions are not its concern: GP150 reports
 * them.
 */
export async function lackingIn(
  database: Postgres,
  place: PostgresPlace,
  tables: readonly string[],
  functions: readonly string[],
): Promise<Lacking> {
  const { schema, names } = textsIn(place, functions);
  const rights = `SELECT c.relname, string_agg(right_, ', ' ORDER BY right_) AS rights, string_agg(right_ || ' on ' || c.relname, ', ' ORDER BY right_) AS lacks
    FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS right_, ${relations(place, tables)} AND NOT has_table_privilege(c.oid, right_) GROUP BY 1`;
  const sql = `SELECT jsonb_build_object('lacks', concat_ws(', ', s.lacks, f.lacks, t.lacks), 'grants', concat_ws('; ', s.grants,
      'GRANT EXECUTE ON FUNCTION ' || f.named || format(' TO %I', current_user), t.grants))::text AS answer
    FROM (SELECT max('USAGE on the schema') AS lacks, max(format('GRANT USAGE ON SCHEMA %I TO %I', nspname, current_user)) AS grants
        FROM pg_namespace WHERE nspname = ${schema} AND NOT has_schema_privilege(oid, 'USAGE')) AS s,
      (SELECT string_agg('EXECUTE on ' || p.proname, ', ' ORDER BY p.proname) AS lacks,
          string_agg(format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)), ', ' ORDER BY p.proname) AS named
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = ${schema} AND p.proname IN (${names}) AND NOT has_function_privilege(p.oid, 'EXECUTE')) AS f,
      (SELECT string_agg(lacks, ', ' ORDER BY lacks) AS lacks, string_agg(grants, '; ' ORDER BY grants) AS grants
        FROM (SELECT string_agg(lacks, ', ' ORDER BY relname) AS lacks,
          format('GRANT %s ON %s TO %I', rights, string_agg(format('%I.%I', ${schema}, relname), ', ' ORDER BY relname), current_user) AS grants
          FROM (${rights}) AS r GROUP BY rights) AS g) AS t`;
  return database.look(sql, ({ lacks, grants } = {}) => {
    if (typeof lacks !== "string" || typeof grants !== "string") throw unreadable();
    return { lacks, grants };
  });
}

/** The statement that lets the role migrate. What another role made can be changed by its members alone. */
export async function toMigrate(database: Postgres, place: PostgresPlace): Promise<string> {
  const { schema } = textsIn(place, []);
  const grant = await database.read(`SELECT coalesce(
    (SELECT format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', nspname, current_user) FROM pg_namespace
      WHERE nspname = ${schema} AND NOT (has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE'))),
    (SELECT format('GRANT %I TO %I', pg_get_userbyid(c.relowner), current_user) FROM ${relations(place, ["migrations"])}),
    format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)) AS answer`);
  return grant ?? "";
}

/** The end of a statement that finds these tables in the catalogs, which every role can read. */
export function relations(place: PostgresPlace, tables: readonly string[]): string {
  const { schema, names } = textsIn(place, tables);
  return `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ${schema} AND c.relname IN (${names})`;
}

/** Names as SQL string literals. {@link nameIn} only accepts identifiers, so none can contain a quote. */
function textsIn(place: PostgresPlace, names: readonly string[]): { schema: string; names: string } {
  const [first = ""] = nameIn(place, "").split(".");
  const texts = names.map((name) => `'${(nameIn(place, name).split(".")[1] ?? "").slice(1, -1)}'`);
  return { schema: `'${first.slice(1, -1)}'`, names: texts.join(", ") };
}
