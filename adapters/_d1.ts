import type { ErrorCode } from "../src/errors.ts";
import { isJsonObject } from "../src/util/json.ts";
import { createCall } from "./_call.ts";
import type { LiteQuery } from "./_lite.ts";
import { rowsIn, type SqlRow } from "./_sql.ts";

/** The part of a prepared statement of D1 that is used. */
export interface D1Statement {
  bind(...values: string[]): D1Statement;
}

/** The part of a D1 binding (`D1Database`) that is used. */
export interface D1Client {
  prepare(sql: string): D1Statement;
  /** Runs the statements as one transaction. */
  batch(statements: D1Statement[]): Promise<{ results?: unknown }[]>;
}

/** Runs the statements as one transaction, and returns the rows of each. */
export type D1Run = (...queries: LiteQuery[]) => Promise<SqlRow[][]>;

/** A D1 database with the tables of a store or board. */
export interface D1 {
  /** Runs `work`, which may run several transactions. Rejects after `timeoutMs`. */
  call<T>(work: (run: D1Run) => Promise<T>): Promise<T>;
}

/**
 * Opens a database. Tables, views and triggers are created when a statement finds one missing, so only the very first
 * call takes longer.
 *
 * @param schema statements that create what is missing; none where the caller creates it
 * @throws {TypeError} `client` is no D1 binding @throws {RangeError} `timeoutMs` is not an integer from 1 to 60000
 */
export function openD1(client: D1Client, schema: readonly string[], code: ErrorCode, timeoutMs?: number): D1 {
  if (typeof client?.prepare !== "function" || typeof client.batch !== "function") {
    throw new TypeError('Invalid "client": expected a D1 binding');
  }
  const call = createCall(code, timeoutMs);

  const run: D1Run = async (...queries) => {
    const statements = queries.map(([sql, input]) => (input ? client.prepare(sql).bind(JSON.stringify(input)) : client.prepare(sql)));
    let answer: unknown;
    try {
      answer = await client.batch(statements);
    } catch (error) {
      // The second error means that a view lacks its trigger: a database that was exported and imported may have lost
      // its triggers.
      if (schema.length === 0 || !/no such table|cannot modify \S+ because it is a view/.test(String(error))) throw error;
      await client.batch(schema.map((sql) => client.prepare(sql)));
      answer = await client.batch(statements);
    }
    return rowsOf(answer, queries.length);
  };

  return { call: (work) => call(() => work(run)) };
}

/**
 * @throws {TypeError} not the rows of `count` statements. An unreadable answer must not pass for an empty one, which
 * would be admitted
 */
function rowsOf(answer: unknown, count: number): SqlRow[][] {
  if (!Array.isArray(answer) || answer.length !== count) throw new TypeError(`Cannot read the answer: expected ${count} results`);
  return answer.map((result: unknown) => {
    if (!isJsonObject(result)) throw new TypeError("Cannot read the answer: expected results");
    return rowsIn(result["results"]);
  });
}
