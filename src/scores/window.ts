import type { BoardPlace, Order } from "./board.ts";
import type { Sorted } from "./sorted.ts";

/** The order that `Sorted` keeps rows in: the lowest score first, of equals the earlier, then by id, which is random but stays. */
export function comparePlaces(a: BoardPlace, b: BoardPlace): number {
  return a.score - b.score || a.at - b.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/**
 * Rows with scores from `min` to `max`, the best first. The rows stay sorted by rising scores whatever the order is: of falling scores, groups of equal
 * scores are read from the end, each group from its start, for of equals the earlier comes first in both orders.
 */
export class Window<T extends BoardPlace> {
  readonly #rows: Sorted<T>;
  readonly #rises: boolean;
  readonly #from: number;
  readonly #to: number;

  constructor(rows: Sorted<T>, { order, min, max }: { order: Order; min: number; max: number }) {
    this.#rows = rows;
    this.#rises = order === "asc";
    this.#from = this.#below(min);
    this.#to = Math.max(this.#from, this.#upTo(max));
  }

  get length(): number {
    return this.#to - this.#from;
  }

  /** 1 and the number of better scores. */
  rank(score: number): number {
    const better = this.#rises ? this.#below(score) - this.#from : this.#to - this.#upTo(score);
    return 1 + Math.min(this.length, Math.max(0, better));
  }

  /** The position of the first row at this place or behind it; with `behind` only behind it. */
  positionOf(place: BoardPlace, behind = false): number {
    const index = this.#rows.countBefore((row) => comparePlaces(row, place) >= (behind ? 1 : 0));
    const position = this.#rises ? index - this.#from : this.#to - this.#upTo(place.score) + index - this.#below(place.score);
    return Math.min(this.length, Math.max(0, position));
  }

  /** The rows from position `from` up to, not including, `to`. */
  slice(from: number, to: number): T[] {
    const [start, end] = [Math.max(0, from), Math.min(to, this.length)];
    if (this.#rises) return this.#rows.slice(this.#from + start, this.#from + Math.max(start, end));
    const found: T[] = [];
    for (let position = start; position < end; ) {
      const [last] = this.#rows.slice(this.#to - 1 - position, this.#to - position);
      if (last === undefined) break;
      const [first, behind] = [this.#below(last.score), this.#upTo(last.score)];
      const skipped = position - (this.#to - behind);
      found.push(...this.#rows.slice(first + skipped, Math.min(behind, first + skipped + end - position)));
      position = this.#to - first;
    }
    return found;
  }

  #below(score: number): number {
    return this.#rows.countBefore((row) => row.score >= score);
  }

  #upTo(score: number): number {
    return this.#rows.countBefore((row) => row.score > score);
  }
}
