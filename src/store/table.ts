const CHUNK_BITS = 10;
const CHUNK = 1 << CHUNK_BITS;

/**
 * Records of a few numbers, by text key. The numbers are in Float64Arrays of 1,024 records each. So a record needs
 * little more memory than its numbers, growing copies nothing, and sweeping reads memory in order. The first number of
 * a record is when it expires (milliseconds since the epoch).
 */
export class Table {
  readonly #width: number;
  readonly #order: Order | undefined;
  readonly #indexes = new Map<string, number>();
  readonly #chunks: Float64Array[] = [];
  /**
   * The key of each record. A free record has the index of the next free one instead, so the free list needs no memory
   * of its own.
   */
  readonly #names: (string | number)[] = [];
  #free = -1;
  #cursor = 0;

  /**
   * @param width numbers in a record
   * @param ordered whether `touch` and `oldest` are needed; it costs 8 bytes more for each record
   */
  constructor(width: number, ordered = false) {
    this.#width = width;
    this.#order = ordered ? new Order() : undefined;
  }

  get size(): number {
    return this.#indexes.size;
  }

  /** Index of a key's record, -1 when there is none. A record that has expired at `now` is removed. */
  find(key: string, now: number): number {
    const index = this.#indexes.get(key);
    if (index === undefined) return -1;
    if (this.#dies(index) > now) return index;
    this.remove(index);
    return -1;
  }

  /** Adds a record of zeros as the youngest. Its index stays the same until it is removed. */
  add(key: string): number {
    const index = this.#allocate();
    // V8 keeps the parts of a concatenated string alive. `join` makes one flat string, which saves 50 bytes.
    const name = [key.slice(0, 1), key.slice(1)].join("");
    this.#names[index] = name;
    this.#indexes.set(name, index);
    this.#order?.append(index);
    return index;
  }

  remove(index: number): void {
    const key = this.#names[index];
    if (typeof key !== "string") return;
    this.#indexes.delete(key);
    this.#names[index] = this.#free;
    this.#free = index;
    this.#order?.take(index);
    // The next record at this index must begin with zeros.
    const at = this.base(index);
    this.cells(index).fill(0, at, at + this.#width);
  }

  /** Makes a record the youngest. */
  touch(index: number): void {
    this.#order?.take(index);
    this.#order?.append(index);
  }

  /** Index of the record that was touched longest ago, -1 when there is none. */
  oldest(): number {
    return this.#order?.first ?? -1;
  }

  /** Key of a record. */
  name(index: number): string {
    return String(this.#names[index]);
  }

  /** The array that holds a record. */
  cells(index: number): Float64Array {
    const chunk = this.#chunks[index >> CHUNK_BITS];
    if (chunk === undefined) throw new RangeError("Cannot read a record: no such index");
    return chunk;
  }

  /** The position in that array where a record begins. */
  base(index: number): number {
    return (index & (CHUNK - 1)) * this.#width;
  }

  /**
   * Looks at the next `look` records (at most all) and removes at most `max` expired ones. Returns how many it removed.
   */
  sweep(now: number, look: number, max: number = look): number {
    const before = this.#indexes.size;
    const slots = this.#names.length;
    for (let left = Math.min(look, slots); left > 0 && before - this.#indexes.size < max; left--) {
      if (this.#cursor >= slots) this.#cursor = 0;
      const index = this.#cursor++;
      if (this.#dies(index) <= now) this.remove(index);
    }
    return before - this.#indexes.size;
  }

  keys(): IterableIterator<string> {
    return this.#indexes.keys();
  }

  #dies(index: number): number {
    return this.cells(index)[this.base(index)] ?? 0;
  }

  #allocate(): number {
    const index = this.#free;
    if (index >= 0) {
      this.#free = Number(this.#names[index]);
      return index;
    }
    const slot = this.#names.length;
    if ((slot & (CHUNK - 1)) === 0) this.#chunks.push(new Float64Array(CHUNK * this.#width));
    this.#names.push(-1);
    return slot;
  }
}

/** A doubly linked list of indexes, the oldest first. */
class Order {
  first = -1;
  last = -1;
  readonly #links: Int32Array[] = [];

  append(index: number): void {
    this.#set(index, 0, this.last);
    this.#set(index, 1, -1);
    if (this.last < 0) this.first = index;
    else this.#set(this.last, 1, index);
    this.last = index;
  }

  take(index: number): void {
    const older = this.#get(index, 0);
    const younger = this.#get(index, 1);
    if (older < 0) this.first = younger;
    else this.#set(older, 1, younger);
    if (younger < 0) this.last = older;
    else this.#set(younger, 0, older);
  }

  #get(index: number, side: 0 | 1): number {
    return this.#links[index >> CHUNK_BITS]?.[(index & (CHUNK - 1)) * 2 + side] ?? -1;
  }

  #set(index: number, side: 0 | 1, value: number): void {
    const at = index >> CHUNK_BITS;
    let links = this.#links[at];
    if (links === undefined) {
      links = new Int32Array(CHUNK * 2);
      this.#links[at] = links;
    }
    links[(index & (CHUNK - 1)) * 2 + side] = value;
  }
}
