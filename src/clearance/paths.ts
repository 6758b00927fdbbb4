/**
 * Paths as policies compare them. A router, a proxy and we may read one path differently (`/api/%70ayment`, `//api/payment`,
 * `/health/..;/api/payment`), and whoever finds a reading that the policy misses goes past it. So a path has several readings,
 * all are compared, and the strictest answer counts: a spelling can only ever ask for more.
 */

/** Times that percent-encoding is taken off at most; what is encoded more often is nobody's honest path. */
const MAX_DECODING = 4;

/** Lower case, one slash between segments, none at the end, no dot segments. */
export function normalizePath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.replaceAll("\\", "/").toLowerCase().split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}`;
}

/**
 * Every way in which somebody behind us may read `path`: as it is, decoded (once and to the end), without `;parameters` in its segments, and with its
 * dot segments left as they are. The first one is the plain reading. Undefined where it is encoded too often, or is no valid encoding.
 */
export function readingsOf(path: string): readonly string[] | undefined {
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
  if (texts.some((text) => /\p{Cc}/u.test(text))) return undefined;
  const readings = new Set<string>();
  for (const text of texts) {
    for (const reading of [text, text.replace(/;[^/]*/g, ""), text.replace(/[;?#].*/, "")]) {
      readings.add(normalizePath(reading));
      readings.add(literal(reading));
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

/** As a router reads it that resolves nothing: only case and slashes are made one. */
function literal(path: string): string {
  return `/${path
    .replaceAll("\\", "/")
    .toLowerCase()
    .split("/")
    .filter((segment) => segment !== "")
    .join("/")}`;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
