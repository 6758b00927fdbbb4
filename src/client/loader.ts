import { addressOf, type Context, failure, race } from "./context.ts";

/** What we use of `window.turnstile`. */
export interface TurnstileApi {
  render(container: HTMLElement, parameters: Record<string, unknown>): string;
  execute(id: string): void;
  remove(id: string): void;
}

/** One tag for all clients of the page: React's strict mode mounts twice, and a second copy of the script warns. */
let tag: HTMLScriptElement | undefined;
/** Tags that came to nothing. */
const dead = new Set<HTMLScriptElement | undefined>();
/** Who needs the tag: the last one takes it away. */
const users = new Set<Context>();

/** Where the script is. */
export const scriptOf = ({ scriptUrl }: Context): URL => addressOf(scriptUrl);

/** Turnstile's API, loaded once per page. @throws {GatepassError} ERR_CLIENT_SCRIPT, ERR_CLIENT_CONFIG */
export async function load(context: Context, signal: AbortSignal): Promise<TurnstileApi> {
  const { href } = scriptOf(context);
  users.add(context);
  for (let script: HTMLScriptElement | undefined; ; ) {
    const api = turnstile();
    if (api) return api;
    // Not loaded, or loaded and empty, as a blocker serves it. Out with ours, so that the next attempt has one of its own.
    if (script && script === tag) {
      tag = undefined;
      script.remove();
      throw failure("SCRIPT", href);
    }
    dead.add(script);
    // The page's own tag, or that of another copy of this module: were ours to come first, the page's widgets would never render.
    const waited = (!tag && foreign()) || own(href, context.nonce);
    const done = new Promise((resolve) => {
      for (const event of ["load", "error"]) waited.addEventListener(event, resolve);
    });
    await Promise.race([done, race(context.watchdogMs, signal, context.closing)]);
    script = waited;
  }
}

/** This client is done with the script. */
export function release(context: Context): void {
  if (users.delete(context) && !users.size) tag?.remove();
}

/** The API, unless it is not there yet. @throws {GatepassError} ERR_CLIENT_CONFIG something else has its name: Turnstile's script does nothing then */
function turnstile(): TurnstileApi | undefined {
  const { turnstile: there }: { turnstile?: TurnstileApi } = Object(window);
  // Not an element: a form can even have a field called "render".
  if (there?.render?.call) return there;
  if ("turnstile" in window) throw failure("CONFIG", `id="turnstile" is ${there}`);
  return undefined;
}

/** A tag that may yet bring the API. */
function foreign(): HTMLScriptElement | undefined {
  const tags = document.querySelectorAll<HTMLScriptElement>('script[src*="/turnstile/v0/api.js"]');
  return [...tags].find((one) => !dead.has(one) && !(document.readyState === "complete" && performance.getEntriesByName(one.src)[0]));
}

function own(href: string, nonce: string): HTMLScriptElement {
  const url = `${href}?render=explicit`;
  if (!tag) {
    // The policy, which CSP's `trusted-types` knows as `gatepass`, can be made once a page, and is then out of reach. A second copy of this module
    // finds what the first has blessed: this one address, and no way to bless another.
    const page: { trustedTypes?: Policies; [blessed: symbol]: unknown } = Object(window);
    const blessed = Symbol.for(url);
    page[blessed] ??= page.trustedTypes?.createPolicy("gatepass", { createScriptURL: (address) => address }).createScriptURL(url) ?? url;
    tag = document.createElement("script");
    // Nothing renders by itself. A tag inserted by script is async, so `turnstile.ready` would throw: its load event tells.
    Object.assign(tag, { nonce, src: page[blessed] });
  }
  // One that a closed client took out goes on loading outside the document; the next client puts it back.
  document.head.append(tag);
  return tag;
}

interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown };
}
