import type { Context } from "./context.ts";

/** The place for widgets: seen only while a person is asked. */
export interface Layer {
  /** A new slot for one widget. @throws {Error} no such container */
  slot(): HTMLElement;
  /** Whether a slot is still where it was put: a frame that was moved has been loaded anew, and Turnstile has lost it. */
  holds(slot: HTMLElement | undefined): boolean;
  /** Whether a person is asked. While the client is held nobody is: never a box in the middle of a game. */
  show(asked?: boolean): void;
  /** Opens the layer again where something of the page has covered it. False: the person has closed it. */
  lift(): boolean;
  close(): void;
}

/**
 * In the page's container, or else in a modal dialog. Only the top layer is above the page's own dialogs and full-screen elements, and only a
 * modal dialog is not made inert by them. It opens and closes where it is: a frame that moves in the document would be loaded anew.
 */
export function createLayer(context: Context): Layer {
  const { container, label } = context;
  let place: Element | null;
  let root: HTMLDialogElement | undefined;
  let asked = false;
  const holds = (node: HTMLElement | undefined = root): boolean => node?.isConnected === true && root?.parentNode === place;
  let isModal: boolean | undefined;
  const show: Layer["show"] = (now = asked) => {
    asked = now;
    if (!root) return;
    const isShown = asked && !context.held && holds();
    root.style.visibility = isShown ? "visible" : "hidden";
    root.close();
    isModal = isShown && !container;
    if (!isModal) return;
    // Libraries for modal dialogs mark everything else.
    for (const name of ["inert", "aria-hidden"]) root.removeAttribute(name);
    root.showModal();
    // Not its frame: from there no Escape would come here.
    root.focus();
    // A game that has locked the mouse would keep it from the box. (Phones do not have that.)
    document.exitPointerLock?.();
  };
  const make = (): HTMLDialogElement => {
    // A script in the head may be here before the body.
    place = typeof container === "string" ? document.querySelector(container || (document.body ? "body" : "html")) : container;
    if (!place) throw new TypeError(`Invalid option "container"`);
    root?.remove();
    root = add(place, "dialog");
    root.className = "gatepass";
    // An alert is read out when it appears.
    root.setAttribute("role", "alertdialog");
    root.setAttribute("aria-label", label);
    root.tabIndex = -1;
    // Properties, not a style attribute: a CSP without 'unsafe-inline' lets them pass. Also laid out while hidden, as challenges may want it.
    root.style.cssText = `all:initial;display:block;${container ? "" : "position:fixed;bottom:0;right:0;background:canvas;font:inherit"}`;
    if (!container) root.append(label);
    show();
    return root;
  };
  return {
    slot: () => add((holds() && root) || make(), "div"),
    holds,
    show,
    lift() {
      if (!isModal || !root) return true;
      const { x, y, width, height } = root.getBoundingClientRect();
      const hit = document.elementFromPoint(x + width / 2, y + height / 2);
      // Another client of the page may be asking as well: they take turns.
      if (root.open && hit && !hit.closest(".gatepass")) show();
      return root.open;
    },
    close: () => root?.remove(),
  };
}

function add<Name extends "div" | "dialog">(parent: Element, name: Name): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  parent.append(element);
  return element;
}
