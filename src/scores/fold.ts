import { CONFUSABLES } from "./confusables.gen.ts";

/**
 * What a name looks like: one text for the spellings that Unicode's confusables data (UTS #39, version 13.0.0) calls alike where what they look like is Latin,
 * Greek or Cyrillic, and for the digits and signs that are written for letters (`4dm!n`). Case, marks, spaces and punctuation count for nothing. For filters and
 * comparisons, never to be shown. It does not know what else a person may take for a letter: emoji, letters of other scripts among themselves, words that
 * only sound alike.
 *
 * A capital of Greek that has the shape of a Latin one counts as that: `ΝΗΥ` is `nhy`, its small letters are `vnu`.
 *
 * @example
 * ```ts
 * import { foldName } from "gatepass/scores";
 * console.assert(foldName("Аdm1n") === foldName("ADMIN")); // the first A is Cyrillic
 * ```
 */
export function foldName(name: string): string {
  table ??= read();
  return foldWith(table, name);
}

let table: Map<string, string> | undefined;

function read(): Map<string, string> {
  const letters = new Map<string, string>();
  let place = 0;
  for (const entry of CONFUSABLES.split(",")) {
    const [becomes = "", step] = entry.split(/(?=\d)(?<!\d)/);
    place += Number(step ?? 1);
    letters.set(String.fromCodePoint(place), becomes);
  }
  return letters;
}

/** As `foldName`, by another table. */
export function foldWith(letters: ReadonlyMap<string, string>, name: string): string {
  // A character as it stands, then what it is made of, then the small letter.
  const known = (letter: string): string | undefined => letters.get(letter);
  const small = (letter: string): string => each(letter.toLowerCase(), (one) => known(one) ?? one);
  return each(name, (letter) => known(letter) ?? each(letter, (part) => known(part) ?? small(part), "NFKD"))
    .replace(/[^\p{L}\p{N}]/gu, "")
    .replace(/rn/g, "m")
    .replace(/vv/g, "w");
}

/** Takes a text apart, drops the marks and replaces what is left. */
function each(text: string, replace: (letter: string) => string, form: "NFD" | "NFKD" = "NFD"): string {
  return Array.from(text.normalize(form).replace(/\p{M}/gu, ""), replace).join("");
}
