import { assertFunction } from "../util/assertions.ts";
import { utf8 } from "../util/bytes.ts";
import { any, assertOptions, form, type Rules } from "../util/options.ts";

/** A schema of any library that implements Standard Schema, e.g. zod or valibot: what of it is used. */
export interface DataSchema {
  readonly "~standard": {
    validate(value: unknown): DataResult | Promise<DataResult>;
  };
}

/** What a schema answers: the value, or the issues. */
export type DataResult = { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly object[] };

/** What may be sent along with a score. */
export interface DataOptions {
  /** Says what is right; what it gives is stored, as JSON of at most 256 bytes. */
  schema: DataSchema;
  /**
   * A member whose value (a text of 1 to 64 characters, a number or a flag) has a list of its own: `GET /scores?tag=red` ranks the scores that have it
   * alone. Default: none.
   */
  key?: string;
}

/** Bytes that the JSON has at most. */
const MAX_DATA = 256;

/** Data as it is stored. */
export interface ScoreData {
  /** JSON. */
  data?: string;
  tag?: string;
}

/** Reads what came with a score; null where it is refused. */
export type DataReader = (value: unknown) => Promise<ScoreData | null>;

const RULES: Rules<DataOptions> = { schema: any, key: form(/^.{1,64}$/s, "1 to 64 characters") };

/** @throws {TypeError} no schema, an unknown option */
export function createReader(board: string, options: DataOptions): DataReader {
  const name = `boards.${board}.data`;
  assertOptions(name, options, RULES, `${name}.`, "schema");
  const { schema, key } = options;
  assertFunction(`${name}.schema["~standard"].validate`, Object(schema)["~standard"]?.validate);
  return async (value) => {
    const result = await schema["~standard"].validate(value);
    if (result.issues) return null;
    if (result.value === undefined) return {};
    const data = JSON.stringify(result.value);
    if (data === undefined || utf8(data).length > MAX_DATA) return null;
    const tag: unknown = key === undefined ? undefined : Object(result.value)[key];
    if (tag === undefined || tag === null) return { data };
    const text = /^(string|number|boolean)$/.test(typeof tag) ? String(tag) : "";
    return text === "" || text.length > 64 ? null : { data, tag: text };
  };
}
