import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chargeRing, freeAt, RING, refundRing, shiftOf, unitsAt } from "../../../src/store/window.ts";

interface Step {
  wait: number;
  cost: number;
  /** Position (modulo) among the charges that may be refunded; none when negative. */
  refund: number;
}
interface Charge {
  at: number;
  cost: number;
}
/** Which of the charges in the ring a refund of `charge` is taken from. */
type Pick = (charge: Charge, held: Charge[]) => Charge | undefined;

const own: Pick = (charge) => charge;
const newest: Pick = (charge, held) => held.filter(({ cost }) => cost >= charge.cost).at(-1);
const oldest: Pick = (charge, held) => held.filter(({ cost }) => cost >= charge.cost)[0];

const start = 1_750_000_000_000;
const schedules = fc.record({
  key: fc.string({ minLength: 1, maxLength: 20 }),
  window: fc.constantFrom(1, 7, 60, 86_400),
  limit: fc.integer({ min: 1, max: 8 }),
  // Pauses in thousandths of a window: often at the edges of sub-windows and of the window.
  steps: fc.array(
    fc.record({
      wait: fc.oneof(fc.integer({ min: 0, max: 1200 }), fc.constantFrom(0, 1, 99, 100, 101, 999, 1000, 1001, 1099, 1100)),
      cost: fc.integer({ min: 1, max: 8 }),
      refund: fc.integer({ min: -6, max: 5 }),
    }),
    { minLength: 1, maxLength: 60 },
  ),
});

/** Plays a schedule on one ring; what broke, or undefined. */
function play(
  { key, window, limit, steps }: { key: string; window: number; limit: number; steps: Step[] },
  pick: Pick,
): string | undefined {
  const cells = new Float64Array(RING);
  const span = window * 1000;
  const charges: Charge[] = [];
  let held: Charge[] = [];
  let now = start;
  for (const step of steps) {
    now += step.wait * window;
    const cost = Math.min(step.cost, limit);
    const over = cells[0] === 0 ? 0 : unitsAt(cells, 0, window, now) + cost - limit;
    if (over <= 0) {
      chargeRing(cells, 0, key, window, now, cost);
      charges.push({ at: now, cost });
      held.push({ at: now, cost });
      const units = charges.reduce((sum, { at, cost: one }) => (at >= now - span ? sum + one : sum), 0);
      if (units > limit) return "too much";
    } else {
      const free = freeAt(cells, 0, window, now, over);
      if (free <= now || free - now > 1.1 * span) return "wait too long";
      if (unitsAt(cells, 0, window, free) + cost > limit) return "not free after the wait";
      if (unitsAt(cells, 0, window, free - 1) + cost <= limit) return "free before the wait is over";
    }
    const charge = step.refund < 0 ? undefined : charges[step.refund % Math.max(1, charges.length)];
    if (charge === undefined) continue;
    held = held.filter(({ at }) => at > now - span);
    const from = pick(charge, held);
    if (from === undefined || !refundRing(cells, 0, window, now, from.at, charge.cost)) continue;
    charges.splice(charges.indexOf(charge), 1);
    from.cost -= from === charge ? 0 : charge.cost;
    held = held.filter((one) => one !== charge && one.cost > 0);
  }
  return undefined;
}

describe("the sliding window", () => {
  it("admits at most `limit` in any closed window, and lets wait exactly as long as needed, refunds included", () => {
    fc.assert(
      fc.property(schedules, (schedule) => {
        expect(play(schedule, own)).toBeUndefined();
      }),
      { numRuns: 4000 },
    );
  });

  it("breaks when a refund takes from the newest or the oldest sub-window: the property can fail", () => {
    for (const wrong of [newest, oldest]) {
      const samples = fc.sample(schedules, { numRuns: 4000, seed: 7 });
      expect(samples.filter((schedule) => play(schedule, wrong) === "too much").length).toBeGreaterThan(20);
    }
  });

  it("waits up to 1.1 windows, and no key's grid is another's", () => {
    const waits = Array.from({ length: 300 }, (_, i) => {
      const cells = new Float64Array(RING);
      chargeRing(cells, 0, `key ${i}`, 10, start, 1);
      return freeAt(cells, 0, 10, start, 1) - start;
    });
    expect(Math.min(...waits)).toBeGreaterThan(10_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(11_000);
    expect(new Set(waits).size).toBeGreaterThan(200);
    expect(shiftOf("a", 10)).not.toBe(shiftOf("b", 10));
  });

  it("a refund after the charge stopped counting does nothing", () => {
    const cells = new Float64Array(RING);
    chargeRing(cells, 0, "k", 1, start, 2);
    expect(refundRing(cells, 0, 1, start + 1101, start, 1)).toBe(false);
    expect(refundRing(cells, 0, 1, start, start, 3)).toBe(false);
    expect(refundRing(cells, 0, 1, start, start - 200, 1)).toBe(false);
    expect(refundRing(cells, 0, 1, start, start + 200, 1)).toBe(false);
    expect(refundRing(cells, 0, 1, start, Number.NaN, 1)).toBe(false);
    expect(refundRing(cells, 0, 1, start + 1000, start, 2)).toBe(true);
    expect(unitsAt(cells, 0, 1, start)).toBe(0);
  });

  it("a clock that went back by hours keeps what was charged, and what it charges itself", () => {
    const cells = new Float64Array(RING);
    chargeRing(cells, 0, "k", 60, start, 3);
    const back = start - 3_600_000;
    expect(unitsAt(cells, 0, 60, back)).toBe(3);
    chargeRing(cells, 0, "k", 60, back, 2);
    expect(unitsAt(cells, 0, 60, back)).toBe(5);
    expect(unitsAt(cells, 0, 60, back + 60_000)).toBe(5);
    // It leaves with the oldest that is kept, before what was charged later.
    expect(unitsAt(cells, 0, 60, start + 6_001)).toBe(3);
    expect(unitsAt(cells, 0, 60, start + 66_001)).toBe(0);
  });
});
