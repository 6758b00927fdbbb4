import { isHost } from "../http/index.ts";
import { decode, isPlain, MAX_PATH, segmentsOf } from "./paths.ts";

/**
 * Why a path is refused as ambiguous. Each is a check below. Public as the `detail` of the event, and in
 * `explainPolicy`.
 */
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
 * What is refused, once length and percent-encoding are valid. Routers, proxies and frameworks read each of these
 * differently. An attacker uses the spelling that the policy reads as one route and the router as another.
 */
const ROWS: readonly (readonly [row: Ambiguity, is: (decoded: string, path: string) => boolean])[] = [
  // A NUL ends a string in C; a line break ends a line for some regular expressions. No route contains one.
  ["control_character", (decoded) => /\p{Cc}/u.test(decoded)],
  // `%252e`, `%25%32e`: a router behind us may decode a second time.
  ["double_encoding", (decoded) => /%[\da-f]{2}/i.test(decoded)],
  // `/..`, `/%2e.`, `/..;x`, `/..%2f`, `/..%3f`: some routers resolve them, others take them for a name.
  ["dot_segment", (decoded) => segmentsOf(decoded).some((segment) => /^\.{1,2}([;?#]|$)/.test(segment))],
  ["backslash", (decoded) => decoded.includes("\\")],
  ["encoded_slash", (_decoded, path) => /%2f/i.test(path)],
  ["semicolon", (decoded) => decoded.includes(";")],
];

/** The rows that a policy's entry may allow by `"ambiguous": "allow"`. */
const LIFTED: readonly Ambiguity[] = ["encoded_slash", "semicolon"];

/**
 * The path of a request's URL as text, between the authority and the first `?`: neither decoded nor normalised. Routers
 * cut it out in the same way. Undefined where the authority is not a valid host.
 */
export function pathTextOf(url: string): string | undefined {
  const [, authority = "", path] = /^[a-z][a-z\d+.-]*:\/\/([^/?#\\]+)([^?]*)/i.exec(url) ?? [];
  return isHost(authority) ? path : undefined;
}

/**
 * Why a request is refused before the policy is asked. Undefined: the policy can compare the path.
 *
 * @param url of the request, as the runtime gives it: some runtimes normalise it, others pass on what the client wrote
 * @param host the `Host` header; null: there is none
 * @param allowed whether the policy allows the rows of {@link LIFTED} in this path
 */
export function ambiguityOf(url: string, host: string | null, allowed: (path: string) => boolean): Ambiguity | undefined {
  // Some runtimes build the URL from the header. There `Host: a?` would move the path into the query.
  if (host !== null && !isHost(host)) return "host";
  const path = pathTextOf(url);
  if (path === undefined || url.includes("#")) return "url";
  // The parser comes last, so that the table gives the more exact reason. Refuse what the parser turns into another
  // path.
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
