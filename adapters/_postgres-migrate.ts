import type { ConfigProblem } from "../src/errors.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import {
  isDenied,
  isMissing,
  nameIn,
  OTHER_ENCODING,
  openPostgres,
  type Postgres,
  type PostgresClient,
  type PostgresPlace,
} from "./_postgres.ts";
import { boardSql, recountSql } from "./_postgres-board-sql.ts";
import { beginSql, storeSql } from "./_postgres-store-sql.ts";

/** The version of the tables and functions. Increase it with every change to one of them. */
const VERSION = 4;

/** Options of {@link migrate}. */
export interface MigrateOptions extends PostgresPlace {
  /**
   * Milliseconds until it rejects, 1..60000, default 30000. It waits for other processes that migrate at the same time.
   */
  timeoutMs?: number;
  /** Whether the board's rows are counted again for the histogram of ranks, as `check()` asks for with GP174. Reads every row. Default false. */
  recount?: boolean;
}

/**
 * Creates the tables and functions that {@link postgresStore} and {@link postgresBoard} use, or updates them. Run it at
 * deployment, or before the first call of every process. It does nothing if they are up to date, and any number of
 * processes may run it at once. It is one transaction: all or nothing. It does not change tables or functions of a
 * newer release.
 *
 * The role needs the right to create in the schema (and to create the schema, if there is none). Other roles that call
 * the store need `USAGE` on the schema, `EXECUTE` on the functions (every role has it by default), and `SELECT`,
 * `INSERT`, `UPDATE` and `DELETE` on the tables.
 *
 * @returns the version of the tables and functions in the database
 * @throws {TypeError} an unknown option, no client @throws {RangeError} an invalid `schema`, `prefix` or `timeoutMs`
 * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`; `ERR_CONFIG_INVALID`: the database is not encoded in UTF8 (GP154)
 *
 * @example
 * ```ts
 * import { migrate } from "gatepass/adapters/postgres";
 * // As `new pg.Pool({ connectionString })`: whatever has query(text, values).
 * const pool = { query: async (text: string) => ({ rows: text.startsWith("SELECT") ? [{ answer: "1" }] : [] }) };
 * console.assert((await migrate(pool, { schema: "app" })) === 1);
 * ```
 */
export async function migrate(client: PostgresClient, options: MigrateOptions = {}): Promise<number> {
  const rules: Rules<MigrateOptions> = { schema: "string", prefix: "string", timeoutMs: integer(1, 60_000), recount: "boolean" };
  assertOptions("migrate", options, rules);
  const { schema = "public", timeoutMs = 30_000, recount = false } = options;
  const database = openPostgres(client, { place: options, code: "ERR_STORE_UNAVAILABLE", timeoutMs });
  const name = (what: string): string => nameIn(options, what);
  const versions = name("migrations");
  await database.read(`DO $migrate$
BEGIN
  IF getdatabaseencoding() <> 'UTF8' THEN
    RAISE EXCEPTION '%', getdatabaseencoding() USING ERRCODE = '${OTHER_ENCODING}';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('gatepass migrate'), hashtext('${versions}'));
  IF to_regnamespace('"${schema}"') IS NULL THEN CREATE SCHEMA "${schema}"; END IF;
  IF to_regclass('${versions}') IS NULL THEN
    CREATE TABLE ${versions} (version int PRIMARY KEY, migrated timestamptz NOT NULL DEFAULT now());
  END IF;
  IF NOT EXISTS (SELECT FROM ${versions} WHERE version >= ${VERSION}) THEN
${beginSql(name)}
${storeSql(name)}
${boardSql(name)}
    INSERT INTO ${versions} (version) VALUES (${VERSION});
  END IF;
${recount ? recountSql(name) : ""}
END $migrate$`);
  return Number(await versionIn(database, versions));
}

function versionIn(database: Postgres, versions: string): Promise<string | undefined> {
  return database.read(`SELECT max(version)::text AS answer FROM ${versions}`);
}

/** Problems of the database's settings, and of the role's rights on these tables and functions. */
export async function checkPostgres(
  database: Postgres,
  place: PostgresPlace,
  tables: readonly string[],
  functions: readonly string[],
): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  const version = await versionIn(database, nameIn(place, "migrations")).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    // Only this check reads the table of versions, so the role needs no right to it. The rights that it needs are
    // checked below.
    if (isDenied(error)) return VERSION;
    throw error;
  });
  if (!(Number(version) >= VERSION)) {
    problems.push({
      code: "GP150",
      severity: "error",
      message:
        version === undefined ? "PostgreSQL is not prepared: migrate() has not been run" : "PostgreSQL is prepared for an older release",
      fix: "Call migrate() of gatepass/adapters/postgres at deployment, with the same schema and prefix",
    });
  }
  const lacking = await database.read(lackingSql(place, tables, functions));
  if (lacking) {
    problems.push({
      code: "GP155",
      severity: "error",
      message: `The role of PostgreSQL lacks ${lacking}: calls fail`,
      fix: "Grant it USAGE on the schema, EXECUTE on the functions, and SELECT, INSERT, UPDATE and DELETE on the tables",
    });
  }
  const told = await database.read(`SELECT concat_ws(' ', CASE WHEN current_setting('fsync') = 'off' THEN 'fsync' END,
    CASE WHEN current_setting('synchronous_commit') = 'off' THEN 'synchronous_commit' END,
    CASE WHEN EXISTS (SELECT FROM ${relations(place, tables)} AND relpersistence <> 'p') THEN 'unlogged' END,
    CASE WHEN current_setting('default_transaction_isolation') IN ('repeatable read', 'serializable') THEN 'isolation' END,
    CASE WHEN getdatabaseencoding() <> 'UTF8' THEN 'encoding' END,
    CASE WHEN pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' THEN 'readonly' END) AS answer`);
  for (const found of (told ?? "").split(" ")) {
    const problem = PROBLEMS[found];
    if (problem !== undefined) problems.push(problem);
  }
  return problems;
}

/** The end of a statement that finds these tables in the catalogs, which every role can read. */
function relations(place: PostgresPlace, tables: readonly string[]): string {
  const { schema, names } = textsIn(place, tables);
  return `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ${schema} AND c.relname IN (${names})`;
}

/**
 * A statement that gives the rights that the role lacks, as text. Missing tables and functions are not its concern:
 * GP150 reports them.
 */
function lackingSql(place: PostgresPlace, tables: readonly string[], functions: readonly string[]): string {
  const { schema, names } = textsIn(place, functions);
  return `SELECT concat_ws(', ',
    (SELECT 'USAGE on the schema' FROM pg_namespace WHERE nspname = ${schema} AND NOT has_schema_privilege(oid, 'USAGE')),
    (SELECT string_agg('EXECUTE on ' || p.proname, ', ' ORDER BY p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = ${schema} AND p.proname IN (${names}) AND NOT has_function_privilege(p.oid, 'EXECUTE')),
    (SELECT string_agg(right_ || ' on ' || c.relname, ', ' ORDER BY c.relname, right_)
      FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS right_, ${relations(place, tables)} AND NOT has_table_privilege(c.oid, right_))) AS answer`;
}

/** Names as SQL string literals. {@link nameIn} only accepts identifiers, so none can contain a quote. */
function textsIn(place: PostgresPlace, names: readonly string[]): { schema: string; names: string } {
  const [first = ""] = nameIn(place, "").split(".");
  const texts = names.map((name) => `'${(nameIn(place, name).split(".")[1] ?? "").slice(1, -1)}'`);
  return { schema: `'${first.slice(1, -1)}'`, names: texts.join(", ") };
}

const PROBLEMS: Readonly<Record<string, ConfigProblem>> = {
  fsync: {
    code: "GP151",
    severity: "warning",
    message: "PostgreSQL runs with fsync = off: a crash of the machine may corrupt it, and forget tokens that were spent",
    fix: "Set fsync = on",
  },
  synchronous_commit: {
    code: "GP151",
    severity: "warning",
    message: "PostgreSQL runs with synchronous_commit = off: a crash forgets what was spent in the last moments",
    fix: "Set synchronous_commit = on for the role, or accept that a token may then be spent twice",
  },
  unlogged: {
    code: "GP151",
    severity: "warning",
    message: "A table of gatepass is UNLOGGED: PostgreSQL empties it after a crash",
    fix: "Run ALTER TABLE ... SET LOGGED",
  },
  isolation: {
    code: "GP152",
    severity: "warning",
    message: "Transactions begin in another isolation level than READ COMMITTED: every call has to set it",
    fix: "Give gatepass connections with default_transaction_isolation = 'read committed'",
  },
  encoding: {
    code: "GP154",
    severity: "error",
    message: "The database is not encoded in UTF8: a name with a character that its encoding lacks cannot be stored",
    fix: "Create the database with ENCODING 'UTF8' (CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'), and migrate there",
  },
  readonly: {
    code: "GP153",
    severity: "error",
    message: "PostgreSQL is read-only, a standby perhaps: nothing can be spent",
    fix: "Connect to the primary",
  },
};
