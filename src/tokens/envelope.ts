import { GatepassError } from "../errors.ts";
import { decodeBase64url, isCanonical } from "../util/base64url.ts";
import { decodeUtf8 } from "../util/bytes.ts";
import { parseJsonObject } from "../util/json.ts";

/** Characters of the longest token that is signed or looked at. */
export const MAX_TOKEN = 4096;
/** The one algorithm: what a token's header says is compared with it, never obeyed. */
export const ALG = "HS256";

/** The MAC's 32 bytes are 43 characters, the last of which has two unused bits. `$` without the m flag matches at the very end only. */
const SHAPE = /^[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]$/;

/** What a header may tell us before the MAC is checked. */
export interface Header {
  typ: string;
  kid: string | undefined;
}

/**
 * The first segment and what it says, of a token whose outside is right: one spelling per token, no member that could ask for special treatment.
 * Nothing of it is to be trusted yet. `known`: segments that need no second reading.
 *
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
  const { alg, typ, kid, ...others } = openJson(decodeBase64url(segment)); // canonical or null
  if (alg !== ALG || typeof typ !== "string" || (kid !== undefined && typeof kid !== "string") || Object.keys(others).length > 0) {
    throw new GatepassError("ERR_TOKEN_HEADER", "Cannot verify the token: its header is not one of ours");
  }
  return { typ, kid };
}

/** The members of a header, the claims of a verified payload. @throws {GatepassError} `ERR_TOKEN_MALFORMED` */
export function openJson(bytes: Uint8Array | null): Record<string, unknown> {
  const members = parseJsonObject(bytes && decodeUtf8(bytes));
  if (members === null) throw malformed();
  return members;
}

/** Media types compare without case, and without the `application/` that a header may leave out (RFC 7515, section 4.1.9). */
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
