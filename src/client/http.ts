import { IDEMPOTENCY_HEADER } from "../protocol.ts";
import { addressOf, type Context, failure, race } from "./context.ts";
import { type Answer, read } from "./response.ts";

/**
 * Sends a request. One with a credential is `sealed`: no redirect may carry it elsewhere.
 *
 * @throws {GatepassError} ERR_CLIENT_ABORTED, ERR_CLIENT_OFFLINE, ERR_CLIENT_REDIRECT it leads elsewhere, and was not followed
 */
export async function dispatch(send: typeof fetch, request: Request, sealed?: boolean): Promise<Response> {
  const { keepalive, redirect, referrer, referrerPolicy, signal, url } = request;
  try {
    // `new Request` forgets the referrer unless it is told, and Firefox forgets what is to outlive the page.
    const armed = sealed ? new Request(request, { keepalive, redirect: "manual", referrer, referrerPolicy }) : request;
    const response = await send(armed);
    // Browsers give 0 as the status of a redirect; a `fetch` of the application's own may not.
    if (!sealed || redirect === "manual" || !/^0|30[12378]/.test(`${response.status}`)) return response;
  } catch (error) {
    throw failure(signal.aborted ? "ABORTED" : "OFFLINE", error);
  }
  throw failure("REDIRECT", url);
}

/** Sends JSON to a path of the gate, without a credential but with what is good for one. @throws {GatepassError} as `dispatch` */
export async function post({ baseUrl, closing, fetch: send }: Context, path: string, body: unknown): Promise<Answer> {
  return read(
    await Promise.race([
      dispatch(send, new Request(addressOf(baseUrl + path), { ...json(body), signal: closing }), true),
      // Everybody waits for an exchange: one that hangs is given up.
      race(20_000, closing).then(() => {
        throw failure("OFFLINE");
      }),
    ]),
  );
}

/**
 * A call of our own. A browser sends a request again whose answer is lost on a connection that was used before, and so may a proxy or a service worker: the
 * gate counts once what has one name.
 */
export function json(body: unknown): RequestInit {
  const headers = { "content-type": "application/json", [IDEMPOTENCY_HEADER]: `"${randomName()}"` };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

/** 16 random bytes, in what a name may hold. `crypto.randomUUID` is not there on plain http, as on a phone that tests a development server. */
export function randomName(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
