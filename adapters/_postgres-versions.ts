import type { ConfigProblem } from "../src/errors.ts";
import { BOARD_VERSION, versionError, versionProblem } from "../src/scores/board-check.ts";
import { isDenied, isMissing, nameIn, type Postgres, type PostgresPlace, wholeNumber } from "./_postgres.ts";

/** The version of the tables and functions. Increase it with every change to one of them. */
export const VERSION = 4;
/** What brings the data to this release's version. */
export const MIGRATE = '`migrate(client)` of "gatepass/adapters/postgres"';

/** What a database has. */
export interface PostgresVersions {
  /** Version of the tables and functions. */
  version: number;
  /** Version of the board's data: a release that knows another one must not use it. */
  board: number;
}

/** The versions that `migrate` left; undefined: it has not been run. */
export async function versionsIn(database: Postgres, place: PostgresPlace): Promise<PostgresVersions | undefined> {
  // Read from JSON, since the column `board` is missing before version 4. A release that does not know it leaves it NULL.
  const board = "coalesce((to_jsonb(m)->>'board')::int, CASE WHEN version < 3 THEN 1 ELSE 2 END)";
  const sql = `SELECT jsonb_build_object('version', version, 'board', ${board})::text AS answer FROM ${nameIn(place, "migrations")} m
    ORDER BY version DESC LIMIT 1`;
  return database
    .look(sql, (answer) => answer && { version: wholeNumber(answer["version"]), board: wholeNumber(answer["board"]) })
    .catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
}

/** GP173, when the board's data is of another version. A role that may not read the versions is told by the calls. */
export async function boardVersionProblem(database: Postgres, place: PostgresPlace): Promise<ConfigProblem | undefined> {
  const versions = await versionsIn(database, place).catch((error: unknown) => {
    if (isDenied(error)) return undefined;
    throw error;
  });
  return versions === undefined || versions.board === BOARD_VERSION ? undefined : versionProblem("PostgreSQL", versions.board, MIGRATE);
}

/** The same database, whose calls say so where functions are missing since the board's data is of an older version. */
export function withBoardVersions(database: Postgres, place: PostgresPlace): Postgres {
  return {
    ...database,
    ask: (name, wanted, read) =>
      database.ask(name, wanted, read).catch(async (error: unknown) => {
        const problem = isMissing(error) ? await boardVersionProblem(database, place) : undefined;
        throw problem === undefined ? error : versionError(problem);
      }),
  };
}
