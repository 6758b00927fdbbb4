import { PLAYER_HEADER, SESSION_HEADER, TURNSTILE_HEADER } from "../protocol.ts";
import type { Broker } from "./broker.ts";
import { type Context, race } from "./context.ts";
import { dispatch } from "./http.ts";
import { read } from "./response.ts";
import type { Pass, Sessions } from "./session.ts";
import type { Client } from "./types.ts";

/** `fetch` with the session on our own origins: one refresh, one retry, and a fresh Turnstile token where there is no session. */
export function createFetch(
  { fetch: send, sessionHeader }: Context,
  isOurs: (url: string) => boolean,
  sessions: Sessions,
  { mint }: Broker,
): Client["fetch"] {
  /** Adds the credential to the request's headers; whether it needs one. */
  const arm = async (request: Request, pass: Pass | undefined): Promise<true | undefined> => {
    const { headers } = request;
    const player = sessions.player();
    if (!pass || pass.token === "") return undefined;
    if (!pass.token) {
      headers.set(TURNSTILE_HEADER, await mint(request));
      if (player) headers.set(PLAYER_HEADER, player);
    }
    // The application may need `Authorization` for itself.
    else if (sessionHeader === SESSION_HEADER || headers.has("authorization")) headers.set(SESSION_HEADER, pass.token);
    else headers.set("authorization", `Bearer ${pass.token}`);
    return true;
  };
  return async (input, init) => {
    const request = new Request(input, init);
    const { method, signal, url } = request;
    // Nobody else's business: a credential for a foreign origin would be given away.
    if (!isOurs(url)) return dispatch(send, request);
    // For the retry: a body is gone once it is sent, a stream too.
    const copy = request.clone();
    // A read costs no challenge: it takes what is there, and asks only when the gate does.
    const pass = /GET|HEAD/.test(method) ? sessions.peek() : await race(sessions.get(), signal);
    const response = await dispatch(send, request, await arm(request, pass));
    if (response.status !== 401 || (pass && pass.token === undefined)) return response;
    if (!/^SESSION_/.test(`${(await read(response.clone())).data.error}`)) return response;
    sessions.drop(pass);
    let sealed: true | undefined;
    try {
      sealed = await arm(copy, await race(sessions.get(), signal));
    } catch (error) {
      if (signal.aborted) throw error;
      return response;
    }
    return dispatch(send, copy, sealed);
  };
}
