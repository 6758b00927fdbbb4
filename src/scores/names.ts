import { utf8 } from "../util/bytes.ts";
import { assertOptions, listOf, type Rules } from "../util/options.ts";
import { foldName } from "./fold.ts";

export { foldName };

/** Where the names on a board come from. */
export type NameRule = "generated" | "typed" | NameOptions;

/** Names in detail. */
export interface NameOptions {
  /** Take the name that was sent, where one was. Default true. */
  typed?: boolean;
  /**
   * Asked for each typed name, after the request was charged: false refuses it with NAME_INVALID (the commitment stays good). `folded` is `foldName(name)`:
   * compare it with folded words or names.
   */
  filter?(name: string, folded: string, about: { player: string; board: string }): boolean | Promise<boolean>;
  /** Names that nobody may type, e.g. that of the game's makers: compared as `foldName` makes them. Default: none. */
  reserved?: readonly string[];
  /** Whether two players of one group of boards cannot type the same name, as `foldName` makes them. Default false. */
  unique?: boolean;
  /** The name of a player who typed none. Default {@link generatedName}. */
  generate?(player: string): string;
}

/** Code points and UTF-8 bytes that a typed name has at most. */
const MAX_POINTS = 32;
const MAX_BYTES = 128;

/**
 * A typed name as it is stored: NFKC, white space at the ends gone and inside of it made one space; null when it cannot be a name.
 *
 * Refused are: nothing to see; more than 32 code points or 128 bytes; controls; lone surrogates; marks that turn the direction of text (a name could
 * rearrange the row that it stands in); characters that show nothing (two names would look alike); more than 2 combining marks in a row (they paint over the rows
 * above and below); private characters.
 *
 * @example
 * ```ts
 * import { cleanName } from "gatepass/scores";
 * console.assert(cleanName("  Zoë ") === "Zoë");
 * console.assert(cleanName("\u202Egnirts") === null && cleanName("\u3164") === null);
 * ```
 */
export function cleanName(text: string): string | null {
  // No name of 32 code points was ever written in more.
  if (text.length > 4 * MAX_BYTES || isForbidden(text)) return null;
  const name = text.normalize("NFKC").trim().replace(/\s+/gu, " ");
  // Normalising makes some characters into others, and into more.
  if (isForbidden(name) || [...name].length > MAX_POINTS || utf8(name).length > MAX_BYTES) return null;
  const visible = name.replace(INVISIBLE, "");
  // As typed, too: normalising hides one of a stack in the letter below it.
  const stacked = [visible, text.replace(INVISIBLE, "")].some((one) => /\p{M}{3}/u.test(one));
  if (stacked || !/[^\p{M}\p{Z}\u2800]/u.test(visible)) return null;
  return name;
}

/** Ignorable characters without which some scripts and emoji cannot be written: joiners, and the two variation selectors. */
const INVISIBLE = /\p{Join_Control}|[\uFE0E\uFE0F]/gu;
/** Flags of parts of a country, e.g. England: a black flag, tag letters that spell it, the end of the tags (UTS #51). */
const FLAGS = /\u{1F3F4}(?:[\u{E0061}-\u{E007A}]{2}|[\u{E0030}-\u{E0039}]{3})[\u{E0030}-\u{E0039}\u{E0061}-\u{E007A}]{1,4}\u{E007F}/gu;
const FORBIDDEN =
  /[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Bidi_Control}]|(?!\p{Join_Control}|[\uFE0E\uFE0F])\p{Default_Ignorable_Code_Point}/u;

/** Tag characters show nothing by themselves, so that a stray one would make two names look alike. */
function isForbidden(text: string): boolean {
  return FORBIDDEN.test(text.replace(FLAGS, ""));
}

/**
 * Two words for a player, the same ones each time. Other players may share them: there are 16,384. Whoever can guess a player's id can compute its name;
 * the ids that gatepass makes cannot be guessed, an application's account numbers can: give such a board a `generate` of its own.
 *
 * @example
 * ```ts
 * import { generatedName } from "gatepass/scores";
 * console.assert(/^[A-Z][a-z]+ [A-Z][a-z]+$/.test(generatedName("some player")));
 * ```
 */
export function generatedName(player: string): string {
  const bits = mix(player);
  lists ??= [ADJECTIVES, NOUNS].map((words) => words.split(/\s+/).map((word) => word.charAt(0).toUpperCase() + word.slice(1)));
  return lists.map((words, i) => words[(bits >>> (8 * i)) % words.length] ?? "").join(" ");
}

let lists: string[][] | undefined;

/** FNV-1a over UTF-16 units and MurmurHash3's last step: spread, not secret. */
function mix(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

const ADJECTIVES = `agile amber ample ancient arctic autumn azure balanced bold brave breezy bright brisk bronze calm candid careful cheerful
chilly clever cloudy coastal copper coral cosmic cozy crimson crisp curious daring dawn deft distant dreamy dusky eager early earnest easy
emerald endless fabled fair faithful famous fearless fleet floral fluent frosty gallant gentle gilded glad gleaming golden graceful grand
happy hardy hazel hidden honest humble icy indigo ivory jade jolly jovial keen kind lively lofty loyal lucky lunar marble mellow merry
mighty misty modest mossy nimble noble northern opal patient peaceful pearly placid playful plucky polished polite proud quick quiet
radiant rapid rosy ruby rustic sable sandy scarlet serene shiny silent silver snowy solar spry starry steady stellar sunny swift tidal
tranquil velvet vivid wandering warm whimsical wise witty`;
const NOUNS = `acorn albatross alder antelope arrow aspen aurora badger bamboo beacon beaver birch bison bluebird breeze brook canyon caribou
cedar cello cheetah cliff clover comet condor cosmos coyote crane cricket crystal cypress dolphin dragonfly drum dune eagle echo elk ember
falcon feather fern finch firefly fjord flamingo flint forest fox galaxy gazelle gecko geyser glacier grove gull harbor harp hawk hazelnut
heron hill horizon hummingbird ibis island jaguar juniper kestrel kite koala lagoon lantern lark laurel lemur leopard lighthouse lily lynx
magpie maple marlin marten meadow meteor mountain nebula newt oak ocean orca orchid osprey otter owl panda panther pebble pelican penguin
pine planet plover puffin quail quartz rabbit raven reef river robin salmon seal sequoia sparrow spruce starling stork summit swallow
tiger tulip walnut willow wren yak zebra`;

/** A name as it is stored. */
export type StoredName = { name: string; unique?: string };

/** A board's names, ready to use. */
export interface Namer {
  typed: boolean;
  unique: boolean;
  /** The name to store, and in which form it must be unique; null: refused. */
  nameOf(typed: string | undefined, player: string): Promise<StoredName | null>;
}

const RULES: Rules<NameOptions> = {
  typed: "boolean",
  filter: "function",
  generate: "function",
  reserved: listOf("string"),
  unique: "boolean",
};

/** What a rule means. @throws {TypeError} not a rule */
export function createNamer(rule: NameRule = "generated", board = ""): Namer {
  if (rule !== "generated" && rule !== "typed") assertOptions("names", rule, RULES, "names.");
  const {
    typed = true,
    filter,
    generate = generatedName,
    ...more
  }: NameOptions = rule === "generated" ? { typed: false } : rule === "typed" ? {} : rule;
  const { unique = false, reserved = [] } = more;
  const taken = new Set(reserved.map(foldName));
  return {
    typed,
    unique,
    async nameOf(name, player) {
      if (!typed || name === undefined) {
        if (generate === generatedName) return { name: generatedName(player) };
        const made = cleanName(generate(player));
        if (made === null) throw new TypeError('Cannot name the player: "generate" did not answer a name');
        return { name: made };
      }
      if (!filter && !unique && taken.size === 0) return { name };
      const folded = foldName(name);
      if (taken.has(folded) || (filter && !(await filter(name, folded, { player, board })))) return null;
      // A name of signs alone folds to nothing: then it is itself.
      return unique ? { name, unique: folded || name } : { name };
    },
  };
}
