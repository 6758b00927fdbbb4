/** What lies on the rings: each kind has a shape of its own, so that nothing hangs on colour. */
import { ASH, LIFE, OUTLINE, SPARK, STAR, type Thing } from "../game/rules.ts";
import type { Layout } from "./backdrop.ts";
import { COLOURS, type Frame, point, UNITS } from "./frame.ts";

/** Corners of the rough square, as parts of its size. */
const ROUGH: readonly (readonly [number, number])[] = [
  [-0.88, -0.8],
  [-0.1, -1.02],
  [0.84, -0.86],
  [1.02, 0.06],
  [0.86, 0.9],
  [0.02, 0.98],
  [-0.9, 0.84],
  [-1, -0.04],
];

/** One object: an outline at first, then itself, smaller and fainter as it goes. */
export function drawThing(context: CanvasRenderingContext2D, place: Layout, thing: Thing, slot: number, frame: Frame, calm: boolean): void {
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

/** Traces the outline of `kind`; `size` is half its width in pixels. */
function trace(context: CanvasRenderingContext2D, kind: number, size: number): void {
  context.beginPath();
  if (kind === STAR) star(context, size * 1.3);
  else if (kind === ASH) polygon(context, ROUGH, size * 0.86);
  else diamond(context, size);
  context.closePath();
}

/** The scratches that make ash look like something to stay away from. */
function traceCracks(context: CanvasRenderingContext2D, size: number): void {
  const reach = size * 0.4;
  context.beginPath();
  context.moveTo(-reach, -reach);
  context.lineTo(reach, reach);
  context.moveTo(reach, -reach);
  context.lineTo(-reach, reach);
}

function diamond(context: CanvasRenderingContext2D, size: number): void {
  context.moveTo(0, -size * 1.12);
  context.lineTo(size * 0.88, 0);
  context.lineTo(0, size * 1.12);
  context.lineTo(-size * 0.88, 0);
}

function polygon(context: CanvasRenderingContext2D, corners: readonly (readonly [number, number])[], size: number): void {
  for (const [x, y] of corners) context.lineTo(x * size, y * size);
}

function star(context: CanvasRenderingContext2D, size: number): void {
  for (let corner = 0; corner < 10; corner++) {
    const angle = (corner * Math.PI) / 5;
    const radius = corner % 2 === 0 ? size : size * 0.46;
    context.lineTo(Math.sin(angle) * radius, -Math.cos(angle) * radius);
  }
}
