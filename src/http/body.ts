import { concatBytes } from "../util/bytes.ts";
import { Refusal } from "./refusal.ts";

/** The deepest nesting of JSON. Our bodies have two levels. Deep nesting is an attack on recursive code. */
const MAX_DEPTH = 32;
/** Characters of the longest content type that is read. */
const MAX_TYPE = 100;

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true });

/**
 * The whole body. Its bytes are counted while they are read, and reading stops at `maxBytes`.
 *
 * @param timeoutMs milliseconds for the whole body, default 10000: an attacker may send a body slowly to occupy a
 * connection and a handler
 * @throws {Refusal} `BODY_TOO_LARGE`; `BODY_INVALID` when it stalls or breaks off
 * @throws {TypeError} the body was read before
 */
export async function readBody(request: Request, maxBytes: number, timeoutMs = 10_000): Promise<Uint8Array> {
  if (request.bodyUsed) throw new TypeError("Cannot read the body: it was read before");
  const { body } = request;
  // The declared length only saves work. It may be false, so the stream is counted as well.
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
 * The body as JSON. The content type must be `application/json`, in UTF-8. Of duplicate members the last one counts, as
 * in `JSON.parse`.
 *
 * @throws {Refusal} `UNSUPPORTED_MEDIA_TYPE`, `BODY_TOO_LARGE`, `BODY_INVALID`
 */
export async function readJson(request: Request, maxBytes: number, timeoutMs?: number): Promise<unknown> {
  const type = request.headers.get("content-type");
  // Check the length first: the regular expression takes quadratic time on a header of spaces.
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

/**
 * Checks the nesting in one pass over brackets and quotes. A regular expression for whole strings would take quadratic
 * time on a string that does not end.
 *
 * @throws {RangeError} nested deeper than `MAX_DEPTH`
 */
function assertFlat(text: string): void {
  let depth = 0;
  let quoted = false;
  for (const mark of text.match(/\\.|["[\]{}]/gs) ?? []) {
    if (mark === '"') quoted = !quoted;
    else if (!quoted && mark.length === 1) depth += mark === "[" || mark === "{" ? 1 : -1;
    if (depth > MAX_DEPTH) throw new RangeError("Cannot read the body: nested too deep");
  }
}
