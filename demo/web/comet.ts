/** The ember and its tail. */
import { STUN } from "../game/rules.ts";
import type { Layout } from "./backdrop.ts";
import { type Frame, point, UNITS } from "./frame.ts";

/** A ribbon along where the ember was, narrowing to nothing: a wide glow, then a bright core. */
export function drawTail(
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
    [0.078, 0.34, "255 96 32"],
    [0.046, 0.7, "255 140 60"],
    [0.02, 0.95, "255 224 170"],
  ] as const) {
    const fade = context.createRadialGradient(last.x, last.y, 0, last.x, last.y, reach);
    const colour = state.stunned > 0 ? "120 130 175" : shade;
    fade.addColorStop(0, `rgb(${colour} / ${bright * 100}%)`);
    fade.addColorStop(0.45, `rgb(${colour} / ${bright * 55}%)`);
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

export function drawEmber(
  context: CanvasRenderingContext2D,
  place: Layout,
  at: { x: number; y: number },
  frame: Frame,
  calm: boolean,
): void {
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
