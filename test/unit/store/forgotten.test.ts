import { describe, expect, it } from "vitest";
import { createForgotten, type Forgotten } from "../../../src/store/forgotten.ts";

const T = 1_750_000_000_000;
const random =
  (byte: number) =>
  (size: number): Uint8Array =>
    new Uint8Array(size).fill(byte);
const unitsOf = (forgotten: Forgotten, key: string, now = T): number => forgotten.find(key, 900, now).units;

function filled(count: number, byte = 1): Forgotten {
  const forgotten = createForgotten(10, random(byte));
  for (let i = 0; i < count; i++) forgotten.add(`stranger ${i}`, 900, 1, T);
  return forgotten;
}

/** Visitors of whom something is said although nothing was forgotten of them. */
function wronged(forgotten: Forgotten, count = 20_000): string[] {
  return Array.from({ length: count }, (_, i) => `visitor ${i}`).filter((key) => unitsOf(forgotten, key) > 0);
}

describe("createForgotten", () => {
  it("adds up what one key held, for one window and the next, and then no more", () => {
    const forgotten = createForgotten(10, random(1));
    expect(forgotten.find("key", 900, T)).toEqual({ units: 0, until: 0 });
    forgotten.add("key", 900, 3, T);
    forgotten.add("key", 900, 2, T + 1000);
    forgotten.add("key", 60, 7, T);
    const { units, until } = forgotten.find("key", 900, T + 1000);
    expect([units, unitsOf(forgotten, "another key")]).toEqual([5, 0]);
    expect([unitsOf(forgotten, "key", T + 900_000), until > T + 901_000, until <= T + 2 * 1_024_000]).toEqual([5, true, true]);
    expect([unitsOf(forgotten, "key", until - 1), unitsOf(forgotten, "key", until)]).toEqual([5, 0]);
    expect(forgotten.find("key", 60, T).units).toBe(7);
  });

  it("a clock that went back forgets nothing", () => {
    const forgotten = createForgotten(10, random(1));
    forgotten.add("key", 900, 3, T);
    forgotten.add("key", 900, 1, T - 5_000_000);
    expect([unitsOf(forgotten, "key", T - 5_000_000), unitsOf(forgotten, "key", T)]).toEqual([4, 4]);
  });

  it("65,536 strangers cost nobody else a unit, and have none twice", () => {
    const forgotten = filled(65_536);
    expect(wronged(forgotten).length).toBeLessThan(10);
    for (let i = 0; i < 65_536; i++) expect(unitsOf(forgotten, `stranger ${i}`)).toBeGreaterThanOrEqual(1);
  });

  it("those who come after them are counted together: more than they had, never less", () => {
    const forgotten = filled(130_000);
    for (let i = 0; i < 130_000; i++) expect(unitsOf(forgotten, `stranger ${i}`)).toBeGreaterThanOrEqual(1);
    const most = Math.max(...wronged(forgotten).map((key) => unitsOf(forgotten, key)));
    expect([most > 1, most < 12]).toEqual([true, true]);
  });

  it("an attacker cannot choose keys that are counted with a victim's: the hash has a key of its own", () => {
    const [one, same, other] = [wronged(filled(85_000)), wronged(filled(85_000)), wronged(filled(85_000, 2))];
    expect(one.length).toBeGreaterThan(1000);
    expect(same).toEqual(one);
    // As many as chance has it, a quarter.
    const both = new Set(one);
    expect(other.filter((key) => both.has(key)).length).toBeLessThan(one.length / 2);
  });
});
