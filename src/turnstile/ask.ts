import { parseJsonObject } from "../util/json.ts";

/** The most bytes of an answer that are read; a real one has a few hundred. */
const MAX_ANSWER = 65_536;

/** One attempt: an answer to check, or how it failed. `retry`: whether the same request may be sent again. */
export type Attempt =
  | { answer: Record<string, unknown>; codes: string[] }
  | { failed: "timeout" | "unavailable"; retry: boolean; codes?: string[] };

/** A failure that sending the request again would not change. */
export const NOTHING: Attempt = { failed: "unavailable", retry: false };

/** Asks siteverify once. `timeoutMs` covers the body too: a server may send headers and then stall. */
export async function ask(send: typeof fetch, url: string, body: string, timeoutMs: number): Promise<Attempt> {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  // The signal alone is not enough: an injected fetch may ignore it.
  const timeout = new Promise<Attempt>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, { failed: "timeout", retry: true });
  });
  try {
    return await Promise.race([timeout, exchange(send, url, body, abort.signal)]);
  } finally {
    clearTimeout(timer);
    // Drop an answer that was not read (late, too long, a redirect). Abort instead of cancelling the body: cancelling a
    // cloned body waits for the clone.
    abort.abort();
  }
}

async function exchange(send: typeof fetch, url: string, body: string, signal: AbortSignal): Promise<Attempt> {
  try {
    // Never follow a redirect: its target would get the secret. "manual", because Workers lack "error".
    const headers = { "content-type": "application/json" };
    const response = await send(url, { method: "POST", headers, body, redirect: "manual", signal });
    const { status } = response;
    // Browsers hide a redirect's status behind 0.
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
    // Drop the error: its message may quote the request, and with it the secret.
    return { failed: "unavailable", retry: true };
  }
}

/** The text of a body; null when it is longer than `MAX_ANSWER`. */
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

/** The error codes of an answer, at most 8. Other texts are dropped: they might quote a token. */
function codesOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((code) => typeof code === "string" && /^[a-z-]{1,40}$/.test(code)).slice(0, 8) : [];
}
