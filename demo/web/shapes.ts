/** Paths of the things on the rings, around (0, 0): each kind has a shape of its own, so that nothing hangs on colour. */
import { ASH, STAR } from "../game/rules.ts";

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

/** Traces the outline of `kind`; `size` is half its width in pixels. */
export function trace(context: CanvasRenderingContext2D, kind: number, size: number): void {
  context.beginPath();
  if (kind === STAR) star(context, size * 1.3);
  else if (kind === ASH) polygon(context, ROUGH, size * 0.86);
  else diamond(context, size);
  context.closePath();
}

/** The scratches that make ash look like something to stay away from. */
export function traceCracks(context: CanvasRenderingContext2D, size: number): void {
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
