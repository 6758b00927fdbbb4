import { describe, expect, it } from "vitest";
import { assertKeys, invalid } from "../../../src/util/assertions.ts";
import { any, assertOptions, bag, integer, listOf, methods, oneOf, oneOrMore, type Rules, record } from "../../../src/util/options.ts";

const RULES: Rules = {
  secret: /^[!-~]{8,}$/,
  maxAge: integer(1, 60),
  onUnavailable: oneOf("deny", "degraded"),
  fetch: "function",
  cache: "boolean",
  names: listOf("string"),
  one: oneOrMore(/^[a-z]+$/),
  nested: bag({ retries: integer(0, 5) }, "retries"),
  boards: record(bag({ min: integer(0, 9) })),
  store: methods("spend"),
  whatever: any,
};
const check = (options: unknown, required?: string): void => assertOptions("createThing", options, RULES, "", required);

describe("assertOptions", () => {
  it("accepts what is right, and undefined as if it were not there", () => {
    check({});
    check(Object.fromEntries(Object.keys(RULES).map((name) => [name, undefined])));
    check({ secret: "12345678", maxAge: 60, onUnavailable: "deny", fetch, cache: false, names: [], one: "a", nested: { retries: 0 } });
    check({ one: ["a", "b"], boards: { main: {}, other: { min: 1 } }, store: { spend() {} }, whatever: null });
    check(Object.assign(Object.create(null), { cache: true }));
  });

  it.each([
    ["onUnavailble", "onUnavailable"],
    ["maxage", "maxAge"],
    ["maxAgee", "maxAge"],
    ["secretKey", "secret"],
    ["fecth", "fetch"],
    ["name", "names"],
  ])("a misspelt %s is refused by name, with the name that was meant", (name, meant) => {
    expect(() => check({ [name]: 1 })).toThrow(new TypeError(`Invalid "createThing": unknown member "${name}", did you mean "${meant}"?`));
  });

  it.each(["acton", "zzz", "", "__proto__", "constructor", "toString", "hasOwnProperty", "0"])(
    "an unknown member %j is refused",
    (name) => {
      const options = JSON.parse(`{ ${JSON.stringify(name)}: 1 }`);
      const known = Object.keys(RULES).join(", ");
      expect(() => check(options)).toThrow(new TypeError(`Invalid "createThing": unknown member "${name}", expected one of ${known}`));
    },
  );

  it("an inherited member counts like an own one: it is read like one", () => {
    expect(() => check(Object.create({ opne: true }))).toThrow(/"opne"/);
    expect(() => check(Object.create({ maxAge: 0 }))).toThrow(/"maxAge"/);
  });

  it.each([
    ["a promise, as of a forgotten await", Promise.resolve({})],
    ["a Map", new Map([["maxAge", 0]])],
    ["a list", []],
    ["a text", "maxAge"],
    ["a number", 5],
    ["null", null],
    ["undefined", undefined],
    ["a function", () => ({})],
    ["a Request", new Request("https://game.example/")],
    ["Headers", new Headers()],
    ["a Date", new Date()],
  ])("%s is no bag of options", (_, options) => {
    expect(() => check(options)).toThrow(/^Invalid "createThing": expected an object/);
  });

  it.each<[string, unknown, string]>([
    ["maxAge", 0, 'RangeError: Invalid "maxAge": expected an integer from 1 to 60, got 0'],
    ["maxAge", 61, "got 61"],
    ["maxAge", Number.NaN, "got NaN"],
    ["maxAge", -1, "got -1"],
    ["maxAge", 1.5, "got 1.5"],
    ["maxAge", "5", 'TypeError: Invalid "maxAge": expected an integer from 1 to 60, got 5'],
    ["maxAge", null, "got null"],
    ["onUnavailable", "degrade", 'expected one of "deny", "degraded", got degrade'],
    ["fetch", "fetch", 'TypeError: Invalid "fetch": expected a function, got fetch'],
    ["cache", "false", 'Invalid "cache": expected a boolean, got false'],
    ["names", "abc", 'Invalid "names": expected a list of 0 or more, got abc'],
    ["names", [1], 'Invalid "names": expected a string, got 1'],
    ["one", [], 'Invalid "one": expected a list of 1 or more'],
    ["one", ["a", "B"], 'Invalid "one": expected /^[a-z]+$/, got B'],
    ["nested", {}, 'Invalid "nested.retries": expected an integer from 0 to 5, got undefined'],
    ["nested", { retry: 1 }, 'Invalid "nested": unknown member "retry"'],
    ["nested", { retries: 9 }, 'Invalid "nested.retries"'],
    ["boards", { main: { min: 10 } }, 'Invalid "boards.main.min"'],
    ["boards", { main: { mni: 1 } }, 'Invalid "boards.main": unknown member "mni", did you mean "min"?'],
    ["boards", [], 'Invalid "boards": expected an object'],
    ["store", {}, 'Invalid "store.spend": expected a function, got undefined'],
    ["store", "spend", 'Invalid "store.spend"'],
  ])("%s: %j is refused by its path", (name, value, message) => {
    let told = "";
    try {
      check({ [name]: value });
    } catch (error) {
      told = String(error);
    }
    expect(told).toContain(message);
  });

  it("what must be there is missed", () => {
    expect(() => check({ cache: true }, "cache maxAge")).toThrow(/"maxAge".*undefined/);
    check({ cache: true, maxAge: 5 }, "cache maxAge");
  });

  it.each(["secret", "moderation.tokens", "sitekey", "upstash.TOKEN", "secrets"])("a value at %s is never quoted", (path) => {
    expect(invalid(path, "text", "hunter2").message).not.toContain("hunter2");
  });

  it.each([5, -1, Number.NaN, true, undefined, null])("a number or a flag is no secret, whatever its name: %s", (value) => {
    expect(invalid("maxKeys", "1 to 4", value).message).toContain(`got ${value}`);
    expect(invalid("maxKeys", "1 to 4", ["hunter2"]).message).not.toContain("hunter2");
  });

  it("a name of any length is refused in no time", () => {
    const started = performance.now();
    expect(() => assertKeys("x", { ["a".repeat(100_000)]: 1 }, ["b".repeat(30), "aaaa"])).toThrow(TypeError);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
