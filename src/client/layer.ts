import type { Context } from "./state.ts";

/** The place for widgets: seen only while a person is asked. */
export interface Layer {
  /** A new slot for one widget. @throws {Error} no such container */
  slot(): HTMLElement;
  /** Whether a person is asked. While the client is held nobody is: never a box in the middle of a game. */
  show(asked?: boolean): void;
  close(): void;
}

/** In the page's container, or else in a fixed, labelled layer above everything. */
export function createLayer(context: Context): Layer {
  const { container, label } = context;
  let root: HTMLElement | undefined;
  let asked = false;
  const show: Layer["show"] = (now = asked) => {
    asked = now;
    if (root) root.style.visibility = now && !context.held ? "visible" : "hidden";
  };
  return {
    slot() {
      if (!root?.isConnected) {
        const place = typeof container === "string" ? document.querySelector(container) : (container ?? document.body);
        if (!place) throw new Error("No such container");
        root?.remove();
        root = div(place);
        // An alert is read out when it appears, and takes no key away from the page.
        Object.assign(root, { role: "alertdialog", ariaLabel: label });
        if (!container) {
          // Properties, not a style attribute: a CSP without 'unsafe-inline' lets them pass.
          root.style.cssText = "position:fixed;z-index:99999;bottom:0;right:0;background:#fff;color:#000";
          root.append(label);
        }
        show();
      }
      return div(root);
    },
    show,
    close: () => root?.remove(),
  };
}

function div(parent: Element): HTMLElement {
  const element = document.createElement("div");
  parent.append(element);
  return element;
}
