/** A run in the browser: real time in, whole ticks out. */
import { createSimulation } from "gatepass/game";
import { emberRing } from "../game/ember-ring.ts";
import { type Ember, MAX_TICKS, PULSE } from "../game/rules.ts";

/** A run that is being played. */
export interface LiveRun {
  readonly state: Ember;
  /** Angle of the ember before the last tick. */
  readonly before: number;
  /** Ticks done. */
  readonly tick: number;
  /** 0..1: how far the next tick is. */
  readonly part: number;
  readonly done: boolean;
  /** A button goes down: it counts in the next tick. */
  press(mask: number): void;
  /** Lets `ms` milliseconds pass. */
  advance(ms: number): void;
}

const TICK_MS = 1000 / emberRing.hz;
/** After a hiccup the run goes on from where it was, rather than leaping. */
const LONGEST_FRAME = 250;

/** `seeds`: 16 bytes for each pulse of light. `speed`: a factor on time, for tests. `pilot`: plays by itself. */
export function createLiveRun(options: {
  seeds: readonly Uint8Array[];
  speed?: number;
  pilot?: (state: Ember, tick: number) => number;
}): LiveRun {
  const { seeds, speed = 1, pilot } = options;
  const run = createSimulation(emberRing, { seed: seeds[0] ?? new Uint8Array(16) });
  let owed = 0;
  let pressed = 0;
  let before = run.state.angle;
  return {
    get state() {
      return run.state;
    },
    get before() {
      return before;
    },
    get tick() {
      return run.tick;
    },
    get part() {
      return run.done ? 1 : Math.min(1, owed / TICK_MS);
    },
    get done() {
      return run.done;
    },
    press(mask) {
      pressed |= mask;
    },
    advance(ms) {
      owed += Math.min(ms, LONGEST_FRAME) * speed;
      while (owed >= TICK_MS && !run.done) {
        owed -= TICK_MS;
        const seed = seeds[run.tick / PULSE];
        if (run.tick > 0 && seed) run.reseed(seed);
        before = run.state.angle;
        run.step(pilot ? pilot(run.state, run.tick) : pressed);
        pressed = 0;
      }
    },
  };
}

/** Fresh randomness for every pulse. */
export function randomSeeds(): Uint8Array[] {
  return Array.from({ length: MAX_TICKS / PULSE }, () => crypto.getRandomValues(new Uint8Array(16)));
}
