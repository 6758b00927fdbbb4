import { type ErrorCode, GatepassError } from "../src/errors.ts";
import { assertFunction } from "../src/util/assertions.ts";
import { hex, utf8 } from "../src/util/bytes.ts";
import { isJsonObject } from "../src/util/json.ts";
import { createCall } from "./_call.ts";

/** A client with `query(text, values)`, `$1` in the text: `Pool` or `Client` of pg, PGlite. */
export interface PostgresQueryClient {
  query(text: string, values?: string[]): PromiseLike<unknown>;
}

/** A client with `unsafe(text, values)`: `postgres()` of postgres, `Bun.SQL`. */
export interface PostgresUnsafeClient {
  unsafe(text: string, values?: string[], options?: { prepare?: boolean }): PromiseLike<unknown>;
  /** Its settings. `prepare: false` tells it that a pooler is in between. */
  readonly options?: { readonly prepare?: boolean | undefined };
}

/** A client of PostgreSQL. A pool reconnects by itself, a single connection of pg does not. */
export type PostgresClient = PostgresQueryClient | PostgresUnsafeClient;

/** Where the tables and functions are. */
export interface PostgresPlace {
  /** Schema, an identifier of at most 32 characters. Default `public`. */
  schema?: string;
  /** Beginning of the names of tables and functions, an identifier of at most 32 characters. Default `gatepass`. */
  prefix?: string;
}

/** Calls the functions that `migrate` created. */
export interface Postgres {
  /** Calls a function, in one round trip. `read` converts its answer, and throws if it is unreadable. */
  ask<T>(name: string, wanted: Record<string, unknown>, read: (answer: Record<string, unknown>) => T): Promise<T>;
  /** Runs one statement whose result is one text in the column `answer`. */
  read(sql: string): Promise<string | undefined>;
  /** Runs one statement whose `answer` is a JSON object, undefined without a row; `read` makes something of it, as in `ask`. */
  look<T>(sql: string, read: (answer: Record<string, unknown> | undefined) => T): Promise<T>;
  /** Makes all later calls reject. It does not close the client. */
  close(): void;
}

/** Options of {@link openPostgres}. */
export interface PostgresSetup {
  place: PostgresPlace;
  code: ErrorCode;
  /** Milliseconds, default 2000. */
  timeoutMs?: number | undefined;
}

/**
 * The quoted name of a table or function; quoted, so that reserved words can be names.
 *
 * @throws {RangeError} not identifiers of 1 to 32 characters
 */
export function nameIn({ schema = "public", prefix = "gatepass" }: PostgresPlace, name: string): string {
  for (const [option, value] of Object.entries({ schema, prefix })) {
    if (typeof value !== "string" || !/^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(value)) {
      throw new RangeError(`Invalid "${option}": expected an identifier of 1 to 32 characters`);
    }
  }
  return `"${schema}"."${prefix}_${name}"`;
}

/**
 * Makes calls that end in time on both sides. A call that timed out must not be executed later, when the server answers
 * again: a token would be spent for a request that was told "unavailable". So each call carries a deadline, a tenth
 * before `timeoutMs`, by the server's clock, which is known from its last answer. The functions refuse late calls, and
 * wait for locks no longer than that.
 *
 * @throws {TypeError} no client @throws {RangeError} an invalid name or `timeoutMs`
 */
export function openPostgres(client: PostgresClient, { place, code, timeoutMs = 2000 }: PostgresSetup): Postgres {
  const unsafe = (typeof client === "object" || typeof client === "function") && client !== null && "unsafe" in client;
  assertFunction(unsafe ? "client.unsafe" : "client.query", unsafe ? client.unsafe : client?.query);
  nameIn(place, "");
  const call = createCall(code, timeoutMs);
  const patience = Math.ceil(timeoutMs * 0.9);
  /** A lower bound of the server's clock minus `performance.now()`, in milliseconds: an answer takes time to arrive. */
  let ahead: number | undefined;
  /** Whether transactions begin in another isolation level than READ COMMITTED. Then each call has to set it. */
  let isolated = false;
  let closed = false;

  const send = (text: string, values: string[]): PromiseLike<unknown> => {
    if (!("unsafe" in client)) return values.length === 0 ? client.query(text) : client.query(text, values);
    // Use a named prepared statement only if the client's settings ask for it: behind a pooler the next call may get
    // another connection.
    return values.length === 0 ? client.unsafe(text) : client.unsafe(text, values, { prepare: client.options?.prepare === true });
  };

  async function once(name: string, text: string, setLevel: boolean): Promise<Record<string, unknown>> {
    const run = nameIn(place, name);
    if (!setLevel) return parse(await send(`SELECT ${run}($1) AS answer`, [text]));
    // Two statements in one message are one transaction, but cannot have values. Hexadecimal digits keep any text
    // inside its quotes.
    const select = `SELECT ${run}(convert_from(decode('${hex(utf8(text))}', 'hex'), 'UTF8')) AS answer`;
    return parse(await send(`SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ${select}`, []));
  }

  /**
   * Runs `work` again if it conflicted with another transaction and was rolled back, or if it gives undefined; until
   * `end`.
   */
  async function retry<T>(end: number, work: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      try {
        const answer = await work();
        if (answer !== undefined) return answer;
        if (performance.now() >= end) throw new Error("The server came to it too late");
      } catch (error) {
        const state = stateOf(error);
        if (!AGAIN.has(state) || performance.now() >= end) throw explained(error, state);
      }
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
    }
  }

  function attempt(name: string, wanted: Record<string, unknown>): Promise<Record<string, unknown>> {
    const end = performance.now() + patience;
    return retry(end, async () => {
      const setLevel = isolated;
      const deadline = ahead === undefined ? null : Math.floor(end + ahead);
      try {
        const answer = await once(name, JSON.stringify({ ...wanted, patience, deadline, tells: "true" }), setLevel);
        if (typeof answer["clock"] === "number") ahead = answer["clock"] - performance.now();
        if (answer["late"] !== true) return answer;
        // The call was too late, or the server's clock was changed, which is now known. Or the isolation level is
        // another one; the next attempt sets it.
        isolated ||= ISOLATED.has(answer["isolation"]);
        return undefined;
      } catch (error) {
        // The functions of an older release raise an error for another isolation level.
        if (stateOf(error) !== OTHER_ISOLATION || setLevel) throw error;
        isolated = true;
        return undefined;
      }
    });
  }

  function explained(error: unknown, state: string): unknown {
    if (MISSING.has(state)) return new GatepassError(code, "Cannot use the database: migrate() has not been run", { cause: error });
    if (state === OTHER_ENCODING) {
      const encoding = isJsonObject(error) ? String(error["message"]) : "another encoding";
      return new GatepassError(
        "ERR_CONFIG_INVALID",
        `Cannot migrate: the database is encoded in ${encoding}, which lacks characters of names (GP154)`,
      );
    }
    if (state === NEWER_DATA)
      return new GatepassError("ERR_CONFIG_INVALID", isJsonObject(error) ? String(error["message"]) : "Newer data (GP173)");
    return error;
  }

  // Wrapped in a list: a missing text is an answer too, but `retry` repeats on undefined.
  const statement = async (sql: string): Promise<string | undefined> =>
    (await retry(performance.now() + patience, async () => [answerIn(await send(sql, []))]))[0];
  const open = <T>(work: () => Promise<T>): Promise<T> => call(() => (closed ? Promise.reject(new Error("It is closed")) : work()));
  return {
    ask: (name, wanted, read) => open(async () => read(await attempt(name, wanted))),
    read: (sql) => open(() => statement(sql)),
    look: (sql, read) =>
      open(async () => {
        const answer = await statement(sql);
        return read(answer === undefined ? undefined : objectIn(answer));
      }),
    close() {
      closed = true;
    },
  };
}

/** Whether an error of {@link Postgres} means that `migrate` has not been run. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && MISSING.has(stateOf(error.cause));
}

/** Whether an error of {@link Postgres} means that the role lacks a right. */
export function isDenied(error: unknown): boolean {
  return error instanceof Error && stateOf(error.cause) === "42501";
}

/** Isolation levels in which a function reads data from before it got its locks. */
const ISOLATED: ReadonlySet<unknown> = new Set(["repeatable read", "serializable"]);

/** SQLSTATEs of our own, raised by the functions. */
export const OTHER_ISOLATION = "GPISO";
export const NEWER_DATA = "GPVER";
export const OTHER_ENCODING = "GPENC";
/**
 * Errors after which a call is repeated: serialization failure, deadlock (with a caller's own transaction), and unique
 * violation, which is a race too.
 */
const AGAIN: ReadonlySet<string> = new Set(["40001", "40P01", "23505"]);
/** No such function, schema or table. */
const MISSING: ReadonlySet<string> = new Set(["42883", "3F000", "42P01"]);

/** The SQLSTATE of an error, from `code` (in Bun `errno`); "" if there is none. */
export function stateOf(error: unknown): string {
  if (!isJsonObject(error)) return "";
  const found = [error["code"], error["errno"]].find((value) => typeof value === "string" && /^[0-9A-Z]{5}$/.test(value));
  return String(found ?? "");
}

/**
 * Escapes a text as JSON does. PostgreSQL cannot store NUL, and drivers turn all lone surrogates into one character.
 * Different texts stay different.
 */
export function encodeText(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** The inverse of {@link encodeText}. @throws {TypeError} not a text */
export function decodeText(text: unknown): string {
  if (typeof text !== "string") throw unreadable();
  return String(JSON.parse(`"${text}"`));
}

/** A whole number of an answer. @throws {TypeError} another value */
export function wholeNumber(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw unreadable();
  return value;
}

/** The error for an unreadable answer. */
export function unreadable(): TypeError {
  return new TypeError("Cannot read the answer of PostgreSQL: it has another shape than expected");
}

function parse(result: unknown): Record<string, unknown> {
  return objectIn(answerIn(result) ?? "null");
}

function objectIn(text: string): Record<string, unknown> {
  const answer: unknown = JSON.parse(text);
  if (!isJsonObject(answer)) throw unreadable();
  return answer;
}

/**
 * The column `answer` of the first row, out of `{ rows }`, out of a list of rows, or out of the last of several
 * results.
 */
function answerIn(result: unknown): string | undefined {
  if (Array.isArray(result)) return result.map(answerIn).findLast((found) => found !== undefined);
  if (!isJsonObject(result)) return undefined;
  return typeof result["answer"] === "string" ? result["answer"] : answerIn(result["rows"]);
}
