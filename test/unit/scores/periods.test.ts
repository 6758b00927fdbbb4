import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPeriod, periodsOf } from "../../../src/scores/periods.ts";

describe("periodsOf", () => {
  it.each([
    ["2026-11-20T23:59:59.999Z", "2026-W47", "2026-11-20"],
    ["2026-11-22T23:59:59.999Z", "2026-W47", "2026-11-22"],
    ["2026-11-23T00:00:00.000Z", "2026-W48", "2026-11-23"],
    ["2021-01-03T12:00:00Z", "2020-W53", "2021-01-03"],
    ["2021-01-04T00:00:00Z", "2021-W01", "2021-01-04"],
    ["2024-12-30T00:00:00Z", "2025-W01", "2024-12-30"],
    ["2022-01-01T00:00:00Z", "2021-W52", "2022-01-01"],
    ["2028-02-29T05:00:00Z", "2028-W09", "2028-02-29"],
    ["1970-01-01T00:00:00Z", "1970-W01", "1970-01-01"],
  ])("%s", (instant, week, day) => {
    expect(periodsOf(Date.parse(instant))).toEqual(["all", week, day]);
  });

  it("a week has seven days, all of them Monday to Sunday, and weeks sort as text", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60_000 }), (day) => {
        const ms = day * 86_400_000;
        const monday = ms - ((new Date(ms).getUTCDay() + 6) % 7) * 86_400_000;
        const [, week] = periodsOf(ms);
        expect(periodsOf(monday)[1]).toBe(week);
        expect(periodsOf(monday + 7 * 86_400_000 - 1)[1]).toBe(week);
        expect(periodsOf(monday + 7 * 86_400_000)[1] > week).toBe(true);
        for (const period of periodsOf(ms)) expect(isPeriod(period)).toBe(true);
      }),
    );
  });

  it.each([Number.NaN, Infinity, 1e18, Date.UTC(10_000, 0, 1)])("%d is no instant", (ms) => {
    expect(() => periodsOf(ms)).toThrow(RangeError);
  });

  it.each(["", "All", "2026-W00", "2026-W54", "2026-W7", "2026-02-30", "2026-13-01", "2026-11-20T00:00", " all", "all\n", "9999-99-99"])(
    "%j is no period",
    (text) => {
      expect(isPeriod(text)).toBe(false);
    },
  );
});
