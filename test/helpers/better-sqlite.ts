import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { SqliteClient } from "../../adapters/sqlite.ts";

/**
 * A database that is as particular as better-sqlite3: `run` refuses a statement that gives rows, `get` and `all` one that gives none, and only
 * numbers, texts and null are bound, exactly as many as there are parameters.
 */
export function betterSqlite(database: DatabaseSync): SqliteClient {
  return {
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql);
      const gives = statement.columns().length > 0;
      const check = (asked: boolean, values: readonly SQLInputValue[]): void => {
        if (asked !== gives) throw new TypeError(`This statement returns ${gives ? "" : "no "}data: ${sql}`);
        for (const value of values)
          if (value !== null && typeof value !== "number" && typeof value !== "string") throw new TypeError(`Cannot bind ${typeof value}`);
        const wanted = new Set(sql.replace(/'[^']*'/g, "").match(/\?\d+/g)).size || (sql.replace(/'[^']*'/g, "").match(/\?/g)?.length ?? 0);
        if (values.length !== wanted) throw new RangeError(`Expected ${wanted} parameters, not ${values.length}: ${sql}`);
      };
      const reader =
        <T>(read: (...values: SQLInputValue[]) => T) =>
        (...values: SQLInputValue[]): T => {
          check(true, values);
          return read(...values);
        };
      return {
        run(...values: SQLInputValue[]) {
          check(false, values);
          return statement.run(...values);
        },
        get: reader((...values) => statement.get(...values)),
        all: reader((...values) => statement.all(...values)),
      };
    },
  };
}
