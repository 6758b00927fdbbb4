import { utf8 } from "../util/bytes.ts";
import { halfSipHash } from "../util/siphash.ts";

/** What a cell holds at most. A cell that is full stands for any number of units. */
const MOST = 2 ** 16 - 1;
/** Cells of a row at least: a small store under a flood forgets many times what it holds. */
const LEAST_CELLS = 2 ** 16;

/** The cells of all windows of about one length. */
interface Sketch {
  /** Number of the current generation: the time divided by its length. */
  generation: number;
  /** Two rows of cells, one behind the other. */
  current: Uint16Array;
  /** Those of the generation before. */
  before: Uint16Array;
}

/**
 * What a full store still knows of the rate counters that it removed: for each key at least as many units as its counter held.
 *
 * This is a count-min sketch with conservative update. A key has one cell in each of two rows, and the smaller cell is the answer. Keys share cells:
 * the answer may be too high, so that under a flood too much is refused. It is never too low, so that nothing is admitted since a counter was removed.
 * A hash with a random key chooses the cells: else an attacker would fill the cells of a victim by keys that share them.
 *
 * A generation is at least as long as its window. So the units of a window are in the current generation and the one before.
 */
export class Forgotten {
  readonly #cells: number;
  readonly #random: (bytes: number) => Uint8Array;
  readonly #sketches = new Map<number, Sketch>();
  #seed: Uint32Array | undefined;

  /** @param keys how many keys the store holds: the more, the more cells @param random makes the key of the hash at the first use */
  constructor(keys: number, random: (bytes: number) => Uint8Array) {
    this.#cells = Math.max(LEAST_CELLS, 2 ** Math.ceil(Math.log2(2 * keys)));
    this.#random = random;
  }

  /** Adds the units of a counter that is removed at `now`. */
  add(key: string, seconds: number, units: number, now: number): void {
    const span = spanOf(seconds);
    let sketch = this.#sketchOf(span, now);
    if (!sketch) {
      const make = (): Uint16Array => new Uint16Array(2 * this.#cells);
      sketch = { generation: Math.floor(now / span), current: make(), before: make() };
      this.#sketches.set(span, sketch);
    }
    const { current } = sketch;
    const places = this.#placesOf(key);
    const bound = Math.min(MOST, least(current, places) + units);
    for (const place of places) current[place] = Math.max(current[place] ?? 0, bound);
  }

  /** Units that may have been forgotten of `key` in the last window, and the instant (ms) at which none of them counts any more. */
  find(key: string, seconds: number, now: number): { units: number; until: number } {
    const span = spanOf(seconds);
    const sketch = this.#sketchOf(span, now);
    if (!sketch) return NOTHING;
    const places = this.#placesOf(key);
    return { units: least(sketch.current, places) + least(sketch.before, places), until: (sketch.generation + 2) * span };
  }

  /** The cells that still count. A clock that went back keeps those of the later time. */
  #sketchOf(span: number, now: number): Sketch | undefined {
    const sketch = this.#sketches.get(span);
    const passed = Math.floor(now / span) - (sketch?.generation ?? 0);
    if (!sketch || passed <= 0) return sketch;
    if (passed > 1) {
      this.#sketches.delete(span);
      return undefined;
    }
    sketch.generation += 1;
    [sketch.current, sketch.before] = [sketch.before.fill(0), sketch.current];
    return sketch;
  }

  #placesOf(key: string): readonly [number, number] {
    this.#seed ??= new Uint32Array(this.#random(16).slice().buffer);
    const [a = 0, b = 0, c = 0, d = 0] = this.#seed;
    const data = utf8(key);
    const last = this.#cells - 1;
    return [halfSipHash(data, a, b) & last, this.#cells + (halfSipHash(data, c, d) & last)];
  }
}

/** Of a key of which nothing was forgotten. */
export const NOTHING: { units: number; until: number } = { units: 0, until: 0 };

/** Milliseconds of a generation: the window, up to the next power of two, so that there are few of them whatever windows are asked for. */
function spanOf(seconds: number): number {
  return 1000 * 2 ** Math.ceil(Math.log2(seconds));
}

function least(cells: Uint16Array, [a, b]: readonly [number, number]): number {
  const units = Math.min(cells[a] ?? 0, cells[b] ?? 0);
  return units === MOST ? Number.POSITIVE_INFINITY : units;
}
