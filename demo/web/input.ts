/** Keys and touch to the three buttons of the game. */
import { IN, OUT, TURN } from "../game/rules.ts";
import { elements } from "./dom.ts";

const KEYS: Record<string, number> = {
  ArrowLeft: IN,
  KeyA: IN,
  ArrowRight: OUT,
  KeyD: OUT,
  ArrowDown: TURN,
  Space: TURN,
};

/** Calls `press` with a mask while `active` says so, and `quit` on Escape. */
export function listen(options: { active(): boolean; press(mask: number): void; quit(): void }): void {
  const zones = elements(".zones button", HTMLButtonElement);
  const press = (mask: number): void => {
    options.press(mask);
    const zone = zones.find((button) => Number(button.dataset["input"]) === mask);
    zone?.classList.add("hit");
    setTimeout(() => zone?.classList.remove("hit"), 110);
  };

  window.addEventListener("keydown", (event) => {
    if (!options.active() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code === "Escape") options.quit();
    const mask = KEYS[event.code];
    // On a button Space is a click, of whichever button has the focus.
    if (mask === undefined || (event.code === "Space" && event.target instanceof HTMLButtonElement)) return;
    event.preventDefault();
    if (!event.repeat) press(mask);
  });

  for (const zone of zones) {
    const mask = Number(zone.dataset["input"]);
    zone.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !options.active()) return;
      event.preventDefault();
      press(mask);
    });
    // A zone that took the focus from a mouse would take Space with it.
    zone.addEventListener("mousedown", (event) => event.preventDefault());
    // Assistive technology clicks without a pointer.
    zone.addEventListener("click", (event) => {
      if (event.detail === 0 && options.active()) press(mask);
    });
    zone.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}
