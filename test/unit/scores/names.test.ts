import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cleanName, createNamer, foldName, generatedName } from "../../../src/scores/names.ts";
import { root } from "../../helpers/sources.ts";

/** Unicode's data, and the table that is made of it. */
const { generate, pairs }: { generate(): string; pairs(): [string, string][] } = await import(`${root}src/scores/confusables.mjs`);

describe("typed names", () => {
  it.each([
    ["Ada", "Ada"],
    ["  Ada   Lovelace ", "Ada Lovelace"],
    ["Zoe\u0308", "Zoë"],
    ["Ａｄａ", "Ada"],
    ["ﬁn", "fin"],
    ["日本語", "日本語"],
    ["किशोर", "किशोर"],
    ["Việt Nguyễn", "Việt Nguyễn"],
    ["\u05D0\u05D1\u05D2", "\u05D0\u05D1\u05D2"],
    ["🔥", "🔥"],
    ["👩\u200D🚀", "👩\u200D🚀"],
    ["❤\uFE0F", "❤\uFE0F"],
    ["\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}", "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}"],
    [
      "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F} Ada",
      "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F} Ada",
    ],
    ["\u{1F3F4}\u{E0067}\u{E0062}\u{E0077}\u{E006C}\u{E0073}\u{E007F}", "\u{1F3F4}\u{E0067}\u{E0062}\u{E0077}\u{E006C}\u{E0073}\u{E007F}"],
    ["x".repeat(32), "x".repeat(32)],
    ["🔥".repeat(32), "🔥".repeat(32)],
    ["<b>'; DROP TABLE scores; --", "<b>'; DROP TABLE scores; --"],
    ["a\u0301\u0316", "á\u0316"],
  ])("%j is stored as %j", (typed, stored) => {
    expect(cleanName(typed)).toBe(stored);
    expect(cleanName(stored)).toBe(stored);
  });

  it.each([
    ["nothing", ""],
    ["white space", " \u00A0\u3000 "],
    ["a control", "a\u0007b"],
    ["a line break", "a\nb"],
    ["a tab at the end", "ab\t"],
    ["a C1 control", "a\u0085b"],
    ["an override of direction", "abc\u202Egnirts"],
    ["an isolate", "\u2067abc\u2069"],
    ["an Arabic letter mark", "a\u061Cb"],
    ["a lone surrogate", "a\uD800b"],
    ["a reversed pair", "\uDC00\uD800"],
    ["33 code points", "x".repeat(33)],
    ["33 code points outside the plane", "🔥".repeat(33)],
    ["more than 32 code points once normalised", "\uFDFA\uFDFA"],
    ["a very long text", "x".repeat(8000)],
    ["three stacked marks", "a\u0301\u0316\u0337"],
    ["stacked marks around a joiner", "a\u0316\u0317\u200D\u0318\u0319"],
    ["nothing but marks", "\u0301\u0302"],
    ["zero width spaces", "\u200B\u200B"],
    ["a zero width space inside", "ad\u200Bmin"],
    ["nothing but joiners", "\u200D\u200C\uFE0F"],
    ["a Hangul filler", "\u3164"],
    ["blank Braille", "\u2800\u2800"],
    ["a soft hyphen", "ad\u00ADmin"],
    ["a tag character", "a\u{E0041}"],
    ["tags behind a letter", "a\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}"],
    ["tags behind another flag", "\u{1F3F3}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}"],
    ["a flag's tags without their end", "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}"],
    ["the end of tags alone", "\u{1F3F4}\u{E007F}"],
    ["a flag's tags, and one more behind their end", "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}\u{E0061}"],
    ["tags that spell more than a place", `\u{1F3F4}${"\u{E0061}".repeat(20)}\u{E007F}`],
    ["tags that spell no letters", "\u{1F3F4}\u{E0020}\u{E0021}\u{E0022}\u{E007F}"],
    ["a flag's tags in the wrong order", "\u{E0067}\u{E0062}\u{1F3F4}\u{E0065}\u{E006E}\u{E0067}\u{E007F}"],
    ["a byte order mark", "\uFEFFada"],
    ["a private character", "a\uE000"],
    ["a noncharacter", "a\uFFFE"],
    ["a line separator", "a\u2028b"],
  ])("%s is refused", (_, typed) => {
    expect(cleanName(typed)).toBeNull();
  });

  it("whatever is typed, what is stored keeps the rules and is stable", () => {
    const part = fc.oneof(
      fc.string({ unit: "binary", maxLength: 8 }),
      fc.constantFrom("\u0301", "\u200D", "\u202E", "\uD83D", "e", " ", "\u3164"),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const name = cleanName(parts.join(""));
        if (name === null) return;
        expect([...name].length).toBeGreaterThan(0);
        expect([...name].length).toBeLessThanOrEqual(32);
        expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(128);
        expect(name).not.toMatch(/\p{Cs}/u);
        expect(name).not.toMatch(/[\p{Cc}\p{Bidi_Control}]|\p{M}{3}|^\s|\s$/u);
        expect(cleanName(name)).toBe(name);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("foldName", () => {
  it.each([
    ["Аdmin", "admin"],
    ["ADM1N", "admin"],
    ["a.d m-i_n", "admin"],
    ["ädmïn", "admin"],
    ["αdmιn", "admin"],
    ["𝕒𝕕𝕞𝕚𝕟", "admin"],
    ["adrnin", "admin"],
    ["@dm!n", "admin"],
    ["ｍｏｄ", "mod"],
    ["M0D", "mod"],
    ["Iᴉl", "lᴉI"],
    ["пօօb", "noob"],
  ])("%j looks like %j", (one, other) => {
    expect(foldName(one)).toBe(foldName(other));
  });
  it("all that Unicode's data calls confusable with Latin, Greek or Cyrillic looks like it, alone and inside a name", () => {
    const all = pairs();
    expect(all.length).toBeGreaterThan(1900);
    for (const [text, prototype] of all) {
      expect([text, foldName(text)]).toEqual([text, foldName(prototype)]);
      expect([text, foldName(`x ${text}.y`)]).toEqual([text, foldName(`x${prototype}y`)]);
    }
  });
  it("of the letters of ASCII, only i and l look alike; every digit looks like a letter", () => {
    const letters = [..."abcdefghijklmnopqrstuvwxyz"];
    expect(letters.map(foldName).join("")).toBe("abcdefghijkimnopqrstuvwxyz");
    expect(letters.map((letter) => foldName(letter.toUpperCase())).join("")).toBe("abcdefghijkimnopqrstuvwxyz");
    expect([..."0123456789"].map(foldName).join("")).toBe("oizeasgtbq");
  });
  it("a Cyrillic word folds the same in capitals, so that a filter sees both", () => {
    const letters = "абвгдежзийклмнопрстуфхцчшщъыьэюяґєіїў";
    for (const letter of letters) expect([letter, foldName(letter.toUpperCase())]).toEqual([letter, foldName(letter)]);
  });
  it("a name that is folded twice is folded once", () => {
    for (const [text] of pairs()) expect([text, foldName(foldName(text))]).toEqual([text, foldName(text)]);
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => foldName(text) === foldName(text.normalize("NFD"))));
  });
  it("confusables.gen.ts is what the data gives: run `npm run generate` after changing its generator", () => {
    expect(readFileSync(`${root}src/scores/confusables.gen.ts`, "utf8")).toBe(generate());
  });
  it("different names stay different", () => {
    expect(new Set(["ada", "bob", "cleo", "dora", "emil", "日本", "किशोर"].map(foldName)).size).toBe(7);
  });
});

describe("generated names", () => {
  // A change here renames every player of every board.
  it.each([
    ["", "Bright Willow"],
    ["a", "Gentle Galaxy"],
    ["player 7", "Jolly Sequoia"],
    ["kQ3vY8bN0aZt5cRw7eXuLg", "Whimsical Otter"],
    ["user-42", "Copper Caribou"],
    ["日本", "Marble Hawk"],
    ["0".repeat(128), "Lively Quail"],
  ])("of %j it is %j, for good", (player, name) => {
    expect(generatedName(player)).toBe(name);
  });
  it("are the same each time, clean, and spread", () => {
    const names = Array.from({ length: 2000 }, (_, i) => generatedName(`player ${i}`));
    expect(generatedName("player 7")).toBe(names[7]);
    for (const name of names) expect([name, cleanName(name)]).toEqual([expect.stringMatching(/^[A-Z][a-z]+ [A-Z][a-z]+$/), name]);
    expect(new Set(names).size).toBeGreaterThan(1700);
    expect(new Set(names.map((name) => name.split(" ")[0])).size).toBe(128);
  });
});

describe("createNamer", () => {
  it("generated names ignore what was typed; typed ones fall back", async () => {
    expect(await createNamer().nameOf("Ada", "p")).toEqual({ name: generatedName("p") });
    expect(await createNamer("typed").nameOf("Ada", "p")).toEqual({ name: "Ada" });
    expect(await createNamer("typed").nameOf(undefined, "p")).toEqual({ name: generatedName("p") });
  });
  it("a filter sees the name and its fold, and may refuse, later too", async () => {
    const seen: string[][] = [];
    const namer = createNamer({
      async filter(name, folded) {
        seen.push([name, folded]);
        return folded !== foldName("admin");
      },
    });
    expect(await namer.nameOf("Ａdm1n", "p")).toBeNull();
    expect(await namer.nameOf("Ada", "p")).toEqual({ name: "Ada" });
    expect(seen).toEqual([
      ["Ａdm1n", foldName("admin")],
      ["Ada", "ada"],
    ]);
  });
  it("generate of one's own", async () => {
    expect(await createNamer({ typed: false, generate: () => "Player One" }).nameOf("Ada", "p")).toEqual({ name: "Player One" });
    await expect(createNamer({ generate: () => "\n" }).nameOf(undefined, "p")).rejects.toThrow(TypeError);
    expect(() => createNamer("typo" as "typed")).toThrow(TypeError);
  });
});
