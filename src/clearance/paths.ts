/**
 * Paths as policies compare them. A router, a proxy and we may read one path differently (`/api/%70ayment`, `//api/payment`,
 * `/health/..;/api/payment`), and whoever finds a reading that the policy misses goes past it. So a path has several readings,
 * all are compared, and the strictest answer counts: a spelling can only ever ask for more.
 */

/** Times that percent-encoding is taken off at most; what is encoded more often is nobody's honest path. */
const MAX_DECODING = 4;
/** Characters of a path that is read at all: a stranger's is as long as a server takes it, and each reading costs its length. */
const MAX_PATH = 4096;

/** Lower case, one slash between segments, none at the end, no dot segments. */
export function normalizePath(path: string): string {
  if (isPlain(path)) return path;
  const segments: string[] = [];
  for (const segment of segmentsOf(path)) {
    if (segment === "..") segments.pop();
    else if (segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}`;
}

/**
 * Every way in which somebody behind us may read `path`: as it is, decoded (once and to the end), without `;parameters` in its segments, with its
 * dot segments left as they are, and with what looks alike made one (full-width letters; dots and spaces at the end of a segment, as Windows drops them).
 * The first one is the plain reading. Undefined where it is encoded too often, is no valid encoding, or is longer than any honest path.
 */
export function readingsOf(path: string): readonly string[] | undefined {
  if (isPlain(path)) return path.length > MAX_PATH ? undefined : [path];
  const texts = textsOf(path);
  if (!texts) return undefined;
  const readings = new Set<string>();
  for (const text of texts) {
    for (const reading of [text, text.replace(/;[^/]*/g, ""), text.replace(/[;?#].*/, "")]) {
      readings.add(normalizePath(reading));
      readings.add(`/${segmentsOf(reading).join("/")}`);
      readings.add(folded(reading));
    }
  }
  return [...readings];
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

/** Nearly every path: it has one reading, and that is itself. */
function isPlain(path: string): boolean {
  return /^\/[a-z\d_~/.-]*$/.test(path) && !/\/[/.]|\.\/|.[/.]$/.test(path);
}

/** The path as it is and as it is decoded, again and again. */
function textsOf(path: string): readonly string[] | undefined {
  if (path.length > MAX_PATH) return undefined;
  const texts = [path];
  for (let text = path; text.includes("%"); ) {
    const decoded = decode(text);
    if (texts.length > MAX_DECODING || (decoded === undefined && texts.length === 1)) return undefined;
    // What was decoded may hold an honest percent sign: `100%25` is a name.
    if (decoded === undefined) break;
    texts.push(decoded);
    text = decoded;
  }
  // The end of a text for C programs; a control character is no part of any route.
  return texts.some((text) => /\p{Cc}/u.test(text)) ? undefined : texts;
}

/** In lower case, empty ones left out; a backslash divides as a slash does. */
function segmentsOf(path: string): string[] {
  return path
    .replaceAll("\\", "/")
    .toLowerCase()
    .split("/")
    .filter((segment) => segment !== "");
}

/** With what looks alike made one, and without dots and spaces at a segment's end. */
function folded(path: string): string {
  const trimmed = segmentsOf(path.normalize("NFKC")).map((segment) => {
    let end = segment.length;
    while (end > 0 && ". ".includes(segment.charAt(end - 1))) end -= 1;
    return end === 0 ? segment : segment.slice(0, end);
  });
  return normalizePath(`/${trimmed.join("/")}`);
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
