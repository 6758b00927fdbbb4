/** The stand-in for api.js: finds its tag, obeys its query, and puts `turnstile` into the window. */
import { createTurnstile, type Turnstile } from "./calls.ts";
import { warn } from "./params.ts";

/** Query parameters of the script that mean something. */
const KNOWN = ["render", "onload", "compat", "_cb", "_upgrade", "_reload"];
/** Milliseconds after which the script replaces its own tag, as the real one does when it renews itself. */
const RENEWAL = 3_600_000;
/** Milliseconds after which a callback that was not there is looked for once more. */
const SECOND_LOOK = 1000;

boot();

function boot(): void {
  const tag = ownTag();
  if (tag === null) {
    warn("The script's own tag was not found: it must be loaded by a script element.");
    return;
  }
  const base = new URL(tag.src);
  const query = base.searchParams;
  for (const name of query.keys()) if (!KNOWN.includes(name)) warn(`Unknown query parameter "${name}".`);
  if (!/^https?:$/.test(location.protocol)) warn("Only http and https pages can have a widget.");
  const compat = wantsCompat(query.get("compat"));
  const { turnstile, parsed, renderAll } = createTurnstile({ base, late: tag.async || tag.defer, compat });
  if (compat) offer("grecaptcha", turnstile);
  // The callback is called even where this copy does nothing else.
  const onload = query.get("onload");
  if (onload) setTimeout(() => callOnload(onload));
  // An element with this id is a property of the window, too: it keeps the script from working, as it does the real one.
  if ("turnstile" in window) {
    const taken: unknown = Reflect.get(window, "turnstile");
    if (taken instanceof Element)
      warn(`Turnstile counts as loaded already: an element with id="turnstile" has taken its name. This copy does nothing.`);
    else warn("The script was loaded twice: the first copy stays in place.");
    return;
  }
  offer("turnstile", turnstile);
  const then = (): void => {
    if (query.get("render") !== "explicit") renderAll();
    parsed();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", then);
  else setTimeout(then);
  renew(tag);
}

function ownTag(): HTMLScriptElement | null {
  const current = document.currentScript;
  return current instanceof HTMLScriptElement
    ? current
    : document.querySelector<HTMLScriptElement>('script[src*="/turnstile/v0/"][src*="api.js"]');
}

function wantsCompat(value: string | null): boolean {
  if (value === null) return false;
  if (value.toLowerCase() !== "recaptcha") warn(`Unknown value of "?compat": "${value}".`);
  else if (Reflect.get(window, "grecaptcha") !== undefined) warn("There is a grecaptcha already: it stays in place.");
  else return true;
  return false;
}

function offer(name: string, turnstile: Turnstile): void {
  Object.defineProperty(window, name, { value: turnstile, configurable: true, writable: true, enumerable: true });
}

function callOnload(name: string, again = true): void {
  const callback: unknown = Reflect.get(window, name);
  if (typeof callback === "function") callback();
  else {
    warn(`The onload callback "${name}" is not a function of the page.`);
    if (again) setTimeout(() => callOnload(name, false), SECOND_LOOK);
  }
}

/** A clone of a script that ran does not run again, but whoever held on to the old tag holds nothing. */
function renew(tag: HTMLScriptElement): void {
  let own = tag;
  setInterval(() => {
    const next = own.cloneNode();
    if (!own.isConnected || !(next instanceof HTMLScriptElement)) return;
    own.replaceWith(next);
    own = next;
  }, RENEWAL);
}
