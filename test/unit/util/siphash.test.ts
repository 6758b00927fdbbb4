import { describe, expect, it } from "vitest";
import { halfSipHash } from "../../../src/util/siphash.ts";

describe("halfSipHash", () => {
  // Key 00 01 ... 07, data 00 01 ... of growing length: the first vectors of the reference implementation (vectors_hsip32).
  it.each([
    [0, 0x5b9f35a9],
    [1, 0xb85a4727],
    [2, 0x03a662fa],
    [3, 0x04e7fe8a],
    [4, 0x89466e2a],
    [5, 0x69b6fac5],
    [6, 0x23fc6358],
    [7, 0xc563cf8b],
    [8, 0x8f84b8d0],
    [9, 0x79e706f8],
  ])("gives the reference's value for %i bytes", (length, value) => {
    const data = Uint8Array.from({ length }, (_, i) => i);
    expect(halfSipHash(data, Uint32Array.of(0x03020100, 0x07060504))).toBe(value);
  });
});
