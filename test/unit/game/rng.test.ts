import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/game/index.ts";

/** The published algorithm in unbounded integers, as a second opinion. */
function reference(words: readonly bigint[], rounds: number, count: number): number[] {
  const mask = 0xffff_ffffn;
  let [a = 0n, b = 0n, c = 0n, counter = 0n] = words;
  const all: number[] = [];
  for (let i = 0; i < rounds + count; i++) {
    const sum = (a + b + counter) & mask;
    counter = (counter + 1n) & mask;
    a = b ^ (b >> 9n);
    b = (c + (c << 3n)) & mask;
    c = ((((c << 21n) | (c >> 11n)) & mask) + sum) & mask;
    all.push(Number(sum));
  }
  return all.slice(rounds);
}

function seedOf(words: readonly bigint[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  for (const [i, word] of words.entries()) view.setUint32(i * 4, Number(word));
  return new Uint8Array(view.buffer);
}

const draw = (seed: Uint8Array, count: number): number[] => {
  const rng = createRng(seed);
  return Array.from({ length: count }, () => rng.next());
};
const word = fc.bigInt({ min: 0n, max: 0xffff_ffffn });

describe("sfc32", () => {
  it("has the published first numbers for zero seeds", () => {
    // PractRand: three zero words, counter 1; fifteen rounds, and twelve after a 64-bit seed.
    expect(reference([0n, 0n, 0n, 1n], 15, 1)).toEqual([0xfb52_c520]);
    expect(reference([0n, 0n, 0n, 1n], 12, 1)).toEqual([0x5146_76c3]);
    expect(draw(seedOf([0n, 0n, 0n, 1n]), 1)).toEqual([0xfb52_c520]);
  });

  it("is the published algorithm for every seed", () => {
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), (words) => {
        expect(draw(seedOf(words), 40)).toEqual(reference(words, 15, 40));
      }),
    );
  });

  it("reads its seed wherever it lies in a buffer, and never changes it", () => {
    const buffer = new Uint8Array(40).map((_, i) => i);
    const seed = buffer.subarray(11, 27);
    expect(draw(seed, 5)).toEqual(draw(new Uint8Array(seed), 5));
    expect([...buffer]).toEqual([...new Uint8Array(40).keys()]);
  });

  it("refuses anything but 16 bytes", () => {
    expect(() => createRng(new Uint8Array(15))).toThrow(RangeError);
    expect(() => createRng(new Uint8Array(17))).toThrow(RangeError);
    // @ts-expect-error: text is no seed
    expect(() => createRng("0123456789abcdef")).toThrow(TypeError);
  });
});

describe("nextInt", () => {
  it("stays in its bounds, for every n", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 1, max: 2 ** 32 }), (seed, n) => {
        const rng = createRng(seed);
        for (let i = 0; i < 20; i++) {
          const value = rng.nextInt(n);
          expect(Number.isInteger(value) && value >= 0 && value < n).toBe(true);
        }
      }),
    );
  });

  it("draws again above the last whole multiple of n, instead of favouring low results", () => {
    // With n = 3 * 2^30, a plain remainder would give the lowest third of the range twice as often as the rest.
    const n = 3 * 2 ** 30;
    const rng = createRng(seedOf([1n, 2n, 3n, 4n]));
    const counts = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) {
      const third = Math.floor(rng.nextInt(n) / 2 ** 30);
      counts[third] = (counts[third] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
    // The very draws: those below 3 * 2^30 of the raw sequence, in order.
    const raw = draw(seedOf([1n, 2n, 3n, 4n]), 200).filter((value) => value < n);
    const again = createRng(seedOf([1n, 2n, 3n, 4n]));
    expect(Array.from({ length: 100 }, () => again.nextInt(n))).toEqual(raw.slice(0, 100));
  });

  it("is uniform: chi-squared over small n and many seeds", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 2, max: 24 }), (seed, n) => {
        const rng = createRng(seed);
        const draws = 400 * n;
        const counts = new Array<number>(n).fill(0);
        for (let i = 0; i < draws; i++) {
          const value = rng.nextInt(n);
          counts[value] = (counts[value] ?? 0) + 1;
        }
        const chi = counts.reduce((sum, count) => sum + (count - 400) ** 2 / 400, 0);
        // Mean n-1, variance 2(n-1); seven deviations and the tail of few degrees of freedom.
        expect(chi).toBeLessThan(n - 1 + 7 * Math.sqrt(2 * (n - 1)) + 20);
      }),
      { numRuns: 50, seed: 20_261_121 },
    );
  });

  it("takes n = 1 and n = 2^32, and nothing outside", () => {
    const rng = createRng(seedOf([5n, 6n, 7n, 8n]));
    expect(rng.nextInt(1)).toBe(0);
    expect(rng.nextInt(2 ** 32)).toBe(reference([5n, 6n, 7n, 8n], 15, 2)[1]);
    for (const n of [0, -1, 1.5, Number.NaN, 2 ** 32 + 1, Number.POSITIVE_INFINITY]) expect(() => rng.nextInt(n)).toThrow(RangeError);
  });
});
