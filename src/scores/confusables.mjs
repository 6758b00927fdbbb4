// Writes confusables.gen.ts: what foldName makes of each character. Run by `npm run generate`.
//
// The data is Unicode's (UTS #39, confusables.txt, version 13.0.0), from the package unhomoglyph: pairs of a text and the
// prototype that it looks like. This script takes the pairs whose prototype is Latin, Greek or Cyrillic. It adds what Unicode's
// data lacks: digits, signs and some letters that people write instead of an ASCII letter.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { foldWith } from "./fold.ts";

/** Groups: an ASCII letter, then the characters that people write instead of it. */
const ADDED = "a4@ b8 c(<©ƈ dð e3ǝɜȝ g6 i!¡ jʝ nπŋ o° pþ q9 rяɾ s5$§ t7+ uцμ wωшщ z2";
const MORE = new Map(ADDED.split(" ").flatMap(([letter, ...others]) => others.map((other) => [other, letter])));
/** Greek capitals that do not fold to their small letters: small sigma looks like an o, small mu like a u. */
const APART = "ΣΜ";

const LETTERS = /^[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}]+$/u;
const isOne = (text) => [...text].length === 1;
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "");
const isStable = (letter) => letter.normalize("NFKD") === letter;
const place = (letter) => letter.codePointAt(0) ?? 0;

/** All pairs of the data with such a prototype: what looks like what, without marks. */
export function pairs() {
  const data = JSON.parse(readFileSync(createRequire(import.meta.url).resolve("unhomoglyph/data.json"), "utf8"));
  return Object.entries(data)
    .map(([text, prototype]) => [plain(text), plain(prototype)])
    .filter(([text, prototype]) => LETTERS.test(prototype) && text !== "" && text !== prototype);
}

/** Characters that look alike, as sets. */
function classes() {
  const sets = new Map();
  const of = (letter) => sets.get(letter) ?? new Set([letter]);
  const join = (one, other) => {
    const joined = new Set([...of(one), ...of(other)]);
    for (const letter of joined) sets.set(letter, joined);
  };
  const hasAscii = (letter) => [...of(letter)].some((one) => /[a-z]/i.test(one));
  for (const letter of "abcdefghijklmnopqrstuvwxyz") join(letter, letter.toUpperCase());
  for (const [text, prototype] of pairs()) if (isOne(text) && isOne(prototype)) join(text, prototype);
  // Capitals and small letters are one, unless two letters of ASCII would become one by it: a Greek capital nu looks like an N, the small one like a v.
  // Cyrillic first: its ghe looks like an r and shares its capital with gamma, which looks like a y.
  const isCyrillic = (letter) => Number(/\p{Script=Cyrillic}/u.test(letter));
  const known = pairs().flatMap(([text, prototype]) => [...text, ...prototype]);
  const letters = new Set([...known, ...known.map((letter) => plain(letter.toLowerCase())).filter(isOne)]);
  for (const letter of [...letters].sort((a, b) => isCyrillic(b) - isCyrillic(a) || place(a) - place(b))) {
    const small = plain(letter.toLowerCase());
    if (isOne(small) && !APART.includes(letter) && !(hasAscii(letter) && hasAscii(small))) join(letter, small);
  }
  return { letters, of };
}

/** The letter that stands for all that look like it: of ASCII if there is one. */
function standIn(alike) {
  const ascii = [...alike].filter((letter) => /[a-z]/.test(letter)).sort();
  if (ascii.length > 0) return ascii.includes("i") ? "i" : ascii[0];
  const added = [...alike].find((letter) => MORE.has(letter));
  if (added) return MORE.get(added);
  const small = [...alike].filter((letter) => letter.toLowerCase() === letter && isStable(letter));
  return (small.length > 0 ? small : [...alike]).sort((a, b) => place(a) - place(b))[0];
}

/** What each character becomes that does not become it by itself. */
export function table() {
  const { letters, of } = classes();
  const wanted = new Map();
  for (const letter of letters) wanted.set(letter, standIn(of(letter)));
  for (const [text, prototype] of pairs()) {
    if (!isOne(text) || isOne(prototype) || /[a-z]/i.test(text)) continue;
    const becomes = [...prototype].map((one) => standIn(of(one))).join("");
    // A small letter that is in no pair of its own goes with its capital.
    for (const letter of [text, plain(text.toLowerCase())])
      if (letter === text || wanted.get(letter) === letter) wanted.set(letter, becomes);
  }
  for (const [other, letter] of MORE) wanted.set(other, letter);
  const made = new Map();
  const fold = (text) => foldWith(made, text);
  // Small letters first, and those that normalising leaves alone: most of the others follow from them.
  const rank = (letter) => 2 * Number(!isStable(letter)) + Number(letter.toLowerCase() !== letter);
  const ordered = [...wanted].sort(([a], [b]) => rank(a) - rank(b) || place(a) - place(b));
  // Signs are left out by a fold that does not know them.
  for (const [letter, becomes] of ordered) if (letter !== becomes && fold(letter) !== fold(becomes)) made.set(letter, fold(becomes));
  return made;
}

/** The text of confusables.gen.ts. */
export function generate() {
  let last = 0;
  const entries = [...table()]
    .sort(([a], [b]) => place(a) - place(b))
    .map(([letter, becomes]) => {
      if (/[\d,]/.test(becomes) || becomes === "") throw new Error(`Cannot write that ${letter} becomes "${becomes}"`);
      const step = place(letter) - last;
      last += step;
      return becomes.replace(/[^ -~]/gu, (one) => `\\u{${place(one).toString(16)}}`) + (step === 1 ? "" : step);
    });
  return `/** Generated by \`npm run generate\` from src/scores/confusables.mjs and Unicode's confusables.txt, version 13.0.0. */
/** For each character, by code point: what it is folded to, and how far it is from the one before (1 where nothing stands). */
export const CONFUSABLES: string =
  "${entries.join(",")}";
`;
}

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(new URL("confusables.gen.ts", import.meta.url), generate());
