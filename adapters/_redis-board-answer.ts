import { LEVELS } from "../src/protocol.ts";
import type { ScoreRow, SubmitResult } from "../src/scores/board.ts";
import { withRanks } from "../src/scores/ranking.ts";

/** A row as Redis holds it. */
type HeldRow = Omit<ScoreRow, "rank">;

const STATUSES = ["stored", "kept", "repeated", "banned", "taken"] as const;

export function readSubmit(answer: unknown, submission: string): SubmitResult {
  const [told, id, held, rank, ...more] = listOf(answer);
  const status = STATUSES.find((one) => one === textOf(told));
  if (status === undefined || more.length > 0) throw garbage();
  if (listOf(answer).length === 1) return { status, id: "", rank: 0, best: false };
  const row = readRow(textOf(id), held);
  return { status, id: row.id, rank: numberOf(rank), best: row.submission === submission };
}

/** A page: its first position, the rank there, and ids and rows in turn. */
export function readPage(answer: unknown, most: number): ScoreRow[] {
  const [from, first, ...rows] = listOf(answer);
  if (listOf(answer).length === 0) return [];
  const [position, rank] = [numberOf(from), numberOf(first)];
  // Where a score begins inside the run, its rank is its position. A row that Redis has evicted is left out then: places and ranks stay.
  const read = rows.flatMap((id, i) => (i % 2 === 1 ? [] : [rows[i + 1] === null ? undefined : readRow(textOf(id), rows[i + 1])]));
  const there = read.filter((row) => row !== undefined);
  if (read.length > most || new Set(there.map(({ id }) => id)).size !== there.length) throw garbage();
  const places = read.flatMap((row, i) => (row ? [i] : []));
  return withRanks(there, (index) => (index === 0 && places[0] === 0 ? rank : position + (places[index] ?? 0) + 1));
}

export function readNear(answer: unknown, most: number): { rank: number; rows: ScoreRow[] } {
  const [rank, ...page] = listOf(answer);
  return { rank: numberOf(rank), rows: readPage(page, most) };
}

/** A row with its rank, whether it is hidden, and its log. */
export function readWhole(answer: unknown): ScoreRow | null {
  const [id, held, rank, hidden, log, ...more] = listOf(answer);
  if (listOf(answer).length === 0) return null;
  if (more.length > 0) throw garbage();
  const row = { ...readRow(textOf(id), held), rank: numberOf(rank), hidden: numberOf(hidden) === 1 };
  return log === undefined || log === null ? row : { ...row, log: jsonText(log) };
}

/** Such rows, at most so many. */
export function readWholes(answer: unknown, most: number): ScoreRow[] {
  const rows = listOf(answer).map((one) => readWhole(one) ?? fail());
  if (rows.length > most || new Set(rows.map(({ id }) => id)).size !== rows.length) throw garbage();
  return rows;
}

/** One step of hidden rows, and the id behind which the next step begins; it must be behind this one's, or the steps would not end. */
export function readHidden(answer: unknown, most: number, from: string): { rows: ScoreRow[]; next: string } {
  const [rows, last, ...more] = listOf(answer);
  const next = textOf(last);
  if (more.length > 0 || (next !== "" && next <= from)) throw garbage();
  return { rows: readWholes(rows, most), next };
}

/** One step over the lists of a board. */
export interface Step {
  count: number;
  /** The cursor of the next step; "0": there is none. */
  next: string;
  told: unknown;
}

export function readStep(answer: unknown, cursor: string): Step {
  const [count, next, told, ...more] = listOf(answer);
  // A step that ends where it began would begin again for ever.
  if (more.length > 0 || (next === cursor && next !== "0")) throw garbage();
  return { count: numberOf(count), next: textOf(next), told };
}

function readRow(id: string, value: unknown): HeldRow {
  const [head = "", place = "", player = "", name = "", submission = "", content = "", ...more] = textOf(value).split("\n");
  const [score, at, level] = head.split(" ");
  const [board, period, tag, ...others]: unknown[] = listOf(JSON.parse(place));
  const [flags, replay, data, ...rest]: unknown[] = listOf(JSON.parse(content));
  const shown = LEVELS[numberOf(level)];
  if (shown === undefined || typeof replay !== "boolean" || more.length + others.length + rest.length > 0) throw garbage();
  return {
    id,
    board: textOf(board),
    period: textOf(period),
    ...(tag !== undefined && { tag: textOf(tag) }),
    player: jsonText(player),
    score: numberOf(score),
    at: numberOf(at),
    submission: jsonText(submission),
    level: shown,
    flags: listOf(flags).map(textOf),
    name: jsonText(name),
    hidden: false,
    replay,
    ...(data !== undefined && { data: textOf(data) }),
  };
}

export function listOf(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw garbage();
  return value;
}

export function textOf(value: unknown): string {
  if (typeof value !== "string") throw garbage();
  return value;
}

/** A text that was written as JSON, with its quotes. */
export function jsonText(value: unknown): string {
  return textOf(JSON.parse(textOf(value)));
}

/** Clients can be told to give integers as texts or bigints. */
export function numberOf(value: unknown): number {
  // Only digits: an empty text would pass for 0.
  const isDigits = typeof value === "string" && /^-?\d+$/.test(value);
  const number = typeof value === "bigint" || isDigits ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number)) throw garbage();
  return number;
}

function fail(): never {
  throw garbage();
}

export function garbage(): TypeError {
  return new TypeError("Cannot read the answer of Redis");
}
