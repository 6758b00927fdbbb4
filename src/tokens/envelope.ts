import { GatepassError } from "../errors.ts";
import { decodeBase64url, isCanonical } from "../util/base64url.ts";
import { decodeUtf8 } from "../util/bytes.ts";
import { parseJsonObject } from "../util/json.ts";

/** Characters of the longest token that is signed or read. */
export const MAX_TOKEN = 4096;
/** The only algorithm. A token's header must name it; the header never chooses the algorithm. */
export const ALG = "HS256";

/**
 * Three segments, the last one a MAC of 32 bytes: 43 characters, of which the last has two unused bits that must be
 * zero. `$` without the flag m only matches at the very end.
 */
const SHAPE = /^[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]$/;

/** The members of a token's header. */
export interface Header {
  typ: string;
  kid: string | undefined;
}

/**
 * Reads the header of a token before its MAC is checked. It refuses a second spelling of the same bytes, and header
 * members that could ask for special treatment (`crit`, `jwk`). The header must not be trusted before the MAC is
 * checked.
 *
 * @param known headers that were read before, by their segment
 * @returns the header's segment and its members
 * @throws {GatepassError} `ERR_TOKEN_MALFORMED`, `ERR_TOKEN_HEADER`
 */
export function openEnvelope(token: unknown, known: ReadonlyMap<string, Header>): [segment: string, header: Header] {
  if (typeof token !== "string" || token.length > MAX_TOKEN || !SHAPE.test(token)) throw malformed();
  const dot = token.indexOf(".");
  if (!isCanonical(token, dot + 1, token.length - 44)) throw malformed();
  const segment = token.slice(0, dot);
  return [segment, known.get(segment) ?? openHeader(segment)];
}

function openHeader(segment: string): Header {
  const { alg, typ, kid, ...others } = openJson(decodeBase64url(segment)); // null: not canonical base64url
  if (alg !== ALG || typeof typ !== "string" || (kid !== undefined && typeof kid !== "string") || Object.keys(others).length > 0) {
    throw new GatepassError("ERR_TOKEN_HEADER", "Cannot verify the token: its header is not one of ours");
  }
  return { typ, kid };
}

/**
 * The members of a JSON object: of a header, or of a verified payload.
 *
 * @throws {GatepassError} `ERR_TOKEN_MALFORMED`
 */
export function openJson(bytes: Uint8Array | null): Record<string, unknown> {
  const members = parseJsonObject(bytes && decodeUtf8(bytes));
  if (members === null) throw malformed();
  return members;
}

/**
 * Whether two media types are equal: case does not count, and a header may leave out `application/` (RFC 7515, section
 * 4.1.9).
 */
export function sameType(a: string, b: string): boolean {
  return mediaType(a) === mediaType(b);
}

function mediaType(typ: string): string {
  const lower = typ.toLowerCase();
  return lower.includes("/") ? lower : `application/${lower}`;
}

function malformed(): GatepassError {
  return new GatepassError("ERR_TOKEN_MALFORMED", "Cannot verify the token: it is malformed");
}
