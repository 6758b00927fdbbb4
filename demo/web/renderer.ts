/** Draws a run: the still backdrop, then what moves. Floats live here and nowhere in the rules. */
import { CHAIN, DECAY, MAX_TICKS, NONE, PULSE } from "../game/rules.ts";
import { type Layout, layoutOf, paintBackdrop } from "./backdrop.ts";
import { drawEmber, drawTail } from "./comet.ts";
import { createEffects, type Effects } from "./effects.ts";
import { COLOURS, type Frame, point, UNITS } from "./frame.ts";
import { drawThing } from "./things.ts";

/** Draws frames on a canvas. */
export interface Renderer {
  draw(frame: Frame): void;
  /** Forgets the tail and every effect: a new run. */
  reset(): void;
}

const TAIL = 44;

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

  function measure({ insets }: Frame): Layout {
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
    const passed = Math.min(tick - seen, TAIL);
    const from = tail.at(-1)?.angle ?? state.angle;
    for (let step = 1; step <= passed; step++) {
      radius += (goal - radius) * 0.28;
      tail.push({ angle: interpolate(from, state.angle, step / passed), radius });
    }
    if (tail.length > TAIL) tail = tail.slice(-TAIL);
    const { last } = state;
    if (seen >= 0 && last.tick >= seen && tick > seen) {
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
      const place = measure(frame);
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
