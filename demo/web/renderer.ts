/** Draws a run: the still backdrop, then what moves. Floats live here and nowhere in the rules. */
import { ASH, CHAIN, DECAY, type Ember, LIFE, MAX_TICKS, NONE, OUTLINE, PULSE, SPARK, STAR, STUN, type Thing } from "../game/rules.ts";
import { type Insets, type Layout, layoutOf, paintBackdrop } from "./backdrop.ts";
import { createEffects, type Effects } from "./effects.ts";
import { trace, traceCracks } from "./shapes.ts";

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

/** Draws frames on a canvas. */
export interface Renderer {
  draw(frame: Frame): void;
  /** Forgets the tail and every effect: a new run. */
  reset(): void;
}

const TAIL = 38;
const UNITS = (Math.PI * 2) / 4096;
const COLOURS: Record<number, string> = { [SPARK]: "#ffd27a", [ASH]: "#8d95bd", [STAR]: "#c4e8ff" };

/** `still` tells whether the visitor asked for reduced motion. */
export function createRenderer(canvas: HTMLCanvasElement, still: () => boolean): Renderer {
  const context = canvas.getContext("2d");
  const effects = createEffects();
  let layout: Layout | undefined;
  let backdrop: HTMLCanvasElement | undefined;
  let fitted = "";
  let tail: { angle: number; radius: number }[] = [];
  let radius = 0;
  let seen = -1;

  function fit({ insets }: Frame): Layout {
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    const { clientWidth: width, clientHeight: height } = canvas;
    const wanted = [width, height, ratio, insets.top, insets.bottom, insets.left].join(" ");
    if (!layout || !backdrop || wanted !== fitted) {
      fitted = wanted;
      layout = layoutOf(width, height, ratio, insets);
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      backdrop = paintBackdrop(layout);
      radius = 0;
      tail = [];
      effects.clear();
    }
    return layout;
  }

  /** Ticks that passed since the last frame leave their marks: tail and effects. */
  function follow({ state, tick, now }: Frame, place: Layout): void {
    const goal = place.rings[state.ring] ?? 0;
    if (radius === 0) radius = goal;
    if (tick < seen) seen = tick;
    for (let passed = Math.max(seen, tick - TAIL); passed < tick; passed++) {
      radius += (goal - radius) * 0.28;
      tail.push({ angle: state.angle, radius });
    }
    if (tail.length > TAIL) tail = tail.slice(-TAIL);
    const { last } = state;
    if (last.tick >= seen && last.tick >= 0 && tick > seen) {
      const at = point(place, last.angle * UNITS, place.rings[last.ring] ?? 0);
      effects.touch({ kind: last.kind, points: last.points, colour: COLOURS[last.kind] ?? "#fff", now, still: still(), ...at });
    }
    if (seen >= 0 && Math.floor(tick / PULSE) > Math.floor(seen / PULSE) && tick < MAX_TICKS) effects.pulse(now);
    seen = tick;
  }

  return {
    reset() {
      tail = [];
      radius = 0;
      seen = -1;
      effects.clear();
    },
    draw(frame) {
      if (!context || canvas.clientWidth === 0) return;
      const place = fit(frame);
      follow(frame, place);
      context.setTransform(place.ratio, 0, 0, place.ratio, 0, 0);
      if (backdrop) context.drawImage(backdrop, 0, 0, place.width, place.height);
      const calm = still();
      context.save();
      const shake = calm ? 0 : effects.shake(frame.now);
      if (shake > 0) context.translate(Math.sin(frame.now * 0.09) * shake, Math.cos(frame.now * 0.12) * shake);
      light(context, place, frame, effects, calm);
      meters(context, place, frame);
      for (const [slot, thing] of frame.state.things.entries()) {
        if (thing.kind !== NONE) drawThing(context, place, thing, slot, frame, calm);
      }
      const turn = interpolate(frame.before, frame.state.angle, frame.part);
      drawTail(context, place, tail, { angle: turn, radius }, frame, calm);
      drawEmber(context, place, { ...point(place, turn * UNITS, radius) }, frame, calm);
      effects.draw(context, frame.now, place.size);
      context.restore();
    },
  };
}

/** Clockwise from the top. */
function point(place: Layout, angle: number, radius: number): { x: number; y: number } {
  return { x: place.x + Math.sin(angle) * radius, y: place.y - Math.cos(angle) * radius };
}

function interpolate(before: number, after: number, part: number): number {
  let way = after - before;
  if (way > 2048) way -= 4096;
  if (way < -2048) way += 4096;
  return before + way * part;
}

/** The beam, and every five seconds the pulse that runs outwards. */
function light(context: CanvasRenderingContext2D, place: Layout, { now, state }: Frame, effects: Effects, calm: boolean): void {
  const { x, y, size } = place;
  const turn = calm ? 0.6 : now * 0.00035;
  context.save();
  context.globalCompositeOperation = "lighter";
  const reach = size * 1.05;
  const beam = context.createRadialGradient(x, y, size * 0.03, x, y, reach);
  beam.addColorStop(0, "rgb(255 222 160 / 7%)");
  beam.addColorStop(1, "rgb(255 222 160 / 0%)");
  context.fillStyle = beam;
  // Wedge over wedge, each narrower: edges without an edge.
  for (const half of [0.24, 0.2, 0.165, 0.13, 0.09]) {
    for (const angle of [turn, turn + Math.PI]) {
      context.beginPath();
      context.moveTo(x, y);
      context.arc(x, y, reach, angle - half, angle + half);
      context.closePath();
      context.fill();
    }
  }
  const age = calm ? 1 : effects.pulseAge(now);
  if (age < 1) {
    context.strokeStyle = `rgb(255 220 150 / ${Math.round((1 - age) * 55)}%)`;
    context.lineWidth = size * 0.05 * (1 - age) + 1;
    context.beginPath();
    context.arc(x, y, size * (0.06 + age * 0.98), 0, Math.PI * 2);
    context.stroke();
  }
  context.strokeStyle = "rgb(255 190 110 / 16%)";
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(x, y, place.rings[state.ring] ?? 0, 0, Math.PI * 2);
  context.stroke();
  context.restore();
}

/** Round the lighthouse the chain, four parts that dim as the multiplier is about to fall; outermost what is left of the minute. */
function meters(context: CanvasRenderingContext2D, place: Layout, { state, tick, timed }: Frame): void {
  if (!timed) return;
  const { x, y, size } = place;
  const top = -Math.PI / 2;
  context.lineCap = "round";
  for (let part = 0; part < CHAIN; part++) {
    const from = top + (part * Math.PI) / 2 + 0.12;
    context.strokeStyle = part < state.chain ? "#ffc370" : "rgb(150 174 255 / 15%)";
    context.globalAlpha = part < state.chain ? 0.35 + 0.65 * (1 - state.idle / DECAY) : 1;
    context.lineWidth = size * 0.013;
    context.beginPath();
    context.arc(x, y, size * 0.278, from, from + Math.PI / 2 - 0.24);
    context.stroke();
  }
  context.globalAlpha = 1;
  if (state.multiplier > 1 || state.chain > 0) {
    context.strokeStyle = "rgb(255 180 84 / 55%)";
    context.lineWidth = Math.max(1.5, size * 0.005);
    context.beginPath();
    context.arc(x, y, size * 0.302, top, top + Math.PI * 2 * (1 - state.idle / DECAY));
    context.stroke();
  }
  const left = Math.max(0, 1 - tick / MAX_TICKS);
  context.lineWidth = Math.max(2, size * 0.008);
  context.strokeStyle = "rgb(150 174 255 / 13%)";
  context.beginPath();
  context.arc(x, y, size, 0, Math.PI * 2);
  context.stroke();
  context.strokeStyle = left < 1 / 6 ? "#ff8f80" : "rgb(170 192 255 / 75%)";
  context.beginPath();
  context.arc(x, y, size, top, top + Math.PI * 2 * left);
  context.stroke();
}

function drawThing(context: CanvasRenderingContext2D, place: Layout, thing: Thing, slot: number, frame: Frame, calm: boolean): void {
  const age = frame.tick + frame.part - thing.born;
  const { x, y } = point(place, thing.angle * UNITS, place.rings[thing.ring] ?? 0);
  const going = Math.min(1, Math.max(0, (LIFE - age) / 75));
  const size = Math.max(7, place.size * 0.036) * (0.55 + 0.45 * going);
  context.save();
  context.translate(x, y);
  if (!calm && thing.kind === STAR) context.rotate(Math.sin(frame.now * 0.002 + slot) * 0.25);
  if (!calm && thing.kind === SPARK) context.rotate(Math.sin(frame.now * 0.003 + slot * 2) * 0.1);
  if (thing.kind === ASH) context.rotate(((slot % 7) - 3) * 0.09); // never far from a square on its side
  context.globalAlpha = going < 1 ? 0.35 + 0.65 * going : 1;
  if (age < OUTLINE) outline(context, thing.kind, size, age / OUTLINE);
  else solid(context, thing.kind, size * (calm ? 1 : 1 + 0.35 * Math.max(0, 1 - (age - OUTLINE) / 10)));
  context.restore();
}

/** What does not count yet: an empty, dashed shape that closes in. */
function outline(context: CanvasRenderingContext2D, kind: number, size: number, part: number): void {
  context.globalAlpha *= 0.25 + 0.5 * part;
  context.strokeStyle = COLOURS[kind] ?? "#fff";
  context.lineWidth = 1.6;
  context.setLineDash([3.5, 3.5]);
  trace(context, kind, size * (1.45 - 0.45 * part));
  context.stroke();
}

function solid(context: CanvasRenderingContext2D, kind: number, size: number): void {
  if (kind === ASH) {
    trace(context, kind, size);
    context.fillStyle = "#272c4c";
    context.fill();
    context.strokeStyle = "#98a0c6";
    context.lineWidth = Math.max(1.4, size * 0.12);
    context.stroke();
    traceCracks(context, size);
    context.strokeStyle = "#ff8f80";
    context.lineCap = "round";
    context.lineWidth = Math.max(1.6, size * 0.17);
    context.stroke();
    return;
  }
  const glow = context.createRadialGradient(0, 0, 0, 0, 0, size * 2.6);
  glow.addColorStop(0, kind === STAR ? "rgb(170 220 255 / 60%)" : "rgb(255 180 84 / 50%)");
  glow.addColorStop(1, "rgb(255 180 84 / 0%)");
  context.fillStyle = glow;
  context.fillRect(-size * 2.6, -size * 2.6, size * 5.2, size * 5.2);
  trace(context, kind, size);
  const body = context.createLinearGradient(0, -size, 0, size);
  body.addColorStop(0, kind === STAR ? "#ffffff" : "#fff1cf");
  body.addColorStop(1, kind === STAR ? "#9fd4ff" : "#ffb23f");
  context.fillStyle = body;
  context.fill();
}

/** A ribbon along where the ember was, narrowing to nothing: a wide glow, then a bright core. */
function drawTail(
  context: CanvasRenderingContext2D,
  place: Layout,
  tail: readonly { angle: number; radius: number }[],
  head: { angle: number; radius: number },
  { now, state }: Frame,
  calm: boolean,
): void {
  // The last mark is where the ember will be when the tick is over: the head stands between it and the one before.
  const marks = [...tail.slice(0, -1), head].map(({ angle, radius }) => point(place, angle * UNITS, radius));
  const first = marks[0];
  const last = marks.at(-1);
  if (!first || !last || marks.length < 3) return;
  const reach = Math.max(1, ...marks.map(({ x, y }) => Math.hypot(x - last.x, y - last.y)));
  context.save();
  context.globalCompositeOperation = "lighter";
  for (const [width, bright, shade] of [
    [0.062, 0.3, "255 96 32"],
    [0.036, 0.6, "255 140 60"],
    [0.016, 0.8, "255 224 170"],
  ] as const) {
    const fade = context.createRadialGradient(last.x, last.y, 0, last.x, last.y, reach);
    const colour = state.stunned > 0 ? "120 130 175" : shade;
    fade.addColorStop(0, `rgb(${colour} / ${bright * 100}%)`);
    fade.addColorStop(0.5, `rgb(${colour} / ${bright * 36}%)`);
    fade.addColorStop(1, `rgb(${colour} / 0%)`);
    context.fillStyle = fade;
    ribbon(context, marks, place.size * width * 0.5, calm ? undefined : now);
    context.fill();
  }
  context.restore();
}

function ribbon(
  context: CanvasRenderingContext2D,
  marks: readonly { x: number; y: number }[],
  half: number,
  now: number | undefined,
): void {
  const right: { x: number; y: number }[] = [];
  context.beginPath();
  for (const [index, mark] of marks.entries()) {
    const before = marks[Math.max(0, index - 1)] ?? mark;
    const after = marks[Math.min(marks.length - 1, index + 1)] ?? mark;
    const way = Math.hypot(after.x - before.x, after.y - before.y) || 1;
    const shimmer = now === undefined ? 1 : 1 + 0.14 * Math.sin(now * 0.017 - index * 0.9);
    const width = (half * shimmer * index) / (marks.length - 1);
    const [nx, ny] = [(-(after.y - before.y) / way) * width, ((after.x - before.x) / way) * width];
    context.lineTo(mark.x + nx, mark.y + ny);
    right.push({ x: mark.x - nx, y: mark.y - ny });
  }
  for (const { x, y } of right.reverse()) context.lineTo(x, y);
  context.closePath();
}

function drawEmber(context: CanvasRenderingContext2D, place: Layout, at: { x: number; y: number }, frame: Frame, calm: boolean): void {
  const { state, now } = frame;
  const stunned = state.stunned > 0;
  const breath = calm || stunned ? 1 : 1 + 0.05 * Math.sin(now * 0.012);
  const size = Math.max(7, place.size * 0.034) * breath * (1 + 0.03 * (state.multiplier - 1));
  context.save();
  context.translate(at.x, at.y);
  const glow = context.createRadialGradient(0, 0, size * 0.2, 0, 0, size * 3.6);
  glow.addColorStop(0, stunned ? "rgb(140 148 190 / 40%)" : "rgb(255 190 100 / 80%)");
  glow.addColorStop(0.35, stunned ? "rgb(120 130 180 / 14%)" : "rgb(255 138 60 / 32%)");
  glow.addColorStop(1, "rgb(255 120 40 / 0%)");
  context.fillStyle = glow;
  context.fillRect(-size * 3.6, -size * 3.6, size * 7.2, size * 7.2);
  const core = context.createRadialGradient(-size * 0.2, -size * 0.25, 0, 0, 0, size);
  core.addColorStop(0, stunned ? "#d8daea" : "#fffdf4");
  core.addColorStop(0.55, stunned ? "#8087a8" : "#ffcf86");
  core.addColorStop(1, stunned ? "#4b5175" : "#ff8a3c");
  context.fillStyle = core;
  context.beginPath();
  context.arc(0, 0, size, 0, Math.PI * 2);
  context.fill();
  if (stunned) {
    context.strokeStyle = "#ff8f80";
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(0, 0, size * 1.8, -Math.PI / 2, -Math.PI / 2 + (Math.PI * 2 * state.stunned) / STUN);
    context.stroke();
  }
  context.restore();
}
