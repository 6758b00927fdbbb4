import { describe, expect, it } from "vitest";
import { assertFunction, assertInteger, assertKeys, assertOneOf, assertString } from "../../../src/util/assertions.ts";

describe("assertions", () => {
  it("tells a wrong type from a value out of bounds", () => {
    expect(() => assertInteger("ttl", 5, 1, 5)).not.toThrow();
    for (const value of [0, 6, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => assertInteger("ttl", value, 1, 5)).toThrow(RangeError);
    for (const value of ["5", null, undefined, 5n]) expect(() => assertInteger("ttl", value, 1, 5)).toThrow(TypeError);
    expect(() => assertInteger("ttl", 2 ** 53, 1)).toThrow(RangeError);
    expect(() => assertInteger("ttl", 9, 1, 5)).toThrow('Invalid "ttl": expected an integer from 1 to 5, got 9');
  });

  it("never quotes the text that it refuses, which may be a secret", () => {
    expect(() => assertString("secret", "abc")).not.toThrow();
    expect(() => assertString("secret", "")).toThrow(RangeError);
    expect(() => assertString("secret", 5)).toThrow(TypeError);
    expect(() => assertString("secret", "hunter2", 32)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("hunter2") }),
    );
  });

  it("refuses what is no function, no member of a list, no known option", () => {
    expect(() => assertFunction("clock", Date.now)).not.toThrow();
    expect(() => assertFunction("clock", 5)).toThrow(TypeError);
    expect(() => assertOneOf("mode", "off", ["enforce", "off"])).not.toThrow();
    expect(() => assertOneOf("mode", "shadow", ["enforce", "off"])).toThrow('Invalid "mode": expected one of "enforce", "off"');
    expect(() => assertKeys("options", { a: 1 }, ["a", "b"])).not.toThrow();
    expect(() => assertKeys("options", { a: 1, c: 2 }, ["a", "b"])).toThrow('Invalid "options": unknown member "c"');
    for (const value of [null, undefined, "text"]) expect(() => assertKeys("options", value, [])).toThrow(TypeError);
  });
});
