import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createHasher } from "../../../src/game/index.ts";

const TWO_32 = 2n ** 32n;

/** MurmurHash3_x86_32 over bytes, in unbounded integers, as a second opinion. */
function murmur(bytes: readonly number[], seed: number): number {
  const mask = TWO_32 - 1n;
  const mul = (a: bigint, b: bigint): bigint => (a * b) & mask;
  const rotl = (a: bigint, by: bigint): bigint => ((a << by) | (a >> (32n - by))) & mask;
  const mix = (k: bigint): bigint => mul(rotl(mul(k, 0xcc9e2d51n), 15n), 0x1b873593n);
  let hash = BigInt(seed);
  const whole = bytes.length - (bytes.length % 4);
  const word = (from: number, to: number): bigint => bytes.slice(from, to).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
  for (let i = 0; i < whole; i += 4) hash = (mul(rotl(hash ^ mix(word(i, i + 4)), 13n), 5n) + 0xe6546b64n) & mask;
  hash ^= mix(word(whole, bytes.length));
  hash ^= BigInt(bytes.length);
  hash = mul(hash ^ (hash >> 16n), 0x85ebca6bn);
  hash = mul(hash ^ (hash >> 13n), 0xc2b2ae35n);
  return Number(hash ^ (hash >> 16n));
}

/** Eight little-endian bytes of a safe integer in two's complement. */
const bytesOf = (value: number): number[] => {
  const bits = BigInt.asUintN(64, BigInt(value));
  return Array.from({ length: 8 }, (_, i) => Number((bits >> BigInt(8 * i)) & 255n));
};
const hashOf = (...values: readonly number[]): number => {
  const hasher = createHasher();
  for (const value of values) hasher.int(value);
  return hasher.value();
};

describe("the state hash", () => {
  it("is checked against a reference that has the published values", () => {
    const ascii = (text: string): number[] => [...text].map((char) => char.charCodeAt(0));
    expect(murmur([], 0)).toBe(0);
    expect(murmur([], 1)).toBe(0x514e28b7);
    expect(murmur(ascii("test"), 0)).toBe(0xba6bd213);
    expect(murmur(ascii("Hello, world!"), 0)).toBe(0xc0363e43);
    expect(murmur(ascii("The quick brown fox jumps over the lazy dog"), 0x9747b28c)).toBe(0x2fa826cd);
  });

  it("is MurmurHash3 over the 64-bit two's complement of every safe integer", () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeInteger(), { maxLength: 12 }), (values) => {
        expect(hashOf(...values)).toBe(murmur(values.flatMap(bytesOf), 0));
      }),
    );
  });

  it("tells order, sign, high bits and the length of a list", () => {
    const list = (values: readonly number[]): number => {
      const hasher = createHasher();
      hasher.ints(values);
      return hasher.value();
    };
    const all = [hashOf(1, 2), hashOf(2, 1), hashOf(-1, 2), hashOf(1 + 2 ** 32, 2), list([1, 2]), list([2, 1]), list([]), hashOf()];
    expect(new Set(all).size).toBe(all.length);
    expect(list([3, 4])).toBe(hashOf(2, 3, 4));
    expect(list(Object.assign([], { length: 0 }))).toBe(hashOf(0));
  });

  it("has golden values", () => {
    const hasher = createHasher();
    expect(hasher.value()).toBe(0);
    hasher.bool(true);
    expect(hasher.value()).toBe(murmur([1, 0, 0, 0], 0));
    hasher.bool(false);
    hasher.int(-42);
    hasher.ints(new Int16Array([300, -300]));
    expect(hasher.value()).toBe(murmur([1, 0, 0, 0, 0, 0, 0, 0, ...[-42, 2, 300, -300].flatMap(bytesOf)], 0));
  });

  it("takes -0 as 0 and refuses what integers are not", () => {
    expect(hashOf(-0)).toBe(hashOf(0));
    for (const value of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => createHasher().int(value)).toThrow(RangeError);
      expect(() => createHasher().ints([1, value])).toThrow(RangeError);
    }
    expect(() => createHasher().ints(new Array<number>(2))).toThrow(RangeError);
  });
});
