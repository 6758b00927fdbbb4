import { describe, expect, it } from "vitest";
import { weakSecrets } from "../../../src/tokens/index.ts";

const isWeak = (secret: string | Uint8Array): boolean => weakSecrets(secret).length === 1;
/** Random letters and digits, in pieces: nothing is wrong with them by themselves. */
const [FRONT, BACK] = ["kB3zV8qLw0xYt7Rf", "Nc5GhJm2PsDa9UeX"];
/** As many blocks in a row, of the given ones in turn. */
const blocks = (count: number, ...given: string[]): string => Array.from({ length: count }, (_, i) => given[i % given.length]).join("");

it("counts from 1, and says how a good one is made", () => {
  expect(weakSecrets([FRONT + BACK, "changeme".repeat(4)])).toEqual([
    {
      code: "GP106",
      severity: "warning",
      message: "Signing secret 2 looks guessable",
      fix: "Make one with: npx gatepass secret",
    },
  ]);
});

it.each([
  [8, true],
  [9, false],
])("bytes of %i values: %s", (values, weak) => {
  expect(isWeak(Uint8Array.from({ length: 48 }, (_, i) => 0xf0 + (i % values)))).toBe(weak);
});

it.each(["passw", "PassW", "secret", "SECRET", "changeme", "change-me", "Change_Me", "example", "default", "placeholder", " ", "\t"])(
  "a word that no generator writes: %j",
  (word) => {
    expect(isWeak(FRONT + BACK)).toBe(false);
    expect(isWeak(FRONT + word + BACK)).toBe(true);
  },
);

it.each(["chanGeXXme", "passaw", "secrte", "exemple"])("%j is no such word", (word) => {
  expect(isWeak(FRONT + word + BACK)).toBe(false);
});

describe("keeps to one kind of character for the length of words", () => {
  it.each([
    ["capitalised words", "MruxsuOgbwpOdlhxePzikpBunarlWzlwyFjmcjbBnwnlLtvniq", "OnlsnzTbxaljRfvtmkBmqsvfTxtesvLesldrbUxzbiyAxzkbds"],
    [
      "small letters and digits",
      "lnhwpcx9595wchkuwy5171nvgmxjv5915qvtlyfo3573udfmiz",
      "dpumxrco73175njukoya13753datjcmgc75757zjhzilo75317",
    ],
    ["capitals and digits", "RGYIGXF5915XISQERW5391EIWRVQC5957XLSCXVG3935ETFUQU", "ALWKGQAT95139CMOLPWQ31731JHVLENID75791KNPSXBX75719"],
    ["letters outside ASCII", "лпжщбъюЕкцтзчфЯгпмрдОйхсьэаТвюнкбПжрлыщЗдмцтыЧхКъв", "лпжщбъюЕкцтзчфЯгпмрдОйхсьэаТвюнкбПжрлыщЗдмцтыЧхкъв"],
  ])("%s: 9 of 50 characters are words of their own, 8 are too few", (_, good, bad) => {
    expect([good.length, bad.length]).toEqual([50, 50]);
    expect(isWeak(good)).toBe(false);
    expect(isWeak(bad)).toBe(true);
  });

  it("does not count what stands between letters and digits", () => {
    const bad = "OnlsnzTbxaljRfvtmkBmqsvfTxtesvLesldrbUxzbiyAxzkbds";
    expect(isWeak([...bad].join("-"))).toBe(true);
    expect(isWeak([..."MruxsuOgbwpOdlhxePzikpBunarlWzlwyFjmcjbBnwnlLtvniq"].join("+"))).toBe(false);
  });
});

describe("runs along the alphabet", () => {
  // Two steps in five characters, up, down or none: just not more than two fifths.
  const fair = ["nmn7k", "bbc9w", "TTS3x", "pqq5H", "fed8z"];

  it("two fifths pass, one more does not", () => {
    const good = blocks(10, ...fair);
    expect(good.length).toBe(50);
    expect(isWeak(good)).toBe(false);
    expect(isWeak(`${good.slice(0, -1)}8`)).toBe(true);
    expect(isWeak(`m${good.slice(1)}`)).toBe(false);
    expect(isWeak(`${good.slice(0, 5)}kkj7w${good.slice(10)}`)).toBe(true);
  });

  it("every second letter is no run", () => {
    expect(isWeak(blocks(10, "bdf7h", "jln9p", "rtv3x", "zxv5T", "RPN8L"))).toBe(false);
  });
});

describe("what base32 and hexadecimal have by chance", () => {
  // One word of letters, and at most one of digits: far too few words, were it not encoded.
  it.each([
    ["QWKZMXPLVNBHGTRYFDCSAEUIOQWKZMXPLVN", "259"],
    ["acebdfcaebdfaecfbdacefdbacfebdacfbde", ""],
  ])("digits outside the alphabet, or none: %s%s", (letters, digits) => {
    expect(isWeak(letters + digits)).toBe(true);
  });

  it.each(["QWKZMXPLVNBHGTRYFDCSAEUIOQWKZMXPLVN", "acebdfcaebdfaecfbdacefdbacfebdacfbde"])("%s with digits", (letters) => {
    expect(isWeak(`${letters}257`)).toBe(false);
    expect(isWeak(`257${letters}`)).toBe(false);
    expect(isWeak(`${letters}25`)).toBe(true);
    expect(isWeak(`${letters}-257`)).toBe(false);
    expect(isWeak(`${letters}x257`)).toBe(true);
    expect(isWeak(`x${letters}257`)).toBe(true);
  });
});
