/** The stand-in for api.js: `window.turnstile`. */
import { isFromFrame } from "./messages.ts";
import { type Given, readParams, TurnstileError, warn } from "./params.ts";
import { createWidget, type Widget } from "./widget.ts";

/** What a page may name a widget by: its id, a selector, an element; the newest one when left out. */
type Container = string | Element | undefined;
/** Query parameters of the script that mean something. */
const KNOWN = ["render", "onload"];
/** Milliseconds after which the script replaces its own tag, as the real one does when it renews itself. */
const RENEWAL = 3_600_000;

if (loaded()) warn("The script was loaded twice: the first copy stays in place.");
else boot();

function boot(): void {
  const current = document.currentScript;
  const tag =
    current instanceof HTMLScriptElement ? current : document.querySelector<HTMLScriptElement>('script[src*="/turnstile/v0/api.js"]');
  if (tag === null) {
    warn("The script's own tag was not found: it must be loaded by a script element.");
    return;
  }
  const base = new URL(tag.src);
  const widgets = new Map<string, Widget>();
  const late = tag.async || tag.defer;
  for (const name of base.searchParams.keys()) if (!KNOWN.includes(name)) warn(`Unknown query parameter "${name}".`);
  if (!/^https?:$/.test(location.protocol)) warn("Only http and https pages can have a widget.");

  /** The widget of a container that is named, else undefined. */
  function find(container: Container): Widget | undefined {
    if (container === undefined) return [...widgets.values()].at(-1);
    if (typeof container === "string" && widgets.has(container)) return widgets.get(container);
    const element = typeof container === "string" ? select(container) : container;
    return [...widgets.values()].find((widget) => widget.container === element);
  }

  function render(container: Container, given: Given = {}): string {
    const element = locate(container);
    const there = find(element);
    if (there !== undefined) {
      warn(`There is a widget in this container already: "${there.id}".`);
      return there.id;
    }
    const params = readParams(element, given);
    const id = newId();
    widgets.set(id, createWidget(id, element, params, base));
    keepWatch();
    return id;
  }

  function execute(container?: Container, given?: Given): void {
    const widget = find(container) ?? rendered(container, given);
    if (given !== undefined) change(widget, given);
    if (widget.executing) {
      warn(`Widget "${widget.id}" is executing already: reset it first.`);
    } else if (widget.token !== undefined) {
      warn(`Widget "${widget.id}" was executed already: its old token is handed out again. Reset it first.`);
      widget.repeat();
    } else {
      widget.run();
    }
  }

  function rendered(container: Container, given: Given | undefined): Widget {
    if (given === undefined) throw new TurnstileError("Cannot execute: no such widget, and no parameters to render one", 43521);
    const element = typeof container === "string" ? select(container) : container;
    if (!(element instanceof Element)) throw new TurnstileError("Cannot execute: no such widget, and no element to render one in", 43522);
    const widget = find(render(element, { ...given, execution: "execute" }));
    if (widget === undefined) throw new TurnstileError("Cannot execute: the widget was not rendered", 43522);
    return widget;
  }

  /** Only action, cData and callbacks may differ from what was rendered. */
  function change(widget: Widget, given: Given): void {
    const { params, container } = widget;
    const asked = readParams(container, { sitekey: params.fixed.sitekey, ...given });
    const names = Object.keys(given).filter((name) => !/^(action|cData|.*callback)$/.test(name));
    const then = new Map<string, unknown>(Object.entries(params.fixed));
    const differs = Object.entries(asked.fixed).some(
      ([name, value]) => names.some((one) => camel(one) === name) && then.get(name) !== value,
    );
    if (differs) throw new TurnstileError("Cannot execute: the parameters differ from those of render", 3618);
    if ("action" in given) params.action = asked.action;
    if ("cData" in given) params.cdata = asked.cdata;
    Object.assign(params.callbacks, asked.callbacks);
  }

  function reset(container?: Container): void {
    const widget = find(container);
    if (widget === undefined) {
      const byId = typeof container === "string" && container.startsWith("cf-chl-widget-");
      throw new TurnstileError("Cannot reset: no such widget", byId ? 3331 : 3329);
    }
    widget.reset();
  }

  function remove(container?: Container): void {
    const widget = find(container);
    if (widget === undefined) warn("Cannot remove: no such widget.");
    else drop(widget);
  }

  function drop(widget: Widget): void {
    widgets.delete(widget.id);
    widget.remove();
  }

  function known(container: Container): Widget {
    const widget = find(container);
    if (widget === undefined) throw new TurnstileError("Cannot read: no such widget", 43778);
    return widget;
  }

  function ready(callback: () => void): void {
    // Every tag that a script inserts is async, unless told otherwise.
    if (late) throw new TurnstileError("Cannot use ready() with an async or defer tag: use onload= or the tag's load event", 3857);
    whenParsed(callback);
  }

  let watch: number | undefined;
  function keepWatch(): void {
    watch ??= window.setInterval(() => {
      for (const widget of widgets.values()) {
        if (widget.wrapper.isConnected) widget.look();
        else drop(widget);
      }
      if (widgets.size > 0) return;
      clearInterval(watch);
      watch = undefined;
    }, 1000);
  }

  window.addEventListener("message", ({ origin, source, data }) => {
    // Any page can post a message; only the frame of the very widget is believed.
    if (origin !== base.origin || !isFromFrame(data)) return;
    const widget = widgets.get(data.id);
    if (widget?.owns(source)) widget.hear(data);
  });

  const turnstile = {
    ready,
    render,
    execute,
    reset,
    remove,
    getResponse: (container?: Container) => known(container).token,
    isExpired: (container?: Container) => known(container).expired,
  };
  Object.defineProperty(window, "turnstile", { value: turnstile, configurable: true, writable: true, enumerable: true });

  if (base.searchParams.get("render") !== "explicit") {
    whenParsed(() => {
      for (const element of document.querySelectorAll(".cf-turnstile")) {
        try {
          render(element);
        } catch (error) {
          reportError(error);
        }
      }
    });
  }
  const onload = base.searchParams.get("onload");
  if (onload !== null) setTimeout(() => callGlobal(onload));
  // A clone of a script that ran does not run again, but whoever held on to the old tag holds nothing.
  let own = tag;
  setInterval(() => {
    const next = own.cloneNode();
    if (!own.isConnected || !(next instanceof HTMLScriptElement)) return;
    own.replaceWith(next);
    own = next;
  }, RENEWAL);
}

/** An element with the id "turnstile" is a property of window too; it is no copy of the script. */
function loaded(): boolean {
  const there: unknown = Reflect.get(window, "turnstile");
  return typeof there === "object" && there !== null && "render" in there;
}

function callGlobal(name: string): void {
  const callback: unknown = Reflect.get(window, name);
  if (typeof callback === "function") callback();
  else warn(`The onload callback "${name}" is not a function of the page.`);
}

function whenParsed(then: () => void): void {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => then());
  else then();
}

function locate(container: Container): Element {
  if (typeof container === "string") {
    let found: Element | null;
    try {
      found = document.querySelector(container);
    } catch {
      throw new TurnstileError("Cannot render: the container is not a valid selector", 3585);
    }
    if (found === null) throw new TurnstileError("Cannot render: no element matches the container's selector", 3586);
    return found;
  }
  if (!(container instanceof HTMLElement))
    throw new TurnstileError("Cannot render: the container is neither a selector nor an element", 3587);
  return container;
}

function select(selector: string): Element | undefined {
  try {
    return document.querySelector(selector) ?? undefined;
  } catch {
    return undefined;
  }
}

function newId(): string {
  const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  return `cf-chl-widget-${Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => letters.charAt(byte % 36)).join("")}`;
}

/** `retry-interval` -> `retryInterval`; the one that is named otherwise is mapped too. */
function camel(name: string): string {
  return name === "feedback-enabled" ? "feedback" : name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
