import { ipKey, ipPrefix } from "../util/ip.ts";
import type { Subjects } from "./types.ts";

/** What is given of who asks, in the one spelling of each subject, see `Subjects`: another spelling must not be another bucket. Idempotent. */
export function canonicalSubjects(who: Subjects): Subjects {
  const { ip, "ip-prefix": prefix = ip, email, phone } = who;
  const all = { ...who };
  // Text that is no address is unknown, else each text would be a bucket of its own.
  if (ip) all.ip = ipKey(ip) ?? /^[\da-f]{16}$/.exec(ip)?.[0];
  if (prefix) all["ip-prefix"] = ipPrefix(prefix) ?? ipPrefix(`${prefix}.0`) ?? /^([\da-f]{12})([\da-f]{4})?$/.exec(prefix)?.[1];
  if (email) all.email = canonicalEmail(email);
  if (phone) all.phone = canonicalPhone(phone);
  return all;
}

/** One spelling of a mailbox, as providers deliver to it: `A.User+x@Gmail.com` is `auser@gmail.com`. Text that is no address is folded. */
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

/** The digits of a phone number, see `Subjects`. Text without any stays as it is. */
export function canonicalPhone(text: string): string {
  const ascii = text.normalize("NFKC").replace(/\p{Nd}/gu, digitOf);
  // An extension is behind a letter or a sign: whoever varies it rings the same phone.
  const [dialled = ""] = /[+\d][^\p{L};,#*]*/u.exec(ascii) ?? [];
  const digits = dialled.replace(/^(\+|00)(.*?)\(\s*0\s*\)/, "$1$2").replace(/\D/g, "");
  return digits.replace(/^00+/, "") || text;
}

/** Any script's digit as ours: they stand in tens, from zero on. Whoever is sent a code at ٤٩ is sent it at 49. */
function digitOf(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let zero = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String((code - zero) % 10);
}
