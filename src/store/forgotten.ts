import { randomId } from "../util/random.ts";
import { hashOf } from "./window.ts";

/**
 * At least so many removed keys are remembered individually: a small store under a flood removes many times what it
 * holds.
 */
const LEAST = 2 ** 16;
/** How many counts the further keys share. */
const SHARED = 65_521;

/** What a full store remembers about the rate counters that it removed. */
export interface Forgotten {
  /** Adds the units of a counter that is removed at `now` (milliseconds). `seconds`: its window. */
  add(key: string, seconds: number, units: number, now: number): void;
  /**
   * At least the units that were removed of `key` in the last window. `until`: the instant (milliseconds) from which
   * none of them counts.
   */
  find(key: string, seconds: number, now: number): { units: number; until: number };
}

/** Units by hash, for all windows of about one length. */
interface Counts {
  /** The time divided by the length of a generation. */
  generation: number;
  /** Milliseconds since the epoch: when none of this counts any more. */
  until: number;
  current: Map<number, number>;
  /** Of the generation before. */
  before: Map<number, number>;
}

/**
 * Remembers the counters that a full store removed. For each key that was added, `find` returns at least as many units
 * as its counter held. So nothing is admitted because a counter was removed.
 *
 * A key is remembered by a hash, which takes a sixth of a counter's memory. A random text is hashed with the key:
 * otherwise an attacker could choose keys with the same hash as a victim's. After `keys` hashes, further keys share
 * their counts. For these, `find` may return too much, and too much is refused.
 *
 * A generation lasts at least one window. So the units of a window are in the current generation and the one before.
 *
 * @param keys how many keys the store holds at most @param random bytes for the random text, asked for when the first
 * counter is removed
 */
export function createForgotten(keys: number, random: (bytes: number) => Uint8Array): Forgotten {
  const all = new Map<number, Counts>();
  let seed: string | undefined;

  /** The counts for a window at `now`. If the clock went back, the counts of the later time stay. */
  const countsOf = (seconds: number, now: number): Counts => {
    // Round the window up to a power of two, so that there are few counts however many windows are in use.
    const span = 1000 * 2 ** Math.ceil(Math.log2(seconds));
    const generation = Math.floor(now / span);
    const last = all.get(span);
    if (last && last.generation >= generation) return last;
    const before = last?.generation === generation - 1 ? last.current : new Map<number, number>();
    const counts: Counts = { generation, until: (generation + 2) * span, current: new Map(), before };
    all.set(span, counts);
    return counts;
  };

  return {
    add(key, seconds, units, now) {
      seed ??= randomId(random);
      const { current } = countsOf(seconds, now);
      const hash = hashOf(seed + key);
      const place = current.has(hash) || current.size < Math.max(LEAST, keys) ? hash : sharedOf(hash);
      current.set(place, (current.get(place) ?? 0) + units);
    },
    find(key, seconds, now) {
      if (!seed) return NOTHING;
      const { until, current, before } = countsOf(seconds, now);
      if (current.size + before.size === 0) return NOTHING;
      const hash = hashOf(seed + key);
      const places = [current, before].flatMap((counts) => [counts.get(hash) ?? 0, counts.get(sharedOf(hash)) ?? 0]);
      return { units: places.reduce((sum, units) => sum + units), until };
    },
  };
}

/** For a key of which nothing was removed. */
export const NOTHING: { units: number; until: number } = { units: 0, until: 0 };

/** The place that a key shares with others: a negative number, which is no hash. */
function sharedOf(hash: number): number {
  return ~(hash % SHARED);
}
