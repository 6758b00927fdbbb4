const DAY_MS = 86_400_000;

/**
 * The period keys of an instant (milliseconds since the epoch), in UTC: all time, the ISO 8601 week, the day.
 *
 * @throws {RangeError} not an instant of the years 0 to 9999
 *
 * @example
 * ```ts
 * import { periodsOf } from "gatepass/scores";
 * console.assert(periodsOf(Date.UTC(2026, 10, 20)).join(" ") === "all 2026-W47 2026-11-20");
 * ```
 */
export function periodsOf(ms: number): [all: "all", week: string, day: string] {
  const number = Math.floor(ms / DAY_MS);
  if (latest?.number !== number) latest = { number, periods: periodsOn(ms) };
  return [...latest.periods];
}

/** Of the day that was asked for last: nearly every write is of today. */
let latest: { number: number; periods: Readonly<Periods> } | undefined;

type Periods = [all: "all", week: string, day: string];

function periodsOn(ms: number): Periods {
  const day = isoDay(ms);
  // The week belongs to the year of its Thursday.
  const weekday = (new Date(ms).getUTCDay() + 6) % 7;
  const thursday = (Math.floor(ms / DAY_MS) + 3 - weekday) * DAY_MS;
  const year = isoDay(thursday).slice(0, 4);
  const week = 1 + Math.floor((thursday - Date.UTC(Number(year), 0, 1)) / (7 * DAY_MS));
  return ["all", `${year}-W${String(week).padStart(2, "0")}`, day];
}

/** Whether a text is the key of a period: all time, an ISO 8601 week, a day, a month, a year. */
export function isPeriod(text: string): boolean {
  if (text === "all" || /^\d{4}(-W(0[1-9]|[1-4]\d|5[0-3])|-(0[1-9]|1[0-2]))?$/.test(text)) return true;
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN;
  // There is a reader of dates to whom the 30th of February is the 2nd of March.
  return !Number.isNaN(ms) && isoDay(ms) === text;
}

function isoDay(ms: number): string {
  const text = Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : "";
  if (!/^\d{4}-/.test(text)) throw new RangeError("Cannot name the periods: not an instant of the years 0 to 9999");
  return text.slice(0, 10);
}
