/** The page's elements by id, checked: a typo fails at once and loudly. */
export function element<T extends Element>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`Cannot find the element "${id}"`);
  return found;
}

/** Every element that a selector finds, of one type. */
export function elements<T extends Element>(selector: string, type: new () => T): T[] {
  return [...document.querySelectorAll(selector)].filter((found): found is T => found instanceof type);
}

/** A new element with a class and text. */
export function make(tag: string, className: string, text = ""): HTMLElement {
  const created = document.createElement(tag);
  created.className = className;
  created.textContent = text;
  return created;
}

/** A score as people write it. */
export function points(score: number): string {
  return score.toLocaleString("en");
}
