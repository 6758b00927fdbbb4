/**
 * Protected APIs in the browser: obeys `TURNSTILE_REQUIRED` and `CLEARANCE_EXPIRED`.
 *
 * @module
 */

import {
  BASE_PATH,
  type ChallengeAnswer,
  CLEARANCE_HEADER,
  type ClearanceAnswer,
  DEVICE_ID_HEADER,
  REQUEST_ID_HEADER,
  VERIFY_PATH,
} from "../protocol.ts";
import { assertOptions, listOf, methods, type Rules } from "../util/options.ts";
import { addressOf, createOpen, failure, race } from "./context.ts";
import { dispatch, json, randomName } from "./http.ts";
import { type Answer, read, refused } from "./response.ts";
import type { Client } from "./types.ts";

/** Options of {@link withClearance}. */
export interface ClearanceClientOptions {
  /** 1 to 64 of `A-Z a-z 0-9 . _ -`. Default: random, new with each page. */
  deviceId?: string;
  /** Where the gate lives, as for `createClient`. Default `/api`. */
  baseUrl?: string;
  /** Further origins that may get a clearance. Default: `baseUrl`'s alone. */
  origins?: readonly string[];
  fetch?: typeof fetch;
}

/** A clearance in hand. */
interface Held {
  token: string;
  /** Path patterns. */
  scope: readonly string[];
  /** Uses that nobody has taken yet. */
  uses: number;
  /** Milliseconds of `performance.now` until which it lives. */
  until: number;
}

/** Milliseconds before a verification whose answer was lost is sent again. */
const AGAIN = 500;

const RULES: Rules<ClearanceClientOptions> = {
  deviceId: /^[A-Za-z0-9._-]{1,64}$/,
  baseUrl: "string",
  origins: listOf("string"),
  fetch: "function",
};

/**
 * A client whose `fetch` runs the challenge that a protected route asks for, and retries once with the clearance, the same body and the same request
 * id. A clearance goes to the paths that its scope names; requests at the same time share one challenge and one clearance, as many as it has uses.
 * `Authorization` stays the application's. A session is only asked for where a route wants one.
 *
 * `fetch` rejects with `ERR_CLIENT_REFUSED` when the route refuses again (never a third time) or the challenge was not accepted, with
 * `ERR_CLIENT_UNSUPPORTED` when a body that is a stream would have to be sent again.
 *
 * @throws {TypeError} an unknown or bad option, no client
 *
 * @example
 * ```ts
 * import { createClient } from "gatepass/client";
 * import { withClearance } from "gatepass/client/clearance";
 *
 * const client = withClearance(createClient({ sitekey: "0x4AAAAAAAexample" }));
 * export const askForCode = (phone: string) => client.fetch("/api/otp/request", { method: "POST", body: JSON.stringify({ phone }) });
 * client.close();
 * ```
 */
export function withClearance(client: Client, options: ClearanceClientOptions = {}): Client {
  methods("fetch", "token", "close")("client", client);
  assertOptions("withClearance", options, RULES);
  const { deviceId = randomName(), baseUrl = BASE_PATH, origins = [], fetch: send = (input, init) => fetch(input, init) } = options;
  const base = baseUrl.replace(/\/$/, "");
  const ours = origins.map((origin) => new URL(origin).origin);
  const ending = new AbortController();
  const closing = ending.signal;
  let held: Held[] = [];
  /** The challenge that is under way for a scope. */
  const flights = new Map<string, Promise<Held>>();

  /** Takes a use of what is in hand. */
  const take = (fits: (one: Held) => boolean): Held | undefined => {
    held = held.filter(({ uses, until }) => uses > 0 && until > performance.now());
    const found = held.find(fits);
    if (found) found.uses--;
    return found;
  };

  /** A clearance of which one use is the caller's. */
  const clear = async (challenge: ChallengeAnswer): Promise<Held> => {
    const { action, cdata, challenge_id, original_request_id } = challenge;
    const turnstile_token = await client.token({ action, cdata });
    const body = { challenge_id, turnstile_token, original_request_id, device_id: deviceId };
    const post = async (): Promise<Answer> =>
      read(await dispatch(send, new Request(addressOf(base + VERIFY_PATH), { ...json(body), signal: closing }), true));
    const started = performance.now();
    // Its answer may be lost on the way, here or behind the gate: the same token for the same challenge gives the same clearance.
    const retry = async (): Promise<Answer> => {
      await race(AGAIN, closing);
      return post();
    };
    let answer = await post().catch(retry);
    if (answer.response.status === 503) answer = await retry();
    // Without a token where the gate is off by now: the request goes on without one.
    const { app_clearance_token: token = "", expires_in = 0, scope = [], max_uses: uses = 0 } = answer.data as Partial<ClearanceAnswer>;
    if (answer.response.status !== 200 || !(token || answer.data.dryRun)) throw refused(answer);
    const fresh = { token, scope, uses: uses - 1, until: started + expires_in * 1000 };
    held.push(fresh);
    return fresh;
  };

  /**
   * One use of a clearance for what `challenge` asks; whoever comes while one is under way waits for it. Whoever starts one takes what it gives, whatever that
   * is: a server that gives what nobody can use is refused again, not asked without end.
   */
  const obtain = async (challenge: ChallengeAnswer): Promise<Held> => {
    const key = challenge.scope.join();
    for (;;) {
      const found = take(({ scope }) => challenge.scope.every((one) => scope.includes(one)));
      if (found) return found;
      const flight = flights.get(key);
      if (flight) await flight;
      else {
        const own = clear(challenge).finally(() => flights.delete(key));
        flights.set(key, own);
        return own;
      }
    }
  };

  const guarded: Client["fetch"] = async (input, init = {}) => {
    const request = new Request(input, init);
    const { origin, pathname } = new URL(request.url);
    // A clearance for a foreign origin would be given away.
    if (![...ours, addressOf(base).origin].includes(origin)) return client.fetch(request);
    request.headers.set(DEVICE_ID_HEADER, deviceId);
    if (!request.headers.has(REQUEST_ID_HEADER)) request.headers.set(REQUEST_ID_HEADER, randomName());
    // A tee would keep all of a stream in memory for a retry that is hardly ever needed.
    const copy = init.body instanceof ReadableStream ? undefined : request.clone();
    const first = take(({ scope }) => scope.some((pattern) => covers(pattern, pathname)));
    const again = (): Request => {
      if (!copy) throw failure("UNSUPPORTED", new TypeError("Cannot send a stream again: read it first"));
      return copy.clone();
    };
    let through: typeof send = send;
    const submit = (from: Request, clearance: Held | undefined): Promise<Response> => {
      if (clearance?.token) from.headers.set(CLEARANCE_HEADER, clearance.token);
      // A redirect would carry it, and what names the device, to wherever it leads.
      // A `fetch` of the application's own may not look at the signal.
      return race(dispatch(through, from, true), from.signal, closing);
    };
    let response = await submit(request, first);
    // A route may want a session as well: the client's own fetch has one, and asks for it only now.
    if (copy && response.status === 401 && /^SESSION_/.test(`${(await read(response.clone())).data.error}`)) {
      through = client.fetch;
      response = await submit(again(), first);
    }
    const challenge = await challengeIn(response);
    if (!challenge) return response;
    const retry = again();
    // Used up or over: the gate says so by asking for its scope again. Where it asks for another scope, this one was never spent.
    if (first) held = held.filter((one) => one !== first);
    if (first && challenge.scope.some((one) => !first.scope.includes(one))) held.push({ ...first, uses: first.uses + 1 });
    response = await submit(retry, await race(obtain(challenge), request.signal));
    if (await challengeIn(response)) throw refused(await read(response));
    return response;
  };
  const own: Pick<Client, "fetch" | "close"> = {
    fetch: createOpen(closing)(guarded),
    close() {
      ending.abort(failure("CLOSED"));
      client.close();
    },
  };
  // All else is the client's own, its changing `state` too.
  return Object.assign(Object.create(client), own);
}

/** The challenge that an answer asks for. */
async function challengeIn(response: Response): Promise<ChallengeAnswer | undefined> {
  if (response.status !== 403) return undefined;
  const { data } = await read(response.clone());
  return /^(TURNSTILE_REQUIRED|CLEARANCE_EXPIRED)$/.test(`${data.error}`) && isChallenge(data) ? data : undefined;
}

function isChallenge(data: object): data is ChallengeAnswer {
  return "challenge_id" in data && "scope" in data && Array.isArray(data.scope);
}

/**
 * Whether a path pattern of a clearance names this path. The gate decides; this only says whether to try. A path that routers may read differently is
 * not tried: the gate asks for another clearance there, or refuses it.
 */
function covers(pattern: string, path: string): boolean {
  if (!/^[\w\-.~!$&'()*+,=:@|[\]/]*$/.test(path) || /\/\/|\.(\/|$)/.test(path)) return false;
  const plain = path.toLowerCase();
  return pattern.endsWith("/*") ? `${plain}/`.startsWith(pattern.slice(0, -1)) : plain === pattern || plain === `${pattern}/`;
}
