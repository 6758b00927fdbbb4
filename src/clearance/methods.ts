import { borrow } from "./conditions.ts";

/** The most method overrides that are read; an honest request has one. */
const MAX_CLAIMS = 4;
/** Headers by which frameworks let a request claim another method than its own. */
const HEADERS = ["x-http-method-override", "x-http-method", "x-method-override"];
/**
 * The field `_method`, alone or as the first of a list. PHP also takes a space, a dot or a bracket for the underscore,
 * and ends a name at a NUL.
 */
const FIELD = /^\s*[_ .[]method([[\0]|$)/i;

/**
 * Every method that a router behind us may see: the request's own, and overrides in a header, in the query or in the
 * body (`_method`). For GET and HEAD only the headers count. Undefined where the methods cannot be told:
 * - there are more than {@link MAX_CLAIMS} overrides, or one is not a method's name;
 * - the body is too long or too slow to read, compressed, or not in UTF-8;
 * - a JSON or multipart body contains a field that may be `_method`: only its own parser knows the value.
 */
export async function methodsOf(request: Request): Promise<readonly string[] | undefined> {
  const { method, headers, url } = request;
  // CGI and its successors (PHP, WSGI, Rack) take an underscore in a header's name for a hyphen.
  const claims = [...headers].flatMap(([name, value]) =>
    HEADERS.includes(name.replaceAll("_", "-")) ? value.split(",", MAX_CLAIMS + 1) : [],
  );
  if (!/^(GET|HEAD)$/i.test(method)) {
    claims.push(...fieldsOf(/\?(.*)/s.exec(url)?.[1] ?? ""));
    claims.push(...(claims.length > MAX_CLAIMS ? [] : await claimsInBody(request)));
  }
  const names = claims.map((claim) => claim.trim());
  const told = claims.length <= MAX_CLAIMS && names.every((name) => /^[A-Za-z-]{0,20}$/.test(name));
  return told ? [method, ...names.filter((name) => name !== "")] : undefined;
}

/** The overrides in a body. `["?"]`, which is not a method's name, where they cannot be told. */
async function claimsInBody(request: Request): Promise<string[]> {
  const type = request.headers.get("content-type") ?? "";
  if (!request.body || !/urlencoded|multipart|json/i.test(type)) return [];
  // In another character set, or compressed, the field's name has other bytes.
  const coded = request.headers.has("content-encoding") || /charset\s*=(?!\s*"?utf-8)/i.test(type);
  const text = coded ? undefined : await borrow(request, (copy) => copy.text()).catch(() => undefined);
  if (text === undefined) return ["?"];
  return /urlencoded/i.test(type) ? fieldsOf(text) : names(text) ? ["?"] : [];
}

/** The values of `_method` in a query or a form. It stops one past {@link MAX_CLAIMS}, which is already too many. */
function fieldsOf(text: string): string[] {
  const values: string[] = [];
  for (const pair of text.split(/[&;]/)) {
    const [name = "", value = ""] = pair.split("=", 2);
    if (name.length < 64 && FIELD.test(decoded(name))) values.push(decoded(value));
    if (values.length > MAX_CLAIMS) break;
  }
  return values;
}

/**
 * Whether a JSON or multipart text may contain the field. Escapes are decoded first, as a parser does. A name in pieces
 * (`name*0=`) may be any name.
 */
function names(text: string): boolean {
  const plain = decoded(text.replaceAll("\0", "").replace(/\\u00([\da-f]{2})/gi, "%$1")).replaceAll("\\", "");
  // Some parsers of JSON take other quotes, or none, and comments.
  return /(?<![\w-])_method["'`]?\s*[:/]|\bname\s*=\s*["']?[_ .[]method|[;\s]name\*/i.test(plain);
}

/** Without percent-encoding, where there is any. */
function decoded(text: string): string {
  return text.replaceAll("+", " ").replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
