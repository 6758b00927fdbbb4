/** What every part of the drawing shares. */
import { ASH, type Ember, SPARK, STAR } from "../game/rules.ts";
import type { Insets, Layout } from "./backdrop.ts";

/** What one frame shows. */
export interface Frame {
  state: Ember;
  /** Angle of the ember a tick ago. */
  before: number;
  /** Ticks done. */
  tick: number;
  /** 0..1: how far the next tick is. */
  part: number;
  /** Milliseconds, for what merely decorates. */
  now: number;
  /** Whether the clock of the run is shown. */
  timed: boolean;
  insets: Insets;
}

/** Radians in a 4096th of a turn. */
export const UNITS = (Math.PI * 2) / 4096;
/** By kind. */
export const COLOURS: Record<number, string> = { [SPARK]: "#ffd27a", [ASH]: "#8d95bd", [STAR]: "#c4e8ff" };

/** Where an angle (radians, clockwise from the top) and a radius lead. */
export function point(place: Layout, angle: number, radius: number): { x: number; y: number } {
  return { x: place.x + Math.sin(angle) * radius, y: place.y - Math.cos(angle) * radius };
}
