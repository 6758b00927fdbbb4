import type { BoardPeriod } from "./board.ts";
import { isPeriod } from "./periods.ts";

/** Kinds of periods; a season is one of the board's own. */
export const KINDS = ["all", "day", "week", "month", "year"] as const;
export type PeriodKind = (typeof KINDS)[number];

/** A period of a board, with its ends. */
export interface Period {
  key: string;
  kind: PeriodKind | "season";
  /** Milliseconds since the epoch: the first instant that is no longer in it. */
  end: number;
}

/** When a season begins and ends: ISO 8601 texts with a zone, or milliseconds since the epoch. The end is no longer in it. */
export interface Season {
  start: string | number;
  end: string | number;
}

/** What a calendar is made of. */
export interface CalendarOptions {
  periods: readonly PeriodKind[];
  seasons: Readonly<Record<string, Season>>;
  /** An IANA name. */
  timeZone: string;
  /** Days for which a period is kept after its end. */
  keep: number;
}

const DAY_MS = 86_400_000;
/** A day begins at most this long before or after the same day of UTC. */
const MAX_ZONE = 26 * 3_600_000;

/** The periods of one board: in its time zone, by its seasons. */
export class Calendar {
  readonly #options: CalendarOptions;
  readonly #format: Intl.DateTimeFormat;
  readonly #seasons: ReadonlyMap<string, { start: number; end: number }>;
  /** Of the local day that was asked for last: nearly every write is of today. */
  #today: { from: number; to: number; periods: Period[] } | undefined;

  /** @throws {RangeError} a time zone that nobody knows, a season that is none */
  constructor(options: CalendarOptions) {
    this.#options = options;
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone: options.timeZone,
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
    });
    this.#seasons = new Map(Object.entries(options.seasons).map(([name, season]) => [name, seasonOf(name, season)]));
  }

  /** The periods of an instant, the first one of those that the board was given first; a season while it lasts. */
  at(ms: number): Period[] {
    if (!this.#today || ms < this.#today.from || ms >= this.#today.to) {
      const day = this.#dayAt(ms);
      this.#today = {
        from: this.#startOf(day),
        to: this.#startOf(day + 1),
        periods: this.#options.periods.map((kind) => this.#of(kind, day)),
      };
    }
    const seasons = [...this.#seasons].filter(([, { start, end }]) => ms >= start && ms < end);
    return [...this.#today.periods, ...seasons.map(([key, { end }]): Period => ({ key, kind: "season", end }))];
  }

  /** What a submission of an instant is written to. */
  toWrite(ms: number): BoardPeriod[] {
    return this.at(ms).map(({ key, end }) => (Number.isFinite(end) ? { key, forget: end + this.#options.keep * DAY_MS } : { key }));
  }

  /** The key that a request means: a kind is the current one, `season` the one that lasts or was last. Undefined where the board has no such period. */
  keyOf(asked: string, now: number): string | undefined {
    if (this.#seasons.has(asked)) return asked;
    if (asked === "season") {
      const begun = [...this.#seasons].filter(([, { start }]) => start <= now).sort(([, a], [, b]) => b.start - a.start);
      return begun[0]?.[0];
    }
    const current = this.at(now).find(({ kind }) => kind === asked);
    if (current) return current.key;
    const kind = KINDS.find((one) => isPeriod(asked) && kindOf(asked) === one);
    return kind && this.#options.periods.includes(kind) ? asked : undefined;
  }

  /** The periods that ended from `since` on, up to and with `now`, the earliest first. */
  ended(since: number, now: number): Period[] {
    const found = new Map<string, Period>();
    for (let day = this.#dayAt(since) - 1; day <= this.#dayAt(now); day++) {
      for (const kind of this.#options.periods) {
        const period = this.#of(kind, day);
        found.set(period.key, period);
      }
    }
    for (const [key, { end }] of this.#seasons) found.set(key, { key, kind: "season", end });
    return [...found.values()].filter(({ end }) => end >= since && end <= now).sort((a, b) => a.end - b.end);
  }

  #of(kind: PeriodKind, day: number): Period {
    const date = new Date(day * DAY_MS);
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
    const text = date.toISOString();
    const first = (y: number, m: number): number => Date.UTC(y, m, 1) / DAY_MS;
    if (kind === "all") return { key: "all", kind, end: Number.POSITIVE_INFINITY };
    if (kind === "day") return { key: text.slice(0, 10), kind, end: this.#startOf(day + 1) };
    if (kind === "month") return { key: text.slice(0, 7), kind, end: this.#startOf(first(year, month + 1)) };
    if (kind === "year") return { key: text.slice(0, 4), kind, end: this.#startOf(first(year + 1, 0)) };
    // The week belongs to the year of its Thursday (ISO 8601).
    const monday = day - ((date.getUTCDay() + 6) % 7);
    const ofYear = new Date((monday + 3) * DAY_MS).getUTCFullYear();
    const week = 1 + Math.floor((monday + 3 - first(ofYear, 0)) / 7);
    return { key: `${ofYear}-W${String(week).padStart(2, "0")}`, kind, end: this.#startOf(monday + 7) };
  }

  /** The local date of an instant, as days since the epoch. */
  #dayAt(ms: number): number {
    const parts = Object.fromEntries(this.#format.formatToParts(ms).map(({ type, value }) => [type, value]));
    const year = Number(parts["year"]);
    return Date.UTC(parts["era"] === "BC" ? 1 - year : year, Number(parts["month"]) - 1, Number(parts["day"])) / DAY_MS;
  }

  /** The first instant whose local date is this day or later: where clocks are put forward at midnight, that is no midnight. */
  #startOf(day: number): number {
    let [before, at] = [day * DAY_MS - MAX_ZONE, day * DAY_MS + MAX_ZONE];
    while (at - before > 1) {
      const middle = Math.floor((before + at) / 2);
      if (this.#dayAt(middle) >= day) at = middle;
      else before = middle;
    }
    return at;
  }
}

/** The kind of a key that `isPeriod` knows. */
export function kindOf(key: string): PeriodKind {
  if (key === "all") return "all";
  if (key.includes("W")) return "week";
  return key.length === 4 ? "year" : key.length === 7 ? "month" : "day";
}

function seasonOf(name: string, { start, end }: Season): { start: number; end: number } {
  const [from, to] = [instantOf(start), instantOf(end)];
  if (!/^[A-Za-z0-9._-]{1,48}$/.test(name) || isPeriod(name) || [...KINDS, "season"].some((kind) => kind === name)) {
    throw new RangeError(`Invalid season "${name}": expected 1 to 48 of A-Z a-z 0-9 . _ -, and no name of another period`);
  }
  if (!(from < to))
    throw new RangeError(`Invalid season "${name}": expected a start before its end, as ISO 8601 texts with a zone or milliseconds`);
  return { start: from, end: to };
}

/** Milliseconds; NaN for a text without a zone, which each machine would read differently. */
function instantOf(time: string | number): number {
  if (typeof time === "number") return time;
  return /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(time) ? Date.parse(time) : Number.NaN;
}
