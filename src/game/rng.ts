/** Deterministic randomness for a game: the same seed gives the same numbers everywhere. Not for secrets. */
export interface Rng {
  /** The next integer of 0..2^32-1. */
  next(): number;
  /**
   * An integer of 0..n-1, each equally likely. May draw more than one number.
   *
   * @throws {RangeError} `n` is not an integer of 1..2^32
   */
  nextInt(n: number): number;
}

const TWO_32 = 2 ** 32;
/** Numbers that the algorithm's author drops after seeding with words. */
const WARM_UP = 15;

/**
 * sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state from a seed of 16 bytes, read as four big-endian words
 * (a, b, c, counter), of which the first fifteen numbers are dropped.
 *
 * @throws {TypeError} the seed is not bytes
 * @throws {RangeError} the seed has not 16 bytes
 *
 * @example
 * ```ts
 * import { createRng } from "gatepass/game";
 * const seed = new Uint8Array(16).fill(7);
 * const dice = createRng(seed);
 * const again = createRng(seed);
 * console.assert(dice.nextInt(6) === again.nextInt(6));
 * ```
 */
export function createRng(seed: Uint8Array): Rng {
  if (!(seed instanceof Uint8Array)) throw new TypeError('Invalid "seed": expected a Uint8Array');
  if (seed.length !== 16) throw new RangeError(`Invalid "seed": expected 16 bytes, got ${seed.length}`);
  const view = new DataView(seed.buffer, seed.byteOffset, 16);
  let a = view.getInt32(0);
  let b = view.getInt32(4);
  let c = view.getInt32(8);
  let counter = view.getInt32(12);

  function next(): number {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  function nextInt(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_32) throw new RangeError(`Invalid "n": expected an integer from 1 to 2^32, got ${n}`);
    // The numbers above the last whole multiple of n would favour the low results: draw again.
    const end = TWO_32 - (TWO_32 % n);
    let drawn = next();
    while (drawn >= end) drawn = next();
    return drawn % n;
  }

  for (let i = 0; i < WARM_UP; i++) next();
  return { next, nextInt };
}
