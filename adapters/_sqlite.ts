import { type ErrorCode, GatepassError, isGatepassError } from "../src/errors.ts";
import { assertInteger } from "../src/util/assertions.ts";
import { isJsonObject } from "../src/util/json.ts";
import { methods } from "../src/util/options.ts";
import { rowIn, rowsIn, type SqlRow } from "./_sql.ts";

/**
 * A value for a statement's parameter. Drivers bind numbers as doubles: give columns INTEGER affinity, and do no
 * arithmetic on bare parameters.
 */
export type SqliteValue = string | number | null;

/** A prepared statement of any driver. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): unknown;
  get(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
}

/**
 * The part of a driver that is used: `DatabaseSync` of node:sqlite, `Database` of bun:sqlite, better-sqlite3 or libsql.
 */
export interface SqliteClient {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
}

/** Runs statements. Each one is prepared once and reused. */
export interface SqliteSession {
  run(sql: string, ...values: SqliteValue[]): void;
  get(sql: string, ...values: SqliteValue[]): SqlRow | undefined;
  all(sql: string, ...values: SqliteValue[]): SqlRow[];
}

/** A database that waits for its lock without blocking the process. */
export interface Sqlite {
  /**
   * Runs `work` in a transaction that holds the write lock from its start; an exception rolls it back and is passed on.
   * `work` is synchronous.
   */
  write<T>(work: (session: SqliteSession) => T): Promise<T>;
  /** Runs `work` in a transaction that reads one snapshot. */
  read<T>(work: (session: SqliteSession) => T): Promise<T>;
  /**
   * Moves the write-ahead log into the database's file and empties it: the log still holds deleted text. Does nothing
   * while another process uses it.
   */
  checkpoint(): void;
  /** Makes waiting and later calls reject. It does not close the client. */
  close(): void;
}

/** Options of {@link openSqlite}. */
export interface SqliteSetup {
  /** SQL statements that create tables and indexes, all with `IF NOT EXISTS`. They run once, in one transaction. */
  schema: readonly string[];
  /** Code of the error when the database is closed, broken, or locked for longer than `timeoutMs`. */
  code: ErrorCode;
  /** Milliseconds, default 2000. */
  timeoutMs?: number | undefined;
  /** Whether deleted data is overwritten in the file, not only marked as free. Default false. */
  erases?: boolean;
}

interface Job {
  attempt(): void;
  fail(error: unknown): void;
  deadline: number;
}

/**
 * Prepares `client` with the first call: WAL, and a busy timeout of 25 ms. Drivers are synchronous, so a longer timeout
 * would block this process while another one holds the lock. After these 25 ms calls queue up instead. The first of the
 * queue tries again after a random pause.
 *
 * @throws {RangeError} `timeoutMs` is not an integer from 1 to 60000
 */
export function openSqlite(client: SqliteClient, { schema, code, timeoutMs = 2000, erases = false }: SqliteSetup): Sqlite {
  methods("exec", "prepare")("client", client);
  assertInteger("timeoutMs", timeoutMs, 1, 60_000);
  const session = createSession(client);
  const queue: Job[] = [];
  let ready = false;
  let closed = false;

  function transact<T>(begin: string, work: (session: SqliteSession) => T): T {
    session.run(begin);
    try {
      const result = work(session);
      session.run("COMMIT");
      return result;
    } catch (error) {
      rollback();
      throw error;
    }
  }

  function rollback(): void {
    try {
      session.run("ROLLBACK");
    } catch {
      // SQLite has rolled back already. Throw the error that made it do so.
    }
  }

  function prepare(): void {
    if (ready) return;
    client.exec("PRAGMA busy_timeout = 25");
    client.exec("PRAGMA journal_mode = WAL");
    if (erases) client.exec("PRAGMA secure_delete = ON");
    transact("BEGIN IMMEDIATE", () => {
      for (const statement of schema) client.exec(statement);
    });
    ready = true;
  }

  function submit<T>(begin: string, work: (session: SqliteSession) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = (cause: unknown): void =>
        reject(isGatepassError(cause) ? cause : new GatepassError(code, "Cannot use the database", { cause }));
      const attempt = (): void => {
        if (closed) throw new Error("The store is closed");
        prepare();
        resolve(transact(begin, work));
      };
      queue.push({ attempt, fail, deadline: performance.now() + timeoutMs });
      if (queue.length === 1) pump();
    });
  }

  function pump(): void {
    for (let job = queue[0]; job !== undefined; job = queue[0]) {
      try {
        job.attempt();
      } catch (error) {
        if (isBusy(error) && !closed) {
          for (let late = queue[0]; late !== undefined && late.deadline <= performance.now() + 50; late = queue[0]) {
            late.fail(error);
            queue.shift();
          }
          if (queue.length > 0) setTimeout(pump, 2 + Math.random() * 20);
          return;
        }
        job.fail(error);
      }
      queue.shift();
    }
  }

  return {
    write: (work) => submit("BEGIN IMMEDIATE", work),
    read: (work) => submit("BEGIN", work),
    checkpoint() {
      try {
        client.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      } catch (error) {
        if (!isBusy(error)) throw error;
      }
    },
    close() {
      closed = true;
    },
  };
}

function createSession(client: SqliteClient): SqliteSession {
  const statements = new Map<string, SqliteStatement>();
  const statement = (sql: string): SqliteStatement => {
    let prepared = statements.get(sql);
    if (prepared === undefined) {
      prepared = client.prepare(sql);
      statements.set(sql, prepared);
    }
    return prepared;
  };
  return {
    run: (sql, ...values) => void statement(sql).run(...values),
    get: (sql, ...values) => rowIn(statement(sql).get(...values)),
    all: (sql, ...values) => rowsIn(statement(sql).all(...values)),
  };
}

/** SQLITE_BUSY and SQLITE_LOCKED. */
function isBusy(error: unknown): boolean {
  return isCode(error, /^SQLITE_(BUSY|LOCKED)/, 5, 6);
}

/** SQLITE_READONLY, and SQLITE_CANTOPEN for the files that a write needs next to the database. */
export function isReadOnly(error: unknown): boolean {
  return isCode(error, /^SQLITE_(READONLY|CANTOPEN)/, 8, 14);
}

/**
 * Whether an error has one of these codes: in `errcode` (node:sqlite), `errno` (bun:sqlite) or `code` (better-sqlite3).
 */
function isCode(error: unknown, name: RegExp, ...numbers: readonly number[]): boolean {
  if (!isJsonObject(error)) return false;
  if (typeof error["code"] === "string" && name.test(error["code"])) return true;
  const number = error["errcode"] ?? error["errno"];
  return typeof number === "number" && numbers.includes(number & 0xff);
}
