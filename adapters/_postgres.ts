import { type ErrorCode, GatepassError } from "../src/errors.ts";
import { assertFunction } from "../src/util/assertions.ts";
import { hex, utf8 } from "../src/util/bytes.ts";
import { isJsonObject } from "../src/util/json.ts";
import { createCall } from "./_call.ts";

/** A client that takes a text with `$1` and values: `Pool` or `Client` of pg, PGlite. */
export interface PostgresQueryClient {
  query(text: string, values?: string[]): PromiseLike<unknown>;
}

/** A client whose `unsafe` does: `postgres()` of postgres, `Bun.SQL`. */
export interface PostgresUnsafeClient {
  unsafe(text: string, values?: string[], options?: { prepare?: boolean }): PromiseLike<unknown>;
  /** Its own settings: `prepare: false` is how it is told that a pooler is between. */
  readonly options?: { readonly prepare?: boolean | undefined };
}

/** What we need of a driver. A pool reconnects by itself, a single connection of pg does not. */
export type PostgresClient = PostgresQueryClient | PostgresUnsafeClient;

/** Where the tables and functions are. */
export interface PostgresPlace {
  /** Schema, an identifier of at most 32 characters. Default `public`. */
  schema?: string;
  /** Beginning of the names of tables and functions, an identifier of at most 32 characters. Default `gatepass`. */
  prefix?: string;
}

/** Calls the functions that `migrate` made. */
export interface Postgres {
  /** One call of one function, one round trip; `read` makes something of its answer, and throws where that is not possible. */
  ask<T>(name: string, wanted: Record<string, unknown>, read: (answer: Record<string, unknown>) => T): Promise<T>;
  /** Runs one statement that answers with one text, `answer`. */
  read(sql: string): Promise<string | undefined>;
  /** Whatever is called from now on rejects. The client stays the caller's. */
  close(): void;
}

/** What {@link openPostgres} needs to know. */
export interface PostgresSetup {
  place: PostgresPlace;
  code: ErrorCode;
  /** Milliseconds, default 2000. */
  timeoutMs?: number | undefined;
}

/** A name in SQL: quoted, so that reserved words are names too. @throws {RangeError} not identifiers of 1 to 32 characters */
export function nameIn({ schema = "public", prefix = "gatepass" }: PostgresPlace, name: string): string {
  for (const [option, value] of Object.entries({ schema, prefix })) {
    if (typeof value !== "string" || !/^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(value)) {
      throw new RangeError(`Invalid "${option}": expected an identifier of 1 to 32 characters`);
    }
  }
  return `"${schema}"."${prefix}_${name}"`;
}

/**
 * Makes calls that end in time on both sides. What a caller gave up must not be done later, when the server answers again: a token would be spent
 * by a request that was told "unavailable". So each call carries its deadline, a tenth before `timeoutMs`, in the server's own time, which is known
 * from its last answer; the functions refuse what comes too late, and wait for locks no longer than that.
 *
 * @throws {TypeError} no client @throws {RangeError} an invalid name or `timeoutMs`
 */
export function openPostgres(client: PostgresClient, { place, code, timeoutMs = 2000 }: PostgresSetup): Postgres {
  const unsafe = (typeof client === "object" || typeof client === "function") && client !== null && "unsafe" in client;
  assertFunction(unsafe ? "client.unsafe" : "client.query", unsafe ? client.unsafe : client?.query);
  nameIn(place, "");
  const call = createCall(code, timeoutMs);
  const patience = Math.ceil(timeoutMs * 0.9);
  /** The server's clock minus ours (`performance.now`), at least: an answer is never older than it says. */
  let ahead: number | undefined;
  /** Whether transactions begin in another isolation level than READ COMMITTED. */
  let isolated = false;
  let closed = false;

  const send = (text: string, values: string[]): PromiseLike<unknown> => {
    if (!("unsafe" in client)) return values.length === 0 ? client.query(text) : client.query(text, values);
    // Prepared by name only where the client does so itself: a pooler gives the next call another connection.
    return values.length === 0 ? client.unsafe(text) : client.unsafe(text, values, { prepare: client.options?.prepare === true });
  };

  async function once(name: string, text: string, setLevel: boolean): Promise<Record<string, unknown>> {
    const run = nameIn(place, name);
    if (!setLevel) return parse(await send(`SELECT ${run}($1) AS answer`, [text]));
    // Two statements in one message are one transaction, and take no values: as hexadecimal digits no text can leave its quotes.
    const select = `SELECT ${run}(convert_from(decode('${hex(utf8(text))}', 'hex'), 'UTF8')) AS answer`;
    return parse(await send(`SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ${select}`, []));
  }

  /** Does `work` again where it met another transaction (and was undone), until `end`. */
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
        // It was late, or the server's clock was set: then it is known now. Or the isolation level is another one, which the next call sets.
        isolated ||= ISOLATED.has(answer["isolation"]);
        return undefined;
      } catch (error) {
        // The functions of an older release tell it by an error.
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
    if (state === TOO_WIDE) return new GatepassError("ERR_CONFIG_INVALID", "Cannot widen the board's range: more than 53 bits");
    return error;
  }

  const open = <T>(work: () => Promise<T>): Promise<T> => call(() => (closed ? Promise.reject(new Error("It is closed")) : work()));
  return {
    ask: (name, wanted, read) => open(async () => read(await attempt(name, wanted))),
    // A text is an answer, and so is none: `undefined` would be asked for again.
    read: (sql) => open(async () => (await retry(performance.now() + patience, async () => [answerIn(await send(sql, []))]))[0]),
    close() {
      closed = true;
    },
  };
}

/** Whether an error of {@link Postgres} says that nothing has been migrated. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && MISSING.has(stateOf(error.cause));
}

/** Whether an error of {@link Postgres} says that the role may not. */
export function isDenied(error: unknown): boolean {
  return error instanceof Error && stateOf(error.cause) === "42501";
}

/** Isolation levels in which what is read is as it was before the locks were had. */
const ISOLATED: ReadonlySet<unknown> = new Set(["repeatable read", "serializable"]);

/** Our own states, raised by the functions. */
export const OTHER_ISOLATION = "GPISO";
export const TOO_WIDE = "GPCFG";
export const OTHER_ENCODING = "GPENC";
/** Serialization failure, deadlock (with somebody who calls us inside a transaction of their own), and a unique violation, which is the same race. */
const AGAIN: ReadonlySet<string> = new Set(["40001", "40P01", "23505"]);
/** No such function, schema, table. */
const MISSING: ReadonlySet<string> = new Set(["42883", "3F000", "42P01"]);

/** The SQLSTATE of an error: `code`, with Bun `errno`. */
export function stateOf(error: unknown): string {
  if (!isJsonObject(error)) return "";
  const found = [error["code"], error["errno"]].find((value) => typeof value === "string" && /^[0-9A-Z]{5}$/.test(value));
  return String(found ?? "");
}

/** Whatever a text holds, as what PostgreSQL can: it knows no NUL, and drivers make one character of all lone surrogates. No two texts become one. */
export function encodeText(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** What {@link encodeText} was given. */
export function decodeText(text: unknown): string {
  if (typeof text !== "string") throw unreadable();
  return String(JSON.parse(`"${text}"`));
}

/** A whole number of an answer. @throws {TypeError} it is none */
export function wholeNumber(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw unreadable();
  return value;
}

/** What is thrown for an answer of a shape that no function of ours gives. */
export function unreadable(): TypeError {
  return new TypeError("Cannot read the answer of PostgreSQL: it has another shape than expected");
}

function parse(result: unknown): Record<string, unknown> {
  const answer: unknown = JSON.parse(answerIn(result) ?? "null");
  if (!isJsonObject(answer)) throw unreadable();
  return answer;
}

/** The column `answer` of the first row: of `{ rows }`, of the rows themselves, or of the last of several such results. */
function answerIn(result: unknown): string | undefined {
  if (Array.isArray(result)) return result.map(answerIn).findLast((found) => found !== undefined);
  if (!isJsonObject(result)) return undefined;
  return typeof result["answer"] === "string" ? result["answer"] : answerIn(result["rows"]);
}
