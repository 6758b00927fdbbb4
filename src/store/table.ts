const CHUNK_BITS = 10;
const CHUNK = 1 << CHUNK_BITS;

/**
 * Records of a few numbers under text keys. The numbers lie in Float64Arrays of a thousand records each: a record costs its numbers
 * and little more, growing copies nothing, and sweeping reads memory in its order. The first number of a record is when it dies (ms).
 */
export interface Table {
  readonly size: number;
  /** Index of a key's record, -1 when there is none. A record that is dead at `now` is removed. */
  find(key: string, now: number): number;
  /** Makes a record of zeros, the youngest of all; its index stays until it is removed. */
  add(key: string): number;
  remove(index: number): void;
  /** Makes a record the youngest; only where the table has an order. */
  touch(index: number): void;
  /** Index of the record whose touch is longest ago, -1 when empty. */
  oldest(): number;
  cells(index: number): Float64Array;
  base(index: number): number;
  /** Looks at the next `look` records and removes at most `max` dead ones; tells how many. */
  sweep(now: number, look: number, max?: number): number;
  /** How many records a full round of `sweep` looks at. */
  readonly span: number;
  keys(): IterableIterator<string>;
}

/** @param width numbers in a record @param ordered whether `touch` and `oldest` are needed: 8 bytes more a record */
export function createTable(width: number, ordered = false): Table {
  const indexes = new Map<string, number>();
  const chunks: Float64Array[] = [];
  /** Key of each record; of a free one, the next free index: a list that needs no memory of its own. */
  const names: (string | number)[] = [];
  const older = createLinks();
  const younger = createLinks();
  let free = -1;
  let first = -1;
  let last = -1;
  let cursor = 0;

  const cells = (index: number): Float64Array => {
    const chunk = chunks[index >> CHUNK_BITS];
    if (chunk === undefined) throw new RangeError("Cannot read a record: no such index");
    return chunk;
  };
  const base = (index: number): number => (index & (CHUNK - 1)) * width;

  function allocate(): number {
    if (free >= 0) {
      const index = free;
      const next = names[index];
      free = typeof next === "number" ? next : -1;
      return index;
    }
    const index = names.length;
    if ((index & (CHUNK - 1)) === 0) chunks.push(new Float64Array(CHUNK * width));
    names.push(-1);
    return index;
  }

  function link(index: number): void {
    older.set(index, last);
    younger.set(index, -1);
    if (last < 0) first = index;
    else younger.set(last, index);
    last = index;
  }

  function unlink(index: number): void {
    const before = older.get(index);
    const after = younger.get(index);
    if (before < 0) first = after;
    else younger.set(before, after);
    if (after < 0) last = before;
    else older.set(after, before);
  }

  function remove(index: number): void {
    const key = names[index];
    if (typeof key !== "string") return;
    indexes.delete(key);
    names[index] = free;
    free = index;
    if (ordered) unlink(index);
    // Zeros: what is found here later begins anew.
    const at = base(index);
    cells(index).fill(0, at, at + width);
  }

  return {
    get size() {
      return indexes.size;
    },
    get span() {
      return names.length;
    },
    find(key, now) {
      const index = indexes.get(key);
      if (index === undefined) return -1;
      if ((cells(index)[base(index)] ?? 0) > now) return index;
      remove(index);
      return -1;
    },
    add(key) {
      const index = allocate();
      // A text put together from parts keeps the parts alive; joined anew it is one piece, 50 bytes less.
      const name = [key.slice(0, 1), key.slice(1)].join("");
      names[index] = name;
      indexes.set(name, index);
      if (ordered) link(index);
      return index;
    },
    remove,
    touch(index) {
      if (!ordered || index === last) return;
      unlink(index);
      link(index);
    },
    oldest: () => first,
    cells,
    base,
    sweep(now, look, max = look) {
      const before = indexes.size;
      for (let left = Math.min(look, names.length); left > 0 && before - indexes.size < max; left--) {
        if (cursor >= names.length) cursor = 0;
        const index = cursor++;
        if ((cells(index)[base(index)] ?? 0) <= now) remove(index);
      }
      return before - indexes.size;
    },
    keys: () => indexes.keys(),
  };
}

/** Indexes by index, 4 bytes each. */
function createLinks(): { get(index: number): number; set(index: number, value: number): void } {
  const chunks: Int32Array[] = [];
  return {
    get: (index) => chunks[index >> CHUNK_BITS]?.[index & (CHUNK - 1)] ?? -1,
    set(index, value) {
      const at = index >> CHUNK_BITS;
      let chunk = chunks[at];
      if (chunk === undefined) {
        chunk = new Int32Array(CHUNK);
        chunks[at] = chunk;
      }
      chunk[index & (CHUNK - 1)] = value;
    },
  };
}
