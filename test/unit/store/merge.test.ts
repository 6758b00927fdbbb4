import fc from "fast-check";
import { expect, it } from "vitest";
import { chargeRing, mergeRing, RING, unitsAt } from "../../../src/store/window.ts";

const WINDOW = 10;
const STEP = 1000;
const START = 1_750_000_000_000;

/** A ring after charges, each some sub-windows after START. */
function ringOf(charges: readonly (readonly [sub: number, units: number])[]): Float64Array {
  const ring = new Float64Array(RING);
  for (const [sub, units] of charges) chargeRing(ring, 0, "key", WINDOW, START + sub * STEP, units);
  return ring;
}

it("two views of a key, merged, count of each sub-window the larger one, whatever is older", () => {
  const charges = fc.array(fc.tuple(fc.integer({ min: 0, max: 25 }), fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 8 });
  const sorted = charges.map((list) => list.toSorted((a, b) => a[0] - b[0]));
  fc.assert(
    fc.property(sorted, sorted, (mine, theirs) => {
      const [cells, other] = [ringOf(mine), ringOf(theirs)];
      mergeRing(cells, other);
      const bySub = (list: typeof mine, sub: number): number => list.reduce((sum, one) => (one[0] === sub ? sum + one[1] : sum), 0);
      const newest = Math.max(mine.at(-1)?.[0] ?? 0, theirs.at(-1)?.[0] ?? 0);
      for (let now = newest; now < newest + 12; now++) {
        let expected = 0;
        for (let sub = Math.max(0, now - 10); sub <= newest; sub++) expected += Math.max(bySub(mine, sub), bySub(theirs, sub));
        expect(unitsAt(cells, 0, WINDOW, START + now * STEP)).toBe(expected);
      }
      expect(cells[0]).toBe(Math.max(ringOf(mine)[0] ?? 0, ringOf(theirs)[0] ?? 0));
      expect([...other]).toEqual([...ringOf(theirs)]);
    }),
  );
});
