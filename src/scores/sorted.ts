/** Items of the longest piece. */
const MAX = 512;

/**
 * Items in the order of `compare` (never 0 for two of them), cut into pieces: to put one in or take one out moves a piece at most,
 * where a single array of all would be moved by every newcomer.
 */
export class Sorted<T> {
  readonly #compare: (a: T, b: T) => number;
  #pieces: T[][] = [];

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  /** How many come before the first for which `test` holds; it must hold for all that follow. */
  countBefore(test: (item: T) => boolean): number {
    const place = this.#pieceAt(test);
    let count = firstAt(this.#pieces[place] ?? [], test);
    for (let i = 0; i < place; i++) count += this.#pieces[i]?.length ?? 0;
    return count;
  }

  /** The position of an item, or the one that it would have. */
  indexOf(item: T): number {
    return this.countBefore((other) => this.#compare(other, item) >= 0);
  }

  add(item: T): void {
    const follows = (other: T): boolean => this.#compare(other, item) >= 0;
    const place = Math.max(0, Math.min(this.#pieceAt(follows), this.#pieces.length - 1));
    const piece = this.#pieces[place];
    if (piece === undefined) this.#pieces.push([item]);
    else {
      piece.splice(firstAt(piece, follows), 0, item);
      if (piece.length > MAX) this.#pieces.splice(place + 1, 0, piece.splice(MAX / 2));
    }
  }

  /** Takes an item out, if it is there. */
  delete(item: T): void {
    const follows = (other: T): boolean => this.#compare(other, item) >= 0;
    const place = this.#pieceAt(follows);
    const piece = this.#pieces[place];
    const index = piece ? firstAt(piece, follows) : 0;
    if (piece?.[index] !== item) return;
    piece.splice(index, 1);
    if (piece.length === 0) this.#pieces.splice(place, 1);
  }

  /** Puts all in order again, after what they are compared by has changed. */
  sort(): void {
    const all = this.#pieces.flat().sort(this.#compare);
    this.#pieces = [];
    for (let i = 0; i < all.length; i += MAX) this.#pieces.push(all.slice(i, i + MAX));
  }

  /** The items from position `from` up to, not including, `to`. */
  slice(from: number, to: number): T[] {
    const found: T[] = [];
    let start = 0;
    for (const piece of this.#pieces) {
      if (start >= to) break;
      if (start + piece.length > from) found.push(...piece.slice(Math.max(0, from - start), to - start));
      start += piece.length;
    }
    return found;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const piece of this.#pieces) yield* piece;
  }

  /** The first piece with an item for which `test` holds: pieces are never empty, and the last item holds if any does. */
  #pieceAt(test: (item: T) => boolean): number {
    return firstAt(this.#pieces, (piece) => {
      const last = piece.at(-1);
      return last !== undefined && test(last);
    });
  }
}

/** The first index at which `test` holds; it must hold for all after. */
function firstAt<T>(items: readonly T[], test: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = items[middle];
    if (item !== undefined && test(item)) high = middle;
    else low = middle + 1;
  }
  return low;
}
