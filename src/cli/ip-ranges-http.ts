import { setTimeout as sleep } from "node:timers/promises";
import { concatBytes, decodeUtf8 } from "../util/bytes.ts";

/** How long to wait, and with which fetch. */
export interface Reach {
  fetch: typeof fetch;
  /** Milliseconds for a request with its body. */
  timeoutMs: number;
}

/** Bytes of a list. Today's have some hundred. */
const MAX_LIST = 65_536;
const MAX_REDIRECTS = 3;
/** Good answers in a row that make an origin healthy. */
const IN_A_ROW = 3;

/**
 * A list's text. A redirect is followed on the same origin only: Cloudflare once moved its lists behind one for days, and whoever took the
 * empty body of that answer for a list locked Cloudflare out; to another host it would hand the list to somebody else.
 *
 * @throws {Error} no answer in time, no 200, too long, not UTF-8, a redirect elsewhere
 */
export async function fetchList(url: URL, { fetch, timeoutMs }: Reach): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  let at = url;
  for (let redirects = 0; ; redirects++) {
    const answer = await fetch(at, { redirect: "manual", signal, headers: { accept: "text/plain" } });
    if (answer.status === 200) return readText(answer);
    await answer.body?.cancel();
    const location = answer.headers.get("location");
    if (answer.status < 300 || answer.status > 399 || location === null) throw new Error(`Answered ${answer.status}`);
    const next = new URL(location, at);
    if (next.origin !== url.origin || redirects === MAX_REDIRECTS) throw new Error(`Redirected to ${next.origin}${next.pathname}`);
    at = next;
  }
}

/**
 * Resolves when an address answered well three times in a row: 2xx, through Cloudflare (`CF-Ray`), and not out of its cache, which answers for an
 * origin that it cannot reach.
 *
 * @param tries requests at most, at least 3 @param pauseMs milliseconds between two
 * @throws {Error} it did not
 */
export async function checkHealth(url: URL, { fetch, timeoutMs }: Reach, tries: number, pauseMs: number): Promise<void> {
  let good = 0;
  let last = "";
  for (let i = 0; i < tries; i++) {
    if (i > 0) await sleep(pauseMs);
    last = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(timeoutMs), headers: { "cache-control": "no-cache" } }).then(
      fault,
      reasonOf,
    );
    good = last === "" ? good + 1 : 0;
    if (good === IN_A_ROW) return;
  }
  throw new Error(`${last || "Answered well only now and then"} (${tries} tries)`);
}

/** Tells somebody. @throws {Error} nobody was told; its message has no part of the address, which may be a secret */
export async function sendAlert(url: URL, body: object, { fetch, timeoutMs }: Reach): Promise<void> {
  const answer = await fetch(url, {
    method: "POST",
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMs),
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }).catch((error: unknown) => {
    throw new Error(reasonOf(error));
  });
  await answer.body?.cancel();
  if (!answer.ok) throw new Error(`Answered ${answer.status}`);
}

/** What happened to a request: what fetch throws says only that it failed, the reason is its cause. */
export function reasonOf(error: unknown): string {
  const { name, message, cause } = Object(error);
  if (name === "TimeoutError") return "No answer in time";
  const { code } = Object(cause);
  return typeof code === "string" ? `No answer (${code})` : String(message);
}

async function fault(answer: Response): Promise<string> {
  await answer.body?.cancel();
  if (!answer.ok) return `Answered ${answer.status}`;
  if (!answer.headers.has("cf-ray")) return "Answered without CF-Ray: not through Cloudflare";
  const cache = answer.headers.get("cf-cache-status") ?? "";
  return /^(hit|stale|updating|revalidated)$/i.test(cache)
    ? `Answered from Cloudflare's cache (${cache}): take a path that is not cached`
    : "";
}

async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Counted on the stream: a list without end must not fill the memory. Leaving the loop ends the transfer.
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_LIST) throw new Error(`Longer than ${MAX_LIST} bytes`);
    chunks.push(chunk);
  }
  const text = decodeUtf8(concatBytes(...chunks));
  if (text === null) throw new Error("Not UTF-8");
  return text;
}
