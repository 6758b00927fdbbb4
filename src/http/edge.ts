import type { RequestInfo } from "./types.ts";

/**
 * Network and country of a request by Cloudflare: from `request.cf` on Workers, else the country from its header, if
 * the request came through it.
 */
export function edgeFacts(request: Request, { edge }: RequestInfo): { asn?: number; country?: string } {
  const cf: unknown = edge && "cf" in request ? request.cf : undefined;
  const { asn, country = edge ? request.headers.get("cf-ipcountry") : undefined }: { asn?: unknown; country?: unknown } = Object(cf);
  return {
    ...(typeof asn === "number" && { asn }),
    ...(typeof country === "string" && /^[A-Z0-9]{2}$/.test(country) && { country }),
  };
}
