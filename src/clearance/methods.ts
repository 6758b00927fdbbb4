import { borrow } from "./conditions.ts";

/** Claimed methods that are looked at: an honest request claims one. */
const MAX_CLAIMS = 4;
/** Headers by which frameworks let a request claim another method than its own. */
const HEADERS = ["x-http-method-override", "x-http-method", "x-method-override"];
/** The field `_method`, alone or as the first of a list. PHP also takes a space, a dot or a bracket for the underscore. */
const FIELD = /^\s*[_ .[]method(\[|$)/i;

/**
 * Every method that somebody behind us may take a request for: its own, and those that it claims in a header, in the query or in its body (`_method`).
 * Undefined where that cannot be told: more than {@link MAX_CLAIMS} claims, one that is no method's name, a body that is too long or too slow to read, or
 * written in a way that only its reader understands.
 */
export async function methodsOf(request: Request): Promise<readonly string[] | undefined> {
  const { method, headers, url } = request;
  const claims = HEADERS.flatMap((name) => headers.get(name)?.split(",", MAX_CLAIMS + 1) ?? []);
  if (!/^(GET|HEAD)$/i.test(method)) {
    claims.push(...fieldsOf(/\?(.*)/s.exec(url)?.[1] ?? ""));
    claims.push(...(claims.length > MAX_CLAIMS ? [] : await claimsInBody(request)));
  }
  const names = claims.map((claim) => claim.trim());
  const told = claims.length <= MAX_CLAIMS && names.every((name) => /^[A-Za-z-]{0,20}$/.test(name));
  return told ? [method, ...names.filter((name) => name !== "")] : undefined;
}

/** What a body claims; a claim that is no name where that cannot be told. */
async function claimsInBody(request: Request): Promise<string[]> {
  const type = request.headers.get("content-type") ?? "";
  if (!request.body || !/urlencoded|multipart|json/i.test(type)) return [];
  // In another alphabet, or compressed, a text is not what it looks like.
  const coded = request.headers.has("content-encoding") || /charset\s*=(?!\s*"?utf-8)/i.test(type);
  const text = coded ? undefined : await borrow(request, (copy) => copy.text()).catch(() => undefined);
  if (text === undefined) return ["?"];
  return /urlencoded/i.test(type) ? fieldsOf(text) : names(text) ? ["?"] : [];
}

/** The values of `_method` in a query or a form, one more than are looked at. */
function fieldsOf(text: string): string[] {
  const values: string[] = [];
  for (const pair of text.split(/[&;]/)) {
    const [name = "", value = ""] = pair.split("=", 2);
    if (name.length < 64 && FIELD.test(decoded(name))) values.push(decoded(value));
    if (values.length > MAX_CLAIMS) break;
  }
  return values;
}

/** Whether a JSON or multipart text names the field. Escapes are taken off first, for a parser takes them off; a name in pieces (`name*0=`) may be any. */
function names(text: string): boolean {
  const plain = decoded(text.replaceAll("\0", "").replace(/\\u00([\da-f]{2})/gi, "%$1")).replaceAll("\\", "");
  return /"_method"\s*:|\bname\s*=\s*["']?[_ .[]method|[;\s]name\*/i.test(plain);
}

/** Without percent-encoding, where there is any. */
function decoded(text: string): string {
  return text.replaceAll("+", " ").replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
