import { isHost } from "../http/index.ts";
import { decode, isPlain, MAX_PATH, segmentsOf } from "./paths.ts";

/** Why a request has no one path: the rows of the table of refusals. Public as the `detail` of the event, and in `explainPolicy`. */
export type Ambiguity =
  | "host"
  | "url"
  | "length"
  | "percent_encoding"
  | "control_character"
  | "double_encoding"
  | "dot_segment"
  | "backslash"
  | "encoded_slash"
  | "semicolon";

/**
 * The closed table of what is refused, after length and encoding. Routers, proxies and frameworks differ on each of these, and an attacker writes the one
 * that reaches another route than the policy thinks.
 */
const ROWS: readonly (readonly [row: Ambiguity, is: (decoded: string, path: string) => boolean])[] = [
  // The end of a text to programs in C, the end of a line to patterns; no part of any route.
  ["control_character", (decoded) => /\p{Cc}/u.test(decoded)],
  // `%252e`, `%25%32e`: somebody behind us decodes once more.
  ["double_encoding", (decoded) => /%[\da-f]{2}/i.test(decoded)],
  // `/..`, `/%2e.`, `/..;x`, `/..%2f`, `/..%3f`: resolved by one, a name to the next.
  ["dot_segment", (decoded) => segmentsOf(decoded).some((segment) => /^\.{1,2}([;?#]|$)/.test(segment))],
  ["backslash", (decoded) => decoded.includes("\\")],
  ["encoded_slash", (_decoded, path) => /%2f/i.test(path)],
  ["semicolon", (decoded) => decoded.includes(";")],
];

/** The rows that an entry of a policy may lift by `"ambiguous": "allow"`. */
const LIFTED: readonly Ambiguity[] = ["encoded_slash", "semicolon"];

/**
 * The path of a request's URL as it stands there, between the authority and the first `?`: not decoded and not normalised. Routers cut it out of the text
 * like that. Undefined where the text has no authority that is a host.
 */
export function pathTextOf(url: string): string | undefined {
  const [, authority = "", path] = /^[a-z][a-z\d+.-]*:\/\/([^/?#\\]+)([^?]*)/i.exec(url) ?? [];
  return isHost(authority) ? path : undefined;
}

/**
 * Why a request is refused before any policy is asked; undefined: its path has readings that the policy can compare.
 *
 * @param url of the request, as the runtime gives it: some normalise it, some hand on what the client wrote
 * @param host the header; null: there is none
 * @param allowed whether the policy lifts the rows that it may for this path
 */
export function ambiguityOf(url: string, host: string | null, allowed: (path: string) => boolean): Ambiguity | undefined {
  // Where the URL is made of the header, `Host: a?` moves the path into the query.
  if (host !== null && !isHost(host)) return "host";
  const path = pathTextOf(url);
  if (path === undefined || url.includes("#")) return "url";
  // The parser last, so that the table names what it can. What is left was made another path by the parser.
  return rowOf(path, allowed) ?? (URL.canParse(url) && new URL(url).pathname === path ? undefined : "url");
}

/** The row of the table that refuses a path, as it stands in the URL. */
export function rowOf(path: string, allowed: (path: string) => boolean): Ambiguity | undefined {
  if (path.length > MAX_PATH) return "length";
  if (isPlain(path)) return undefined;
  const decoded = decode(path);
  if (decoded === undefined) return "percent_encoding";
  return ROWS.find(([row, is]) => is(decoded, path) && !(LIFTED.includes(row) && allowed(path)))?.[0];
}
