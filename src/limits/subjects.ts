import { assertKeys } from "../util/assertions.ts";
import { ipKey, ipPrefix } from "../util/ip.ts";
import type { SubjectName, Subjects } from "./types.ts";

/** Every subject; those that a client may choose as text come first. */
export const SUBJECTS: readonly SubjectName[] = [
  "device",
  "user",
  "email",
  "phone",
  "account",
  "ip",
  "ip-prefix",
  "session",
  "player",
  "route",
];

/**
 * Stands for every email or phone that is not a plain one: they share one counter. No email and no number is spelt like
 * this.
 */
export const NOT_PLAIN = "?";

/**
 * The subjects in canonical spelling, see `Subjects`: another spelling of the same subject must not get another
 * counter. Idempotent.
 *
 * @throws {TypeError} an unknown name: rules by the subject that was meant would not apply
 */
export function canonicalSubjects(who: Subjects): Subjects {
  assertKeys("subjects", who, SUBJECTS);
  const { ip, "ip-prefix": prefix = ip, email, phone } = who;
  const all = { ...who };
  // Text that is not an address counts as unknown: otherwise each text would have a counter of its own.
  if (ip) all.ip = ipKey(ip) ?? /^[\da-f]{16}$/.exec(ip)?.[0];
  if (prefix) all["ip-prefix"] = ipPrefix(prefix) ?? ipPrefix(`${prefix}.0`) ?? /^([\da-f]{12})([\da-f]{4})?$/.exec(prefix)?.[1];
  if (email) all.email = plainEmail(email) ?? NOT_PLAIN;
  if (phone) all.phone = plainPhone(phone) ?? NOT_PLAIN;
  return all;
}

/** Characters of the longest email or phone that is read. */
const MAX_TEXT = 320;

/** Without white space at the ends, and one character for all its forms. Empty for what is no text, or too long. */
function tidy(text: unknown): string {
  return typeof text === "string" && text.length <= MAX_TEXT ? text.normalize("NFKC").trim() : "";
}

/**
 * The canonical spelling of a mailbox, as providers deliver to it: `A.User+x@Gmail.com` is `auser@gmail.com`.
 *
 * Undefined for other text: a name or a comment beside the address, a list, a URL, an address literal, a route
 * (`a%b@c`, `a!b@c`). Mail programs find an address in some of these, so one mailbox would have any number of
 * spellings.
 */
export function plainEmail(text: unknown): string | undefined {
  const whole = tidy(text);
  // Mail programs write to `ann@mail.example` where the text is `ann@mail.example x1` or `"x1"ann@mail.example`. Each
  // `x1` would be a counter of its own. So white space may stand at the ends only, and quotes around the whole name only.
  // The URL parser that reads the domain would drop control characters at the ends.
  const email = /[\s\p{Cc}"]/u.test(whole.replace(/^"(.*)"@/, "$1@")) ? "" : canonicalEmail(whole);
  return /^(?!\.)(\.?[\p{L}\p{M}\p{N}+'&*#$=^_`{}~/-])+@(?=.{3,253}$)([a-z\d_](?:[a-z\d_-]*[a-z\d_])?\.)+(xn--[a-z\d-]+|[a-z]{2,})$/u.test(
    email,
  )
    ? email
    : undefined;
}

/** As {@link plainEmail}, but text that is not an address is only folded. */
export function canonicalEmail(text: string): string {
  const whole = fold(text);
  const at = whole.lastIndexOf("@");
  if (at < 0) return whole;
  const box = whole.slice(0, at);
  const domain = whole.slice(at + 1).replace(/(?<![.。])[.。]+$/, "");
  // The owner of a mailbox can write any text after the plus.
  const name = box.split("+")[0] || box;
  const url = `http://${domain}`;
  // The platform's URL parser gives the domain in IDNA spelling.
  const host = /[/?#:%]/.test(domain) || !URL.canParse(url) ? domain : new URL(url).hostname;
  return /^g(oogle)?mail\.com$/.test(host) ? `${fold(name.replaceAll(".", ""))}@gmail.com` : `${name}@${host}`;
}

/** Lower case, without differences of width, and without white space, invisible characters, quotes and backslashes. */
function fold(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[\s\p{DI}"\\]/gu, "")
    .normalize("NFKC");
}

/**
 * The digits of a phone number, see `Subjects`. Undefined for text that is not a number of 7 to 15 digits. Spaces,
 * dashes, dots, slashes and parentheses may separate groups.
 */
export function plainPhone(text: unknown): string | undefined {
  const ascii = tidy(text)
    .replace(/\p{DI}/gu, "")
    .replace(/\p{Nd}/gu, digitOf);
  // Cut off an extension, which begins with a letter or a sign: every extension rings the same phone. Refuse a line
  // break: some gateways dial what comes after it, and others drop it.
  const [, plus, dialled = ""] = /^\s*(?:tel:)?\s*(\+?)([\d\p{Zs}\t().\p{Pd}/]+)(?:[\p{L};,#*].*)?$/isu.exec(ascii) ?? [];
  const digits = dialled.replace(/\D/g, "");
  // After a plus, or a prefix that stands for one (00; 011 in America, 0011 in Australia), comes a country code. None
  // begins with zero.
  const abroad = digits.replace(/^(0011|011(?=[1-9]\d{7})|00+)/, "");
  const national = !plus && abroad === digits && digits.startsWith("0");
  const number = national ? digits : withoutTrunk(abroad.replace(/^0+/, ""));
  return /^\d{7,15}$/.test(number) ? number : undefined;
}

/** As {@link plainPhone}, but text that is not a number stays as it is. */
export function canonicalPhone(text: string): string {
  return plainPhone(text) ?? text;
}

/**
 * A country code of two digits, else of three. 1 and 7 are not among them: their countries have another trunk digit
 * than zero.
 */
const COUNTRY = /^(2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-689]\d\d)/;

/**
 * A number without its trunk digit, which is only dialled inside a country and which gateways drop: the zero of `+49
 * (0)30` and `+49030`, the second 1 of `+1 1 212`, the 8 of `+7 8 495`. No two numbers of one country differ only in
 * that digit.
 */
function withoutTrunk(number: string): string {
  const [country = ""] = COUNTRY.exec(number) ?? [];
  const rest = number.slice(country.length);
  return country ? country + rest.replace(/^0+/, "") : rest.replace(/^1+/, "1").replace(/^78(?=\d{10}$)/, "7");
}

/**
 * The ASCII digit for a digit of any script. Unicode has each script's ten digits in order from zero. A code sent to ٤٩
 * arrives at 49.
 */
function digitOf(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let zero = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String((code - zero) % 10);
}
