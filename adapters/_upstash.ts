import { assertString } from "../src/util/assertions.ts";
import { parseJsonObject } from "../src/util/json.ts";
import { assertOptions, type Rules } from "../src/util/options.ts";

/** A database by its REST address. */
export interface UpstashRest {
  /** `https://….upstash.io`; plain `http:` only for loopback. */
  url: string;
  /** The REST token that may write. It travels in a header, never in an address. */
  token: string;
  /** Default the platform's `fetch`. */
  fetch?: typeof fetch;
}

/** What we need of a client of `@upstash/redis`. */
export interface UpstashClient {
  evalsha(sha: string, keys: string[], args: string[]): Promise<unknown>;
  eval(script: string, keys: string[], args: string[]): Promise<unknown>;
}

/** Characters of an answer that are read at most; sixteen quotas take some hundred. */
const MAX_ANSWER = 65_536;

/**
 * A client over plain fetch: one POST a command.
 *
 * @param timeoutMs milliseconds that a command and its answer have
 * @throws {TypeError} {RangeError} an address that is not `https:` or holds credentials or a query, a token that no header can carry
 */
export function restClient(rest: UpstashRest, timeoutMs: number): UpstashClient {
  assertOptions("upstash", rest, { url: "string", token: "string", fetch: "function" } satisfies Rules<UpstashRest>, "", "url token");
  const { token, fetch: send = fetch } = rest;
  const url = address(rest.url);
  assertString("token", token);
  // A line break at its end (out of a file, say) would make fetch throw an error that quotes the whole header.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError('Invalid "token": expected printable ASCII without spaces');

  async function command(...parts: string[]): Promise<unknown> {
    const init = {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(parts),
      // "manual", for Workers know no "error": a redirect is never followed, or whoever makes one would learn the token and could answer in its place.
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      // Next.js keeps answers to equal requests: one `ok: true` out of its cache would be a token spent twice.
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

/** The address of the database, as it was given or not at all: it may hold the token in its query. */
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
 * A client of `@upstash/redis`, whose errors quote the command (keys name addresses and accounts) and 200 characters of whatever a proxy answered: of those
 * only the code is passed on. An error of the network is as it was.
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

/** Only the code: the rest of an error may quote the command, with its keys, or whatever else a proxy knows. */
function codeOf(error: unknown): string {
  return typeof error === "string" ? (/^[A-Z]{1,20}\b/.exec(error)?.[0] ?? "An error") : "No answer";
}
