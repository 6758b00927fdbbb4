import { type ConfigProblem, GatepassError } from "../src/errors.ts";
import { BOARD_VERSION, versionError, versionProblem } from "../src/scores/board-check.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { isDenied, nameIn, OTHER_ENCODING, openPostgres, type Postgres, type PostgresClient, type PostgresPlace } from "./_postgres.ts";
import { boardSql, recountSql } from "./_postgres-board-sql.ts";
import { lackingIn, relations, toMigrate } from "./_postgres-rights.ts";
import { beginSql, storeSql } from "./_postgres-store-sql.ts";
import { MIGRATE, type PostgresVersions, VERSION, versionsIn } from "./_postgres-versions.ts";

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
 * `INSERT`, `UPDATE` and `DELETE` on the tables: `check()` tells the `GRANT`s that are missing.
 *
 * @returns what was done while it ran, by this call or by another one; one sentence each, empty: nothing was to do
 * @throws {TypeError} an unknown option, no client @throws {RangeError} an invalid `schema`, `prefix` or `timeoutMs`
 * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`, also when the role's `statement_timeout` ends it;
 *   `ERR_CONFIG_INVALID`: the database is not encoded in UTF8 (GP154), the role lacks a right (GP155; the message has the
 *   `GRANT`), or a newer release has made the board's data (GP173)
 *
 * @example
 * ```ts
 * import { migrate } from "gatepass/adapters/postgres";
 * // As `new pg.Pool({ connectionString })`: whatever has query(text, values).
 * const answer = JSON.stringify({ version: 4, board: 2 });
 * const pool = { query: async (text: string) => ({ rows: text.startsWith("SELECT") ? [{ answer }] : [] }) };
 * for (const done of await migrate(pool, { schema: "app" })) console.log(done);
 * ```
 */
export async function migrate(client: PostgresClient, options: MigrateOptions = {}): Promise<string[]> {
  const rules: Rules<MigrateOptions> = { schema: "string", prefix: "string", timeoutMs: integer(1, 60_000), recount: "boolean" };
  assertOptions("migrate", options, rules);
  const { schema = "public", timeoutMs = 30_000, recount = false } = options;
  const database = openPostgres(client, { place: options, code: "ERR_STORE_UNAVAILABLE", timeoutMs });
  const name = (what: string): string => nameIn(options, what);
  const versions = name("migrations");
  const run = async (): Promise<string[]> => {
    const before = await versionsIn(database, options);
    if (before !== undefined && before.board > BOARD_VERSION) throw versionError(versionProblem("PostgreSQL", before.board, MIGRATE));
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
    -- The version of the board's data.
    ALTER TABLE ${versions} ADD COLUMN IF NOT EXISTS board int;
${beginSql(name)}
${storeSql(name)}
${boardSql(name)}
    INSERT INTO ${versions} (version, board) VALUES (${VERSION}, ${BOARD_VERSION});
  END IF;
${recount ? recountSql(name) : ""}
END $migrate$`);
    return [
      ...did(before, await versionsIn(database, options)),
      ...(recount ? ["counted the board's rows again for the histogram of ranks"] : []),
    ];
  };
  return run().catch(async (error: unknown) => {
    if (!isDenied(error)) throw error;
    const grant = await toMigrate(database, options);
    throw new GatepassError(
      "ERR_CONFIG_INVALID",
      `Cannot migrate: the role of PostgreSQL lacks a right (GP155). Run as an administrator: ${grant}`,
      {
        cause: error,
      },
    );
  });
}

function did(before: PostgresVersions | undefined, after: PostgresVersions | undefined): string[] {
  if (before === undefined) return [`made the tables and functions of version ${after?.version}`];
  if (before.version === after?.version) return [];
  const functions = `brought the tables and functions from version ${before.version} to version ${after?.version}`;
  return before.board === after?.board
    ? [functions]
    : [functions, `brought the board's data from version ${before.board} to version ${after?.board}`];
}

/** Problems of the database's settings, and of the role's rights on these tables and functions. */
export async function checkPostgres(
  database: Postgres,
  place: PostgresPlace,
  tables: readonly string[],
  functions: readonly string[],
): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  const version = await versionsIn(database, place).then(
    (versions) => versions?.version,
    (error: unknown) => {
      // Only this check reads the table of versions, so the role needs no right to it. The rights that it needs are
      // checked below.
      if (isDenied(error)) return VERSION;
      throw error;
    },
  );
  if (version === undefined || version < VERSION) {
    problems.push({
      code: "GP150",
      severity: "error",
      message:
        version === undefined
          ? "PostgreSQL is not prepared: migrate() has not been run"
          : `PostgreSQL has tables and functions of version ${version}, and this release needs version ${VERSION}`,
      fix: "Call migrate() of gatepass/adapters/postgres at deployment, with the same schema and prefix",
    });
  }
  const { lacks, grants } = await lackingIn(database, place, tables, functions);
  if (lacks !== "") {
    problems.push({
      code: "GP155",
      severity: "error",
      message: `The role of PostgreSQL lacks ${lacks}: calls fail`,
      fix: `Run as the owner of the tables: ${grants}`,
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
