/**
 * The rules of Ember Ring, in integers alone: no clock, no float, no randomness but the generator that is handed in.
 * Angles are 4096ths of a turn, clockwise from the top; rings count from the lighthouse outwards; time is ticks of 1/60 s.
 */

import type { Hasher, Rng } from "gatepass/game";

export const HZ = 60;
/** Always a minute. */
export const MAX_TICKS = 3600;
/** A pulse of light every 5 s; each brings a star. */
export const PULSE = 300;
export const TURN_UNITS = 4096;
export const RINGS = 3;
export const POOL = 24;
/** Ticks from one object to the next. */
export const SPAWN_EVERY = 24;
/** Ticks for which an object is an outline and does not count. */
export const OUTLINE = 45;
/** Age at which an object is gone. */
export const LIFE = 480;
/** Ticks for which ash holds the ember. */
export const STUN = 60;
/** Ticks without a catch after which the multiplier falls by one. */
export const DECAY = 150;
/** Sparks in a row that raise the multiplier by one. */
export const CHAIN = 4;
export const MAX_MULTIPLIER = 8;
export const SPARK_POINTS = 10;
export const STAR_POINTS = 50;
/** How far the ember reaches on each ring: the same distance to the eye, so fewer units further out. */
export const REACH: readonly number[] = [112, 64, 46];
/** Least distance of new ash from the ember and from all else on its ring: after a hit there is always time to leave. */
const SPACING = 384;
/** Of 16 objects that are no stars, how many are ash: at the start, and from two thirds of the run on. */
const ASH_EARLY = 4;
const ASH_LATE = 6;

/** Input: bits that may come together. */
export const IN = 1;
export const OUT = 2;
export const TURN = 4;

/** What an object is; `NONE` is a free place of the pool. */
export const NONE = 0;
export const SPARK = 1;
export const ASH = 2;
export const STAR = 3;

/** One place of the pool. */
export interface Thing {
  kind: number;
  ring: number;
  angle: number;
  /** Tick at which it appeared. */
  born: number;
}

/** The whole state of a run. */
export interface Ember {
  ring: number;
  angle: number;
  /** 1 clockwise, -1 against. */
  direction: number;
  /** Ticks for which it is still held. */
  stunned: number;
  score: number;
  multiplier: number;
  /** Sparks in a row since the multiplier last changed: 0..3. */
  chain: number;
  /** Ticks since the last catch, or since the multiplier last fell. */
  idle: number;
  sparks: number;
  stars: number;
  ash: number;
  /** Highest multiplier reached. */
  peak: number;
  things: Thing[];
  /** The last thing touched and what it gave: what a renderer shows. `tick` -1: nothing yet. */
  last: { kind: number; ring: number; angle: number; tick: number; points: number };
}

/** Objects that appear in a run. */
const SPAWNS = Math.ceil(MAX_TICKS / SPAWN_EVERY);
/** The pulses inside a run: none at its first tick. */
const STARS = Math.ceil(MAX_TICKS / PULSE) - 1;
/** No run can give more: every object caught at the highest multiplier. */
export const MAX_SCORE = MAX_MULTIPLIER * (STARS * STAR_POINTS + (SPAWNS - STARS) * SPARK_POINTS);

export function init(): Ember {
  return {
    ring: 1,
    angle: 0,
    direction: 1,
    stunned: 0,
    score: 0,
    multiplier: 1,
    chain: 0,
    idle: 0,
    sparks: 0,
    stars: 0,
    ash: 0,
    peak: 1,
    things: Array.from({ length: POOL }, () => ({ kind: NONE, ring: 0, angle: 0, born: 0 })),
    last: { kind: NONE, ring: 0, angle: 0, tick: -1, points: 0 },
  };
}

export function step(ember: Ember, input: number, rng: Rng, tick: number): void {
  for (const thing of ember.things) if (thing.kind !== NONE && tick - thing.born >= LIFE) thing.kind = NONE;
  if (tick % SPAWN_EVERY === 0) spawn(ember, rng, tick);
  if (ember.stunned > 0) {
    ember.stunned -= 1;
  } else {
    steer(ember, input);
    ember.angle = wrap(ember.angle + ember.direction * speedAt(tick));
    touch(ember, tick);
  }
  decay(ember);
}

/** Every field, in this order. */
export function hash(ember: Ember, hasher: Hasher): void {
  const { ring, angle, direction, stunned, score, multiplier, chain, idle, sparks, stars, ash, peak, last } = ember;
  hasher.ints([ring, angle, direction, stunned, score, multiplier, chain, idle, sparks, stars, ash, peak]);
  for (const thing of ember.things) hasher.ints([thing.kind, thing.ring, thing.angle, thing.born]);
  hasher.ints([last.kind, last.ring, last.angle, last.tick, last.points]);
}

/** 4096ths of a turn a tick. */
export function speedAt(tick: number): number {
  return 14 + Math.floor(tick / 600);
}

/** Whether an object that appears at `tick` is a star: the first at or after each pulse. */
export function isStarTick(tick: number): boolean {
  return tick >= SPAWN_EVERY && Math.floor(tick / PULSE) > Math.floor((tick - SPAWN_EVERY) / PULSE);
}

/** The shorter way from one angle to another, 0..2048. */
export function distance(a: number, b: number): number {
  const way = wrap(a - b);
  return way > TURN_UNITS / 2 ? TURN_UNITS - way : way;
}

function wrap(angle: number): number {
  return angle & (TURN_UNITS - 1);
}

function steer(ember: Ember, input: number): void {
  if (input & IN && !(input & OUT) && ember.ring > 0) ember.ring -= 1;
  if (input & OUT && !(input & IN) && ember.ring < RINGS - 1) ember.ring += 1;
  if (input & TURN) ember.direction = -ember.direction;
}

function touch(ember: Ember, tick: number): void {
  for (const thing of ember.things) {
    if (thing.kind === NONE || thing.ring !== ember.ring || tick - thing.born < OUTLINE) continue;
    if (distance(thing.angle, ember.angle) > (REACH[ember.ring] ?? 0)) continue;
    const points = take(ember, thing.kind);
    ember.last = { kind: thing.kind, ring: thing.ring, angle: thing.angle, tick, points };
    thing.kind = NONE;
    if (ember.stunned > 0) return;
  }
}

/** The points that it gave. */
function take(ember: Ember, kind: number): number {
  if (kind === ASH) {
    ember.ash += 1;
    ember.stunned = STUN;
    ember.multiplier = 1;
    ember.chain = 0;
    ember.idle = 0;
    return 0;
  }
  const points = (kind === STAR ? STAR_POINTS : SPARK_POINTS) * ember.multiplier;
  ember.score += points;
  ember.idle = 0;
  if (kind === STAR) {
    ember.stars += 1;
    return points;
  }
  ember.sparks += 1;
  ember.chain += 1;
  if (ember.chain === CHAIN) {
    ember.chain = 0;
    if (ember.multiplier < MAX_MULTIPLIER) ember.multiplier += 1;
    if (ember.multiplier > ember.peak) ember.peak = ember.multiplier;
  }
  return points;
}

function decay(ember: Ember): void {
  ember.idle += 1;
  if (ember.idle < DECAY) return;
  ember.idle = 0;
  ember.chain = 0;
  if (ember.multiplier > 1) ember.multiplier -= 1;
}

function spawn(ember: Ember, rng: Rng, tick: number): void {
  // 20 objects at most live at once (480 / 24), so the pool of 24 always has a place.
  const thing = ember.things.find(({ kind }) => kind === NONE);
  if (thing === undefined) return;
  const ashes = tick * 3 < MAX_TICKS * 2 ? ASH_EARLY : ASH_LATE;
  const roll = rng.nextInt(16);
  const place = findPlace(ember, rng);
  // Where it is too crowded for ash there is a spark instead: nobody is hit without a way round.
  thing.kind = isStarTick(tick) ? STAR : roll < ashes && place.room >= SPACING ? ASH : SPARK;
  thing.ring = place.ring;
  thing.angle = place.angle;
  thing.born = tick;
}

/** Somewhere with room on its ring and not right before the ember; if sixteen tries find none, the roomiest of them. */
function findPlace(ember: Ember, rng: Rng): { ring: number; angle: number; room: number } {
  let best = { ring: 0, angle: 0, room: -1 };
  for (let attempt = 0; attempt < 16 && best.room < SPACING; attempt++) {
    const ring = rng.nextInt(RINGS);
    const angle = rng.nextInt(TURN_UNITS);
    let room = ring === ember.ring ? distance(ember.angle, angle) : SPACING;
    for (const other of ember.things) {
      if (other.kind !== NONE && other.ring === ring) room = Math.min(room, distance(other.angle, angle));
    }
    if (room > best.room) best = { ring, angle, room };
  }
  return best;
}
