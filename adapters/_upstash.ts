import { assertString } from "../src/util/assertions.ts";
import { parseJsonObject } from "../src/util/json.ts";
import { assertOptions, type Rules } from "../src/util/options.ts";

/** A database by its REST address. */
export interface UpstashRest {
  /** `https://….upstash.io`; plain `http:` only for loopback. */
  url: string;
  /** The standard REST token, which may write. It is sent in a header, never in the URL. */
  token: string;
  /** Default the platform's `fetch`. */
  fetch?: typeof fetch;
}

/** The part of a client of `@upstash/redis` that is used. */
export interface UpstashClient {
  evalsha(sha: string, keys: string[], args: string[]): Promise<unknown>;
  eval(script: string, keys: string[], args: string[]): Promise<unknown>;
}

/** The most characters of an answer that are read; the answer for sixteen quotas has a few hundred. */
const MAX_ANSWER = 65_536;

/**
 * A client over plain `fetch`: one POST for each command.
 *
 * @param timeoutMs milliseconds for a command and its answer
 * @throws {TypeError} {RangeError} an address that is not `https:` or holds credentials or a query, a token that no
 * header can carry
 */
export function restClient(rest: UpstashRest, timeoutMs: number): UpstashClient {
  assertOptions("upstash", rest, { url: "string", token: "string", fetch: "function" } satisfies Rules<UpstashRest>, "", "url token");
  const { token, fetch: send = fetch } = rest;
  const url = address(rest.url);
  assertString("token", token);
  // A line break at its end (from a file, say) would make fetch throw an error that quotes the whole header.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError('Invalid "token": expected printable ASCII without spaces');

  async function command(...parts: string[]): Promise<unknown> {
    const init = {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(parts),
      // Never follow a redirect: its target would get the token, and could answer in the database's place. "manual",
      // because Workers lack "error".
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      // Next.js caches answers to equal requests. An `ok: true` from its cache would let a token be spent twice.
      next: { revalidate: 0 },
    } as const;
    const response = await send(url, init);
    const answer = parseJsonObject(await read(response));
    const error = answer?.["error"];
    if (response.redirected || !response.ok || answer === null || error !== undefined || !("result" in answer)) {
      throw new Error(`${codeOf(error)} (HTTP status ${response.status})`);
    }
    return answer["result"];
  }

  return {
    evalsha: (sha, keys, args) => command("EVALSHA", sha, String(keys.length), ...keys, ...args),
    eval: (script, keys, args) => command("EVAL", script, String(keys.length), ...keys, ...args),
  };
}

/** The checked URL of the database. Errors never quote it: its query may contain the token. */
function address(text: string): string {
  assertString("url", text);
  if (!URL.canParse(text)) throw new TypeError('Invalid "url": expected an absolute address');
  const { protocol, hostname, username, password, search, hash, href } = new URL(text);
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (protocol !== "https:" && !(protocol === "http:" && loopback)) throw new TypeError('Invalid "url": expected "https:"');
  if (username || password || search || hash) throw new TypeError('Invalid "url": expected no credentials, query or fragment');
  return href;
}

/**
 * Wraps a client of `@upstash/redis`. Its errors quote the command, whose keys name addresses and accounts, and 200
 * characters of any answer. Only their code is passed on. Network errors stay as they are.
 */
export function quietClient(client: UpstashClient): UpstashClient {
  const quiet = async (answer: Promise<unknown>): Promise<unknown> => {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof Error) || !error.name.startsWith("Upstash")) throw error;
      throw new Error(`${error.name}: ${codeOf(error.message.replace(/^Command (\d+ \[ \w+ \] )?failed: /, ""))}`);
    }
  };
  return {
    evalsha: (sha, keys, args) => quiet(client.evalsha(sha, keys, args)),
    eval: (script, keys, args) => quiet(client.eval(script, keys, args)),
  };
}

async function read(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const reader = response.body?.getReader();
  for (;;) {
    const value = (await reader?.read())?.value;
    if (value === undefined) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > MAX_ANSWER) {
      reader?.cancel().catch(() => undefined);
      throw new Error("The answer is too long");
    }
  }
}

/** The code of an error. The rest is dropped: it may quote the command with its keys, or a proxy's text. */
function codeOf(error: unknown): string {
  return typeof error === "string" ? (/^[A-Z]{1,20}\b/.exec(error)?.[0] ?? "An error") : "No answer";
}
