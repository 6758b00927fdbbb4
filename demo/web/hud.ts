/** Score, time and multiplier over the game; what a screen reader hears of a run, in doses. */
import { ASH, type Ember, HZ, MAX_TICKS, PULSE } from "../game/rules.ts";
import { element, points } from "./dom.ts";

/** Shows a run as it goes. */
export interface Hud {
  show(state: Ember, tick: number): void;
  reset(): void;
}

export function createHud(): Hud {
  const score = element("score", HTMLOutputElement);
  const time = element("time", HTMLElement);
  const multiplier = element("multiplier", HTMLElement);
  const live = element("live", HTMLElement);
  let told = 0;
  let hits = 0;

  function put(target: HTMLElement, text: string): void {
    if (target.textContent !== text) target.textContent = text;
  }

  return {
    show(state, tick) {
      const seconds = Math.ceil((MAX_TICKS - tick) / HZ);
      put(score, points(state.score));
      put(time, String(seconds));
      time.parentElement?.classList.toggle("last", seconds <= 10);
      put(multiplier, `×${state.multiplier}`);
      // A live region that follows every spark would drown the run: it speaks at each pulse, and when ash holds the ember.
      const pulse = Math.floor(tick / PULSE);
      if (state.ash > hits && state.last.kind === ASH) {
        hits = state.ash;
        put(live, `Ash. ${points(state.score)} points, multiplier 1.`);
      } else if (pulse > told) {
        told = pulse;
        put(live, `${points(state.score)} points, multiplier ${state.multiplier}, ${seconds} seconds left.`);
      }
    },
    reset() {
      told = 0;
      hits = 0;
      put(live, "");
    },
  };
}
