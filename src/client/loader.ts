import { addressOf, type Context, failure, race } from "./state.ts";

/** What we use of `window.turnstile`. */
export interface TurnstileApi {
  render(container: HTMLElement, parameters: Record<string, unknown>): string;
  execute(id: string): void;
  remove(id: string): void;
}

/** One tag for all clients of the page: React's strict mode mounts twice, and a second copy of the script warns. */
let tag: HTMLScriptElement | undefined;
/** Settles with its load or error event. */
let loaded: Promise<unknown> | undefined;
/** Who needs the tag: the last one takes it away. */
const users = new Set<Context>();

/** Where the script is. */
export const scriptOf = ({ scriptUrl }: Context): URL => addressOf(scriptUrl);

/** Turnstile's API, loaded once per page. @throws {GatepassError} ERR_CLIENT_SCRIPT */
export async function load(context: Context, signal: AbortSignal): Promise<TurnstileApi> {
  const { href } = scriptOf(context);
  users.add(context);
  if (!turnstile() && !tag) insert(href, context.nonce);
  // A tag that a closed client took out goes on loading outside the document; the next client puts it back.
  if (tag && !tag.isConnected) document.head.append(tag);
  if (!turnstile()) await Promise.race([loaded, race(context.watchdogMs, signal)]).catch(() => signal.throwIfAborted());
  const api = turnstile();
  if (api) return api;
  // Not loaded, or loaded and empty, as a blocker serves it. Out with the tag, so that the next attempt has one of its own.
  forget(tag);
  throw failure("SCRIPT", href);
}

/** This client is done with the script. */
export function release(context: Context): void {
  if (users.delete(context) && !users.size) tag?.remove();
}

function forget(dead: typeof tag): void {
  dead?.remove();
  if (dead === tag) tag = undefined;
}

/** The API, unless it is not there yet (or is an element of the page with that id). */
function turnstile(): TurnstileApi | undefined {
  const api: TurnstileApi | undefined = Reflect.get(window, "turnstile");
  return api?.render && api;
}

function insert(href: string, nonce: string): void {
  const script = document.createElement("script");
  // Nothing renders by itself. A tag inserted by script is async, so `turnstile.ready` would throw: its load event tells.
  Object.assign(script, { nonce, src: trusted(`${href}?render=explicit`) });
  tag = script;
  loaded = new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = reject;
  });
  // Also when every client that waited is closed: a dead tag must not be waited for again.
  loaded.catch(() => forget(script));
}

interface Policy {
  createScriptURL(url: string): unknown;
}

/** Blesses the one address that our own options name, and never leaves this module. Its name for CSP's `trusted-types` is `gatepass`. */
let policy: Policy | undefined;

function trusted(url: string): unknown {
  const types: { createPolicy(name: string, rules: Policy): Policy } | undefined = Reflect.get(window, "trustedTypes");
  policy ??= types?.createPolicy("gatepass", { createScriptURL: (address) => address });
  return policy?.createScriptURL(url) ?? url;
}
