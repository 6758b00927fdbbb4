/**
 * Paths as policies compare them. Paths that routers read in dangerously different ways are refused earlier, see
 * ambiguity.ts. Others still have several readings: `/API/payment`, `/api//payment`, `/api/%70ayment`,
 * `/api/payment./x`. The policy is asked about all readings, and the strictest answer counts. So another spelling never
 * makes a check weaker.
 */

/**
 * Characters of the longest path that is read. The time for each reading grows with the length, and an attacker may
 * send very long paths.
 */
export const MAX_PATH = 4096;

/** One way to read a path. */
export interface Reading {
  /** The path in this reading, with its letter case, doubled slashes and final slash. */
  text: string;
  /** As policies compare it: see {@link normalizePath}. */
  plain: string;
  /** The path as it came. A router may decode a part of it alone, and keep the rest. */
  raw: string;
}

/** Lower case, one slash between segments, none at the end, no dot segments. */
export function normalizePath(path: string): string {
  if (isPlain(path)) return path;
  const segments: string[] = [];
  for (const segment of segmentsOf(path.toLowerCase())) {
    if (segment === "..") segments.pop();
    else if (segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}`;
}

/**
 * Every way in which a router behind us may read `path`:
 * - as it is, and decoded;
 * - without a host, where it begins with `//`: `new URL("//host/path", base)` is `/path`;
 * - without `;parameters`, and cut at a `;`, `?` or `#`, also where one appears only after decoding;
 * - with look-alike characters replaced (NFKC), and without dots and spaces at the end of a segment, which Windows
 *   drops.
 *
 * The first one is the path as it is. Undefined where its percent-encoding is invalid, or where it is longer than
 * {@link MAX_PATH}.
 */
export function readingsOf(path: string): readonly Reading[] | undefined {
  if (path.length > MAX_PATH) return undefined;
  if (isPlain(path)) return [{ text: path, plain: path, raw: path }];
  const decoded = decode(path);
  if (decoded === undefined) return undefined;
  const readings = new Map<string, Reading>();
  for (const text of [path, decoded].flatMap(local).flatMap(cuts)) readings.set(text, { text, plain: normalizePath(text), raw: path });
  const known = new Set([...readings.values()].map(({ plain }) => plain));
  for (const text of alike(decoded)
    .flatMap(local)
    .flatMap(cuts)
    .flatMap((one) => [one, trimmed(one)])) {
    const plain = normalizePath(text);
    // Add only a reading that a policy would compare differently: for most paths there is none.
    if (!known.has(plain)) readings.set(text, { text, plain, raw: path });
    known.add(plain);
  }
  return [...readings.values()];
}

/**
 * Whether `pattern` (normalised) matches a normalised path: equal to it, or below it where the pattern ends with `/*`.
 *
 * @param top whether a pattern `/x/*` also matches `/x`
 */
export function matchesPath(pattern: string, path: string, top: boolean): boolean {
  if (!pattern.endsWith("/*")) return pattern === path;
  const stem = pattern.slice(0, -1);
  return (path.startsWith(stem) && path !== stem) || (top && `${path}/` === stem) || stem === "/";
}

/**
 * Whether this reading matches `written`, the path or pattern as the policy's author wrote it, to the letter. Then
 * every router agrees. A reading that only matches after normalisation (another letter case, `//`, one more slash) is
 * another route to a router that compares to the letter.
 *
 * A reading that only matches once it is decoded does not count either. The attack is `/%75sers/%40me`, where
 * `/users/@me` is free and `/users/*` is not: Hono and Fastify decode the `u` before they look for a route, and the
 * `@` only in its parameters. If the path matches a pattern as it came, it does not matter how a router reads the rest.
 */
export function matchesLetter(written: string, { text, raw }: Reading): boolean {
  const names = (path: string): boolean =>
    written.endsWith("/*") ? path.startsWith(written.slice(0, -1)) || path === written.slice(0, -2) : path === written;
  return names(text) && (text === raw || (written.endsWith("/*") && names(raw)));
}

/** The segments of a path without empty ones. A backslash separates segments like a slash. */
export function segmentsOf(path: string): string[] {
  return path.split(/[\\/]+/).filter((segment) => segment !== "");
}

/** The percent-decoded text; undefined where the encoding is not valid UTF-8. */
export function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Whether a path has only one reading, the path itself. Nearly every path does. */
export function isPlain(path: string): boolean {
  return /^\/[a-z\d\-._~!$&'()*+,=:@|[\]/]*$/.test(path) && !/\/[/.]|\.\/|.[/.]$/.test(path);
}

/** Two readings of a text: whole; without what a URL parser takes for a host, where it begins with two slashes. */
function local(text: string): string[] {
  return [text, text.replace(/^[\\/]{2,}[^\\/?#]*[\\/]?/, "/")];
}

/** Three readings of a text: whole; without the `;parameters` of its segments; cut at the first `;`, `?` or `#`. */
function cuts(text: string): string[] {
  return [text, text.replace(/;[^/]*/g, ""), text.replace(/[;?#].*/s, "")];
}

/**
 * A text with look-alike characters replaced. That may produce a percent-encoding (from a full-width `%`), so the
 * second reading is decoded too.
 */
function alike(text: string): string[] {
  const folded = text.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
  return [folded, folded.replace(/(%[\da-f]{2})+/g, (encoded) => decode(encoded) ?? encoded)];
}

/**
 * A path without dots and spaces at the end of its segments. A segment of dots keeps its dots: it may be a dot segment.
 */
function trimmed(path: string): string {
  const segments = segmentsOf(path).map((segment) => {
    const name = trimEnd(segment, ". ");
    return name === "" ? trimEnd(segment, " ") : name;
  });
  return `/${segments.join("/")}`;
}

/** A loop, since a regular expression would take quadratic time on a long run of marks. */
function trimEnd(text: string, marks: string): string {
  let end = text.length;
  while (end > 0 && marks.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
