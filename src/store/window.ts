/**
 * The sliding window. It guarantees at most `limit` units in any closed interval of length `window`, and a wait of at
 * most 1.1 x `window` after a refusal.
 *
 * A charge at time t is stored in sub-window b = floor(t / w), where w = window / 10. At time t, everything in the
 * sub-windows from b - 10 on counts.
 * - The limit holds: an admission at t counts all of [t - window, t], since (b - 10) w <= t - window.
 * - The wait holds: a charge at u leaves at (floor(u / w) + 11) w, which is in (u + window, u + 1.1 window].
 *
 * The sub-windows of each key are shifted by another time, so that clients do not all come back at the same moment.
 *
 * A ring is a record of {@link RING} numbers in a Float64Array: when it expires (milliseconds), the number of the
 * newest sub-window, and the counts of that one and the ten before it, each at its number modulo 11.
 */

/** Numbers in a ring. */
export const RING = 13;
const SUBS = 11;
const NEWEST = 1;
const COUNTS = 2;

/** Length in ms of the sub-windows of a window of `seconds`: a tenth. */
export function stepOf(seconds: number): number {
  return seconds * 100;
}

/** Milliseconds by which the sub-windows of `key` are shifted: the same in every process, different from key to key. */
export function shiftOf(key: string, seconds: number): number {
  return hashOf(key) % stepOf(seconds);
}

/** A hash of 32 bits (FNV-1a) to spread keys; it is not safe for secrets. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Units that count now. */
export function unitsAt(cells: Float64Array, base: number, seconds: number, now: number): number {
  let units = 0;
  const newest = get(cells, base + NEWEST);
  let slot = slotOf(newest);
  for (let left = countedSubs(cells, base, seconds, now); left > 0; left--) {
    units += get(cells, base + COUNTS + slot);
    slot = slot === 0 ? SUBS - 1 : slot - 1;
  }
  return units;
}

/** The instant (milliseconds) at which `units` of those that count now have left the window, oldest first. */
export function freeAt(cells: Float64Array, base: number, seconds: number, now: number, units: number): number {
  const newest = get(cells, base + NEWEST);
  let sub = newest - countedSubs(cells, base, seconds, now) + 1;
  for (let left = units; sub < newest; sub++) {
    left -= get(cells, base + COUNTS + slotOf(sub));
    if (left <= 0) break;
  }
  return (sub + SUBS) * stepOf(seconds) + shiftIn(cells, base, seconds);
}

/** Adds `units` now. A record whose first number is 0 is new, and gets the shift of `key`. */
export function chargeRing(cells: Float64Array, base: number, key: string, seconds: number, now: number, units: number): void {
  const step = stepOf(seconds);
  const fresh = get(cells, base) === 0;
  const shift = fresh ? shiftOf(key, seconds) : shiftIn(cells, base, seconds);
  const sub = Math.floor((now - shift) / step);
  const before = fresh ? sub - SUBS : get(cells, base + NEWEST);
  for (let gone = Math.max(before + 1, sub - SUBS + 1); gone <= sub; gone++) cells[base + COUNTS + slotOf(gone)] = 0;
  const newest = Math.max(before, sub);
  // If the clock went back by more than the ring holds, charge the oldest sub-window of the ring. It is later than now,
  // so the charge does not leave too early.
  const slot = base + COUNTS + slotOf(Math.max(sub, newest - SUBS + 1));
  cells[slot] = get(cells, slot) + units;
  cells[base + NEWEST] = newest;
  cells[base] = (newest + SUBS) * step + shift;
}

/**
 * Takes `units` out of the sub-window in which they were charged at `at`, if that one still counts and holds them.
 * Returns whether it did. If units were taken out of another sub-window, an interval could hold more than `limit`: late
 * charges would leave together with early ones.
 */
export function refundRing(cells: Float64Array, base: number, seconds: number, now: number, at: number, units: number): boolean {
  const newest = get(cells, base + NEWEST);
  const sub = Math.floor((at - shiftIn(cells, base, seconds)) / stepOf(seconds));
  if (!(sub <= newest && sub > newest - countedSubs(cells, base, seconds, now))) return false;
  const slot = base + COUNTS + slotOf(sub);
  const held = get(cells, slot);
  if (held < units) return false;
  cells[slot] = held - units;
  return true;
}

/**
 * Merges `other` into `cells`: for each sub-window the larger of the two counts. They are two views of one key, and
 * neither may be complete. Neither has expired, and both begin at position 0.
 */
export function mergeRing(cells: Float64Array, other: Float64Array): void {
  const [mine, theirs] = [get(cells, NEWEST), get(other, NEWEST)];
  for (let gone = Math.max(mine + 1, theirs - SUBS + 1); gone <= theirs; gone++) cells[COUNTS + slotOf(gone)] = 0;
  for (let sub = Math.max(mine, theirs) - SUBS + 1; sub <= theirs; sub++) {
    const slot = COUNTS + slotOf(sub);
    cells[slot] = Math.max(get(cells, slot), get(other, slot));
  }
  cells[0] = Math.max(get(cells, 0), get(other, 0));
  cells[NEWEST] = Math.max(mine, theirs);
}

/**
 * How many of the ring's sub-windows count: all from floor(now / w) - 10 on. Those after now count too (if the clock
 * went back).
 */
function countedSubs(cells: Float64Array, base: number, seconds: number, now: number): number {
  const sub = Math.floor((now - shiftIn(cells, base, seconds)) / stepOf(seconds));
  return Math.max(0, Math.min(SUBS, SUBS - (sub - get(cells, base + NEWEST))));
}

function shiftIn(cells: Float64Array, base: number, seconds: number): number {
  return get(cells, base) - (get(cells, base + NEWEST) + SUBS) * stepOf(seconds);
}

function slotOf(sub: number): number {
  // `sub % SUBS`, but never negative, and several times faster beyond 32 bits.
  return sub - Math.floor(sub / SUBS) * SUBS;
}

function get(cells: Float64Array, index: number): number {
  return cells[index] ?? 0;
}
