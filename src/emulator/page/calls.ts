/** `window.turnstile`: what a page calls. */
import { isFromFrame } from "./messages.ts";
import { changeParams, type Given, readParams, TurnstileError, warn } from "./params.ts";
import { createWidget, type Widget } from "./widget.ts";

/** What a page may name a widget by: its id, a selector, an element in or around it; the newest one when left out. */
type Container = unknown;
/** Who rendered a widget: an explicit render replaces an implicit widget. */
type Source = "explicit" | "implicit";

/** What the script's tag says. */
export interface Setup {
  /** Of the script. */
  base: URL;
  /** The tag is async or defer, as every tag is that a script inserts. */
  late: boolean;
  /** reCAPTCHA's names are offered as well. */
  compat: boolean;
}

/** The object that a page finds as `window.turnstile`. */
export interface Turnstile {
  ready(callback: unknown): void;
  render(container: Container, given?: Given): string;
  execute(container?: Container, given?: Given): void;
  reset(container?: Container): void;
  remove(container?: Container): void;
  getResponse(container?: Container): string | undefined;
  isExpired(container?: Container): boolean;
}

const PREFIX = "cf-chl-widget-";
/** Milliseconds between two looks at the widgets that are there. */
const WATCH = 900;

/** The calls, and what happens when the document is parsed. */
export function createTurnstile(setup: Setup): { turnstile: Turnstile; parsed(): void; renderAll(): void } {
  const { base, late, compat } = setup;
  const widgets = new Map<string, { widget: Widget; source: Source }>();
  let isParsed = false;
  const waiting: (() => unknown)[] = [];
  let watch: number | undefined;

  window.addEventListener("message", ({ origin, source, data }) => {
    // Any page can post a message; only the frame of the very widget is believed.
    if (origin !== base.origin || !isFromFrame(data)) return;
    const widget = widgets.get(data.id)?.widget;
    if (widget?.owns(source)) widget.hear(data);
  });

  function byId(id: string): Widget | undefined {
    return (widgets.get(id) ?? widgets.get(PREFIX + id))?.widget;
  }

  function inElement(element: Element): Widget | undefined {
    for (const { widget } of widgets.values()) {
      const inside = widget.wrapper !== element && widget.wrapper.contains(element);
      if (inside || widget.container === element) return widget;
    }
    return undefined;
  }

  /** The widget of a container that is named, the newest one where none is; else undefined. */
  function find(container: Container): Widget | undefined {
    if (!container) return [...widgets.values()].at(-1)?.widget;
    if (container instanceof Element) return inElement(container);
    if (typeof container !== "string") return undefined;
    const element = byId(container) === undefined ? select(container) : undefined;
    return element === undefined ? byId(container) : inElement(element);
  }

  function place(container: Container, given: Given, source: Source): string {
    const named = typeof container === "string" ? byId(container) : undefined;
    const element = named?.container ?? locate(container);
    const there = named ?? inElement(element);
    const replaced =
      there !== undefined && source === "explicit" && widgets.get(there.id)?.source === "implicit" && there.container === element;
    if (there !== undefined && !replaced) {
      if (source === "explicit") changeParams(there.params, given);
      warn(`There is a widget in this container already: "${there.id}".`);
      return there.id;
    }
    const params = readParams(element, given);
    if (there !== undefined) drop(there);
    const id = newId();
    widgets.set(id, { widget: createWidget({ id, container: element, params, base, compat }), source });
    keepWatch();
    return id;
  }

  function drop(widget: Widget): void {
    widgets.delete(widget.id);
    widget.remove();
  }

  function keepWatch(): void {
    watch ??= window.setInterval(() => {
      for (const { widget } of widgets.values()) {
        if (widget.wrapper.isConnected) widget.look();
        else drop(widget);
      }
      if (widgets.size > 0) return;
      clearInterval(watch);
      watch = undefined;
    }, WATCH);
  }

  function rendered(container: Container, given: Given | undefined): Widget {
    if (given === undefined) throw new TurnstileError("Cannot execute: no such widget, and no parameters to render one", 43521);
    const element = typeof container === "string" ? select(container) : container;
    if (!(element instanceof Element)) throw new TurnstileError("Cannot execute: no such widget, and no element to render one in", 43522);
    const widget = find(place(element, { ...given, execution: "execute" }, "explicit"));
    if (widget === undefined) throw new TurnstileError("Cannot execute: the widget was not rendered", 43522);
    return widget;
  }

  function known(container: Container): Widget {
    const widget = find(container);
    if (widget === undefined) throw new TurnstileError("Cannot read: no such widget", 43778);
    return widget;
  }

  const turnstile: Turnstile = {
    ready(callback) {
      // Every tag that a script inserts is async, unless told otherwise.
      if (late) throw new TurnstileError("Cannot use ready() with an async or defer tag: use onload= or the tag's load event", 3857);
      if (typeof callback !== "function") throw new TurnstileError(`Cannot call back: expected a function, got ${typeof callback}`, 3841);
      if (isParsed) callback();
      else waiting.push(() => callback());
    },
    render: (container, given = {}) => place(container, given, "explicit"),
    execute(container, given) {
      const there = find(container);
      if (there !== undefined && given !== undefined) changeParams(there.params, given);
      const widget = there ?? rendered(container, given);
      if (widget.executing) {
        warn(`Widget "${widget.id}" is executing already: reset it first.`);
      } else if (widget.token !== undefined) {
        warn(`Widget "${widget.id}" was executed already: its old token is handed out again. Reset it first.`);
        widget.repeat();
      } else {
        widget.run();
      }
    },
    reset(container) {
      const widget = find(container);
      if (widget === undefined) throw new TurnstileError("Cannot reset: no such widget", 3329);
      widget.reset();
    },
    remove(container) {
      const widget = find(container);
      if (widget === undefined) warn("Cannot remove: no such widget.");
      else drop(widget);
    },
    getResponse: (container) => known(container).token,
    isExpired: (container) => known(container).expired,
  };
  return {
    turnstile,
    parsed() {
      isParsed = true;
      for (const then of waiting.splice(0)) then();
    },
    renderAll() {
      for (const element of document.querySelectorAll([".cf-turnstile", ".cf-challenge", ...(compat ? [".g-recaptcha"] : [])].join())) {
        try {
          place(element, {}, "implicit");
        } catch (error) {
          reportError(error);
        }
      }
    },
  };
}

function locate(container: Container): Element {
  if (typeof container === "string") {
    let found: Element | null;
    try {
      found = document.querySelector(container);
    } catch {
      throw new TurnstileError("Cannot render: the container is not a valid selector", 3586);
    }
    if (found === null) throw new TurnstileError("Cannot render: no element matches the container's selector", 3585);
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
  return `${PREFIX}${Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => letters.charAt(byte % 36)).join("")}`;
}
