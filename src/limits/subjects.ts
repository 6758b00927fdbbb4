import { assertKeys } from "../util/assertions.ts";
import { ipKey, ipPrefix } from "../util/ip.ts";
import type { Subjects } from "./types.ts";

const NAMES = ["ip", "ip-prefix", "device", "user", "email", "phone", "account", "session", "player", "route"];

/** In place of an email or phone that is no plain one: all of them are counted together. No address and no number is spelt like this. */
export const NOT_PLAIN = "?";

/**
 * What is given of who asks, in the one spelling of each subject, see `Subjects`: another spelling must not be another bucket. Idempotent.
 *
 * @throws {TypeError} a name that is no subject: rules by the one that was meant would not apply
 */
export function canonicalSubjects(who: Subjects): Subjects {
  assertKeys("subjects", who, NAMES);
  const { ip, "ip-prefix": prefix = ip, email, phone } = who;
  const all = { ...who };
  // Text that is no address is unknown, else each text would be a bucket of its own.
  if (ip) all.ip = ipKey(ip) ?? /^[\da-f]{16}$/.exec(ip)?.[0];
  if (prefix) all["ip-prefix"] = ipPrefix(prefix) ?? ipPrefix(`${prefix}.0`) ?? /^([\da-f]{12})([\da-f]{4})?$/.exec(prefix)?.[1];
  if (email) all.email = plainEmail(email) ?? NOT_PLAIN;
  if (phone) all.phone = plainPhone(phone) ?? NOT_PLAIN;
  return all;
}

/** Characters of the longest address or number that is looked at. */
const MAX_TEXT = 320;

/**
 * One spelling of a mailbox, as providers deliver to it: `A.User+x@Gmail.com` is `auser@gmail.com`. Undefined for what is no plain address: a name or a
 * comment beside it, a list, a URL, an address literal, a route (`a%b@c`, `a!b@c`). A mail program finds an address in some of these, and nobody knows how many.
 */
export function plainEmail(text: unknown): string | undefined {
  // The URL parser, which reads the domain, takes controls at the ends away.
  if (typeof text !== "string" || text.length > MAX_TEXT || /[^\P{Cc}\s]/u.test(text)) return undefined;
  const email = canonicalEmail(text);
  const [, name = ""] = /^([^@]+)@(?=.{3,253}$)(?:[a-z\d_](?:[a-z\d_-]*[a-z\d_])?\.)+(?:xn--[a-z\d-]+|[a-z]{2,})$/.exec(email) ?? [];
  return /^[\p{L}\p{M}\p{N}+'&*#$=^_`{}~/-]+(\.[\p{L}\p{M}\p{N}+'&*#$=^_`{}~/-]+)*$/u.test(name) ? email : undefined;
}

/** As {@link plainEmail}; text that is no address is folded. */
export function canonicalEmail(text: string): string {
  const whole = fold(text);
  const at = whole.lastIndexOf("@");
  if (at < 0) return whole;
  const box = whole.slice(0, at);
  const domain = whole.slice(at + 1).replace(/(?<![.。])[.。]+$/, "");
  // What comes behind the plus is its owner's choice, as often as they like.
  const name = box.split("+")[0] || box;
  const url = `http://${domain}`;
  // As the platform's URL parser spells hosts: IDNA.
  const host = /[/?#:%]/.test(domain) || !URL.canParse(url) ? domain : new URL(url).hostname;
  return /^g(oogle)?mail\.com$/.test(host) ? `${fold(name.replaceAll(".", ""))}@gmail.com` : `${name}@${host}`;
}

/** Without case, width, quotes, and what nobody sees. */
function fold(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[\s\p{DI}"\\]/gu, "")
    .normalize("NFKC");
}

/**
 * The digits of a phone number, see `Subjects`. Undefined for what is no plain number of 7 to 15 digits, in groups apart by blanks, dashes, dots, slashes
 * and parentheses.
 */
export function plainPhone(text: unknown): string | undefined {
  if (typeof text !== "string" || text.length > MAX_TEXT) return undefined;
  const ascii = text
    .normalize("NFKC")
    .replace(/\p{DI}/gu, "")
    .replace(/\p{Nd}/gu, digitOf);
  // An extension is behind a letter or a sign: whoever varies it rings the same phone.
  const [, plus, dialled = ""] = /^\s*(?:tel:)?\s*(\+?)([\d\s().\p{Pd}/]+)(?:[\p{L};,#*].*)?$/isu.exec(ascii) ?? [];
  const digits = dialled.replace(/\D/g, "");
  // Behind a plus, or a prefix that stands for one (00; 011 in America, 0011 in Australia), is a country code, which begins with no zero.
  const abroad = digits.replace(/^(0011|011(?=[1-9]\d{7})|00+)/, "");
  const national = !plus && abroad === digits && digits.startsWith("0");
  const number = national ? digits : withoutTrunk(abroad.replace(/^0+/, ""));
  return /^\d{7,15}$/.test(number) ? number : undefined;
}

/** As {@link plainPhone}; text that is no number stays as it is. */
export function canonicalPhone(text: string): string {
  return plainPhone(text) ?? text;
}

/** A country code that is not 1 or 7 (whose countries dial another digit): of two digits, else of three. */
const COUNTRY = /^(2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-689]\d\d)/;

/**
 * A number without what is dialled inside a country alone, which gateways leave out: the zero of `+49 (0)30` and `+49030`, the second 1 of `+1 1 212`, the 8
 * of `+7 8 495`. No two numbers of one country differ in it alone.
 */
function withoutTrunk(number: string): string {
  const [country = ""] = COUNTRY.exec(number) ?? [];
  const rest = number.slice(country.length);
  return country ? country + rest.replace(/^0+/, "") : rest.replace(/^1+/, "1").replace(/^78(?=\d{10}$)/, "7");
}

/** Any script's digit as ours: they stand in tens, from zero on. Whoever is sent a code at ٤٩ is sent it at 49. */
function digitOf(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let zero = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String((code - zero) % 10);
}
