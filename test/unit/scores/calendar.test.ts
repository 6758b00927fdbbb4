import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Calendar, type CalendarOptions, KINDS, type Period } from "../../../src/scores/calendar.ts";
import { isPeriod, periodsOf } from "../../../src/scores/periods.ts";

const calendar = (more: Partial<CalendarOptions> = {}): Calendar =>
  new Calendar({ periods: KINDS, seasons: {}, timeZone: "UTC", keep: 400, ...more });
const at = Date.parse;
const keys = (zone: string, instant: string): string[] =>
  calendar({ timeZone: zone })
    .at(at(instant))
    .map(({ key }) => key);

describe("the periods of an instant", () => {
  it.each([
    ["UTC", "2026-11-20T23:59:59.999Z", "2026-11-20", "2026-W47", "2026-11", "2026"],
    ["Europe/Berlin", "2026-11-20T23:00:00.000Z", "2026-11-21", "2026-W47", "2026-11", "2026"],
    ["America/New_York", "2026-11-21T04:59:59.999Z", "2026-11-20", "2026-W47", "2026-11", "2026"],
    ["Asia/Kolkata", "2025-12-31T18:30:00.000Z", "2026-01-01", "2026-W01", "2026-01", "2026"],
    ["Pacific/Kiritimati", "2026-12-31T10:00:00.000Z", "2027-01-01", "2026-W53", "2027-01", "2027"],
    ["Pacific/Pago_Pago", "2027-01-01T10:59:59.999Z", "2026-12-31", "2026-W53", "2026-12", "2026"],
  ])("%s, %s", (zone, instant, day, week, month, year) => {
    expect(keys(zone, instant)).toEqual(["all", day, week, month, year]);
  });

  it("in UTC are those of periodsOf", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) }), (ms) => {
        const [, week, day] = periodsOf(ms);
        const found = calendar().at(ms);
        expect(found.map(({ key }) => key)).toEqual(["all", day, week, day.slice(0, 7), day.slice(0, 4)]);
        for (const { key } of found) expect(isPeriod(key)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

describe("where a period ends", () => {
  const endOf = (zone: string, instant: string, kind: string): string =>
    new Date(
      calendar({ timeZone: zone })
        .at(at(instant))
        .find((one) => one.kind === kind)?.end ?? 0,
    ).toISOString();

  it.each([
    // Clocks go forward on 2026-03-29 at 01:00 UTC and back on 2026-10-25: a day of 23 hours, and one of 25.
    ["Europe/Berlin", "2026-03-29T12:00:00Z", "day", "2026-03-29T22:00:00.000Z"],
    ["Europe/Berlin", "2026-10-25T12:00:00Z", "day", "2026-10-25T23:00:00.000Z"],
    ["Europe/Berlin", "2026-10-21T12:00:00Z", "week", "2026-10-25T23:00:00.000Z"],
    ["Europe/Berlin", "2026-10-21T12:00:00Z", "month", "2026-10-31T23:00:00.000Z"],
    // Midnight itself is left out: the day after begins at 01:00.
    ["America/Santiago", "2026-09-05T12:00:00Z", "day", "2026-09-06T04:00:00.000Z"],
    ["America/New_York", "2026-06-01T12:00:00Z", "year", "2027-01-01T05:00:00.000Z"],
    // Samoa left out the 30th of December 2011.
    ["Pacific/Apia", "2011-12-29T12:00:00Z", "day", "2011-12-30T10:00:00.000Z"],
  ])("%s, %s: the %s at %s", (zone, instant, kind, end) => {
    expect(endOf(zone, instant, kind)).toBe(end);
  });

  it("the first instant of the next one has another key, the last one before has this", () => {
    for (const timeZone of ["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]) {
      const one = calendar({ timeZone });
      for (let day = 0; day < 400; day += 3) {
        const now = Date.UTC(2026, 0, 1) + day * 86_400_000;
        for (const { key, end, kind } of one.at(now)) {
          if (kind === "all") continue;
          expect(one.at(end - 1).find((other) => other.kind === kind)?.key).toBe(key);
          expect(one.at(end).find((other) => other.kind === kind)?.key).not.toBe(key);
        }
      }
    }
  });
});

describe("seasons", () => {
  const seasons = {
    spring: { start: "2026-03-01T00:00:00Z", end: "2026-06-01T00:00:00Z" },
    cup: { start: "2026-05-30T12:00:00+02:00", end: Date.UTC(2026, 5, 2) },
  };
  const one = calendar({ periods: ["all"], seasons });

  it("count while they last, the end not included", () => {
    const named = (instant: string): string[] => one.at(at(instant)).map(({ key }) => key);
    expect(named("2026-02-28T23:59:59.999Z")).toEqual(["all"]);
    expect(named("2026-03-01T00:00:00Z")).toEqual(["all", "spring"]);
    expect(named("2026-05-30T10:00:00Z")).toEqual(["all", "spring", "cup"]);
    expect(named("2026-06-01T00:00:00Z")).toEqual(["all", "cup"]);
    expect(named("2026-06-02T00:00:00Z")).toEqual(["all"]);
  });

  it("are asked for by name, or as the one that began last", () => {
    const asked = (name: string, instant: string): string | undefined => one.keyOf(name, at(instant));
    expect(asked("season", "2026-01-01T00:00:00Z")).toBe(undefined);
    expect(asked("season", "2026-04-01T00:00:00Z")).toBe("spring");
    expect(asked("season", "2027-04-01T00:00:00Z")).toBe("cup");
    expect([
      asked("spring", "2027-01-01T00:00:00Z"),
      asked("winter", "2027-01-01T00:00:00Z"),
      asked("day", "2027-01-01T00:00:00Z"),
    ]).toEqual(["spring", undefined, undefined]);
    expect([asked("2026-11-20", "2027-01-01T00:00:00Z"), asked("all", "2027-01-01T00:00:00Z")]).toEqual([undefined, "all"]);
  });

  it.each([
    [{ day: { start: 0, end: 1 } }],
    [{ season: { start: 0, end: 1 } }],
    [{ "2026-11": { start: 0, end: 1 } }],
    [{ "a b": { start: 0, end: 1 } }],
    [{ a: { start: 1, end: 1 } }],
    [{ a: { start: "2026-03-01", end: "2026-06-01" } }],
    [{ a: { start: "2026-03-01T00:00:00", end: "2026-06-01T00:00:00Z" } }],
    [{ a: { start: Number.NaN, end: 1 } }],
  ])("%j is refused", (wrong) => {
    expect(() => calendar({ seasons: wrong })).toThrow(RangeError);
  });
});

/** By their ends; where several end at once, by their names. */
const sorted = (periods: readonly Period[]): string[] =>
  [...periods].sort((a, b) => a.end - b.end || (a.key < b.key ? -1 : 1)).map(({ key }) => key);

describe("what is over", () => {
  it("names each period once, in the order of their ends", () => {
    const one = calendar({ timeZone: "Europe/Berlin", seasons: { cup: { start: "2026-10-30T00:00:00Z", end: "2026-11-01T12:00:00Z" } } });
    const ended = one.ended(at("2026-10-30T12:00:00Z"), at("2026-11-01T23:00:00Z"));
    expect(sorted(ended)).toEqual(["2026-10-30", "2026-10", "2026-10-31", "cup", "2026-11-01", "2026-W44"]);
    expect(sorted(one.ended(at("2026-12-31T22:59:59.999Z"), at("2026-12-31T23:00:00Z")))).toEqual(["2026", "2026-12", "2026-12-31"]);
  });

  it("a time zone that nobody knows is refused", () => {
    expect(() => calendar({ timeZone: "Europe/Atlantis" })).toThrow(RangeError);
  });
});
