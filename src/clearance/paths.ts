/**
 * Paths as policies compare them. What no router can be trusted to read as we do is refused before the policy is asked, see ambiguity.ts. What is left may
 * still be read in several ways: `/API/payment`, `/api//payment`, `/api/%70ayment`, `/api/payment./x`. Then all readings are compared, and the strictest
 * answer counts: a spelling can only ever ask for more.
 */

/** Characters of a path that is read at all: a stranger's path is as long as a server takes it, and each reading costs its length. */
export const MAX_PATH = 4096;

/** One way to read a path. */
export interface Reading {
  /** As this reading has it: its letter case, its doubled slashes and its slash at the end are kept. */
  text: string;
  /** As policies compare it: see {@link normalizePath}. */
  plain: string;
  /** The text that a router has which takes nothing for something that it only looks like. */
  base: string;
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
 * Every way in which somebody behind us may read `path`: as it is, decoded, without `;parameters`, cut at what looks like a query or a fragment once it is
 * decoded, and with what looks alike made one (NFKC; dots and spaces at the end of a segment, as Windows drops them).
 * The first one is the plain reading. Undefined where the path is no valid encoding, or longer than {@link MAX_PATH}.
 */
export function readingsOf(path: string): readonly Reading[] | undefined {
  if (path.length > MAX_PATH) return undefined;
  if (isPlain(path)) return [{ text: path, plain: path, base: path }];
  const decoded = decode(path);
  if (decoded === undefined) return undefined;
  const readings = new Map<string, Reading>();
  for (const text of [path, decoded].flatMap(cuts)) readings.set(text, { text, plain: normalizePath(text), base: text });
  const known = new Set([...readings.values()].map(({ plain }) => plain));
  for (const text of alike(decoded)
    .flatMap(cuts)
    .flatMap((one) => [one, trimmed(one)])) {
    const plain = normalizePath(text);
    // Most paths look like nothing but themselves.
    if (!known.has(plain)) readings.set(text, { text, plain, base: decoded });
    known.add(plain);
  }
  return [...readings.values()];
}

/**
 * Whether a normalised path is what `pattern` (normalised too) names: the same, or below it where it ends with `/*`.
 *
 * @param top whether the path above the `/*` belongs to it as well
 */
export function matchesPath(pattern: string, path: string, top: boolean): boolean {
  if (!pattern.endsWith("/*")) return pattern === path;
  const stem = pattern.slice(0, -1);
  return (path.startsWith(stem) && path !== stem) || (top && `${path}/` === stem) || stem === "/";
}

/**
 * Whether every router that has a route for `written`, the path or pattern as the policy's author wrote it, takes this reading to it. A reading that only
 * matches after normalisation (another letter case, `//`, a slash more) goes elsewhere where a router compares to the letter.
 */
export function matchesLetter(written: string, { text, base }: Reading): boolean {
  const names = (path: string): boolean =>
    written.endsWith("/*") ? path.startsWith(written.slice(0, -1)) || path === written.slice(0, -2) : path === written;
  // Below a pattern it does not matter how much of the rest a router takes for something that it looks like.
  return names(text) && (text === base || (written.endsWith("/*") && names(base)));
}

/** The segments of a path, empty ones left out; a backslash divides as a slash does. */
export function segmentsOf(path: string): string[] {
  return path.split(/[\\/]+/).filter((segment) => segment !== "");
}

/** Without percent-encoding; undefined where it is no valid encoding of UTF-8. */
export function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Nearly every path: it has one reading, and that is itself. */
export function isPlain(path: string): boolean {
  return /^\/[a-z\d\-._~!$&'()*+,=:@|[\]/]*$/.test(path) && !/\/[/.]|\.\/|.[/.]$/.test(path);
}

/** A text, without the parameters of its segments, and what is left of it where a router cuts. */
function cuts(text: string): string[] {
  return [text, text.replace(/;[^/]*/g, ""), text.replace(/[;?#].*/s, "")];
}

/** What a text looks like: one letter for all its forms. That may bring forth an encoding, which is taken off as well. */
function alike(text: string): string[] {
  const folded = text.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
  return [folded, folded.replace(/(%[\da-f]{2})+/g, (encoded) => decode(encoded) ?? encoded)];
}

/** Without dots and spaces at a segment's end. A segment of dots stays one: it may be a dot segment. */
function trimmed(path: string): string {
  const segments = segmentsOf(path).map((segment) => {
    const name = trimEnd(segment, ". ");
    return name === "" ? trimEnd(segment, " ") : name;
  });
  return `/${segments.join("/")}`;
}

/** A loop: a pattern for it would take the square of a long text's length. */
function trimEnd(text: string, marks: string): string {
  let end = text.length;
  while (end > 0 && marks.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
