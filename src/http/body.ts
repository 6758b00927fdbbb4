import { concatBytes } from "../util/bytes.ts";
import { Refusal } from "./refusal.ts";

/** Nesting that JSON may have: our bodies have two levels; a bomb of brackets must not reach anything recursive. */
const MAX_DEPTH = 32;
/** Characters of the longest content type that is looked at. */
const MAX_TYPE = 100;

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true });

/**
 * The whole body, counted on the stream, which is stopped at the cap.
 *
 * @param timeoutMs milliseconds for the whole body, default 10000: a body that drips in holds a connection and a handler
 * @throws {Refusal} `BODY_TOO_LARGE`; `BODY_INVALID` when it stalls or breaks off
 * @throws {TypeError} the body was read before
 */
export async function readBody(request: Request, maxBytes: number, timeoutMs = 10_000): Promise<Uint8Array> {
  if (request.bodyUsed) throw new TypeError("Cannot read the body: it was read before");
  const { body } = request;
  // The declared length only saves work: it may lie, so the stream is counted as well.
  if (Number(request.headers.get("content-length")) > maxBytes) {
    body?.cancel().catch(ignore);
    throw new Refusal("BODY_TOO_LARGE");
  }
  if (!body) return new Uint8Array();
  const reader = body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Refusal("BODY_INVALID")), timeoutMs);
  });
  try {
    return await Promise.race([drain(reader, maxBytes), stalled]);
  } catch (error) {
    reader.cancel().catch(ignore);
    throw error instanceof Refusal ? error : new Refusal("BODY_INVALID");
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The body as JSON, of content type `application/json` (in UTF-8). Duplicate members: the last wins, as `JSON.parse` has it.
 *
 * @throws {Refusal} `UNSUPPORTED_MEDIA_TYPE`, `BODY_TOO_LARGE`, `BODY_INVALID`
 */
export async function readJson(request: Request, maxBytes: number, timeoutMs?: number): Promise<unknown> {
  const type = request.headers.get("content-type");
  // Length before pattern: a header of spaces would take the square of its length.
  if (type !== null && (type.length > MAX_TYPE || !/^application\/json\s*(;\s*charset\s*=\s*("utf-8"|utf-8)\s*)?;?\s*$/i.test(type))) {
    request.body?.cancel().catch(ignore);
    throw new Refusal("UNSUPPORTED_MEDIA_TYPE");
  }
  const bytes = await readBody(request, maxBytes, timeoutMs);
  if (bytes.length > 0 && type === null) throw new Refusal("UNSUPPORTED_MEDIA_TYPE");
  try {
    const text = decoder.decode(bytes);
    if (text.length > MAX_DEPTH) assertFlat(text);
    return JSON.parse(text);
  } catch {
    throw new Refusal("BODY_INVALID");
  }
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return concatBytes(...chunks);
    size += value.byteLength;
    if (size > maxBytes) throw new Refusal("BODY_TOO_LARGE");
    chunks.push(value);
  }
}

function ignore(): void {}

/** In one pass: a pattern that looks for whole texts looks again from every quote of one that does not end, which takes the square of its length. */
function assertFlat(text: string): void {
  let depth = 0;
  let quoted = false;
  for (const mark of text.match(/\\.|["[\]{}]/gs) ?? []) {
    if (mark === '"') quoted = !quoted;
    else if (!quoted && mark.length === 1) depth += mark === "[" || mark === "{" ? 1 : -1;
    if (depth > MAX_DEPTH) throw new RangeError("Cannot read the body: nested too deep");
  }
}
