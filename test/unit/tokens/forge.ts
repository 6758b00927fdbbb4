import { createHmac } from "node:crypto";

export const SECRET = "kB3zV8qLw0xYt7RfNc5GhJm2PsDa9UeXi4ToQyZ1Kr6";
export const TYP = "gp-test+jwt";
/** Milliseconds: a fixed now. */
export const NOW = 1_790_000_000_000;
/** Seconds: the same. */
export const AT = NOW / 1000;

/** Claims of a token that is valid at NOW. */
export const CLAIMS = { v: 1, jti: "an-id", iat: AT, exp: AT + 60, sub: "anna" };

const text = (part: unknown): string | Uint8Array => (typeof part === "string" || part instanceof Uint8Array ? part : JSON.stringify(part));

/** Any header and payload, text and bytes as they are, signed as HS256 by other means than the library's. */
export function forge(header: unknown, payload: unknown, secret: string | Uint8Array = SECRET): string {
  const input = `${Buffer.from(text(header)).toString("base64url")}.${Buffer.from(text(payload)).toString("base64url")}`;
  return seal(input, secret);
}

/** Appends the MAC that `secret` gives to `input`. */
export function seal(input: string, secret: string | Uint8Array = SECRET): string {
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

export const HEADER = { alg: "HS256", typ: TYP };

/** The code with which a promise rejects; anything but a typed error is a failure of its own. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error && error.name === "GatepassError" && "code" in error) return String(error.code);
    throw error;
  }
  return "accepted";
}
