import { GatepassError } from "../errors.ts";
import { HEADER } from "../protocol.ts";
import { type Answer, read } from "./answer.ts";
import type { Broker } from "./broker.ts";
import type { Pass, Sessions } from "./session.ts";
import { after, type Context, failure, race } from "./state.ts";
import type { Client } from "./types.ts";

/** What a request takes along: a session, or a fresh Turnstile token for this one write. */
interface Credential {
  pass?: Pass | undefined;
  fresh?: string;
}

/** Milliseconds for an exchange: everybody waits for it. */
const PATIENCE = 20_000;

/** `fetch` with the session on our own origins: one refresh, one retry, and a fresh Turnstile token where there is no session. */
export function createFetch(isOurs: (url: string) => boolean, send: typeof fetch, sessions: Sessions, { mint }: Broker): Client["fetch"] {
  const choose = async (signal: AbortSignal): Promise<Credential> => {
    const pass = await sessions.get();
    return pass.token === undefined ? { fresh: await mint({ signal }) } : { pass };
  };
  const obtain = (signal: AbortSignal): Promise<Credential> => race(choose(signal), signal);
  const arm = (request: Request, { pass, fresh }: Credential): Request => {
    const headers = new Headers(request.headers);
    const token = pass?.token;
    const player = sessions.player();
    if (fresh) {
      headers.set(HEADER.turnstile, fresh);
      if (player) headers.set(HEADER.player, player);
    } else if (!token) return request;
    // The application may need `Authorization` for itself.
    else if (headers.has("authorization")) headers.set(HEADER.session, token);
    else headers.set("authorization", `Bearer ${token}`);
    // A redirect would carry the credential to wherever it leads.
    return new Request(request, { headers, redirect: "error" });
  };
  return async (input, init) => {
    const request = new Request(input, init);
    const { method, signal, url } = request;
    // Nobody else's business: a credential for a foreign origin would be given away.
    if (!isOurs(url)) return send(request);
    // A stream is gone once it is sent; everything else can be sent again.
    const copy = init?.body instanceof ReadableStream ? undefined : request.clone();
    // A read costs no challenge: it takes what is there, and asks only when the gate does.
    const first = /GET|HEAD/.test(method) ? { pass: sessions.peek() } : await obtain(signal);
    const response = await send(arm(request, first));
    if (response.status !== 401 || "fresh" in first || !copy) return response;
    const { data } = await read(response.clone());
    if (!/^SESSION_/.test(`${data["error"]}`)) return response;
    sessions.drop(first.pass);
    const second = await obtain(signal).catch(() => {});
    signal.throwIfAborted();
    return second ? send(arm(copy, second)) : response;
  };
}

/** Sends JSON to an address of the gate, without a credential. @throws {GatepassError} ERR_CLIENT_OFFLINE */
export async function post({ closing }: Context, send: typeof fetch, url: string, body: unknown): Promise<Answer> {
  const late = new AbortController();
  const cancel = after(closing, () => late.abort(), PATIENCE);
  try {
    return await race(send(url, { ...json(body), redirect: "error", signal: late.signal }).then(read), late.signal);
  } catch (error) {
    throw offline(error);
  } finally {
    cancel();
  }
}

/** A `fetch` that failed. */
export function offline(error: unknown): unknown {
  return error instanceof GatepassError ? error : failure("OFFLINE", error);
}

export function json(body: unknown): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
