import { type ConfigProblem, isGatepassError } from "../src/errors.ts";
import { BOARD_VERSION, versionError, versionProblem } from "../src/scores/board-check.ts";
import { type LiteDatabase, type LiteQuery, nothing } from "./_lite.ts";
import { migrationSql } from "./_lite-board-migrate.ts";
import { type LiteTables, wrongLists } from "./_lite-board-tables.ts";
import { flagIn, numberIn, type SqlRow } from "./_sql.ts";

/** Rows up to which a call migrates by itself: that takes a moment only. */
const SMALL = 1000;
/** Times that a call finds the tables changed under it by others that make or migrate them. */
const ATTEMPTS = 5;

/** The data of a board in SQLite or D1, which may be of another version, or not there yet. */
export interface LiteVersions extends LiteDatabase {
  /** What an operator runs, e.g. `migrate(client)` of an adapter. */
  readonly command: string;
  /** GP173, when the data is of another version. */
  problem(): Promise<ConfigProblem | undefined>;
  /** Brings the data to this release's version and counts wrong histograms again; tells what was done. */
  migrate(): Promise<string[]>;
}

/** What the database says of itself. */
interface State {
  /** Of the data; 0: it is being migrated; undefined: there is none. */
  version: number | undefined;
  /** Rows that a migration has to copy, or one more than {@link SMALL}. */
  rows: number;
}

/**
 * Puts a guard before every transaction: data of another version is neither read nor written. Where tables are missing, or triggers at the first write,
 * they are made and the transaction is run again: an export of D1 brings no triggers, and a histogram without them counts wrong.
 *
 * @param where names the data in messages
 */
export function liteVersions(database: LiteDatabase, tables: LiteTables, where: string, command: string): LiteVersions {
  const { meta: META, row: ROW, rules: RULES, list: LIST, hist: HIST } = tables;
  const names = tables.triggers.map((name) => `'${name}'`).join(", ");
  const isCurrent = `(SELECT version FROM ${META} WHERE kind = 'board') = ${BOARD_VERSION}`;
  const hasTriggers = `(SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name IN (${names})) = ${tables.triggers.length}`;
  // SQL outside of triggers has no other way to stop a transaction: the absolute value of the lowest number does not exist.
  const guard = (condition: string): LiteQuery => [`SELECT abs(CASE WHEN ${condition} THEN 1 ELSE -9223372036854775808 END) AS ok`];
  const GUARDS = { read: guard(isCurrent), write: guard(`${isCurrent} AND ${hasTriggers}`) };
  const migration = migrationSql(tables);
  /** Whether the triggers were there. Once is enough: D1 counts every entry of the schema that is looked at. */
  let seen = false;

  /** Looks again where another process ended a migration meanwhile, and took the tables away that were just seen. */
  async function state(left = ATTEMPTS): Promise<State> {
    try {
      return await look();
    } catch (error) {
      if (left === 0 || !isMissing(error)) throw error;
      return state(left - 1);
    }
  }

  async function look(): Promise<State> {
    const has = (what: string): string => `EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND ${what})`;
    // Version 1 had no table for its version; its rules had a column that none has today.
    const sql = `SELECT ${has(`name = '${META}'`)} AS meta, ${has(`name = '${RULES}' AND sql LIKE '%ascending%'`)} AS old`;
    const { meta, old } = await database.read([[sql]], ([[found = {}] = []]) => ({
      meta: flagIn(found, "meta"),
      old: flagIn(found, "old"),
    }));
    if (!meta && !old) return { version: undefined, rows: 0 };
    if (old) return { version: 1, rows: await rowsIn(ROW) };
    const version = await database.read(
      [[`SELECT version FROM ${META} WHERE kind = 'board'`]],
      ([rows = []]) => rows[0] && numberIn(rows[0], "version"),
    );
    return { version, rows: version === 0 ? await rowsIn(migration.rows) : 0 };
  }

  async function rowsIn(table: string): Promise<number> {
    const sql = `SELECT count(*) AS n FROM (SELECT 1 FROM ${table} LIMIT ${SMALL + 1})`;
    return database.read([[sql]], ([[row = {}] = []]) => numberIn(row, "n"));
  }

  /** Makes what is missing, and counts again what the missing triggers did not. */
  async function make(): Promise<void> {
    const lists = `SELECT list FROM ${LIST} WHERE depths > 0`;
    const queries: LiteQuery[] = [
      ...tables.schema.map((sql): LiteQuery => [sql]),
      [`INSERT INTO ${META} (kind, version) VALUES ('board', ${BOARD_VERSION}) ON CONFLICT DO NOTHING`],
      [`DELETE FROM ${HIST}`],
      [tables.recount(lists)],
    ];
    await database.write(queries, nothing);
  }

  async function run<T>(kind: "read" | "write", queries: readonly LiteQuery[], tell: (answers: readonly SqlRow[][]) => T): Promise<T> {
    for (let left = ATTEMPTS; ; left--) {
      try {
        const told = await database[kind]([GUARDS[seen ? "read" : kind], ...queries], (answers) => tell(answers.slice(1)));
        seen ||= kind === "write";
        return told;
      } catch (error) {
        if (left === 0 || !isMissing(error)) throw error;
      }
      const { version, rows } = await state();
      if (version === undefined || version === BOARD_VERSION) await make();
      else if (version > BOARD_VERSION || rows > SMALL) throw versionError(versionProblem(where, version, command));
      else await migrate();
    }
  }

  async function migrate(): Promise<string[]> {
    const done: string[] = [];
    for (let left = ATTEMPTS; left > 0; left--) {
      const { version } = await state();
      if (version !== undefined && version > BOARD_VERSION) throw versionError(versionProblem(where, version, command));
      try {
        if (version === undefined) {
          await make();
          done.push(`made the tables of version ${BOARD_VERSION}`);
        } else if (version < BOARD_VERSION) await migration.run(database, version, done);
        else {
          done.push(...(await repair()));
          return done;
        }
      } catch (error) {
        // Another process made the same step first: what is left is seen in the next round.
        if (left === 1) throw error;
      }
    }
    return done;
  }

  async function repair(): Promise<string[]> {
    const queries: LiteQuery[] = [[`SELECT count(*) AS n FROM (${wrongLists(tables)})`], [`SELECT ${hasTriggers} AS triggers`]];
    const isRight = await database.read(
      queries,
      ([[wrong = {}] = [], [found = {}] = []]) => numberIn(wrong, "n") === 0 && flagIn(found, "triggers"),
    );
    if (isRight) return [];
    await make();
    return ["counted the rows again for the histogram of ranks"];
  }

  return {
    command,
    read: (queries, tell) => run("read", queries, tell),
    write: (queries, tell) => run("write", queries, tell),
    migrate,
    async problem() {
      const { version } = await state();
      return version === undefined || version === BOARD_VERSION ? undefined : versionProblem(where, version, command);
    },
  };
}

/** Whether an error says that a table or column is missing, or that the guard stopped the transaction. */
function isMissing(error: unknown): boolean {
  return /integer overflow|no such (table|column)/.test(String(isGatepassError(error) ? error.cause : error));
}
