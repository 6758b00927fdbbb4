/** What stands still: the night, its stars, the water, the rings and the lighthouse. Painted once per size. */

/** Where things are, in CSS pixels. */
export interface Layout {
  width: number;
  height: number;
  ratio: number;
  x: number;
  y: number;
  /** Radius of the whole figure. */
  size: number;
  /** Radius of each ring, from the lighthouse outwards. */
  rings: readonly number[];
}

/** Rings as parts of the figure's radius. */
const RINGS: readonly number[] = [0.37, 0.64, 0.91];

/** What covers the canvas from each side, in CSS pixels: the figure keeps clear of it. */
export interface Insets {
  top: number;
  bottom: number;
  left: number;
}

/** Fits the figure into what the insets leave of a canvas. */
export function layoutOf(width: number, height: number, ratio: number, { top, bottom, left }: Insets): Layout {
  const size = Math.max(60, Math.min((width - left) / 2 - 14, (height - top - bottom) / 2));
  const x = left + (width - left) / 2;
  const y = top + (height - top - bottom) / 2;
  return { width, height, ratio, x, y, size, rings: RINGS.map((ring) => ring * size) };
}

/** The still picture for a layout. */
export function paintBackdrop(layout: Layout): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(layout.width * layout.ratio);
  canvas.height = Math.round(layout.height * layout.ratio);
  const context = canvas.getContext("2d");
  if (!context) return canvas;
  context.scale(layout.ratio, layout.ratio);
  night(context, layout);
  rings(context, layout);
  lighthouse(context, layout);
  return canvas;
}

function night(context: CanvasRenderingContext2D, { width, height, x, y, size }: Layout): void {
  const sky = context.createRadialGradient(x, y, 0, x, y, Math.hypot(width, height) * 0.62);
  sky.addColorStop(0, "#1b2663");
  sky.addColorStop(0.35, "#101a49");
  sky.addColorStop(0.75, "#090f30");
  sky.addColorStop(1, "#060a20");
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  // The same sky at every visit: a small generator with a fixed seed, on a grid so that a new size does not re-roll it.
  let seed = 20_261;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 4_294_967_296;
  };
  for (let star = 0; star < 170; star++) {
    const px = random() * width;
    const py = random() * height;
    const bright = random();
    context.globalAlpha = (0.12 + bright * 0.5) * (Math.hypot(px - x, py - y) < size ? 0.45 : 1);
    context.fillStyle = bright > 0.86 ? "#ffe2b8" : "#cfdcff";
    context.beginPath();
    context.arc(px, py, 0.5 + bright * 0.9, 0, Math.PI * 2);
    context.fill();
  }
  context.globalAlpha = 1;
}

function rings(context: CanvasRenderingContext2D, { x, y, size, rings }: Layout): void {
  for (const radius of rings) {
    context.strokeStyle = "rgb(150 174 255 / 7%)";
    context.lineWidth = size * 0.075;
    circle(context, x, y, radius);
    context.strokeStyle = "rgb(160 184 255 / 30%)";
    context.lineWidth = 1.2;
    circle(context, x, y, radius);
  }
}

function circle(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, Math.PI * 2);
  context.stroke();
}

/** The lamp is the centre of everything; the tower stands below it on its rock. */
function lighthouse(context: CanvasRenderingContext2D, { x, y, size }: Layout): void {
  const unit = size / 100;
  context.save();
  context.translate(x, y);
  context.scale(unit, unit);
  const halo = context.createRadialGradient(0, 0, 0, 0, 0, 34);
  halo.addColorStop(0, "rgb(255 210 130 / 42%)");
  halo.addColorStop(0.4, "rgb(255 180 84 / 14%)");
  halo.addColorStop(1, "rgb(255 180 84 / 0%)");
  context.fillStyle = halo;
  context.fillRect(-34, -34, 68, 68);

  fill(context, "#0a0f2c", [-14, 21, -9, 17.5, -3, 18.5, 4, 17, 10, 18.5, 14.5, 21.5, 8, 24.5, -8, 24.5]);
  fill(context, "#1a2351", [-14, 21, -9, 17.5, -3, 18.5, -5, 21.5]);
  const tower = context.createLinearGradient(-5, 0, 5, 0);
  tower.addColorStop(0, "#f5efe2");
  tower.addColorStop(0.45, "#ddd5cb");
  tower.addColorStop(1, "#77759a");
  fill(context, tower, [-2.9, 4, 2.9, 4, 4.6, 19, -4.6, 19]);
  const band = context.createLinearGradient(-5, 0, 5, 0);
  band.addColorStop(0, "#f0694f");
  band.addColorStop(1, "#8c2f45");
  fill(context, band, [-3.24, 7, 3.24, 7, 3.6, 10.2, -3.6, 10.2]);
  fill(context, band, [-3.95, 13.3, 3.95, 13.3, 4.3, 16.4, -4.3, 16.4]);
  fill(context, "#2a2f57", [-4.4, 2.9, 4.4, 2.9, 3.9, 4.4, -3.9, 4.4]);
  fill(context, "#ffd48a", [-2.3, -2.6, 2.3, -2.6, 2.3, 2.9, -2.3, 2.9]);
  context.fillStyle = "#2a2f57";
  for (const bar of [-2.5, -0.25, 2]) context.fillRect(bar, -2.6, 0.5, 5.5);
  fill(context, "#c24a45", [-3.3, -2.6, 0, -6.2, 3.3, -2.6]);
  context.beginPath();
  context.arc(0, -6.4, 0.75, 0, Math.PI * 2);
  context.fillStyle = "#f0694f";
  context.fill();
  context.restore();
}

function fill(context: CanvasRenderingContext2D, style: string | CanvasGradient, points: readonly number[]): void {
  context.fillStyle = style;
  context.beginPath();
  for (let index = 0; index < points.length; index += 2) context.lineTo(points[index] ?? 0, points[index + 1] ?? 0);
  context.closePath();
  context.fill();
}
