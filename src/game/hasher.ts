/** Takes the fields of a state, in a fixed order. */
export interface Hasher {
  /**
   * One safe integer, also a negative one.
   *
   * @throws {RangeError} anything else: a fraction in the state is what differs between engines
   */
  int(value: number): void;
  /** A list of safe integers, its length included. @throws {RangeError} as `int` */
  ints(values: ArrayLike<number>): void;
  /** A flag. */
  bool(value: boolean): void;
}

/** A {@link Hasher} with its result. */
export interface StateHasher extends Hasher {
  /** The hash of all so far, 0..2^32-1. Feeding may go on. */
  value(): number;
}

/**
 * MurmurHash3 (x86, 32 bits, seed 0; Austin Appleby) over little-endian words; an integer is two: its low 32 bits, then its high ones in two's complement.
 * It finds where two simulations part; it resists no forger, which nothing relies on.
 *
 * @example
 * ```ts
 * import { createHasher } from "gatepass/game";
 * const hasher = createHasher();
 * hasher.int(-7);
 * hasher.bool(true);
 * console.assert(hasher.value() === hasher.value());
 * ```
 */
export function createHasher(): StateHasher {
  let hash = 0;
  let words = 0;

  function word(value: number): void {
    const mixed = Math.imul(rotate(Math.imul(value, 0xcc9e2d51), 15), 0x1b873593);
    hash = (Math.imul(rotate(hash ^ mixed, 13), 5) + 0xe6546b64) | 0;
    words += 1;
  }

  function int(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`Cannot hash ${String(value)}: expected a safe integer`);
    word(value | 0);
    word(Math.floor(value / 2 ** 32) | 0);
  }

  return {
    int,
    ints(values) {
      int(values.length);
      for (let i = 0; i < values.length; i++) int(values[i] ?? Number.NaN);
    },
    bool(value) {
      word(value ? 1 : 0);
    },
    value() {
      let end = hash ^ (words * 4);
      end = Math.imul(end ^ (end >>> 16), 0x85ebca6b);
      end = Math.imul(end ^ (end >>> 13), 0xc2b2ae35);
      return (end ^ (end >>> 16)) >>> 0;
    },
  };
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
