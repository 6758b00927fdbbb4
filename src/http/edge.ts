import type { RequestInfo } from "./types.ts";

/** Where Cloudflare says that a request comes from: `request.cf` on Workers, else its header, where it is known to have come through it. */
export function edgeFacts(request: Request, { edge }: RequestInfo): { asn?: number; country?: string } {
  const cf: unknown = edge && "cf" in request ? request.cf : undefined;
  const { asn, country = edge ? request.headers.get("cf-ipcountry") : undefined }: { asn?: unknown; country?: unknown } = Object(cf);
  return {
    ...(typeof asn === "number" && { asn }),
    ...(typeof country === "string" && /^[A-Z0-9]{2}$/.test(country) && { country }),
  };
}
