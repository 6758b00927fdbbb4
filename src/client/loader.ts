import { type Context, failure, race, sleep } from "./state.ts";

/** What we use of `window.turnstile`. */
export interface TurnstileApi {
  render(container: HTMLElement, parameters: Record<string, unknown>): string;
  execute(id: string): void;
  remove(id: string): void;
}

interface Load {
  tag: HTMLScriptElement;
  loaded: Promise<unknown>;
  /** Who needs the tag: the last one takes it away. */
  users: Set<unknown>;
}

/** One tag per address for all clients of the page: React's strict mode mounts twice, and a second copy of the script warns. */
const loads = new Map<string, Load>();

/** Where the script is: exactly Cloudflare's address, never proxied, or an emulator's. */
export function scriptOf({ options }: Context): URL {
  return new URL(options.scriptUrl ?? "https://challenges.cloudflare.com/turnstile/v0/api.js", document.baseURI);
}

/** Turnstile's API, loaded once per page. @throws {GatepassError} ERR_CLIENT_SCRIPT */
export async function load(context: Context, signal: AbortSignal): Promise<TurnstileApi> {
  const { href } = scriptOf(context);
  let api = turnstile();
  if (api && !loads.has(href)) return api;
  const { tag, loaded, users } = loads.get(href) ?? insert(href, context.options.nonce);
  users.add(context);
  // A tag that a closed client took out goes on loading outside the document; the next client puts it back.
  if (!tag.isConnected) document.head.append(tag);
  if (api) return api;
  const ended = new AbortController();
  const cause = await race(Promise.race([loaded, sleep(context.watchdog, ended.signal)]), signal).catch((error: unknown) => error);
  ended.abort();
  signal.throwIfAborted();
  api = turnstile();
  if (api) return api;
  // Not loaded, or loaded and empty, as a blocker serves it. Out with the tag, so that the next attempt has one of its own.
  forget(href);
  throw failure("SCRIPT", href, cause);
}

/** This client is done with the script. */
export function release(context: Context): void {
  for (const { tag, users } of loads.values()) if (users.delete(context) && !users.size) tag.remove();
}

function forget(href: string): void {
  loads.get(href)?.tag.remove();
  loads.delete(href);
}

/** The API, unless it is not there yet (or is an element of the page with that id). */
function turnstile(): TurnstileApi | undefined {
  const api: TurnstileApi | undefined = Reflect.get(window, "turnstile");
  return api?.render && api;
}

function insert(href: string, nonce = ""): Load {
  // A tag that the page, or another copy of this module, has put there is not ours to take away: it has a user that never leaves.
  let tag = [...document.scripts].find(({ src }) => src.startsWith(href));
  const users = new Set<unknown>(tag && [tag]);
  if (!tag) {
    tag = document.createElement("script");
    // Nothing renders by itself. A tag inserted by script is async, so `turnstile.ready` would throw: its load event tells.
    Object.assign(tag, { nonce, src: trusted(`${href}?render=explicit`) });
  }
  const watched = tag;
  const loaded = new Promise((resolve, reject) => {
    watched.addEventListener("load", resolve);
    watched.addEventListener("error", reject);
  });
  // Also when every client that waited is closed: a dead tag must not be waited for again.
  loaded.catch(() => forget(href));
  const entry = { tag, loaded, users };
  loads.set(href, entry);
  return entry;
}

interface Policy {
  createScriptURL(url: string): unknown;
}

/** Blesses the one address that our own options name, and never leaves this module. Its name for CSP's `trusted-types` is `gatepass`. */
let policy: Policy | undefined;

function trusted(url: string): unknown {
  const types: { createPolicy(name: string, rules: Policy): Policy } | undefined = Reflect.get(window, "trustedTypes");
  try {
    policy ??= types?.createPolicy("gatepass", { createScriptURL: (address) => address });
  } catch {
    // The CSP does not allow our policy; perhaps it does not ask for one either.
  }
  return policy?.createScriptURL(url) ?? url;
}
