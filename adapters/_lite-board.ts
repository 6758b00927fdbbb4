import type { ScoreBoard } from "../src/scores/board.ts";
import type { LiteDatabase } from "./_lite.ts";
import { liteLists } from "./_lite-board-lists.ts";
import { liteModeration } from "./_lite-board-moderate.ts";
import { liteReader } from "./_lite-board-read.ts";
import { liteTables } from "./_lite-board-tables.ts";
import { liteVersions } from "./_lite-board-versions.ts";
import { liteSubmit } from "./_lite-board-write.ts";

/** What a board in SQLite or D1 needs to know. */
export interface LiteBoardSetup {
  /** Beginning of the tables' names. */
  table: string;
  /** What makes or migrates the tables, as a message names it. */
  migrate: string;
  random?: ((bytes: number) => Uint8Array) | undefined;
}

/** A board in SQLite or D1: the same statements, each call one transaction, a few for `sweep` and `check`. */
export function liteBoard(
  database: LiteDatabase,
  { table, migrate, random }: LiteBoardSetup,
): ScoreBoard & Required<Pick<ScoreBoard, "check">> {
  const tables = liteTables(table);
  const versions = liteVersions(database, tables, `the tables "${table}_..."`, migrate);
  const reader = liteReader(versions, tables);
  return {
    submit: liteSubmit(versions, tables, reader, random),
    ...reader.methods,
    ...liteModeration(versions, tables),
    ...liteLists(versions, tables, versions),
  };
}

/** Brings the tables to this release's version; tells what was done. */
export function migrateLiteBoard(database: LiteDatabase, { table, migrate }: LiteBoardSetup): Promise<string[]> {
  return liteVersions(database, liteTables(table), `the tables "${table}_..."`, migrate).migrate();
}
