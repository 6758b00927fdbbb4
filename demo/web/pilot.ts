/** Plays behind the title, none too well. */
import { ASH, type Ember, IN, NONE, OUT, OUTLINE, RINGS, SPARK, speedAt, TURN, TURN_UNITS } from "../game/rules.ts";

/** Ticks between two thoughts, and how many ticks it looks ahead. */
const THINK = 12;
const AHEAD = 200;

const MOVES: readonly { mask: number; ring: number; turn: boolean }[] = [
  { mask: IN, ring: -1, turn: false },
  { mask: OUT, ring: 1, turn: false },
  { mask: TURN, ring: 0, turn: true },
];

/** The mask to press at `tick`. */
export function pilot(ember: Ember, tick: number): number {
  if (tick % THINK !== 0 || ember.stunned > 0) return 0;
  let best = worth(ember, tick, ember.ring, ember.direction) + 0.15;
  let mask = 0;
  for (const move of MOVES) {
    const ring = ember.ring + move.ring;
    if (ring < 0 || ring >= RINGS) continue;
    const value = worth(ember, tick, ring, move.turn ? -ember.direction : ember.direction);
    if (value <= best) continue;
    best = value;
    mask = move.mask;
  }
  return mask;
}

/** What lies ahead on a ring, the nearer the weightier. */
function worth(ember: Ember, tick: number, ring: number, direction: number): number {
  let sum = 0;
  for (const { kind, ring: where, angle, born } of ember.things) {
    if (kind === NONE || where !== ring) continue;
    const ticks = Math.floor(((direction * (angle - ember.angle)) & (TURN_UNITS - 1)) / speedAt(tick));
    if (ticks > AHEAD || tick + ticks - born < OUTLINE) continue;
    const value = kind === SPARK ? 1 : kind === ASH ? (ticks < 40 ? -8 : -1) : 5;
    sum += (value * (AHEAD - ticks)) / AHEAD;
  }
  return sum;
}
