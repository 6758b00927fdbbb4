import type { SqlRow } from "./_sql.ts";

/**
 * A statement in SQLite's dialect, and what it reads as `?1`, if anything: one JSON text. Numbers keep their kind in there (bound as they are, drivers make doubles of
 * them), and texts all their characters.
 */
export type LiteQuery = readonly [sql: string, input?: object];

/**
 * SQLite in this process or D1. Statements run as one transaction; `tell` makes something of the rows of each, and where it throws, the answer has an
 * unexpected shape and the call rejects as unavailable.
 */
export interface LiteDatabase {
  read<T>(queries: readonly LiteQuery[], tell: (answers: readonly SqlRow[][]) => T): Promise<T>;
  write<T>(queries: readonly LiteQuery[], tell: (answers: readonly SqlRow[][]) => T): Promise<T>;
}

/** Of a transaction whose answers are of no interest. */
export const nothing = (): void => undefined;
