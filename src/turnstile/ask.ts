import { parseJsonObject } from "../util/json.ts";

/** Bytes of an answer that are read at most; a real one has some hundred. */
const MAX_ANSWER = 65_536;

/** One attempt: an answer that can be judged, or how it failed and whether the same question may be asked again. */
export type Attempt =
  | { answer: Record<string, unknown>; codes: string[] }
  | { failed: "timeout" | "unavailable"; retry: boolean; codes?: string[] };

/** Nothing to be had, now or by asking again. */
export const NOTHING: Attempt = { failed: "unavailable", retry: false };

/** Asks siteverify once. The time covers the body too: a server that sends a header and then stalls must not hold us. */
export async function ask(send: typeof fetch, url: string, body: string, timeoutMs: number): Promise<Attempt> {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  // Raced as well, since an injected fetch may not look at the signal.
  const timeout = new Promise<Attempt>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, { failed: "timeout", retry: true });
  });
  try {
    return await Promise.race([timeout, exchange(send, url, body, abort.signal)]);
  } finally {
    clearTimeout(timer);
    // Whatever was not read (late, too long, a redirect's) is dropped. Not by cancelling the body: on one that was cloned, that waits for the clone.
    abort.abort();
  }
}

async function exchange(send: typeof fetch, url: string, body: string, signal: AbortSignal): Promise<Attempt> {
  try {
    // "manual", for Workers know no "error": a redirect is never followed, or whoever makes one would learn the secret.
    const headers = { "content-type": "application/json" };
    const response = await send(url, { method: "POST", headers, body, redirect: "manual", signal });
    const { status } = response;
    // Browsers hide the status of a redirect: 0.
    if (response.redirected || status < 200 || (status > 299 && status < 400)) return NOTHING;
    const text = await read(response);
    if (text === null) return NOTHING;
    const answer = parseJsonObject(text);
    const codes = codesOf(answer?.["error-codes"]);
    if (answer === null || typeof answer["success"] !== "boolean" || status >= 500 || codes.includes("internal-error")) {
      return { failed: "unavailable", retry: true, codes };
    }
    return { answer, codes };
  } catch {
    // The reason may quote the request: it is not passed on.
    return { failed: "unavailable", retry: true };
  }
}

/** The text of a body, null when it is too long to be an answer. */
async function read(response: Response): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const value = (await reader?.read())?.value;
    if (value === undefined) return text + decoder.decode();
    size += value.length;
    if (size > MAX_ANSWER) return null;
    text += decoder.decode(value, { stream: true });
  }
}

/** Only what looks like a code: whatever else an answer holds, a token say, is not repeated. */
function codesOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((code) => typeof code === "string" && /^[a-z-]{1,40}$/.test(code)).slice(0, 8) : [];
}
