import { LEVELS } from "../src/protocol.ts";
import type { ScoreRow } from "../src/scores/board.ts";
import { type HeldRules, isHeldRules } from "../src/scores/board-check.ts";
import { isJsonObject } from "../src/util/json.ts";
import { decodeText, unreadable, wholeNumber } from "./_postgres.ts";

type Answer = Record<string, unknown>;

/** The rows of an answer without ranks. @throws {TypeError} more rows than `most`, one twice, or a row of another shape */
export function bareRowsIn(answer: Answer, most: number): Omit<ScoreRow, "rank">[] {
  const records = recordsIn(answer);
  const ids = new Set(records.map(({ id }) => id));
  if (records.length > most || ids.size !== records.length) throw unreadable();
  return records.map(readRow);
}

/** The rows of an answer, each with its rank. @throws {TypeError} as {@link bareRowsIn} */
export function rowsIn(answer: Answer, most: number): ScoreRow[] {
  const records = recordsIn(answer);
  return bareRowsIn(answer, most).map((row, i) => ({ ...row, rank: wholeNumber(records[i]?.["rank"]) }));
}

/** The log of the row that is number `i` of an answer. @throws {TypeError} it says that it has one, and has none */
export function logIn(answer: Answer, i: number, { replay }: Pick<ScoreRow, "replay">): { log?: string } {
  return replay ? { log: decodeText(recordsIn(answer)[i]?.["log"]) } : {};
}

/** @throws {TypeError} no list of numbers */
export function ranksIn({ ranks }: Answer): number[] {
  if (!Array.isArray(ranks)) throw unreadable();
  return ranks.map(wholeNumber);
}

/** What `check` was told of each board. @throws {TypeError} not of so many boards */
export function boardsIn({ boards }: Answer, count: number): { outside: number; held?: HeldRules }[] {
  if (!Array.isArray(boards) || boards.length !== count || !boards.every(isJsonObject)) throw unreadable();
  return boards.map(({ outside, rules }) => {
    if (rules === null) return { outside: wholeNumber(outside) };
    const held: unknown = typeof rules === "string" ? JSON.parse(rules) : undefined;
    if (!isHeldRules(held)) throw unreadable();
    return { outside: wholeNumber(outside), held: { ...held, group: decodeText(held.group) } };
  });
}

function recordsIn({ rows }: Answer): Answer[] {
  if (!Array.isArray(rows) || !rows.every(isJsonObject)) throw unreadable();
  return rows;
}

function readRow(row: Answer): Omit<ScoreRow, "rank"> {
  const { id, flags, replay, data } = row;
  const level = LEVELS[wholeNumber(row["level"])];
  const read: unknown = typeof flags === "string" ? JSON.parse(flags) : undefined;
  if (typeof id !== "string" || level === undefined || !isTexts(read) || typeof replay !== "boolean") throw unreadable();
  const tag = decodeText(row["tag"]);
  return {
    id,
    board: decodeText(row["board"]),
    period: decodeText(row["period"]),
    ...(tag !== "" && { tag }),
    player: decodeText(row["player"]),
    score: wholeNumber(row["score"]),
    at: wholeNumber(row["at"]),
    submission: decodeText(row["submission"]),
    level,
    flags: read,
    name: decodeText(row["name"]),
    hidden: wholeNumber(row["shown"]) < 0,
    replay,
    ...(data !== null && { data: decodeText(data) }),
  };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
