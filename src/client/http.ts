import { IDEMPOTENCY_HEADER, PLAYER_HEADER, SESSION_HEADER, TURNSTILE_HEADER } from "../protocol.ts";
import { type Answer, read } from "./answer.ts";
import type { Broker } from "./broker.ts";
import type { Pass, Sessions } from "./session.ts";
import { type Context, failure, race } from "./state.ts";
import type { Client } from "./types.ts";

/** `fetch` with the session on our own origins: one refresh, one retry, and a fresh Turnstile token where there is no session. */
export function createFetch(isOurs: (url: string) => boolean, send: typeof fetch, sessions: Sessions, { mint }: Broker): Client["fetch"] {
  const arm = async (request: Request, pass: Pass | undefined): Promise<Request> => {
    const { headers } = request;
    const player = sessions.player();
    if (!pass || pass.token === "") return request;
    if (!pass.token) {
      headers.set(TURNSTILE_HEADER, await mint(request));
      if (player) headers.set(PLAYER_HEADER, player);
    }
    // The application may need `Authorization` for itself.
    else if (headers.has("authorization")) headers.set(SESSION_HEADER, pass.token);
    else headers.set("authorization", `Bearer ${pass.token}`);
    // A redirect would carry the credential to wherever it leads.
    return new Request(request, { redirect: "error" });
  };
  return async (input, init) => {
    const request = new Request(input, init);
    const { method, signal, url } = request;
    // Nobody else's business: a credential for a foreign origin would be given away.
    if (!isOurs(url)) return send(request);
    // For the retry: a body is gone once it is sent, a stream too.
    const copy = request.clone();
    // A read costs no challenge: it takes what is there, and asks only when the gate does.
    const pass = /GET|HEAD/.test(method) ? sessions.peek() : await race(sessions.get(), signal);
    const response = await send(await arm(request, pass));
    if (response.status !== 401 || (pass && pass.token === undefined)) return response;
    if (!/^SESSION_/.test(`${(await read(response.clone())).data.error}`)) return response;
    sessions.drop(pass);
    const armed = await race(sessions.get(), signal)
      .then((next) => arm(copy, next))
      .catch(() => signal.throwIfAborted());
    return armed ? send(armed) : response;
  };
}

/** Sends JSON to an address of the gate, without a credential. @throws {GatepassError} ERR_CLIENT_OFFLINE */
export function post({ closing }: Context, send: typeof fetch, url: string, body: unknown): Promise<Answer> {
  // Everybody waits for an exchange: one that hangs is given up.
  const late = race(20_000, closing).then(() => {
    throw failure("OFFLINE");
  });
  return Promise.race([settle(send(url, { ...json(body), redirect: "error", signal: closing })), late]);
}

/** The answer to a request of our own, read. @throws {GatepassError} ERR_CLIENT_OFFLINE it could not be sent */
export const settle = (response: Promise<Response>): Promise<Answer> =>
  response.then(read).catch((error: unknown) => {
    throw failure("OFFLINE", error);
  });

/**
 * A call of our own. A browser sends a request again whose answer is lost on a connection that was used before, and so may a proxy or a service worker: the
 * gate counts once what has one name.
 */
export function json(body: unknown): RequestInit {
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  return { method: "POST", headers: { "content-type": "application/json", [IDEMPOTENCY_HEADER]: `"${key}"` }, body: JSON.stringify(body) };
}
